// SPDX-License-Identifier: BSL-1.0
// The retry timer for a ready descriptor that makes no progress, such as a send after ENOBUFS.
#ifndef DGRAM_DETAIL_SOCKET_BACKOFF_HPP
#define DGRAM_DETAIL_SOCKET_BACKOFF_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/relaxed.hpp>
#include <dgram/detail/platform/sleep.hpp>
#include <dgram/detail/socket/wake_ups.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// How long to wait for room: each wait is twice as long as the one before.
class backoff_delay {
public:
  std::chrono::milliseconds next() noexcept
  {
    const int now = delay_;
    delay_ = std::min(now * 2, longest);
    return std::chrono::milliseconds(now);
  }

  void reset() noexcept { delay_ = shortest; }

private:
  static constexpr int shortest = 1;  // ms
  static constexpr int longest = 50;

  relaxed<int> delay_ = shortest;
};

/// The state of a blocking call while nothing moves.
struct blocking_wait {
  wake_up_counter wake_ups;
  backoff_delay delay;

  void sleep() { platform::sleep_for(delay.next()); }
};

/// Operations that wait at the same time share the timer. If one of them restarted it, that would
/// wake the others, and they would do the same, without end. The first wait creates the timer.
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

  /// Ends all pending waits.
  void cancel()
  {
    if (timer_) timer_->cancel();
  }

  /// Makes the next wait a short one again.
  void reset() noexcept { delay_.reset(); }

private:
  timer_type& start(const Executor& executor)
  {
    timer_type& timer = timer_ ? *timer_ : timer_.emplace(executor);
    if (timer.expiry() <= clock::now()) {
      timer.expires_after(delay_.next());
    }
    return timer;
  }

  std::optional<timer_type> timer_;
  backoff_delay delay_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
