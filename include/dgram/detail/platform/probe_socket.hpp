// SPDX-License-Identifier: BSL-1.0
// A socket of the library's own, which shows what the kernel can do, or which peers exist.
#ifndef DGRAM_DETAIL_PLATFORM_PROBE_SOCKET_HPP
#define DGRAM_DETAIL_PLATFORM_PROBE_SOCKET_HPP

#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/system.hpp>
#include <dgram/owned_descriptor.hpp>

#if !defined(_WIN32)
#include <sys/socket.h>

#include <cerrno>
#endif

DGRAM_NAMESPACE_BEGIN

namespace platform {

class probe_socket {
public:
  probe_socket(int family, error_code& ec) noexcept : descriptor_(system::socket(family, type, 0))
  {
    if (!descriptor_)
      ec = last_error();
    else
      ec.clear();
  }

  descriptor_type descriptor() const noexcept { return descriptor_.get(); }

private:
#if defined(SOCK_CLOEXEC)
  static constexpr int type = SOCK_DGRAM | SOCK_CLOEXEC;
#else
  static constexpr int type = SOCK_DGRAM;
#endif

  owned_descriptor descriptor_;
};

/// Whether a socket could not be opened because the system has none of its kind. False if the
/// system only has none left.
inline bool is_missing_family(const error_code& ec) noexcept
{
#if defined(_WIN32)
  constexpr int missing_type = WSAESOCKTNOSUPPORT;
#else
  constexpr int missing_type = ESOCKTNOSUPPORT;
#endif
  return ec == net::error::address_family_not_supported || ec == protocol_not_supported() ||
         ec == make_system_error(missing_type);
}

/// Whether this host has IPv6 sockets and an address to bind them to. True if the question fails
/// for another reason, which a bind will report.
inline bool has_ipv6()
{
  error_code ec;
  const probe_socket probe(names::ipv6_family, ec);
  if (ec) return !is_missing_family(ec);
  const net::ip::udp::endpoint any(net::ip::udp::v6(), 0);
  const auto size = static_cast<::socklen_t>(any.size());
  const bool bound = system::bind(probe.descriptor(), any.data(), size) == 0;
  return bound || last_error() != address_not_available();
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
