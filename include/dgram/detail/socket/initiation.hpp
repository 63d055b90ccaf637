// SPDX-License-Identifier: BSL-1.0
// Launches asynchronous operations, now or when a deferred operation starts.
#ifndef DGRAM_DETAIL_SOCKET_INITIATION_HPP
#define DGRAM_DETAIL_SOCKET_INITIATION_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/socket/transfer_op.hpp>

#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Asio calls this with the handler when the operation is launched: at once, or when the deferred
/// operation or the awaitable starts. `Target` finds the socket's state at that time.
template <class Target, class Launch>
class initiation {
  using state_type = std::remove_reference_t<decltype(std::declval<const Target&>().state())>;

public:
  using executor_type = typename state_type::executor_type;

  initiation(Target target, Launch launch) : target_(std::move(target)), launch_(launch) {}

  executor_type get_executor() const noexcept { return target_.state().socket.get_executor(); }

  template <class Handler, class... Args>
  void operator()(Handler&& handler, Args&&... args) const
  {
    launch_(target_.state(), std::forward<Handler>(handler), std::forward<Args>(args)...);
  }

private:
  Target target_;
  Launch launch_;
};

template <class Signature, class Target, class Launch, class Token, class... Args>
auto initiate(Target target, Launch launch, Token&& token, Args&&... args)
{
  return net::async_initiate<Token, Signature>(
      initiation<Target, Launch>(std::move(target), launch), token, std::forward<Args>(args)...);
}

template <class Signature, class State, class Attempt, class Handler>
void compose(State& state, Attempt attempt, Handler&& handler)
{
  const auto executor = state.socket.get_executor();
  net::async_compose<Handler, Signature>(
      transfer_op<State, Attempt>(state.shared_from_this(), std::move(attempt)), handler, executor);
}

/// Out of line, so that handlers without a slot do not pay for it.
template <class State, class Handler, class Launch>
DGRAM_COLD void pass_on_cancellable(State& state, Handler&& handler, const Launch& launch)
{
  using guarded = guarded_handler<std::decay_t<Handler>>;
  launch(state, guarded(std::forward<Handler>(handler), state.weak_from_this()));
}

/// Launches one of Asio's own operations. Asio leaves a pointer to the socket's insides in a slot.
/// The pointer stays there when the operation is done or the socket is gone, so a slot needs a
/// guard. Usually there is no slot, and Asio gets the handler itself. A handler that cannot have a
/// slot instantiates nothing else.
template <class State, class Handler, class Launch>
void pass_on(State& state, Handler&& handler, const Launch& launch)
{
  if constexpr (may_have_slot<Handler>) {
    if (net::get_associated_cancellation_slot(handler).is_connected()) [[unlikely]] {
      pass_on_cancellable(state, std::forward<Handler>(handler), launch);
      return;
    }
  }
  launch(state, std::forward<Handler>(handler));
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
