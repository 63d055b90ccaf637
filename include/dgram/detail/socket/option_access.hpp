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

#include <cstddef>

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

/// Any option, as setsockopt(2) takes it: a part for IPv4, and one for IPv6. On a Unix socket both
/// are the same. It has one type for all options, so a program compiles the calls that set it once.
class option_parts {
public:
  struct part {
    int level;
    int name;
    const void* data;
    std::size_t size;
  };

  /// Refers to the option.
  template <class Option, class Protocol>
  option_parts(const Option& option, const Protocol& v4, const Protocol& v6) noexcept
      : v4_{option.level(v4), option.name(v4), option.data(v4), option.size(v4)},
        v6_{option.level(v6), option.name(v6), option.data(v6), option.size(v6)}
  {
  }

  const part& v4() const noexcept { return v4_; }
  const part& v6() const noexcept { return v6_; }

  // What Asio asks of an option.
  template <class Protocol>
  int level(const Protocol& protocol) const noexcept
  {
    return of(protocol.family()).level;
  }
  template <class Protocol>
  int name(const Protocol& protocol) const noexcept
  {
    return of(protocol.family()).name;
  }
  template <class Protocol>
  const void* data(const Protocol& protocol) const noexcept
  {
    return of(protocol.family()).data;
  }
  template <class Protocol>
  std::size_t size(const Protocol& protocol) const noexcept
  {
    return of(protocol.family()).size;
  }

private:
  const part& of(int family) const noexcept
  {
    return family == platform::names::ipv6_family ? v6_ : v4_;
  }

  part v4_;
  part v6_;
};

/// Sets one part of an option, whatever family the descriptor has.
inline void set_option_part(platform::descriptor_type descriptor, const option_parts::part& part,
                            error_code& ec)
{
  platform::set_option(descriptor, part.level, part.name, part.data, part.size, ec);
}

/// Sets both parts, or neither. The value of each part is an int. The first part must be readable,
/// so that it can be restored. That is the IPv6 part, or the IPv4 part if the system only sets the
/// other one (gVisor, IPV6_MULTICAST_HOPS).
template <class Socket>
DGRAM_COLD void set_both_parts(Socket& socket, const option_parts& option, error_code& ec)
{
  const auto& v4 = option.v4();
  const auto& v6 = option.v6();
  const platform::descriptor_type descriptor = socket.native_handle();
  const bool has_two = v4.level != v6.level || v4.name != v6.name;
  const auto set = [&](bool which_is_v4, error_code& failure) {
    if (which_is_v4)
      set_option_part(descriptor, v4, failure);
    else
      socket.set_option(option, failure);
  };
  bool v4_first = false;
  int before = 0;
  if (has_two) before = platform::get_int_option(descriptor, v6.level, v6.name, ec);
  if (ec == net::error::no_protocol_option) {
    v4_first = true;
    before = platform::get_int_option(descriptor, v4.level, v4.name, ec);
  }
  if (ec) return;
  set(v4_first, ec);
  if (ec || !has_two) return;
  set(!v4_first, ec);
  const auto& first = v4_first ? v4 : v6;
  error_code ignored;
  if (ec)
    platform::set_option(descriptor, first.level, first.name, &before, sizeof before, ignored);
}

/// Sets an option on an Asio socket; if `dual`, for both families.
template <class Protocol, class Socket>
DGRAM_COLD void set_parts(Socket& socket, [[maybe_unused]] bool dual, const option_parts& option,
                          error_code& ec)
{
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

/// Sets one of this library's options on an Asio socket; if `dual`, for both families.
template <class Protocol, class Socket, class Option>
void set_option(Socket& socket, bool dual, const Option& option, error_code& ec)
{
  ec = option.check();
  if (ec) return;
  if constexpr (ip_protocol<Protocol>)
    set_parts<Protocol>(socket, dual,
                        {option, Protocol::native_protocol::v4(), Protocol::native_protocol::v6()},
                        ec);
  else
    set_parts<Protocol>(socket, dual, {option, Protocol(), Protocol()}, ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
