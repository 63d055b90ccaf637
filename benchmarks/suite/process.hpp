// SPDX-License-Identifier: BSL-1.0
// Forked servers, where processes run, and the time that they use.
#ifndef DGRAM_BENCHMARKS_SUITE_PROCESS_HPP
#define DGRAM_BENCHMARKS_SUITE_PROCESS_HPP

#include "allocations.hpp"

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace bench {

/// The server and the load each have a processor of their own; with one processor they share it.
inline constexpr int server_cpu = 0;
inline constexpr int load_cpu = 1;

void pin_to_cpu(int cpu);

/// As far as it may be, for tens of thousands of sockets.
void raise_descriptor_limit();

/// A forked process that does one thing until it is destroyed.
class child_process {
public:
  explicit child_process(const std::function<void()>& work);
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  /// The processor time that it has used, in nanoseconds.
  double cpu_ns() const;

  /// How often its threads, those that it has now, have waited until something happened.
  std::uint64_t wake_ups() const;

  std::uint64_t allocations() const noexcept { return allocations_.value(); }

  bool is_running() const;

private:
  shared_counter allocations_;
  pid_t pid_;
};

/// What `work` returns in a forked process, which has a heap of its own.
double in_child(const std::function<double()>& work);

}  // namespace bench

#endif
