// SPDX-License-Identifier: BSL-1.0
// Token buckets for the prefixes of addresses, in a table of fixed size.
#ifndef DGRAM_DETAIL_SESSIONS_BUCKET_TABLE_HPP
#define DGRAM_DETAIL_SESSIONS_BUCKET_TABLE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/keyed_hash.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Time since the limiter was made, in sixteenths of a nanosecond: 18 years fit, and the rate of a
/// billion tokens a second is exact. No other rate is off by more than 3 %.
using bucket_time = std::int64_t;
inline constexpr bucket_time bucket_times_per_nanosecond = 16;

/// Rounds a number that is not negative. The header <cmath> costs every user compile time.
inline bucket_time rounded(double value) noexcept
{
  const auto down = static_cast<bucket_time>(value);
  return value - static_cast<double>(down) < 0.5 ? down : down + 1;
}

/// How many tokens a bucket gets, and how many it holds.
struct bucket_budget {
  double burst = 0;
  bucket_time per_token = 0;
  bucket_time capacity = 0;  ///< the time in which an empty bucket becomes full

  bucket_budget() noexcept = default;
  bucket_budget(double tokens_per_second, double most) noexcept
      : burst(most),
        per_token(
            rounded(1e9 * static_cast<double>(bucket_times_per_nanosecond) / tokens_per_second)),
        capacity(rounded(most * static_cast<double>(per_token)))
  {
  }

  bool is_given() const noexcept { return per_token != 0; }

  /// Whether a bucket that is full again at `full_at` has so many tokens now.
  bool has(bucket_time full_at, bucket_time now, std::uint32_t tokens) const noexcept
  {
    // More tokens than it holds would overflow below.
    if (static_cast<double>(tokens) > burst) return false;
    return full_at - now <= capacity - static_cast<bucket_time>(tokens) * per_token;
  }

  bucket_time cost(std::uint32_t tokens) const noexcept
  {
    return static_cast<bucket_time>(tokens) * per_token;
  }
};

/// A bucket is the time at which it is full again. A time in the past means that it is full. So an
/// unused place is a full bucket too, of any prefix.
struct token_bucket {
  std::uint64_t prefix = 0;
  bucket_time full_at = std::numeric_limits<bucket_time>::min();
};

/// A prefix may only be in the eight places that its hash selects. If all of them belong to other
/// prefixes, the fullest bucket gives its place up, because the least is forgotten with it.
class bucket_table {
public:
  /// Has room for at least so many prefixes. Throws `std::bad_alloc`.
  explicit bucket_table(std::size_t prefixes) : sets_(std::bit_ceil((prefixes + ways - 1) / ways))
  {
  }

  /// Returns the bucket of the prefix, or the one that would give its place up.
  token_bucket& find(std::uint64_t prefix) noexcept
  {
    auto& places = sets_[hash_(&prefix, 1) & (sets_.size() - 1)].places;
    token_bucket* fullest = places.data();
    for (token_bucket& each : places) {
      if (each.prefix == prefix) return each;
      if (each.full_at < fullest->full_at) fullest = &each;
    }
    return *fullest;
  }

private:
  static constexpr std::size_t ways = 8;

  struct alignas(64) set {
    std::array<token_bucket, ways> places;
  };

  keyed_hash hash_;
  std::vector<set> sets_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
