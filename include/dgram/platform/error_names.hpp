// SPDX-License-Identifier: BSL-1.0
// What the operating system's manuals call its errors.
#ifndef DGRAM_PLATFORM_ERROR_NAMES_HPP
#define DGRAM_PLATFORM_ERROR_NAMES_HPP

#include <dgram/config.hpp>

#include <cerrno>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// EADDRINUSE and the like, for the errors that sockets report; null for others.
inline const char* system_error_name(int value) noexcept
{
  switch (value) {
  case EACCES: return "EACCES";
  case EADDRINUSE: return "EADDRINUSE";
  case EADDRNOTAVAIL: return "EADDRNOTAVAIL";
  case EAFNOSUPPORT: return "EAFNOSUPPORT";
  case EAGAIN: return "EAGAIN";
  case EALREADY: return "EALREADY";
  case EBADF: return "EBADF";
  case ECANCELED: return "ECANCELED";
  case ECONNREFUSED: return "ECONNREFUSED";
  case ECONNRESET: return "ECONNRESET";
  case EDESTADDRREQ: return "EDESTADDRREQ";
  case EEXIST: return "EEXIST";
  case EHOSTDOWN: return "EHOSTDOWN";
  case EHOSTUNREACH: return "EHOSTUNREACH";
  case EINTR: return "EINTR";
  case EINVAL: return "EINVAL";
  case EISCONN: return "EISCONN";
  case EMFILE: return "EMFILE";
  case EMSGSIZE: return "EMSGSIZE";
  case ENETDOWN: return "ENETDOWN";
  case ENETUNREACH: return "ENETUNREACH";
  case ENFILE: return "ENFILE";
  case ENOBUFS: return "ENOBUFS";
  case ENODEV: return "ENODEV";
  case ENOENT: return "ENOENT";
  case ENOMEM: return "ENOMEM";
  case ENOPROTOOPT: return "ENOPROTOOPT";
  case ENOTCONN: return "ENOTCONN";
  case ENOTDIR: return "ENOTDIR";
  case ENOTSOCK: return "ENOTSOCK";
  case EOPNOTSUPP: return "ENOTSUP";
  case EPERM: return "EPERM";
  case EPIPE: return "EPIPE";
  case EPROTONOSUPPORT: return "EPROTONOSUPPORT";
  case ETIMEDOUT: return "ETIMEDOUT";
  default: return nullptr;
  }
}

/// The name of an error of the system or of a name lookup, or else its message.
inline std::string error_name(const error_code& ec)
{
  if (ec == net::error::host_not_found || ec == net::error::no_data) return "ENOTFOUND";
  if (ec == net::error::host_not_found_try_again) return "EAI_AGAIN";
  const char* const name =
      ec.category() == net::error::get_system_category() ? system_error_name(ec.value()) : nullptr;
  return name != nullptr ? std::string(name) : ec.message();
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
