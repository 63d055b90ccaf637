// SPDX-License-Identifier: BSL-1.0
// The configuration of a reader.
#ifndef DGRAM_READER_CONFIG_HPP
#define DGRAM_READER_CONFIG_HPP

#include <dgram/config.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

/// How a reader receives.
struct reader_config {
  std::size_t slots = 64;  ///< at most this many slots are offered to the kernel at once
  /// The largest datagram that arrives whole, in bytes. 0 means 64 KiB for UDP and 256 KiB for Unix
  /// sockets, see `basic_receive_batch::default_slot_size`. Below 64 KiB the reader does not
  /// coalesce.
  std::size_t slot_size = 0;
  /// Datagrams that are returned before other handlers may run, 1 or more. If the program is slow
  /// they may run earlier, see `reader`.
  std::size_t yield_after = 128;
  bool coalesce = true;  ///< let the kernel join datagrams if it can
  /// Room for control messages, in bytes per datagram. With any room a Unix socket receives its
  /// senders' credentials and descriptors. See `basic_receive_batch::reserve_control`.
  std::size_t control_size = 0;
};

DGRAM_NAMESPACE_END

#endif
