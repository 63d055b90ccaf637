// SPDX-License-Identifier: BSL-1.0
// Numbers the datagrams that ask when they left, if the kernel counts others with them, and
// remembers the numbers that the caller gave them.
#ifndef DGRAM_DETAIL_SOCKET_TIMESTAMP_NUMBERS_HPP
#define DGRAM_DETAIL_SOCKET_TIMESTAMP_NUMBERS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/async/relaxed.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A kernel before 6.13 counts the datagrams that ask, and some of those that it refuses too. This
/// class remembers which numbers went to refused ones.
class timestamp_numbers {
public:
  /// Called when the kernel gave its next number to a datagram that it refused. It has taken `sent`
  /// others.
  void skip(std::uint32_t sent) noexcept
  {
    const std::uint32_t before = skipped_;
    last_[before % last_.size()] = sent + before;
    skipped_ = before + 1;
  }

  /// Returns how many datagrams the kernel took before the one that has the kernel's number `id`.
  std::uint32_t number_of(std::uint32_t id) const noexcept
  {
    std::uint32_t before = skipped_;
    // Reports come soon after their sends, so only the last few numbers may lie behind this one.
    for (std::uint32_t i = 1; i <= last_.size() && i <= skipped_; ++i) {
      const std::uint32_t distance = last_[(skipped_ - i) % last_.size()] - id;
      if (distance >= 0x80000000U) break;
      --before;
    }
    return id - before;
  }

  /// Begins to remember the caller's numbers. Without memory it remembers none.
  void remember() noexcept
  {
    if (!own_) unless_no_memory([this] { own_ = std::make_shared<own_numbers>(); }, [] {});
  }

  /// Called when the kernel has taken a datagram, the `id`th that asks.
  void keep(std::uint32_t id, std::uint64_t own) noexcept
  {
    if (own_) (*own_)[id % own_->size()] = own;
  }

  /// Returns the caller's number of a datagram, of `taken` ones that asked. 0: it has none, or it
  /// is forgotten.
  std::uint64_t own_number_of(std::uint32_t id, std::uint32_t taken) const noexcept
  {
    const std::uint32_t distance = taken - id;
    if (!own_ || distance == 0 || distance > own_->size()) return 0;
    return (*own_)[id % own_->size()];
  }

private:
  using own_numbers = std::array<relaxed<std::uint64_t>, 64>;

  std::array<relaxed<std::uint32_t>, 16> last_{};
  relaxed<std::uint32_t> skipped_;
  std::shared_ptr<own_numbers> own_;  // shared, so that a socket that moves needs no memory
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
