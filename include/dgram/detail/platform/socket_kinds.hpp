// SPDX-License-Identifier: BSL-1.0
// Finds out what kind of socket a descriptor is, and keeps it from child processes.
#ifndef DGRAM_DETAIL_PLATFORM_SOCKET_KINDS_HPP
#define DGRAM_DETAIL_PLATFORM_SOCKET_KINDS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/detail/platform/system.hpp>
#include <dgram/socket_kind.hpp>

#if !defined(_WIN32)
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// Whether the descriptor has this protocol. True if the system cannot tell.
inline bool has_protocol([[maybe_unused]] descriptor_type descriptor,
                         [[maybe_unused]] int protocol) noexcept
{
#if defined(SO_PROTOCOL)
  error_code ec;
  const int found = get_int_option(descriptor, SOL_SOCKET, SO_PROTOCOL, ec);
  return ec || found == protocol;
#else
  return true;
#endif
}

inline socket_kind kind_of(descriptor_type descriptor) noexcept
{
  error_code ec;
  const auto found = describe(descriptor, ec);
  if (ec == net::error::bad_descriptor) return socket_kind::not_open;
  if (ec) return socket_kind::no_socket;
  const bool v4 = found.family == AF_INET;
  if (v4 || found.family == names::ipv6_family) {
    if (found.type == SOCK_DGRAM && has_protocol(descriptor, IPPROTO_UDP))
      return v4 ? socket_kind::udp4 : socket_kind::udp6;
    if (found.type == SOCK_STREAM && has_protocol(descriptor, IPPROTO_TCP))
      return v4 ? socket_kind::tcp4 : socket_kind::tcp6;
  }
  if (found.family == names::unix_family) {
    if (found.type == SOCK_DGRAM) return socket_kind::unix_datagram;
    if (found.type == SOCK_STREAM) return socket_kind::unix_stream;
    if (found.type == SOCK_SEQPACKET) return socket_kind::unix_seqpacket;
  }
  return socket_kind::other_socket;
}

/// Whether an IPv6 socket takes no IPv4 datagrams.
inline bool is_v6_only(descriptor_type descriptor) noexcept
{
  error_code ec;
  return get_int_option(descriptor, names::ipv6_level, names::ipv6_only, ec) != 0 && !ec;
}

/// Closes the descriptor in programs that this process starts. On Windows none is inherited.
inline void keep_from_children([[maybe_unused]] descriptor_type descriptor) noexcept
{
#if !defined(_WIN32)
  system::set_close_on_exec(descriptor);
#endif
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
