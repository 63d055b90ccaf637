// SPDX-License-Identifier: BSL-1.0
// Classifies errors of system calls: path error, congestion (ENOBUFS), or group already joined.
#ifndef DGRAM_DETAIL_PLATFORM_ERRORS_HPP
#define DGRAM_DETAIL_PLATFORM_ERRORS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/error_numbers.hpp>
#include <dgram/detail/platform/system.hpp>

#if !defined(_WIN32)
#include <cerrno>
#endif

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace platform {

inline error_code no_such_device() noexcept
{
  return net::error::no_such_device;
}
inline error_code address_not_available() noexcept
{
  return make_system_error(error_numbers::address_not_available);
}
inline error_code protocol_not_supported() noexcept
{
  return make_system_error(error_numbers::protocol_not_supported);
}

/// The error for a datagram without a peer on a socket that is not connected.
inline error_code destination_required() noexcept
{
  return make_system_error(error_numbers::destination_address_required);
}

#if defined(_WIN32)

/// Whether a receive failed because an ICMP message about an earlier datagram came back.
inline bool is_path_error(const error_code& ec) noexcept
{
  return ec == net::error::connection_refused || ec == net::error::connection_reset ||
         ec == net::error::host_unreachable || ec == net::error::network_unreachable ||
         ec == net::error::network_reset;
}

/// Whether an address is unavailable because the socket has none yet.
inline bool is_unbound(const error_code& ec) noexcept
{
  return ec == net::error::invalid_argument;
}

inline std::size_t refused_segment(const error_code&, std::size_t) noexcept
{
  return 0;
}

/// Whether a join was refused because the socket is a member already.
inline bool is_member_already(const error_code& ec) noexcept
{
  return ec == net::error::address_in_use || ec == make_system_error(WSAEADDRNOTAVAIL);
}

#else

/// Whether an ICMP message about an earlier datagram causes this error (udp(7), ip(7);
/// net/ipv4/icmp.c, icmp_err_convert; net/ipv6/icmp.c, icmpv6_err_convert). For a receive, this
/// error has no other cause.
inline bool is_path_error(const error_code& ec) noexcept
{
  if (ec.category() != net::error::get_system_category()) return false;
  switch (ec.value()) {
  case ECONNREFUSED:
  case EHOSTUNREACH:
  case ENETUNREACH:
  case EHOSTDOWN:
  case EMSGSIZE:
  case ENOPROTOOPT:
  case EPROTO:
  case EOPNOTSUPP:
  case EACCES:
#if defined(ENONET)
  case ENONET:
#endif
    return true;
  default: return false;
  }
}

inline bool is_unbound(const error_code&) noexcept
{
  return false;
}

/// Returns the smallest segments that cannot leave, if a message was refused because it was to be
/// cut into segments of this size; else 0:
/// - EIO: the interface lacks the checksum offload, whatever the size;
/// - EMSGSIZE, before Linux 6.14 EINVAL: the segments do not fit the MTU (net/ipv4/udp.c,
///   udp_send_skb);
/// - EINVAL: the kernel does not know the option.
inline std::size_t refused_segment(const error_code& ec, std::size_t size) noexcept
{
  if (ec == make_system_error(EIO)) return 1;
  return ec == net::error::invalid_argument || ec == net::error::message_size ? size : 0;
}

/// Whether a join was refused because the socket is a member already. The error is EADDRINUSE, or
/// for a source EADDRNOTAVAIL (net/ipv4/igmp.c, ip_mc_source).
inline bool is_member_already(const error_code& ec) noexcept
{
  return ec == net::error::address_in_use || ec == make_system_error(EADDRNOTAVAIL);
}

#endif

/// Whether to try a failed send again on a timer (ENOBUFS, ENOMEM). The device queue or kernel
/// memory is exhausted while the socket stays writable, so a wait for writability would spin.
inline bool is_congestion(const error_code& ec) noexcept
{
  return ec == net::error::no_buffer_space || ec == net::error::no_memory;
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
