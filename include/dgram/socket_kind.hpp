// SPDX-License-Identifier: BSL-1.0
// What kind of socket a descriptor is.
#ifndef DGRAM_SOCKET_KIND_HPP
#define DGRAM_SOCKET_KIND_HPP

#include <dgram/config.hpp>

#include <cstdint>
#include <string>

DGRAM_NAMESPACE_BEGIN

/// The kind of socket that a descriptor is; see `kind_of`.
enum class socket_kind : std::uint8_t {
  udp4,            ///< UDP over IPv4
  udp6,            ///< UDP over IPv6; perhaps over IPv4 too
  unix_datagram,   ///< Unix datagrams
  tcp4,            ///< TCP over IPv4
  tcp6,            ///< TCP over IPv6
  unix_stream,     ///< a Unix stream
  unix_seqpacket,  ///< Unix sequenced packets
  other_socket,    ///< a socket of another protocol
  no_socket,       ///< a file, a pipe or another descriptor that is open and no socket
  not_open,        ///< the number belongs to no open descriptor
};

/// Whether the library has a socket for this kind: UDP, and Unix datagrams if the system has them.
constexpr bool is_datagram(socket_kind kind) noexcept
{
  return kind == socket_kind::udp4 || kind == socket_kind::udp6 ||
         kind == socket_kind::unix_datagram;
}

/// The kind in words, such as `UDP over IPv4`.
inline std::string to_string(socket_kind kind)
{
  switch (kind) {
  case socket_kind::udp4: return "UDP over IPv4";
  case socket_kind::udp6: return "UDP over IPv6";
  case socket_kind::unix_datagram: return "Unix datagrams";
  case socket_kind::tcp4: return "TCP over IPv4";
  case socket_kind::tcp6: return "TCP over IPv6";
  case socket_kind::unix_stream: return "a Unix stream";
  case socket_kind::unix_seqpacket: return "Unix sequenced packets";
  case socket_kind::other_socket: return "a socket of another protocol";
  case socket_kind::no_socket: return "no socket";
  case socket_kind::not_open: return "not open";
  }
  return "of an unknown kind";
}

DGRAM_NAMESPACE_END

#endif
