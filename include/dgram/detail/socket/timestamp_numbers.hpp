// SPDX-License-Identifier: BSL-1.0
// Numbers the datagrams that ask when they left, if the kernel counts others with them.
#ifndef DGRAM_DETAIL_SOCKET_TIMESTAMP_NUMBERS_HPP
#define DGRAM_DETAIL_SOCKET_TIMESTAMP_NUMBERS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/relaxed.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

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

private:
  std::array<relaxed<std::uint32_t>, 16> last_{};
  relaxed<std::uint32_t> skipped_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
