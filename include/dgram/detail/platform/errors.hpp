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

/// A datagram without a peer on a socket that is not connected.
inline error_code destination_required() noexcept
{
  return make_system_error(error_numbers::destination_address_required);
}

#if defined(_WIN32)

/// Whether a receive that failed so tells of an earlier datagram, for which an ICMP message came
/// back.
inline bool is_path_error(const error_code& ec) noexcept
{
  return ec == net::error::connection_refused || ec == net::error::connection_reset ||
         ec == net::error::host_unreachable || ec == net::error::network_unreachable ||
         ec == net::error::network_reset;
}

/// Whether an address could not be told since the socket has none yet.
inline bool is_unbound(const error_code& ec) noexcept
{
  return ec == net::error::invalid_argument;
}

inline bool is_segmentation_refused(const error_code&) noexcept
{
  return false;
}

/// Whether joining was refused since that is done.
inline bool is_member_already(const error_code& ec) noexcept
{
  return ec == net::error::address_in_use || ec == make_system_error(WSAEADDRNOTAVAIL);
}

#else

/// Whether this is what a call fails with that is told of an ICMP message about an earlier datagram
/// (udp(7), ip(7); net/ipv4/icmp.c, icmp_err_convert; net/ipv6/icmp.c, icmpv6_err_convert). Of a
/// receive it is nothing else.
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

/// Whether a message that was to be cut into segments was refused for that: the interface lacks the
/// checksum offload (EIO), or the segments do not fit its MTU or the kernel does not know the
/// option (EINVAL).
inline bool is_segmentation_refused(const error_code& ec) noexcept
{
  return ec == make_system_error(EIO) || ec == net::error::invalid_argument;
}

/// Whether joining was refused since that is done: EADDRINUSE, or, of a source, EADDRNOTAVAIL
/// (net/ipv4/igmp.c, ip_mc_source).
inline bool is_member_already(const error_code& ec) noexcept
{
  return ec == net::error::address_in_use || ec == make_system_error(EADDRNOTAVAIL);
}

#endif

/// Whether a send that failed so should be tried again on a timer: the device queue or kernel
/// memory is exhausted while the socket stays writable, so waiting for writability would spin.
inline bool is_congestion(const error_code& ec) noexcept
{
  return ec == net::error::no_buffer_space || ec == net::error::no_memory;
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
