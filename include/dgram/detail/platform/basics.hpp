// SPDX-License-Identifier: BSL-1.0
// The basis of the platform layer: error codes of calls, socket options, and plain types.
#ifndef DGRAM_DETAIL_PLATFORM_BASICS_HPP
#define DGRAM_DETAIL_PLATFORM_BASICS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/system.hpp>

#include <cerrno>
#include <cstddef>
#include <string>
#include <type_traits>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// A socket as the system identifies it, and the value that identifies none.
#if defined(_WIN32)
using descriptor_type = ::SOCKET;
inline constexpr descriptor_type no_descriptor = INVALID_SOCKET;
#else
using descriptor_type = int;
inline constexpr descriptor_type no_descriptor = -1;
#endif

/// Makes an error code from errno, or on Windows from WSAGetLastError. It has the category of
/// Asio's own errors. Standalone Asio has its own category, and a code of `std::system_category`
/// would equal no `asio::error`.
inline error_code make_system_error(int value) noexcept
{
  return {value, net::error::get_system_category()};
}

#if defined(_WIN32)

/// Returns the error of the last call.
inline error_code last_error() noexcept
{
  return make_system_error(::WSAGetLastError());
}

/// To Winsock a closed socket is no socket. Asio reports a bad descriptor for it.
inline error_code make_system_error(::SOCKET socket, int value) noexcept
{
  if (value == WSAENOTSOCK && socket == INVALID_SOCKET) return net::error::bad_descriptor;
  return make_system_error(value);
}

/// Returns the error of the last call, which was about this socket.
inline error_code last_error(::SOCKET socket) noexcept
{
  return make_system_error(socket, ::WSAGetLastError());
}

#else

/// Returns errno as an error code. EAGAIN and EWOULDBLOCK are the same for callers.
inline error_code last_error() noexcept
{
  const int value = errno;
  if (value == EAGAIN) return net::error::would_block;
  return make_system_error(value);
}

inline error_code last_error(int) noexcept
{
  return last_error();
}

#endif

inline void set_option(descriptor_type fd, int level, int name, const void* value, std::size_t size,
                       error_code& ec) noexcept
{
  if (system::setsockopt(fd, level, name, value, static_cast<::socklen_t>(size)) != 0)
    ec = last_error(fd);
  else
    ec.clear();
}

/// Returns the size that the kernel filled in.
inline std::size_t get_option(descriptor_type fd, int level, int name, void* value,
                              std::size_t size, error_code& ec) noexcept
{
  auto filled = static_cast<::socklen_t>(size);
  if (system::getsockopt(fd, level, name, value, &filled) != 0) {
    ec = last_error(fd);
    return 0;
  }
  ec.clear();
  return static_cast<std::size_t>(filled);
}

inline int get_int_option(descriptor_type fd, int level, int name, error_code& ec) noexcept
{
  int value = 0;
  get_option(fd, level, name, &value, sizeof value, ec);
  return value;
}

/// Sets a size in a system's structure, whose field has different types on different systems. If
/// the types are equal, compilers would warn about a useless cast.
template <class Field, class Value>
void set_field(Field& field, Value value) noexcept
{
  if constexpr (std::is_same_v<Field, Value>)
    field = value;
  else
    field = static_cast<Field>(value);
}

/// What kind of socket a descriptor is.
struct descriptor_kind {
  int family = AF_UNSPEC;
  int type = 0;
};

/// One entry of the list of interfaces: an interface, or one of its addresses.
struct interface_entry {
  std::string name;
  net::ip::address address;  ///< unspecified if the entry has neither IPv4 nor IPv6
  bool has_address = false;
  bool is_up = false;
  bool is_loopback = false;
  bool has_multicast = false;  ///< Linux leaves it unset for loopback, which has multicast too
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
