// SPDX-License-Identifier: BSL-1.0
// A socket that nothing is sent with: the kernel is asked with it what it can do, or who is there.
#ifndef DGRAM_PLATFORM_PROBE_SOCKET_HPP
#define DGRAM_PLATFORM_PROBE_SOCKET_HPP

#include <dgram/platform/names.hpp>
#include <dgram/platform/system.hpp>

#include <sys/socket.h>

#include <cerrno>

DGRAM_NAMESPACE_BEGIN

namespace platform {

class probe_socket {
public:
  probe_socket(int family, error_code& ec) noexcept : descriptor_(system::socket(family, type, 0))
  {
    if (descriptor_ < 0)
      ec = last_error();
    else
      ec.clear();
  }

  probe_socket(const probe_socket&) = delete;
  probe_socket& operator=(const probe_socket&) = delete;

  ~probe_socket()
  {
    if (descriptor_ >= 0) system::close(descriptor_);
  }

  int descriptor() const noexcept { return descriptor_; }

private:
#if defined(SOCK_CLOEXEC)
  static constexpr int type = SOCK_DGRAM | SOCK_CLOEXEC;
#else
  static constexpr int type = SOCK_DGRAM;
#endif

  int descriptor_;
};

/// Whether a socket could not be opened since the system has none of its kind, rather than none left.
inline bool is_missing_family(const error_code& ec) noexcept
{
  return ec == net::error::address_family_not_supported ||
         ec == make_system_error(EPROTONOSUPPORT) || ec == make_system_error(ESOCKTNOSUPPORT);
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
