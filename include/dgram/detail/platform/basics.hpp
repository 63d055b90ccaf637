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

/// A socket as the system knows it.
#if defined(_WIN32)
using descriptor_type = ::SOCKET;
#else
using descriptor_type = int;
#endif

/// An errno value, or on Windows one of WSAGetLastError, in the category of Asio's own errors:
/// standalone Asio has one of its own, and `std::system_category` would compare equal to none of
/// `asio::error`.
inline error_code make_system_error(int value) noexcept
{
  return {value, net::error::get_system_category()};
}

#if defined(_WIN32)

/// What the last call has left as an error code.
inline error_code last_error() noexcept
{
  return make_system_error(::WSAGetLastError());
}

#else

/// errno as an error code; EAGAIN and EWOULDBLOCK are the same to callers.
inline error_code last_error() noexcept
{
  const int value = errno;
  if (value == EAGAIN) return net::error::would_block;
  return make_system_error(value);
}

#endif

inline void set_option(descriptor_type fd, int level, int name, const void* value, std::size_t size,
                       error_code& ec) noexcept
{
  if (system::setsockopt(fd, level, name, value, static_cast<::socklen_t>(size)) != 0)
    ec = last_error();
  else
    ec.clear();
}

/// Returns the size that the kernel filled in.
inline std::size_t get_option(descriptor_type fd, int level, int name, void* value,
                              std::size_t size, error_code& ec) noexcept
{
  auto filled = static_cast<::socklen_t>(size);
  if (system::getsockopt(fd, level, name, value, &filled) != 0) {
    ec = last_error();
    return 0;
  }
  ec.clear();
  return filled;
}

inline int get_int_option(descriptor_type fd, int level, int name, error_code& ec) noexcept
{
  int value = 0;
  get_option(fd, level, name, &value, sizeof value, ec);
  return value;
}

/// Gives a size to a field of a system's structure, the type of which differs from system to
/// system. Where it is the same a cast would be warned of as useless.
template <class Field>
void set_field(Field& field, std::size_t value) noexcept
{
  if constexpr (std::is_same_v<Field, std::size_t>)
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
  net::ip::address address;  ///< the unspecified one where the entry has none of IPv4 or IPv6
  bool has_address = false;
  bool is_up = false;
  bool is_loopback = false;
  bool has_multicast =
      false;  ///< Linux leaves it unset on its loopback interface, which has it all the same
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
