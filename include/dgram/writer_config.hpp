// SPDX-License-Identifier: BSL-1.0
// The configuration of a writer, and the counts of its datagrams.
#ifndef DGRAM_WRITER_CONFIG_HPP
#define DGRAM_WRITER_CONFIG_HPP

#include <dgram/config.hpp>
#include <dgram/full_policy.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

DGRAM_NAMESPACE_BEGIN

/// How a writer queues.
struct writer_config {
  std::size_t datagrams = 1024;                 ///< room for this many
  std::size_t bytes = std::size_t{256} * 1024;  ///< room for this many bytes of payload
  full_policy when_full = full_policy::wait;

  /// What happens to a datagram for a Unix peer that does not read, so that its queue is full.
  /// Datagrams for full peers wait outside of the queue, in room for half as many datagrams and
  /// bytes. If that room is used up, this policy decides. It never concerns the other peers.
  ///
  /// By default, a writer of a reader drops, because a wait would keep the reader from its other
  /// peers. A writer of a socket alone does what `when_full` says.
  std::optional<full_policy> when_peer_full = std::nullopt;
};

/// Counts of a writer's datagrams. A payload with a segment size counts as the datagrams that it
/// becomes.
struct writer_statistics {
  std::uint64_t queued = 0;   ///< accepted
  std::uint64_t sent = 0;     ///< handed to the kernel
  std::uint64_t refused = 0;  ///< refused by the kernel for their own sake
  std::uint64_t dropped = 0;  ///< never queued, because the queue or the peer was full
  /// Queued, but the socket or the writer was closed or cancelled first, or the socket failed.
  std::uint64_t lost = 0;
};

DGRAM_NAMESPACE_END

#endif
