// SPDX-License-Identifier: BSL-1.0
// How the links and NATs of a simulated network behave, and the account of their datagrams.
#ifndef DGRAM_SIM_CONFIG_HPP
#define DGRAM_SIM_CONFIG_HPP

#include <dgram/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace sim {

/// One direction of a link between two hosts. Probabilities are from 0 to 1.
///
/// A datagram to another host takes `delay` plus or minus a random part of `jitter`, and at least
/// one microsecond. With jitter, datagrams overtake each other, unless `keep_order` is set. A
/// datagram to the own host takes one microsecond and is never lost.
struct link_config {
  std::chrono::nanoseconds delay = std::chrono::milliseconds(1);
  std::chrono::nanoseconds jitter{0};
  double loss = 0;       ///< how likely a datagram is lost
  double duplicate = 0;  ///< how likely a datagram arrives twice
  double reorder = 0;    ///< how likely a datagram is held back by `reorder_delay`
  std::chrono::nanoseconds reorder_delay = std::chrono::milliseconds(10);
  bool keep_order = false;  ///< no datagram overtakes another one
  std::uint64_t rate = 0;   ///< bits per second, headers included; 0: no limit
  std::size_t queue = 0;    ///< bytes that may wait for the rate; 0: no limit
  /// The largest packet in bytes, IP and UDP headers included. The send of a larger one fails with
  /// `message_size`. At least 68.
  std::size_t mtu = 65575;
};

/// The seed of a network, and its links. The fields are those of `link_config`.
struct network_config {
  std::uint64_t seed = 1;  ///< the same seed gives the same run
  std::chrono::nanoseconds delay = std::chrono::milliseconds(1);
  std::chrono::nanoseconds jitter{0};
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;
  std::chrono::nanoseconds reorder_delay = std::chrono::milliseconds(10);
  bool keep_order = false;
  std::uint64_t rate = 0;
  std::size_t queue = 0;
  std::size_t mtu = 65575;

  /// The links as `network::set_link` takes them.
  link_config link() const noexcept
  {
    return {.delay = delay,
            .jitter = jitter,
            .loss = loss,
            .duplicate = duplicate,
            .reorder = reorder,
            .reorder_delay = reorder_delay,
            .keep_order = keep_order,
            .rate = rate,
            .queue = queue,
            .mtu = mtu};
  }
};

/// How a NAT treats the datagrams that pass it.
struct nat_config {
  /// A mapping ends if no datagram has left through it for this time.
  std::chrono::nanoseconds mapping_timeout = std::chrono::seconds(30);
  /// Let in only datagrams from endpoints that were sent to through the mapping. If false, any
  /// endpoint reaches a mapped port.
  bool filter = true;
};

/// The account of the datagrams of one direction of a link, or of a whole network. At any time
/// `sent + duplicated == delivered + dropped() + in_flight`.
struct link_counters {
  std::uint64_t sent = 0;        ///< datagrams; one for each receiving host of a group
  std::uint64_t sent_bytes = 0;  ///< of payload
  std::uint64_t duplicated = 0;  ///< copies that the link has made
  std::uint64_t delivered = 0;   ///< datagrams that a socket has queued
  std::uint64_t delivered_bytes = 0;
  std::uint64_t in_flight = 0;  ///< datagrams on their way

  std::uint64_t lost = 0;          ///< by `link_config::loss`
  std::uint64_t partitioned = 0;   ///< by `network::partition`
  std::uint64_t queue_full = 0;    ///< by `link_config::queue`
  std::uint64_t refused = 0;       ///< no socket at the port
  std::uint64_t overflowed = 0;    ///< the socket's receive queue was full
  std::uint64_t untranslated = 0;  ///< a NAT had no mapping, or its filter refused the sender
  std::uint64_t unreachable = 0;   ///< no host has the address, or only a NAT's inside reaches it

  std::uint64_t dropped() const noexcept
  {
    return lost + partitioned + queue_full + refused + overflowed + untranslated + unreachable;
  }

  bool is_balanced() const noexcept
  {
    return sent + duplicated == delivered + dropped() + in_flight;
  }

  link_counters& operator+=(const link_counters& other) noexcept
  {
    sent += other.sent;
    sent_bytes += other.sent_bytes;
    duplicated += other.duplicated;
    delivered += other.delivered;
    delivered_bytes += other.delivered_bytes;
    in_flight += other.in_flight;
    lost += other.lost;
    partitioned += other.partitioned;
    queue_full += other.queue_full;
    refused += other.refused;
    overflowed += other.overflowed;
    untranslated += other.untranslated;
    unreachable += other.unreachable;
    return *this;
  }
};

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
