// SPDX-License-Identifier: BSL-1.0
// Many peers of one server.
#ifndef DGRAM_BENCHMARKS_SUITE_CROWD_HPP
#define DGRAM_BENCHMARKS_SUITE_CROWD_HPP

#include "drain.hpp"
#include "measurement.hpp"
#include "raw.hpp"

#include <cstddef>
#include <random>
#include <vector>

namespace bench {

/// Fills queues with datagrams of many peers, and gets their answers. A peer is a loopback address,
/// `drain::peer_address` of its number, which each datagram names as its source.
class crowd {
public:
  explicit crowd(std::size_t payload);

  unsigned short port() const;

  /// Sends from random ones of the first `peers`.
  void fill(int fd, std::size_t datagrams, std::size_t peers);

  /// Sends one datagram of each peer with these numbers.
  void fill_from_each(int fd, std::size_t first, std::size_t datagrams);

  /// Throws away what has come back. Returns how many datagrams that was.
  std::size_t drain();

private:
  void send(sockaddr_in to, unsigned from);

  raw::descriptor socket_;
  std::vector<std::byte> bytes_;
  std::mt19937 random_{1};
};

/// Gives each of the first `peers` its session, or what stands for it: one datagram from each, so
/// many at once as `datagrams` says.
void introduce(crowd& source, drain::drainer& by, std::size_t datagrams, std::size_t peers);

/// Times how datagrams from random peers are taken, several times, in processor time. If the
/// drainer answers, all answers must come back.
sample time_drain(crowd& source, drain::drainer& by, std::size_t datagrams, std::size_t peers,
                  bool answers, int repetitions);

}  // namespace bench

#endif
