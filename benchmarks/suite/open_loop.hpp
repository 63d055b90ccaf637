// SPDX-License-Identifier: BSL-1.0
// The other side of an echo: clients that send at a rate, however fast the answers come.
#ifndef DGRAM_BENCHMARKS_SUITE_OPEN_LOOP_HPP
#define DGRAM_BENCHMARKS_SUITE_OPEN_LOOP_HPP

#include "measurement.hpp"
#include "raw.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// An open loop. The times of all datagrams are planned before the first one is sent, at random
/// distances as those of independent users. A latency counts from the planned time to the answer.
/// So a server that stalls has the wait of each datagram that was to be sent meanwhile counted.
class open_loop {
public:
  /// Each of `flows` sockets sends every so-manieth datagram. A payload has at least 8 bytes.
  open_loop(const sockaddr_in& server, std::size_t payload, std::size_t flows);

  struct outcome {
    latencies tail;
    std::uint64_t answered = 0;
    std::uint64_t lost = 0;
    double late_ns = 0;  // of 100 datagrams, 99 left at most so long after their time
  };

  /// Sends so many datagrams per second for so long, and waits until the answers have come. It
  /// never sleeps meanwhile: a wake-up would count as latency.
  outcome run(double datagrams_per_second, std::chrono::nanoseconds duration);

private:
  using clock = std::chrono::steady_clock;

  void plan(double datagrams_per_second, std::chrono::nanoseconds duration);
  std::size_t send_due(std::size_t next, clock::time_point start, std::vector<double>& late);
  std::size_t collect(clock::time_point start, std::vector<double>& taken);

  std::vector<std::byte> payload_;
  std::vector<raw::descriptor> sockets_;
  raw::descriptor epoll_;
  raw::receive_slots slots_;
  std::vector<std::int64_t> planned_;  // nanoseconds after the start
  std::vector<bool> answered_;
  std::uint64_t first_ = 0;  // the number of the first datagram of this run
  bool alone_;               // on a processor that the server needs too
};

}  // namespace bench

#endif
