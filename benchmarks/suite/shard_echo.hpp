// SPDX-License-Identifier: BSL-1.0
// An echo on several threads. Each thread has its own socket and its own processor.
#ifndef DGRAM_BENCHMARKS_SUITE_SHARD_ECHO_HPP
#define DGRAM_BENCHMARKS_SUITE_SHARD_ECHO_HPP

#include "measurement.hpp"

#include <cstddef>
#include <memory>

namespace bench {

class threaded_echo {
public:
  threaded_echo() = default;
  threaded_echo(const threaded_echo&) = delete;
  threaded_echo& operator=(const threaded_echo&) = delete;
  virtual ~threaded_echo() = default;

  /// All threads answer an equal part of the datagrams at the same time, in several drains. The
  /// cost is the processor time of the thread that took longest, by the datagrams of all.
  virtual sample measure(int drains) = 0;
};

/// Members of a `shard_group`: sockets of one port, each with an io_context.
std::unique_ptr<threaded_echo> dgram_shards(std::size_t threads);

/// Bare system calls. Each thread has its own port.
std::unique_ptr<threaded_echo> raw_threads(std::size_t threads);

}  // namespace bench

#endif
