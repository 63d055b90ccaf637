// SPDX-License-Identifier: BSL-1.0
// Launches asynchronous operations, now or when a deferred operation starts.
#ifndef DGRAM_DETAIL_ASYNC_INITIATION_HPP
#define DGRAM_DETAIL_ASYNC_INITIATION_HPP

#include <dgram/config.hpp>

#include <memory>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Keeps the object on which an operation is launched, so that a deferred operation may outlive all
/// other owners.
template <class State>
class shared_target {
public:
  explicit shared_target(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  State& state() const noexcept { return *state_; }

private:
  std::shared_ptr<State> state_;
};

/// Asio calls this with the handler when the operation is launched: at once, or when the deferred
/// operation or the awaitable starts. `Target` finds the object of the operation at that time. The
/// object has `get_executor`.
template <class Target, class Launch>
class initiation {
  using state_type = std::remove_reference_t<decltype(std::declval<const Target&>().state())>;

public:
  using executor_type = typename state_type::executor_type;

  initiation(Target target, Launch launch) : target_(std::move(target)), launch_(std::move(launch))
  {
  }

  executor_type get_executor() const noexcept { return target_.state().get_executor(); }

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
      initiation<Target, Launch>(std::move(target), std::move(launch)), token,
      std::forward<Args>(args)...);
}

/// Launches a composed operation on a shared object. `make(State&, args...)` returns the operation
/// when the token launches it.
template <class Signature, class State, class Make, class Token, class... Args>
auto initiate_composed(std::shared_ptr<State> state, Make make, Token&& token, Args&&... args)
{
  return initiate<Signature>(
      shared_target(std::move(state)),
      [make = std::move(make)](State& on, auto&& handler, auto&&... given) {
        const auto executor = on.get_executor();
        net::async_compose<decltype(handler), Signature>(
            make(on, std::forward<decltype(given)>(given)...), handler, executor);
      },
      std::forward<Token>(token), std::forward<Args>(args)...);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
