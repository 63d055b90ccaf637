// SPDX-License-Identifier: BSL-1.0
// Ways to take what is queued, with a state for each peer.
#ifndef DGRAM_BENCHMARKS_SUITE_SESSION_DRAIN_HPP
#define DGRAM_BENCHMARKS_SUITE_SESSION_DRAIN_HPP

#include "drain.hpp"

#include <cstddef>

namespace bench::drain {

/// Without a state: what the others are measured against.
drainer_ptr dgram_next_batch();

/// With a `session_map`, or with a std::unordered_map, that already has so many sessions: those of
/// `peer_address(0)` and so on, with the port of the sender.
drainer_ptr dgram_session_map(std::size_t peers, unsigned short port);
drainer_ptr std_unordered_map(std::size_t peers, unsigned short port);

/// A loopback address for each number, in host byte order.
constexpr unsigned peer_address(std::size_t number) noexcept
{
  return 0x7F010000U + static_cast<unsigned>(number);
}

}  // namespace bench::drain

#endif
