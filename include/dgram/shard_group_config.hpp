// SPDX-License-Identifier: BSL-1.0
// How a group of shards is opened, which shard gets a datagram, and what each shard has received.
#ifndef DGRAM_SHARD_GROUP_CONFIG_HPP
#define DGRAM_SHARD_GROUP_CONFIG_HPP

#include <dgram/config.hpp>
#include <dgram/socket_config.hpp>

#include <cstddef>
#include <cstdint>
#include <variant>

DGRAM_NAMESPACE_BEGIN

/// A hash over the sender's address and port selects the member, so all datagrams of a sender go to
/// one member. The hash has a secret, which each group draws anew: a sender cannot aim at a member.
///
/// If the group grows from n to n + 1 members, one of n + 1 senders moves, and all of these move to
/// the new member. If it shrinks, only the senders of the closed member move.
///
/// Of an IPv6 datagram with extension headers that the kernel's program cannot follow, only the
/// address counts: a header other than hop-by-hop, routing, fragment and destination options, or
/// more than four of them.
struct steer_by_sender {
  friend bool operator==(const steer_by_sender&, const steer_by_sender&) noexcept = default;
};

/// The processor that handles the packet selects the member: its number modulo the number of
/// members. This fits a network card with one queue for each processor, and threads that are bound
/// to processors. All datagrams of a sender go to one member only if the card keeps them together.
struct steer_by_cpu {
  friend bool operator==(const steer_by_cpu&, const steer_by_cpu&) noexcept = default;
};

/// Bytes of the payload select the member: their value modulo the number of members. A server that
/// makes connection ids puts the number of the member into them. Then a client keeps its member if
/// its port or address changes.
///
/// A datagram that ends before the last of these bytes is steered as `steer_by_sender` does. Of
/// datagrams that the kernel has joined (`option::coalescing`, or segments over loopback), the
/// first one decides for all.
struct steer_by_payload {
  std::size_t offset = 0;  ///< of the first byte, from 0 to 65,526
  std::size_t size = 1;    ///< 1, 2 or 4 bytes, the most significant one first

  friend bool operator==(const steer_by_payload&, const steer_by_payload&) noexcept = default;
};

/// Which member of a group gets a datagram.
using shard_steering = std::variant<steer_by_sender, steer_by_cpu, steer_by_payload>;

/// The settings of a `shard_group`.
struct shard_group_config {
  /// How many sockets the group binds at the start, from 1 to 256. Members beyond these are bound
  /// when they are opened, which fails if the process has changed its user or given up the
  /// privilege for the port.
  ///
  /// Datagrams to one address go to open members only. Broadcast and multicast datagrams are not
  /// steered: each bound socket gets a copy, also one of the reserve, whose queue they fill. `open`
  /// discards them, except for the first member.
  std::size_t reserve = 1;

  shard_steering steering = steer_by_sender();

  /// Whether the session of a `listener` goes on when the kernel selects another member for its
  /// datagrams. The listener of the other member then forwards them. It may be the group that has
  /// grown, or a peer with a new address that a key function recognises. All listeners of the group
  /// need the same key function, or none.
  ///
  /// The listeners share a table of keys. A new session, its end, and a datagram without a session
  /// take a lock of the table. Other datagrams cost nothing more. See docs/scaling.md.
  bool keep_sessions = false;

  /// Whether the members read one queue where the system cannot steer datagrams to them. If it is
  /// false, a second member is refused there. Where the system can, it has no effect.
  ///
  /// Each member then is a descriptor of one bound socket, which `open` makes: `reserve` and
  /// `steering` have no effect. Whichever member reads first receives the datagram. Datagrams of
  /// one sender that different members receive may pass each other. A datagram wakes each member
  /// that waits. With `keep_sessions`, a session stays with its member.
  ///
  /// The members have options, multicast groups, `shutdown` and the number of dropped datagrams in
  /// common. What would change the datagrams of other members is refused on each with
  /// `operation_not_supported`: `connect`, `option::coalescing` (readers and listeners then do
  /// without), `option::receive_error`, `send_options::timestamp`, and `non_blocking(false)`.
  ///
  /// On Windows a socket belongs to one context, so a second member is refused there in any case.
  bool share_queue = false;

  /// The options of each member. `reuse_address` and `reuse_port` are refused: the group shares its
  /// port itself. An inherited socket keeps its own options.
  socket_config socket = {};
};

/// What a member of a group has received; see `basic_shard_group::statistics`.
struct shard_statistics {
  std::uint64_t received = 0;        ///< datagrams
  std::uint64_t received_bytes = 0;  ///< of payload
  std::uint64_t receive_calls = 0;   ///< calls that took at least one datagram
  std::uint64_t sent = 0;            ///< datagrams

  /// How many datagrams the other members received while this one received none, up to now. The
  /// group compares the counts at each call of `statistics`. A large number shows a member that ran
  /// dry: its thread hangs, or the steering does not reach it.
  std::uint64_t missed = 0;

  bool is_steered_to = true;  ///< false once `async_drain_last` or `async_close_last` has begun

  friend bool operator==(const shard_statistics&, const shard_statistics&) noexcept = default;
};

DGRAM_NAMESPACE_END

#endif
