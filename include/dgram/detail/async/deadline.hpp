// SPDX-License-Identifier: BSL-1.0
// Adds a caller's duration to a time point, without passing the end of the clock.
#ifndef DGRAM_DETAIL_ASYNC_DEADLINE_HPP
#define DGRAM_DETAIL_ASYNC_DEADLINE_HPP

#include <dgram/config.hpp>

#include <chrono>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Returns `from` plus a duration of any size. If the sum is too late, returns the clock's last
/// time point; if it is earlier than `from`, returns `from`.
template <class Clock, class Rep, class Period>
typename Clock::time_point deadline(const std::chrono::time_point<Clock>& from,
                                    const std::chrono::duration<Rep, Period>& wait)
{
  if (wait <= wait.zero()) return from;
  using given = std::chrono::duration<Rep, Period>;
  const auto last = std::chrono::time_point<Clock>::max();
  const bool fits = wait < std::chrono::duration_cast<given>(last - from);
  return fits ? from + std::chrono::duration_cast<typename Clock::duration>(wait) : last;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
