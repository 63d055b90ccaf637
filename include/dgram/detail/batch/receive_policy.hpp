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

/// Shared by all that receives batch after batch: a reader, its `async_for_each`, an emitter.
class receive_policy {
public:
  /// Others have their turn after so many datagrams; with 0 after each batch.
  explicit receive_policy(std::size_t yield_after) noexcept
      : yield_after_(std::max<std::size_t>(yield_after, 1))
  {
  }

  /// How many slots the next call is to offer, of the capacity: few for trains, since they stay in
  /// the cache, and more for plain datagrams, since that makes fewer calls.
  template <class Batch>
  void offer_slots(Batch& batch) noexcept
  {
    batch.offer(std::min(slots_, batch.capacity()));
  }

  /// A call has filled the batch, or met `would_block` if it is empty.
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

  /// Whether others are to have their turn before the next call.
  bool is_yield_due() const noexcept { return since_yield_ >= yield_after_; }

  /// They have had it.
  void yielded() noexcept { since_yield_ = 0; }

  /// A new series of waits begins: what earlier ones waited for does not count.
  void begin_waiting() noexcept { wake_ups_ = {}; }

  /// Before each wait behind `would_block`: whether the wait is to be on the timer, since the
  /// descriptor stays ready with nothing to receive, and another wait on it would spin.
  template <class Handle>
  bool must_back_off(const Handle& handle) noexcept
  {
    return wake_ups_.is_vain(handle.reports_taken());
  }

private:
  static constexpr std::size_t slots_for_trains = 8;
  static constexpr std::size_t most_slots = 65536;

  std::size_t yield_after_;
  std::size_t since_yield_ = 0;
  std::size_t slots_ = most_slots;
  wake_up_counter wake_ups_;
};

/// How long the datagrams of one batch are handed over to functions of the user's before others
/// have their turn. It is asked before each of them, and looks at the clock only where there are
/// many: a batch of trains is handed over whole, unless the functions are slow.
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
    return Clock::now() - began_ >= longest;
  }

private:
  static constexpr std::size_t between_looks = 32;
  static constexpr std::chrono::microseconds longest{100};

  typename Clock::time_point began_{};
  std::size_t left_ = between_looks;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
