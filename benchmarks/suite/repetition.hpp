// SPDX-License-Identifier: BSL-1.0
// The same short work over and over, of which only a part is timed.
#ifndef DGRAM_BENCHMARKS_SUITE_REPETITION_HPP
#define DGRAM_BENCHMARKS_SUITE_REPETITION_HPP

#include "allocations.hpp"
#include "measurement.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <vector>

namespace bench {

/// What is measured of one repetition: elapsed time, or the processor time of this process.
class repetition {
public:
  explicit repetition(metric by) noexcept : by_(by) {}

  template <class Work>
  void time(Work work)
  {
    const std::uint64_t allocated = bench::allocations();
    const double start = now();
    work();
    ns_ = now() - start;
    allocations_ = bench::allocations() - allocated;
  }

  void count_lost(std::size_t datagrams) { lost_ += datagrams; }

  double ns() const noexcept { return ns_; }
  std::uint64_t allocations() const noexcept { return allocations_; }
  std::uint64_t lost() const noexcept { return lost_; }

private:
  double now() const noexcept
  {
    timespec read{};
    ::clock_gettime(by_ == metric::cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &read);
    return static_cast<double>(read.tv_sec) * 1e9 + static_cast<double>(read.tv_nsec);
  }

  metric by_;
  double ns_ = 0;
  std::uint64_t allocations_ = 0;
  std::uint64_t lost_ = 0;
};

/// Calls `work(datagrams, repetition&)` several times. The time is the lower quartile: interrupts
/// and other programs only ever add to it.
///
/// Asio's memory for handlers lives as long as a call of `run`, so that each repetition allocates a
/// little before it needs no more. Half the work allocates as much; only what the other half adds
/// is counted.
template <class Work>
sample repeat(std::size_t datagrams, int repetitions, Work work, metric by = metric::time)
{
  sample result;
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) {
    repetition half(by);
    work(datagrams / 2, half);
    repetition now(by);
    work(datagrams, now);
    times.push_back(now.ns());
    const std::uint64_t steady =
        now.allocations() - std::min(half.allocations(), now.allocations());
    result.allocations += 2 * static_cast<double>(steady);
    result.lost += now.lost();
  }
  const auto count = static_cast<double>(datagrams);
  const auto quartile = times.begin() + repetitions / 4;
  std::nth_element(times.begin(), quartile, times.end());
  (by == metric::cpu ? result.cpu_ns : result.ns) = *quartile / count;
  result.allocations /= count * repetitions;
  return result;
}

}  // namespace bench

#endif
