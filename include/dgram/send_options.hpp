// SPDX-License-Identifier: BSL-1.0
// What a single datagram asks for on its way, beside what its socket has set.
#ifndef DGRAM_SEND_OPTIONS_HPP
#define DGRAM_SEND_OPTIONS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

DGRAM_NAMESPACE_BEGIN

/// What one datagram asks for, beside what the socket has set; what is not set here is as the
/// socket has it. Taken by single sends, batches, segments and writers, and copied by all of them.
/// Towards an IPv4 peer of a dual-stack socket it takes IPv4's form.
///
/// Errors, at the call and before anything is sent: `error::out_of_range` (a DSCP above 63, a hop
/// limit outside 1..255), `invalid_argument` (segment size 0), `message_size` (more control
/// messages than there is room for), `address_family_not_supported` (a source of another family
/// than the peer), `operation_not_supported` (what the system has no control message for: see
/// docs/metadata.md; on Unix sockets all but `control`, and `segment_size` in batches).
///
/// \code
/// dgram::send_options urgent{.ecn = dgram::ecn_codepoint::ect_0, .dscp = 46, .hop_limit = 4};
/// socket.send_to(asio::buffer(query), peer, urgent);
/// \endcode
struct send_options {
  /// The address to send from, one of this host's; the bound address and the system's choice
  /// otherwise.
  std::optional<net::ip::address> source{};

  /// The interface to leave by; 0: the routes decide.
  unsigned interface_index = 0;

  /// The ECN field. The socket's DSCP stays.
  std::optional<ecn_codepoint> ecn{};

  /// The DSCP, 0 to 63. The socket's ECN field stays.
  std::optional<std::uint8_t> dscp{};

  /// 1 to 255.
  std::optional<int> hop_limit{};

  /// Never fragment it: where it is too large for the way, `message_size`. For IPv6 peers only;
  /// IPv4 knows this as an option of the socket alone (`operation_not_supported`).
  bool do_not_fragment = false;

  /// The payload is so many bytes per datagram, the last perhaps shorter, which the kernel cuts
  /// apart (`UDP_SEGMENT`). Batches cut it themselves where the kernel or the path cannot; for a
  /// single send that is the kernel's error.
  std::optional<std::size_t> segment_size{};

  /// Not before this time (`SO_TXTIME`). Kept by the queueing disciplines `fq` and `etf` (tc(8));
  /// others send at once.
  std::optional<std::chrono::steady_clock::time_point> transmit_time{};

  /// Tell when it left: see `async_send_timestamp`. Such a datagram leaves in no message with
  /// others.
  bool timestamp = false;

  /// Further control messages, as a `control_writer` makes them.
  std::span<const std::byte> control{};
};

DGRAM_NAMESPACE_END

#endif
