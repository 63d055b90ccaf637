// SPDX-License-Identifier: BSL-1.0
// The timer that operations wait on while the kernel has no room although the descriptor is ready.
#ifndef DGRAM_DETAIL_SOCKET_BACKOFF_HPP
#define DGRAM_DETAIL_SOCKET_BACKOFF_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Operations that wait at the same time share the timer: one that set it anew would wake the others, and they it,
/// without end. Each wait is twice as long as the one before, until `reset`. The timer is made when it is first needed.
template <class Executor>
class backoff {
  using clock = std::chrono::steady_clock;
  using timer_type = net::basic_waitable_timer<clock, net::wait_traits<clock>, Executor>;

public:
  template <class Token>
  auto async_wait(const Executor& executor, Token&& token)
  {
    return start(executor).async_wait(std::forward<Token>(token));
  }

  /// The same, blocking.
  void wait(const Executor& executor) { std::this_thread::sleep_until(start(executor).expiry()); }

  /// Ends all waits that are pending.
  void cancel()
  {
    if (timer_) timer_->cancel();
  }

  /// The next wait is a short one again.
  void reset() noexcept { delay_ = shortest; }

private:
  static constexpr std::chrono::milliseconds shortest{1};
  static constexpr std::chrono::milliseconds longest{50};

  timer_type& start(const Executor& executor)
  {
    timer_type& timer = timer_ ? *timer_ : timer_.emplace(executor);
    if (timer.expiry() <= clock::now()) {
      timer.expires_after(delay_);
      delay_ = std::min(delay_ * 2, longest);
    }
    return timer;
  }

  std::optional<timer_type> timer_;
  std::chrono::milliseconds delay_ = shortest;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
