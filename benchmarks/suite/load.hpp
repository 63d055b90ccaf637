// SPDX-License-Identifier: BSL-1.0
// The other side of an echo: clients that keep a fixed number of datagrams in flight.
#ifndef DGRAM_BENCHMARKS_SUITE_LOAD_HPP
#define DGRAM_BENCHMARKS_SUITE_LOAD_HPP

#include "raw.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct load_config {
  std::size_t payload = 64;
  std::size_t flows = 1;
  std::size_t window = 64;  // datagrams in flight, over all flows
  bool trains = false;      // clients send with GSO
  bool coalesced = false;   // clients receive with GRO
  bool sliding = false;     // every answer makes room for another datagram
};

/// A closed loop. A flow sends its window whole and waits for all answers; or, sliding, it sends as
/// many as were answered: then client and server are busy at the same time, and each finds little
/// queued when it looks.
class load {
public:
  load(const sockaddr_in& server, const load_config& config);

  /// Waits until the server has answered once. Returns false after `patience`.
  bool wait_for_server(std::chrono::milliseconds patience);

  /// Keeps the windows full for so long; returns how many answers came.
  std::uint64_t run(std::chrono::nanoseconds duration);

  /// Waits for what is in flight; returns how many datagrams were not answered.
  std::uint64_t finish();

private:
  struct flow {
    raw::descriptor socket;
    std::size_t in_flight = 0;
  };

  std::uint64_t collect(flow& from);
  void fill(flow& to);
  std::uint64_t collect_ready(int timeout_ms, bool refill);

  load_config config_;
  std::size_t train_;
  std::size_t window_;  // of one flow
  std::vector<std::byte> payload_;
  std::vector<flow> flows_;
  raw::receive_slots slots_;
  raw::send_messages messages_;
  raw::descriptor epoll_;
};

/// One datagram in flight: the median of the times from sending it to having the answer.
class ping_pong {
public:
  ping_pong(const sockaddr_in& server, std::size_t payload);

  struct outcome {
    double median_ns;
    std::size_t answered;
    std::uint64_t lost;
  };

  outcome run(std::chrono::nanoseconds duration);

private:
  raw::descriptor socket_;
  std::vector<std::byte> payload_;
};

}  // namespace bench

#endif
