// SPDX-License-Identifier: BSL-1.0
// Lets a caller wait for an emitter's event as an asynchronous operation.
#ifndef DGRAM_DETAIL_EMITTER_AWAITED_EVENT_HPP
#define DGRAM_DETAIL_EMITTER_AWAITED_EVENT_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// An event as it is on a socket of this protocol.
template <class Event, class Protocol>
struct event_of : std::type_identity<Event> {};
template <class Event, class Protocol>
  requires requires { typename Event::template of<Protocol>; }
struct event_of<Event, Protocol> : std::type_identity<typename Event::template of<Protocol>> {};

/// The type in which an event's argument is kept.
template <class Argument>
using kept_argument = std::conditional_t<std::is_same_v<Argument, bytes_view>,
                                         std::vector<std::byte>, std::decay_t<Argument>>;

inline std::vector<std::byte> keep(bytes_view bytes)
{
  return to_owned(bytes);
}
template <class T>
const T& keep(const T& value)
{
  // An event's argument outlives the call.
  // NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter)
  return value;
}

/// A listener that completes an operation. If the listener is removed before it is called, the
/// operation completes with `operation_aborted`.
template <class Core, class... Values>
class awaiting_listener {
public:
  awaiting_listener(const std::shared_ptr<Core>& core, completion<Values...>* done)
      : core_(core), done_(done)
  {
  }

  awaiting_listener(awaiting_listener&&) noexcept = default;
  awaiting_listener& operator=(awaiting_listener&&) = delete;

  ~awaiting_listener()
  {
    if (!done_) return;
    if (const auto core = core_.lock())
      core->end_operation(std::move(done_), failure_of("once", net::error::operation_aborted));
  }

  template <class... Args>
    requires(sizeof...(Args) == sizeof...(Values))
  void operator()(const Args&... args)
  {
    try {
      done_->values = std::tuple<Values...>(keep(args)...);
    } catch (const std::bad_alloc&) {
      done_->outcome = failure_of("once", net::error::no_memory);
    }
    done_.release()->run();
  }

private:
  std::weak_ptr<Core> core_;
  completion_ptr<Values...> done_;
};

/// `start(core, token)` waits for the next such event.
template <class Event, class Signature = typename Event::signature>
struct event_awaiter;

template <class Event, class... Args>
struct event_awaiter<Event, void(Args...)> {
  template <class Core, class Token>
  static auto start(const std::shared_ptr<Core>& core, Token&& token)
  {
    return initiate_completion<kept_argument<Args>...>(
        core, std::forward<Token>(token),
        [](Core& on, completion<kept_argument<Args>...>* done, const net::cancellation_slot& slot) {
          awaiting_listener<Core, kept_argument<Args>...> listener(on.shared_from_this(), done);
          // A closed socket still emits 'close', and then removes its listeners.
          if (on.has_emitted_close()) return;
          const auto id = on.events.template once<Event>(std::move(listener));
          done->let_cancel(slot, on.weak_from_this(),
                           [id](Core& alive, net::cancellation_type) { alive.events.off(id); });
        });
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
