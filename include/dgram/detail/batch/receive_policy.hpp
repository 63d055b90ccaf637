// SPDX-License-Identifier: BSL-1.0
// Decides when to receive again, how many slots to offer, when to wait, and when to yield.
#ifndef DGRAM_DETAIL_BATCH_RECEIVE_POLICY_HPP
#define DGRAM_DETAIL_BATCH_RECEIVE_POLICY_HPP

#include <dgram/config.hpp>
#include <dgram/detail/socket/state.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// How long the user's functions may run before other handlers get a turn.
inline constexpr std::chrono::microseconds longest_turn{100};

/// Shared by everything that receives batch after batch: a reader, its `async_for_each`, an
/// emitter.
class receive_policy {
public:
  /// Other handlers run after this many datagrams; with 0, after each batch.
  explicit receive_policy(std::size_t yield_after) noexcept
      : yield_after_(std::max<std::size_t>(yield_after, 1))
  {
  }

  /// Sets how many slots the next call offers. A few suffice for trains, since they stay in the
  /// cache. Plain datagrams get more, since that takes fewer calls.
  template <class Batch>
  void offer_slots(Batch& batch) noexcept
  {
    batch.offer(std::min(slots_, batch.capacity()));
  }

  /// Called after each receive. If the batch is empty, the receive reported `would_block`.
  template <class Batch>
  void received(const Batch& batch) noexcept
  {
    const std::size_t used = batch.used_slots();
    if (used == 0) return;
    wake_ups_ = {};
    since_yield_ += batch.size();
    if (batch.size() > used)
      slots_ = slots_for_trains;
    else if (used == batch.offered())
      slots_ = std::min(2 * used, most_slots);
  }

  /// Whether other handlers must run before the next receive: after `yield_after` datagrams, or if
  /// the caller is slow. The first batch is not timed, so a caller that waits after each batch
  /// never reads the clock; one that does not reads it once for each batch.
  template <class Clock>
  bool is_yield_due()
  {
    if (since_yield_ == 0) return false;
    if (since_yield_ >= yield_after_) return true;
    const auto now = std::chrono::nanoseconds(Clock::now().time_since_epoch());
    if (!is_timed_) began_ = now;
    is_timed_ = true;
    return now - began_ >= longest_turn;
  }

  /// Called when other handlers have run.
  void yielded() noexcept
  {
    since_yield_ = 0;
    is_timed_ = false;
  }

  /// Starts a new series of waits. Earlier wake-ups in vain do not count.
  void begin_waiting() noexcept { wake_ups_ = {}; }

  /// Call this before each wait after `would_block`. True means: wait on the timer. The descriptor
  /// stays ready although there is nothing to receive, so another wait on it would spin.
  template <class Handle>
  bool must_back_off(const Handle& handle) noexcept
  {
    return wake_ups_.is_vain(handle, net::socket_base::wait_read);
  }

private:
  static constexpr std::size_t slots_for_trains = 8;
  static constexpr std::size_t most_slots = 65536;

  std::size_t yield_after_;
  std::size_t since_yield_ = 0;
  std::size_t slots_ = most_slots;
  std::chrono::nanoseconds began_{};  // by the handle's clock
  bool is_timed_ = false;
  wake_up_counter wake_ups_;
};

/// Limits how long the datagrams of one batch are passed to the user's functions before other
/// handlers run. `is_reached` is called before each datagram. It reads the clock only for a large
/// batch. A batch of trains is handed over whole, unless the functions are slow.
template <class Clock>
class turn_limit {
public:
  explicit turn_limit(std::size_t datagrams)
  {
    if (datagrams > between_looks) began_ = Clock::now();
  }

  bool is_reached()
  {
    if (left_-- > 0) return false;
    left_ = between_looks - 1;
    return Clock::now() - began_ >= longest_turn;
  }

private:
  static constexpr std::size_t between_looks = 32;

  typename Clock::time_point began_{};
  std::size_t left_ = between_looks;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
