// SPDX-License-Identifier: BSL-1.0
// Detects that nothing was sent or received for some time.
#ifndef DGRAM_DETAIL_ASYNC_IDLE_TIMER_HPP
#define DGRAM_DETAIL_ASYNC_IDLE_TIMER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/work_account.hpp>

#include <chrono>
#include <memory>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Owner` has `shared_from_this`, `get_executor`, `is_closed` and `timed_out`. `Handle` is a
/// `transport_handle`, whose clock and timer count.
template <class Owner, class Handle>
class idle_timer {
public:
  idle_timer(Owner& owner, work_account<Owner>& work) noexcept : owner_(owner), work_(work) {}
  idle_timer(const idle_timer&) = delete;
  idle_timer& operator=(const idle_timer&) = delete;

  /// Starts the timer. A duration of 0 or less stops it.
  void set(std::chrono::milliseconds duration)
  {
    if (duration.count() <= 0) {
      if (state_) state_->duration = {};
      cancel();
      return;
    }
    if (!state_) state_ = std::make_unique<timing>(owner_.get_executor());
    state_->duration = duration;
    cancel();
    note_activity();
  }

  /// Whether it was ever set.
  bool is_in_use() const noexcept { return state_ != nullptr; }

  void note_activity()
  {
    if (state_) note_time();
  }

  void cancel()
  {
    if (state_) state_->timer.cancel();
  }

private:
  using clock = typename Handle::clock_type;
  using timer_type = typename Handle::timer_type;

  struct timing {
    explicit timing(const typename Handle::executor_type& executor) : timer(executor) {}
    timer_type timer;
    std::chrono::milliseconds duration{};
    typename clock::time_point last;
    bool waiting = false;
  };

  bool is_off() const noexcept { return state_->duration.count() == 0 || owner_.is_closed(); }

  typename clock::time_point due() const { return deadline(state_->last, state_->duration); }

  void note_time()
  {
    if (is_off()) return;
    state_->last = clock::now();
    if (!state_->waiting) wait();
  }

  /// Activity does not restart the timer. When the timer expires, `check` looks at the last
  /// activity.
  void wait()
  {
    state_->timer.expires_at(due());
    state_->timer.async_wait([this, owner = owner_.shared_from_this()](error_code) {
      state_->waiting = false;
      work_.end_wait();
      check();
    });
    state_->waiting = true;
    work_.begin_wait();
  }

  void check()
  {
    if (is_off()) return;
    if (clock::now() < due())
      wait();
    else
      owner_.timed_out();
  }

  Owner& owner_;
  work_account<Owner>& work_;
  std::unique_ptr<timing> state_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
