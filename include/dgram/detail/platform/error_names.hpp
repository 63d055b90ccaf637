// SPDX-License-Identifier: BSL-1.0
// The names that the operating system's manuals give to errors, such as EADDRINUSE.
#ifndef DGRAM_DETAIL_PLATFORM_ERROR_NAMES_HPP
#define DGRAM_DETAIL_PLATFORM_ERROR_NAMES_HPP

#include <dgram/config.hpp>

#include <cerrno>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace platform {

#if defined(_WIN32)
#define DGRAM_NAME_ERROR(name) \
  case WSA##name: return #name
#else
#define DGRAM_NAME_ERROR(name) \
  case name: return #name
#endif

/// Returns EADDRINUSE and the like, for the errors that sockets report; null for others.
inline const char* system_error_name(int value) noexcept
{
  switch (value) {
    DGRAM_NAME_ERROR(EACCES);
    DGRAM_NAME_ERROR(EADDRINUSE);
    DGRAM_NAME_ERROR(EADDRNOTAVAIL);
    DGRAM_NAME_ERROR(EAFNOSUPPORT);
    DGRAM_NAME_ERROR(EALREADY);
    DGRAM_NAME_ERROR(EBADF);
    DGRAM_NAME_ERROR(ECONNREFUSED);
    DGRAM_NAME_ERROR(ECONNRESET);
    DGRAM_NAME_ERROR(EDESTADDRREQ);
    DGRAM_NAME_ERROR(EHOSTDOWN);
    DGRAM_NAME_ERROR(EHOSTUNREACH);
    DGRAM_NAME_ERROR(EINTR);
    DGRAM_NAME_ERROR(EINVAL);
    DGRAM_NAME_ERROR(EISCONN);
    DGRAM_NAME_ERROR(EMFILE);
    DGRAM_NAME_ERROR(EMSGSIZE);
    DGRAM_NAME_ERROR(ENAMETOOLONG);
    DGRAM_NAME_ERROR(ENETDOWN);
    DGRAM_NAME_ERROR(ENETUNREACH);
    DGRAM_NAME_ERROR(ENOBUFS);
    DGRAM_NAME_ERROR(ENOPROTOOPT);
    DGRAM_NAME_ERROR(ENOTCONN);
    DGRAM_NAME_ERROR(ENOTSOCK);
    DGRAM_NAME_ERROR(EPROTONOSUPPORT);
    DGRAM_NAME_ERROR(ETIMEDOUT);
#if defined(_WIN32)
  case WSAEOPNOTSUPP: return "ENOTSUP";
  case WSAEWOULDBLOCK: return "EAGAIN";
  case ERROR_ACCESS_DENIED: return "EPERM";
  case ERROR_BROKEN_PIPE: return "EPIPE";
  case ERROR_BAD_UNIT:  // asio::error::no_such_device
  case ERROR_DEV_NOT_EXIST: return "ENODEV";
  case ERROR_OPERATION_ABORTED: return "ECANCELED";
  case ERROR_OUTOFMEMORY: return "ENOMEM";
#else
  case EOPNOTSUPP:
    return "ENOTSUP";
    DGRAM_NAME_ERROR(EAGAIN);
    DGRAM_NAME_ERROR(ECANCELED);
    DGRAM_NAME_ERROR(EEXIST);
    DGRAM_NAME_ERROR(ENFILE);
    DGRAM_NAME_ERROR(ENODEV);
    DGRAM_NAME_ERROR(ENOENT);
    DGRAM_NAME_ERROR(ENOMEM);
    DGRAM_NAME_ERROR(ENOTDIR);
    DGRAM_NAME_ERROR(EPERM);
    DGRAM_NAME_ERROR(EPIPE);
#endif
  default: return nullptr;
  }
}

#undef DGRAM_NAME_ERROR

/// Returns the name of a system error or of a lookup's error; empty for others.
inline std::string error_name(const error_code& ec)
{
  if (ec == net::error::host_not_found || ec == net::error::no_data) return "ENOTFOUND";
  if (ec == net::error::host_not_found_try_again) return "EAI_AGAIN";
  const char* const name =
      ec.category() == net::error::get_system_category() ? system_error_name(ec.value()) : nullptr;
  return name != nullptr ? name : "";
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
