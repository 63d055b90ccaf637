// SPDX-License-Identifier: BSL-1.0
// The configuration of a writer, and the counts of its datagrams.
#ifndef DGRAM_WRITER_CONFIG_HPP
#define DGRAM_WRITER_CONFIG_HPP

#include <dgram/config.hpp>
#include <dgram/full_policy.hpp>

#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

/// How a writer queues.
struct writer_config {
  std::size_t datagrams = 1024;  ///< room for this many
  std::size_t bytes = 0;         ///< room for this many bytes of payload; 0: 256 KiB
  full_policy when_full = full_policy::wait;
};

/// Counts of a writer's datagrams. A payload with a segment size counts as the datagrams that it
/// becomes.
struct writer_statistics {
  std::uint64_t queued = 0;   ///< accepted
  std::uint64_t sent = 0;     ///< handed to the kernel
  std::uint64_t refused = 0;  ///< refused by the kernel for their own sake
  std::uint64_t dropped = 0;  ///< never queued, because the queue was full
  /// Queued, but the socket or the writer was closed or cancelled first, or the socket failed.
  std::uint64_t lost = 0;
};

DGRAM_NAMESPACE_END

#endif
