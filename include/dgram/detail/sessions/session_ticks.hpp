// SPDX-License-Identifier: BSL-1.0
// The time of a table of sessions, in ticks.
#ifndef DGRAM_DETAIL_SESSIONS_SESSION_TICKS_HPP
#define DGRAM_DETAIL_SESSIONS_SESSION_TICKS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/idle_wheel.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Turns time points into ticks. A tick is 1/256 of a timeout: half of the wheel, so that no
/// deadline of that timeout is beyond it.
template <class Clock>
struct session_ticks {
  using rep = typename Clock::rep;
  using tick = idle_wheel::tick;
  using time_point = typename Clock::time_point;
  using duration = typename Clock::duration;

  explicit session_ticks(std::chrono::nanoseconds timeout)
      : unit((units_of(timeout) - 1) / parts + 1), idle_ticks(ticks_of(timeout))
  {
  }

  tick advance(time_point now) noexcept
  {
    if (now > latest) {
      latest = now;
      at = static_cast<tick>((now - start).count() / unit);
    }
    return at;
  }

  /// How many ticks later something is due. One more than the time has, because both ends are
  /// rounded down.
  std::uint32_t ticks_of(std::chrono::nanoseconds timeout) const noexcept
  {
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    const auto ticks = static_cast<std::uint64_t>((units_of(timeout) - 1) / unit + 2);
    return static_cast<std::uint32_t>(std::min(ticks, most));
  }

  static constexpr rep parts = 256;

  time_point start = Clock::now();
  time_point latest = start;
  rep unit = 1;
  std::uint32_t idle_ticks = 2;
  tick at = 0;

private:
  static rep units_of(std::chrono::nanoseconds timeout) noexcept
  {
    return std::clamp<rep>(std::chrono::ceil<duration>(timeout).count(), 1,
                           std::numeric_limits<rep>::max() / 4);
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
