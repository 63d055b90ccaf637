// SPDX-License-Identifier: BSL-1.0
// A wheel of deadlines that may move later without a word to the wheel.
#ifndef DGRAM_DETAIL_SESSIONS_IDLE_WHEEL_HPP
#define DGRAM_DETAIL_SESSIONS_IDLE_WHEEL_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What an entry of a wheel has. Entries are numbered from 1, and 0 is none.
struct wheel_link {
  std::uint32_t next = 0;
  std::uint32_t previous = 0;
  std::uint16_t bucket = 0;
};

/// Entries in the order of their deadlines, which are ticks. If the deadline of an entry moves
/// later, nothing is done: the wheel asks the entry when its old deadline comes, and puts it into
/// another bucket. A deadline beyond the last bucket waits in the last one.
///
/// `Entries` has `link(number)`, a `wheel_link&`, and `due(number)`, a tick.
class idle_wheel {
public:
  using tick = std::uint64_t;
  static constexpr std::size_t buckets = 512;

  bool empty() const noexcept { return size_ == 0; }

  template <class Entries>
  void add(Entries& entries, std::uint32_t number) noexcept
  {
    add_at(entries, number, std::clamp(entries.due(number), next_, next_ + buckets - 1));
  }

  template <class Entries>
  void remove(Entries& entries, std::uint32_t number) noexcept
  {
    const wheel_link& link = entries.link(number);
    std::uint32_t& head = heads_[link.bucket];
    if (link.next == number) {
      head = 0;
      occupied_[link.bucket / word_bits] &= ~(std::uint64_t{1} << link.bucket % word_bits);
    } else {
      entries.link(link.next).previous = link.previous;
      entries.link(link.previous).next = link.next;
      if (head == number) head = link.next;
    }
    --size_;
  }

  /// Returns an entry whose deadline is not after `now`, or 0. Looks at no more than `budget`
  /// entries, and subtracts those that it has looked at.
  template <class Entries>
  std::uint32_t expired(Entries& entries, tick now, std::size_t& budget) noexcept
  {
    while (next_ <= now) {
      const std::size_t distance = distance_to_first();
      if (empty() || distance > now - next_) {
        next_ = now + 1;
        return 0;
      }
      next_ += distance;
      if (budget == 0) return 0;
      --budget;
      const std::uint32_t number = heads_[next_ % buckets];
      const tick due = entries.due(number);
      if (due <= now) return number;
      remove(entries, number);
      add_at(entries, number, std::min(due, next_ + buckets - 1));
    }
    return 0;
  }

  /// Returns the entry with the earliest deadline, or 0 if the wheel is empty. Looks at no more
  /// than `most` entries, and then returns the best of them.
  template <class Entries>
  std::uint32_t earliest(Entries& entries, std::size_t most) noexcept
  {
    std::uint32_t best = 0;
    tick best_due = 0;
    for (std::size_t looked = 0; looked < most && !empty(); ++looked) {
      const tick bucket = next_ + distance_to_first();
      const std::uint32_t number = heads_[bucket % buckets];
      const tick due = entries.due(number);
      if (best == 0 || due < best_due) {
        best = number;
        best_due = due;
      }
      if (due <= bucket || bucket == next_ + buckets - 1) break;
      remove(entries, number);
      add_at(entries, number, std::min(due, next_ + buckets - 1));
    }
    return best;
  }

  /// Returns a tick before which no deadline comes, or nothing if the wheel is empty.
  std::optional<tick> first_bucket() const noexcept
  {
    if (empty()) return std::nullopt;
    return next_ + distance_to_first();
  }

private:
  static constexpr std::size_t word_bits = 64;

  template <class Entries>
  void add_at(Entries& entries, std::uint32_t number, tick at) noexcept
  {
    const std::size_t bucket = at % buckets;
    wheel_link& link = entries.link(number);
    link.bucket = static_cast<std::uint16_t>(bucket);
    std::uint32_t& head = heads_[bucket];
    if (head == 0) {
      head = link.next = link.previous = number;
      occupied_[bucket / word_bits] |= std::uint64_t{1} << bucket % word_bits;
    } else {
      link.next = head;
      link.previous = entries.link(head).previous;
      entries.link(link.previous).next = number;
      entries.link(head).previous = number;
    }
    ++size_;
  }

  /// How many buckets after the next one the first occupied one is; `buckets` if none is.
  std::size_t distance_to_first() const noexcept
  {
    const std::size_t start = next_ % buckets;
    std::uint64_t word = occupied_[start / word_bits] & (~std::uint64_t{0} << start % word_bits);
    // The first word is looked at twice: its lower bits come last.
    for (std::size_t i = 0; i <= occupied_.size(); ++i) {
      const std::size_t at = (start / word_bits + i) % occupied_.size();
      if (i > 0) word = occupied_[at];
      if (word == 0) continue;
      const std::size_t bucket = at * word_bits + static_cast<std::size_t>(std::countr_zero(word));
      return (bucket - start) % buckets;
    }
    return buckets;
  }

  tick next_ = 0;  // all entries of earlier ticks have been looked at
  std::size_t size_ = 0;
  std::array<std::uint64_t, buckets / word_bits> occupied_{};
  std::array<std::uint32_t, buckets> heads_{};
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
