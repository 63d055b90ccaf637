// SPDX-License-Identifier: BSL-1.0
// Random numbers that are the same on every compiler and system.
#ifndef DGRAM_SIM_RANDOM_HPP
#define DGRAM_SIM_RANDOM_HPP

#include <dgram/config.hpp>

#include <cstdint>
#include <limits>

DGRAM_NAMESPACE_BEGIN

namespace sim {

/// A generator of random numbers (SplitMix64). The same seed gives the same numbers on every
/// system, because it uses integers only. The distributions of the standard library differ between
/// libraries, so a simulation must not use them. It is not for secrets.
///
/// \code
/// dgram::sim::random random{7};
/// const std::uint64_t die = random.below(6) + 1;
/// const bool rare = random.chance(0.001);
/// \endcode
class random {
public:
  using result_type = std::uint64_t;

  constexpr explicit random(std::uint64_t seed) noexcept : state_(seed) {}

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

  /// 64 random bits.
  constexpr result_type operator()() noexcept
  {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31U);
  }

  /// A number from 0 to `bound` - 1; 0 if `bound` is 0.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept { return high(bound, (*this)()); }

  /// True with this probability, 0 to 1. With 0 the generator does not advance.
  constexpr bool chance(double probability) noexcept
  {
    if (probability <= 0) return false;
    // A product with a power of two is exact.
    const auto limit = static_cast<std::uint64_t>((probability < 1 ? probability : 1) * two_53);
    return ((*this)() >> 11U) < limit;
  }

private:
  static constexpr double two_53 = 9007199254740992.0;

  /// The upper half of the product of 128 bits.
  static constexpr std::uint64_t high(std::uint64_t a, std::uint64_t b) noexcept
  {
    constexpr std::uint64_t low_half = 0xFFFFFFFFU;
    const std::uint64_t low = (a & low_half) * (b & low_half);
    const std::uint64_t middle = (a >> 32U) * (b & low_half) + (low >> 32U);
    const std::uint64_t other = (a & low_half) * (b >> 32U) + (middle & low_half);
    return (a >> 32U) * (b >> 32U) + (middle >> 32U) + (other >> 32U);
  }

  std::uint64_t state_;
};

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
