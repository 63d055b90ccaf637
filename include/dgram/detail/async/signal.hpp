// SPDX-License-Identifier: BSL-1.0
// A wait that only a notification ends.
#ifndef DGRAM_DETAIL_ASYNC_SIGNAL_HPP
#define DGRAM_DETAIL_ASYNC_SIGNAL_HPP

#include <dgram/config.hpp>

#include <chrono>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A timer that never expires: `notify` cancels its waits.
template <class Executor,
          class Timer = net::basic_waitable_timer<
              std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>, Executor>>
class signal {
public:
  using executor_type = Executor;

  explicit signal(const Executor& executor) : timer_(executor)
  {
    timer_.expires_at(Timer::time_point::max());
  }

  executor_type get_executor() noexcept { return timer_.get_executor(); }

  /// Waits for `notify`. Completion: `void(error_code)`, always with `operation_aborted`.
  template <class Token>
  auto async_wait(Token&& token)
  {
    return timer_.async_wait(std::forward<Token>(token));
  }

  /// Ends all pending waits.
  void notify() { timer_.cancel(); }

private:
  Timer timer_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
