// SPDX-License-Identifier: BSL-1.0
// A clock that a test moves.
#ifndef DGRAM_TESTS_SUPPORT_MANUAL_CLOCK_HPP
#define DGRAM_TESTS_SUPPORT_MANUAL_CLOCK_HPP

#include <chrono>

namespace test {

template <class Duration>
struct manual_clock {
  using duration = Duration;
  using rep = typename duration::rep;
  using period = typename duration::period;
  using time_point = std::chrono::time_point<manual_clock>;

  static inline time_point current{};
  static time_point now() noexcept { return current; }
};

}  // namespace test

#endif
