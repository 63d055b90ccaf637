// SPDX-License-Identifier: BSL-1.0
// The system's own socket calls, for what a test asks of the system beside the library.
#ifndef DGRAM_TESTS_SUPPORT_SYSTEM_SOCKETS_HPP
#define DGRAM_TESTS_SUPPORT_SYSTEM_SOCKETS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/system.hpp>  // if_nametoindex on Windows

#include <asio/error.hpp>

#if defined(_WIN32)
#include <winsock2.h>

#include <ws2tcpip.h>
#else
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <cerrno>

namespace test {

#if defined(_WIN32)

using descriptor_type = ::SOCKET;
using socket_length = int;

/// Winsock has numbers of its own. <cerrno> has the names for those of the C library.
inline int system_number(int value)
{
  switch (value) {
  case EACCES: return WSAEACCES;
  case EAGAIN: return WSAEWOULDBLOCK;
  case EADDRINUSE: return WSAEADDRINUSE;
  case EADDRNOTAVAIL: return WSAEADDRNOTAVAIL;
  case EAFNOSUPPORT: return WSAEAFNOSUPPORT;
  case EBADF: return WSAEBADF;
  case ECONNREFUSED: return WSAECONNREFUSED;
  case EDESTADDRREQ: return WSAEDESTADDRREQ;
  case EHOSTUNREACH: return WSAEHOSTUNREACH;
  case EINVAL: return WSAEINVAL;
  case EISCONN: return WSAEISCONN;
  case EMSGSIZE: return WSAEMSGSIZE;
  case ENETUNREACH: return WSAENETUNREACH;
  case ENOBUFS: return WSAENOBUFS;
  case ENOMEM: return ERROR_OUTOFMEMORY;
  case ENOPROTOOPT: return WSAENOPROTOOPT;
  case ENOTCONN: return WSAENOTCONN;
  case EOPNOTSUPP: return WSAEOPNOTSUPP;
  case EPROTONOSUPPORT: return WSAEPROTONOSUPPORT;
  case EWOULDBLOCK: return WSAEWOULDBLOCK;
  default: return value;
  }
}

inline void close_descriptor(descriptor_type descriptor)
{
  ::closesocket(descriptor);
}

inline bool is_open_descriptor(descriptor_type descriptor)
{
  int type = 0;
  int size = sizeof type;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &size) == 0;
}

inline bool set_raw_option(descriptor_type descriptor, int level, int name, int value)
{
  return ::setsockopt(descriptor, level, name, reinterpret_cast<const char*>(&value),
                      sizeof value) == 0;
}

/// Waits for at most ten seconds.
inline bool await_raw_readable(descriptor_type descriptor)
{
  ::WSAPOLLFD readable{descriptor, POLLRDNORM, 0};
  return ::WSAPoll(&readable, 1, 10000) == 1;
}

inline bool raw_error_is_pending(descriptor_type descriptor)
{
  ::WSAPOLLFD poll{descriptor, 0, 0};
  ::WSAPoll(&poll, 1, 0);
  return (poll.revents & POLLERR) != 0;
}

#else

using descriptor_type = int;
using socket_length = ::socklen_t;

inline int system_number(int value)
{
  return value;
}

inline void close_descriptor(descriptor_type descriptor)
{
  ::close(descriptor);
}

inline bool is_open_descriptor(descriptor_type descriptor)
{
  return ::fcntl(descriptor, F_GETFD) != -1;
}

inline bool set_raw_option(descriptor_type descriptor, int level, int name, int value)
{
  return ::setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

/// Waits for at most ten seconds.
inline bool await_raw_readable(descriptor_type descriptor)
{
  ::pollfd readable{descriptor, POLLIN, 0};
  return ::poll(&readable, 1, 10000) == 1;
}

inline bool raw_error_is_pending(descriptor_type descriptor)
{
  ::pollfd poll{descriptor, 0, 0};
  ::poll(&poll, 1, 0);
  return (poll.revents & POLLERR) != 0;
}

#endif

/// What no socket is.
inline constexpr descriptor_type no_descriptor = static_cast<descriptor_type>(-1);

/// What the kernel says of an option, read without the library; -1 where it says nothing.
inline int raw_option(descriptor_type descriptor, int level, int name)
{
  int value = 0;
  socket_length size = sizeof value;
#if defined(_WIN32)
  const int failed = ::getsockopt(descriptor, level, name, reinterpret_cast<char*>(&value), &size);
#else
  const int failed = ::getsockopt(descriptor, level, name, &value, &size);
#endif
  return failed == 0 ? value : -1;
}

/// The error that the operating system calls `value`, in Asio's category, for those without a name.
inline asio::error_code os_error(int value)
{
  return {system_number(value), asio::error::get_system_category()};
}

}  // namespace test

#endif
