// SPDX-License-Identifier: BSL-1.0
// The virtual clock of a simulated network.
#ifndef DGRAM_SIM_CLOCK_HPP
#define DGRAM_SIM_CLOCK_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/agenda.hpp>

#include <chrono>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The time of the thread's network, and the deadline of the earliest timer of Asio's on it.
struct sim_thread_time {
  sim_time now = 0;
  sim_time next_asio_timer = sim_never;
};

inline thread_local sim_thread_time sim_time_of_thread;

}  // namespace detail

namespace sim {

/// The clock of the simulated network of this thread. It starts at 0 with the network, and only
/// `run`, `run_for` and `run_until` of the network advance it. On a thread without a network it
/// stands at 0.
///
/// Programs that take their clock as a template parameter, or from `Socket::clock_type`, run on it
/// unchanged.
struct clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<clock>;

  static constexpr bool is_steady = true;

  static time_point now() noexcept { return time_point(duration(detail::sim_time_of_thread.now)); }
};

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
