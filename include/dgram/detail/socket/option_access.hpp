// SPDX-License-Identifier: BSL-1.0
// Sets options: on a dual-stack socket, for both families or for neither.
#ifndef DGRAM_DETAIL_SOCKET_OPTION_ACCESS_HPP
#define DGRAM_DETAIL_SOCKET_OPTION_ACCESS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Replaces the kernel's error for an option that it lacks. That error blames the protocol, but the
/// system lacks the option.
inline void name_unsupported(error_code& ec) noexcept
{
  if (ec == net::error::no_protocol_option) ec = net::error::operation_not_supported;
}

/// Whether the system takes options that it does not know. gVisor does, so what can be set there
/// need not exist.
inline bool takes_unknown_options(platform::descriptor_type descriptor, int level)
{
  constexpr int no_option = 0x7fff;
  const int value = 0;
  error_code ec;
  platform::set_option(descriptor, level, no_option, &value, sizeof value, ec);
  return !ec;
}

/// Sets both parts, or neither. The value of each part is an int. The first part must be readable,
/// so that it can be restored. That is the IPv6 part, or the IPv4 part if the system only sets the
/// other one (gVisor, IPV6_MULTICAST_HOPS).
template <class Socket, class Option>
void set_both_parts(Socket& socket, const Option& option, error_code& ec)
{
  const auto v4 = Socket::protocol_type::v4();
  const auto v6 = Socket::protocol_type::v6();
  const platform::descriptor_type descriptor = socket.native_handle();
  const bool has_two = option.level(v4) != option.level(v6) || option.name(v4) != option.name(v6);
  const auto set = [&](bool which_is_v4, error_code& failure) {
    if (which_is_v4)
      platform::set_option(descriptor, option.level(v4), option.name(v4), option.data(v4),
                           option.size(v4), failure);
    else
      socket.set_option(option, failure);
  };
  bool v4_first = false;
  auto first = v6;
  int before = 0;
  if (has_two) before = platform::get_int_option(descriptor, option.level(v6), option.name(v6), ec);
  if (ec == net::error::no_protocol_option) {
    v4_first = true;
    first = v4;
    before = platform::get_int_option(descriptor, option.level(v4), option.name(v4), ec);
  }
  if (ec) return;
  set(v4_first, ec);
  if (ec || !has_two) return;
  set(!v4_first, ec);
  error_code ignored;
  if (ec)
    platform::set_option(descriptor, option.level(first), option.name(first), &before,
                         sizeof before, ignored);
}

/// Sets one of this library's options on an Asio socket; if `dual`, for both families.
template <class Protocol, class Socket, class Option>
void set_option(Socket& socket, bool dual, const Option& option, error_code& ec)
{
  ec = option.check();
  if (ec) return;
  if constexpr (dual_stack_protocol<Protocol>) {
    if (dual)
      set_both_parts(socket, option, ec);
    else
      socket.set_option(option, ec);
  } else {
    socket.set_option(option, ec);
  }
  name_unsupported(ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
