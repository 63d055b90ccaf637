// SPDX-License-Identifier: BSL-1.0
// What the network and the kernel report about datagrams that were sent: errors on their way, and
// when they left.
#ifndef DGRAM_PATH_ERROR_HPP
#define DGRAM_PATH_ERROR_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

DGRAM_NAMESPACE_BEGIN

/// The origin of a path error.
enum class path_error_origin : std::uint8_t {
  host,    ///< this host, when the datagram was sent
  icmp,    ///< a router or the peer, over IPv4 (RFC 792)
  icmpv6,  ///< a router or the peer, over IPv6 (RFC 4443)
};

/// An error that a datagram met on its way; see `async_receive_error`. ICMP is not authenticated:
/// an attacker who guesses the ports can forge it, so treat it as a hint.
template <class Protocol>
struct basic_path_error {
  /// The original destination of the datagram. If it went over IPv4, this is in IPv4's own form,
  /// whatever the socket.
  typename Protocol::endpoint peer;

  /// The error as the kernel names it: `connection_refused`, `host_unreachable`,
  /// `network_unreachable`, `message_size`, ...
  error_code code;

  path_error_origin origin = path_error_origin::host;

  /// The router or peer that reported the error; absent if this host did.
  std::optional<net::ip::address> offender{};

  /// The ICMP type and code; 0 if this host reported the error.
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;

  /// With `message_size`: the largest packet that this path takes, in bytes, including the IP
  /// header.
  std::optional<std::uint32_t> mtu{};

  /// See `quoted`.
  std::array<std::byte, 64> quoted_bytes{};
  std::size_t quoted_size = 0;

  /// The start of the datagram's payload, as far as the report quotes it: at most 64 bytes, and
  /// none if this host reported the error. A router need not quote more than the headers. A program
  /// can compare them with what it sent to recognise forged reports (RFC 9000, section 14.2.1).
  /// Valid as long as this object.
  std::span<const std::byte> quoted() const noexcept
  {
    return std::span<const std::byte>(quoted_bytes).first(quoted_size);
  }
};

/// When a datagram left that asked for a timestamp (`send_options::timestamp`); see
/// `async_send_timestamp`.
struct send_timestamp {
  /// The datagram's number: how many datagrams that asked the kernel had taken on this socket
  /// before it, modulo 2^32. A send that fails, for whatever reason, takes no number.
  ///
  /// The library passes the number to the kernel, which returns it (Linux 6.13). An older kernel
  /// counts by itself, and also counts datagrams that a firewall drops. The library then leaves
  /// those out.
  std::uint32_t id = 0;

  /// When the kernel gave the datagram to the network card's driver; absent if the driver does not
  /// report it.
  std::optional<receive_time_point> time{};

  /// When the card sent it, by the card's clock; absent if the card does not report it.
  std::optional<receive_time_point> hardware_time{};

  /// The caller's own number (`send_options::number`); 0 if the datagram has none, or if 64 others
  /// have asked after it. The socket remembers the numbers of the last 64.
  std::uint64_t number = 0;
};

DGRAM_NAMESPACE_END

#endif
