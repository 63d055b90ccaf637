// SPDX-License-Identifier: BSL-1.0
// How operations are launched, and how synchronous ones throw.
#ifndef DGRAM_DETAIL_INITIATION_HPP
#define DGRAM_DETAIL_INITIATION_HPP

#include <dgram/config.hpp>
#include <dgram/detail/cancellation.hpp>
#include <dgram/detail/transfer_op.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Executor>
struct default_token {
  using asios = typename net::default_completion_token<Executor>::type;
  // Before 1.31 Asio has no default but for executors that carry one.
  using type = std::conditional_t<std::is_void_v<asios>, net::use_awaitable_t<Executor>, asios>;
};

}  // namespace detail

/// The token that operations take when they are given none: the executor's or Asio's own default, and
/// `use_awaitable` where Asio has none (before 1.31).
template <class Executor>
using default_token_t = typename detail::default_token<Executor>::type;

namespace detail {

/// What Asio calls with the handler when the operation is launched: at once, or when the deferred operation or the
/// awaitable is. `Target` finds the block then.
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

/// Launches one of Asio's own operations. What Asio leaves in a slot refers to the socket's
/// insides, and stays there when the operation is done or the socket is gone. Without a slot, the
/// usual case, nothing stands between Asio and the handler.
template <class State, class Handler, class Launch>
void pass_on(State& state, Handler&& handler, const Launch& launch)
{
  if (net::get_associated_cancellation_slot(handler).is_connected()) [[unlikely]]
    pass_on_cancellable(state, std::forward<Handler>(handler), launch);
  else
    launch(state, std::forward<Handler>(handler));
}

/// Calls `function(error_code&)` and throws what it reports.
template <class Function>
auto throwing(const char* what, Function function)
{
  error_code ec;
  if constexpr (std::is_void_v<std::invoke_result_t<Function&, error_code&>>) {
    function(ec);
    throw_if(ec, what);
  } else {
    auto result = function(ec);
    throw_if(ec, what);
    return result;
  }
}

/// Calls a throwing function, and lets what it throws name the endpoint.
template <class Endpoint, class Function>
auto naming(const char* what, const Endpoint& subject, Function function)
{
  try {
    return function();
  } catch (const system_error& failure) {
    throw_if(failure.code(), what, to_string(subject));
    throw;
  }
}

/// As `throwing`, with "would block" as an empty optional.
template <class Function>
auto throwing_unless_blocked(const char* what, Function function)
    -> std::optional<std::invoke_result_t<Function&, error_code&>>
{
  error_code ec;
  auto result = function(ec);
  if (ec == net::error::would_block) return std::nullopt;
  throw_if(ec, what);
  return result;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
