// SPDX-License-Identifier: BSL-1.0
// Ends waits at their deadlines, with one timer that is not armed anew for each wait.
#ifndef DGRAM_DETAIL_ASYNC_LAZY_DEADLINE_HPP
#define DGRAM_DETAIL_ASYNC_LAZY_DEADLINE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/no_memory.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A server of timers waits with a new deadline after each batch. Most of these waits end early,
/// so arming a timer for each wait, and cancelling it, costs more than the wait. This timer
/// therefore stays armed after a wait, and the next wait uses it if it expires early enough. If it
/// expires before the deadline of that wait, it is armed again.
///
/// An armed timer keeps the context running. So it stays armed only if it expires in `kept_for`.
/// Among waits that are shorter than that, a timer for a later deadline is armed for `kept_for`
/// first.
///
/// `Owner` has `weak_from_this`, `get_executor`, and `end_wait_with(error_code)`. That is called at
/// the deadline of a wait that has not ended, with `timed_out`, and with `no_memory` if the timer
/// could not be armed again. `Handle` is a `transport_handle`.
template <class Owner, class Handle>
class lazy_deadline {
  using clock = typename Handle::clock_type;
  using time_point = typename clock::time_point;

public:
  static constexpr std::chrono::milliseconds kept_for{10};

  explicit lazy_deadline(Owner& owner) noexcept : owner_(owner) {}
  lazy_deadline(const lazy_deadline&) = delete;
  lazy_deadline& operator=(const lazy_deadline&) = delete;

  /// Begins a wait. A deadline at the end of the clock never comes.
  void start(time_point deadline)
  {
    deadline_ = deadline;
    is_wanted_ = true;
    ++wait_;
    if (is_armed_ && due_ <= deadline) return;
    arm();
  }

  /// Ends the wait, if there is one. After the last wait nothing stays armed.
  void end(bool is_last)
  {
    is_wanted_ = false;
    if (!is_armed_ || (is_kept_ && !is_last)) return;
    waits_are_short_ = clock::now() < kept_until(armed_at_);
    disarm();
  }

  void disarm()
  {
    if (!is_armed_ || !timer_) return;
    is_armed_ = false;
    ++number_;
    timer_->cancel();
  }

private:
  static time_point kept_until(time_point now) { return detail::deadline(now, kept_for); }

  void arm()
  {
    disarm();
    if (deadline_ == time_point::max()) return;
    const time_point now = clock::now();
    const time_point soon = kept_until(now);
    const time_point due = waits_are_short_ ? std::min(deadline_, soon) : deadline_;
    if (!timer_) timer_.emplace(owner_.get_executor());
    timer_->expires_at(due);
    // An expired wait may be queued still when the next one starts. The number tells them apart.
    timer_->async_wait([owner = owner_.weak_from_this(), this, number = ++number_](error_code) {
      const auto alive = owner.lock();
      if (alive && number == number_) expired();
    });
    due_ = due;
    armed_at_ = now;
    armed_in_ = wait_;
    is_kept_ = due <= soon;
    is_armed_ = true;
  }

  void expired()
  {
    is_armed_ = false;
    if (!is_wanted_) return;
    if (due_ >= deadline_) return owner_.end_wait_with(net::error::timed_out);
    waits_are_short_ = armed_in_ != wait_;
    unless_no_memory([this] { arm(); }, [this] { owner_.end_wait_with(net::error::no_memory); });
  }

  Owner& owner_;
  std::optional<typename Handle::timer_type> timer_;
  time_point deadline_{};  // of the wait
  time_point due_{};       // when the timer expires, if it is armed
  time_point armed_at_{};
  std::uint64_t wait_ = 0;
  std::uint64_t armed_in_ = 0;  // this wait
  std::uint64_t number_ = 0;
  bool is_wanted_ = false;
  bool is_armed_ = false;
  bool is_kept_ = false;
  bool waits_are_short_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
