// SPDX-License-Identifier: BSL-1.0
// Starts an operation with its callback: a listener, a completion handler, or any completion token.
#ifndef DGRAM_DETAIL_EMITTER_LAUNCH_HPP
#define DGRAM_DETAIL_EMITTER_LAUNCH_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/emitter/core.hpp>
#include <dgram/detail/emitter/operation.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/payload.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A token may launch the operation later: in another state, and when the message is gone.
template <action Which, class... Values, class Core, class Token>
decltype(auto) launch_by_token(const std::shared_ptr<Core>& core,
                               const typename Core::destination_type& to,
                               const payload_view& message, Token&& token)
{
  return initiate_completion<Values...>(
      core, std::forward<Token>(token),
      [to, bytes = message.copy()](Core& on, completion<Values...>* done,
                                   const net::cancellation_slot& slot) {
        on.let_cancel(done, slot);
        if (const auto ec = on.check(Which, to))
          on.end_operation(any_completion_ptr(done), failure_of(name_of(Which), ec));
        else
          start_operation(on, Which, to, bytes, any_completion_ptr(done), {});
      });
}

/// Starts a send, or another operation whose state was checked.
template <action Which, class Core, class Callback>
decltype(auto) launch(const std::shared_ptr<Core>& core, const typename Core::destination_type& to,
                      const payload_view& message, Callback&& callback)
{
  using function = std::decay_t<Callback>;
  constexpr bool completes = takes_code<function> || is_plain_callback<function>;
  if constexpr (Which != action::send) {
    // As in Node, a callback that fits both ways is a listener of bind and close, not of connect.
    if constexpr (std::invocable<function&> && (Which != action::connect || !completes)) {
      // In the order of `action`.
      using succeeded =
          std::tuple_element_t<static_cast<std::size_t>(Which),
                               std::tuple<event::listening, event::connect, void, event::close>>;
      const auto listener = core->events.template once<succeeded>(
          forwarding_handler<function, typename Core::executor_type>(
              std::forward<Callback>(callback), core->get_executor()));
      try {
        start_operation(*core, Which, to, message, nullptr, listener);
      } catch (...) {
        core->events.off(listener);
        throw;
      }
    } else {
      return launch_by_token<Which>(core, to, message, std::forward<Callback>(callback));
    }
  } else if constexpr (takes_code<function, std::size_t> ||
                       is_plain_callback<function, std::size_t>) {
    const net::cancellation_slot slot = net::get_associated_cancellation_slot(callback);
    completion_ptr<std::size_t> done(
        make_completion<std::size_t>(std::forward<Callback>(callback), core->get_executor()));
    core->let_cancel(done.get(), slot);
    start_send(*core, to, message, done.release());
  } else if constexpr (std::invocable<function&>) {
    launch<Which>(core, to, message,
                  sent_callback<Core, function>(*core, std::forward<Callback>(callback)));
  } else {
    return launch_by_token<Which, std::size_t>(core, to, message, std::forward<Callback>(callback));
  }
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
