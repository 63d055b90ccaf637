// SPDX-License-Identifier: BSL-1.0
// Ways to take what is queued, with a state for each peer.
#ifndef DGRAM_BENCHMARKS_SUITE_SESSION_DRAIN_HPP
#define DGRAM_BENCHMARKS_SUITE_SESSION_DRAIN_HPP

#include "drain.hpp"

#include <asio/ip/udp.hpp>

#include <cstddef>
#include <functional>

namespace bench::drain {

/// Without a state: what the others are measured against.
drainer_ptr dgram_next_batch();

/// With a `session_map`, or with a std::unordered_map, that already has so many sessions: those of
/// `peer_address(0)` and so on, with the port of the sender.
drainer_ptr dgram_session_map(std::size_t peers, unsigned short port);
drainer_ptr std_unordered_map(std::size_t peers, unsigned short port);

/// With a `session_map` that new peers fill. The idlest session makes room. Trains are split.
drainer_ptr dgram_session_map_of_new_peers();

/// With a coroutine for each peer, which `listener::serve` calls.
struct serving {
  bool coalesced = false;
  bool answers = false;
  bool only_one = false;  // the coroutine ends after one datagram
};
drainer_ptr dgram_serve(const serving& how);

/// As it is usually written: a coroutine for each peer, which waits for a posted handler, and a
/// std::unordered_map.
drainer_ptr std_map_and_post(bool answers);

/// An exchanger with so many exchanges that wait, one with each peer. The requests have as many
/// zeros as the payload has bytes.
drainer_ptr dgram_exchanges(std::size_t outstanding, unsigned short port, std::size_t payload);

/// A hash as it is usually written.
struct endpoint_hash {
  std::size_t operator()(const asio::ip::udp::endpoint& of) const noexcept
  {
    const auto address = of.address();
    const auto bits = address.is_v4() ? std::hash<asio::ip::address_v4>()(address.to_v4())
                                      : std::hash<asio::ip::address_v6>()(address.to_v6());
    return bits * 31 + of.port();
  }
};

/// A loopback address for each number, in host byte order.
constexpr unsigned peer_address(std::size_t number) noexcept
{
  return 0x7F010000U + static_cast<unsigned>(number);
}

}  // namespace bench::drain

#endif
