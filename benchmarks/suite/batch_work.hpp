// SPDX-License-Identifier: BSL-1.0
// Single measurements, of which rows and sweeps are made.
#ifndef DGRAM_BENCHMARKS_SUITE_BATCH_WORK_HPP
#define DGRAM_BENCHMARKS_SUITE_BATCH_WORK_HPP

#include "drain.hpp"
#include "measurement.hpp"
#include "raw.hpp"
#include "send.hpp"

#include <cstddef>
#include <vector>

namespace bench {

/// Fills queues.
class filler {
public:
  /// With `trains` the sender uses GSO. The datagrams come from so many addresses in turn.
  filler(std::size_t payload, bool trains, std::size_t peers = 1);

  /// How many datagrams a queue surely takes.
  std::size_t count() const noexcept { return count_; }

  void fill(int fd, std::size_t datagrams);

  /// Throws away what has come back.
  void drain();

private:
  std::size_t find_count();

  std::size_t payload_;
  std::size_t train_;
  std::vector<std::byte> bytes_;
  std::vector<raw::descriptor> sockets_;
  std::size_t count_ = 0;
};

/// Fills the queue and times how it is emptied, several times.
sample time_drain(filler& source, drain::drainer& by, int repetitions,
                  metric measured = metric::time);

/// Sockets to send to.
class receivers {
public:
  receivers(std::size_t count, bool coalesced);

  const std::vector<sockaddr_in>& addresses() const noexcept { return addresses_; }

  /// Takes what has arrived and returns how many datagrams that was.
  std::size_t drain();

private:
  std::vector<raw::descriptor> sockets_;
  std::vector<sockaddr_in> addresses_;
  raw::receive_slots slots_;
};

/// Times the sending, several times, and counts what did not arrive.
sample time_send(send::sender& by, receivers& to, std::size_t datagrams, int repetitions,
                 metric measured = metric::time);

}  // namespace bench

#endif
