// SPDX-License-Identifier: BSL-1.0
// What the network and the kernel report of datagrams that were sent: errors on their way, and when
// they left.
#ifndef DGRAM_PATH_ERROR_HPP
#define DGRAM_PATH_ERROR_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>

#include <cstdint>
#include <optional>

DGRAM_NAMESPACE_BEGIN

/// Who reported an error of the path.
enum class path_error_origin : std::uint8_t {
  host,    ///< this host, when the datagram was sent
  icmp,    ///< a router or the peer, over IPv4 (RFC 792)
  icmpv6,  ///< a router or the peer, over IPv6 (RFC 4443)
};

/// An error that a datagram met on its way; see `async_receive_error`. ICMP is not authenticated:
/// who can guess the ports can forge it, so take it for a hint.
template <class Protocol>
struct basic_path_error {
  /// The original destination of the datagram, in IPv4's own form where it went over IPv4, whatever
  /// the socket.
  typename Protocol::endpoint peer;

  /// The error as the kernel names it: `connection_refused`, `host_unreachable`,
  /// `network_unreachable`, `message_size`, ...
  error_code code;

  path_error_origin origin = path_error_origin::host;

  /// Who said so, a router or the peer itself; absent where it was this host.
  std::optional<net::ip::address> offender{};

  /// The ICMP type and code; 0 where it was this host.
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;

  /// With `message_size`: the largest packet that this path takes, in bytes, IP header included.
  std::optional<std::uint32_t> mtu{};
};

/// When a datagram left that asked for it (`send_options::timestamp`); see `async_send_timestamp`.
struct send_timestamp {
  /// Which one: 0 for the first that asked for it on this socket, 1 for the next; modulo 2^32.
  std::uint32_t id = 0;

  /// When the kernel handed it to the network card's driver; absent where that does not say.
  std::optional<receive_time_point> time{};

  /// When the card sent it, by the card's clock; absent where the card does not say.
  std::optional<receive_time_point> hardware_time{};
};

DGRAM_NAMESPACE_END

#endif
