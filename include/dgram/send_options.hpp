// SPDX-License-Identifier: BSL-1.0
// What a single datagram asks for, beside the options of its socket.
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

/// What one datagram asks for, beside the options of the socket. A field that is not set leaves the
/// socket's value. Single sends, batches, segments and writers take these options, and copy them.
/// For an IPv4 peer of a dual-stack socket they take IPv4's form.
///
/// The call reports these errors before anything is sent:
///  - `error::out_of_range` for a DSCP above 63 or a hop limit outside 1..255;
///  - `invalid_argument` for segment size 0;
///  - `message_size` for more control messages than there is room for;
///  - `address_family_not_supported` for a source of another family than the peer;
///  - `operation_not_supported` if the system has no control message for it (see docs/metadata.md),
///    and on Unix sockets for every field except `control` and, in batches, `segment_size`.
///
/// \code
/// dgram::send_options urgent{.ecn = dgram::ecn_codepoint::ect_0, .dscp = 46, .hop_limit = 4};
/// socket.send_to(asio::buffer(query), peer, urgent);
/// \endcode
struct send_options {
  /// The address to send from, one of this host's. If absent, it is the bound address or the
  /// system's choice.
  std::optional<net::ip::address> source{};

  /// The interface to leave by; 0: the routes decide.
  unsigned interface_index = 0;

  /// The ECN field. The socket's DSCP stays.
  std::optional<ecn_codepoint> ecn{};

  /// The DSCP, 0 to 63. The socket's ECN field stays.
  std::optional<std::uint8_t> dscp{};

  /// 1 to 255.
  std::optional<int> hop_limit{};

  /// Never fragment the datagram. If it is too large for the path, the send fails with
  /// `message_size`. For IPv6 peers only: IPv4 has this only as a socket option
  /// (`operation_not_supported`).
  bool do_not_fragment = false;

  /// Sends the payload as datagrams of this many bytes, the last perhaps shorter. The kernel cuts
  /// them apart (`UDP_SEGMENT`). Batches cut the payload themselves if the kernel or the path
  /// cannot. A single send reports the kernel's error instead.
  std::optional<std::size_t> segment_size{};

  /// Send not before this time (`SO_TXTIME`). The queueing disciplines `fq` and `etf` (tc(8)) obey
  /// it; others send at once.
  std::optional<std::chrono::steady_clock::time_point> transmit_time{};

  /// Report when the datagram left: see `async_send_timestamp`. Such a datagram never shares a
  /// message with others.
  bool timestamp = false;

  /// Further control messages, as a `control_writer` writes them.
  std::span<const std::byte> control{};

  /// The caller's own number for the datagram, such as a packet number. The kernel does not see it.
  /// `writer::on_error` and `send_batch::on_refused` return it with the datagrams that were not
  /// sent, and `async_send_timestamp` with the time of a datagram that asks for it. All datagrams
  /// of a `segment_size` have the same one. It does not keep datagrams from leaving together.
  std::uint64_t number = 0;
};

DGRAM_NAMESPACE_END

#endif
