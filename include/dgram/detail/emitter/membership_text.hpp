// SPDX-License-Identifier: BSL-1.0
// Parses multicast groups, sources and interfaces as Node writes them; reports Node's errors.
#ifndef DGRAM_DETAIL_EMITTER_MEMBERSHIP_TEXT_HPP
#define DGRAM_DETAIL_EMITTER_MEMBERSHIP_TEXT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/option.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One change of a membership, as Node writes it. Refers to the text.
struct membership_text {
  const char* operation;
  membership_change change;
  bool is_v6;  // the socket's family
  std::string_view group;
  std::string_view source;
  std::string_view interface;

  bool joins() const noexcept { return change == membership_change::join; }

  /// The name of the membership among the settings of the socket.
  std::string key() const
  {
    return std::string(group).append(" ").append(source).append(" ").append(interface);
  }

  /// Returns the change, a function that a socket can be given to again and again. An IPv6 socket
  /// can be a member of IPv4 groups too, since it receives what is sent to them.
  template <class Socket>
  auto parse() const
  {
    const auto to = parse_group();
    auto on = parse_interface(to.address().is_v6());
    if (to.address().is_v6() && !is_v6 && to.address().is_multicast())
      detail::refuse(operation, net::error::no_protocol_option,
                     "group " + in_quotes(group) + " on a udp4 socket");
    return [joins = joins(), both = is_v6, to, on](Socket& socket, error_code& ec) {
      std::vector<unsigned> where;
      auto handle = socket.handle();
      [[maybe_unused]] const bool takes_both = both;  // a transport may not make a difference
      if constexpr (requires { handle.join(to, on, where, ec, takes_both); })
        joins ? handle.join(to, on, where, ec, takes_both)
              : handle.leave(to, on, where, ec, takes_both);
      else
        joins ? socket.join(to, on, ec) : socket.leave(to, on, ec);
    };
  }

  /// Throws the system's code for the error that Node reports.
  [[noreturn]] void refuse(error_code ec) const
  {
    std::string what = "group " + in_quotes(group);
    if (ec == error::not_multicast)
      what += " is not a multicast address";
    else if (ec == error::bad_source)
      what = "source " + in_quotes(source) + " is not the address of one host";
    else if (!interface.empty())
      what += ", interface " + in_quotes(interface);
    error_code no_address;
    parse_address(interface, no_address);
    // Only here is it known that no join was by this name either.
    if (ec == error::unknown_interface && no_address && scope_of(interface).empty())
      reject_interface();
    if (ec == error::not_multicast || ec == error::bad_source) reject(std::move(what));
    if (ec == error::unknown_interface || ec == error::no_multicast)
      ec = joins() ? platform::no_such_device() : platform::address_not_available();
    detail::refuse(operation, ec, std::move(what));
  }

private:
  [[noreturn]] void reject(std::string what) const
  {
    detail::refuse(operation, net::error::invalid_argument, std::move(what));
  }

  [[noreturn]] void reject_interface() const
  {
    reject("interface " + in_quotes(interface) +
           " is neither an address of the group's family nor a name");
  }

  net::ip::address parse(const char* what, std::string_view text) const
  {
    error_code ec;
    const auto address = parse_address(text, ec);
    if (ec) reject(what + in_quotes(text) + " is not an address");
    return address;
  }

  multicast_group parse_group() const
  {
    if (group.empty()) reject("no group");
    const auto address = parse("group ", group);
    if (source.empty()) return multicast_group(address);
    const auto from = parse("source ", source);
    if (from.is_v6() != address.is_v6())
      reject("source " + in_quotes(source) + " is not of the family of group " + in_quotes(group));
    return multicast_group(address, from);
  }

  /// Its address, with or without a scope, or its name. No text means any interface. If a join
  /// finds no such name, there is no such interface. For a leave, the interface may be gone: the
  /// socket knows by which name it joined.
  network_interface parse_interface(bool of_v6) const
  {
    const bool is_scoped = !scope_of(interface).empty();
    error_code no_address;
    const auto address =
        parse_address(is_scoped ? interface.substr(0, interface.find('%')) : interface, no_address);
    if (!no_address && address.is_v6() != of_v6) reject_interface();
    if (interface.empty() || (!no_address && !is_scoped && address.is_unspecified())) return {};
    const network_interface named(interface);
    error_code unknown;
    if (no_address && joins()) named.index(unknown);
    if (unknown) reject_interface();
    return named;
  }
};

/// The interface from which multicast datagrams leave; see `set_multicast_interface`.
struct outgoing_interface {
  network_interface interface;
  bool is_v6;  // the family of the datagrams

  /// An IPv6 socket has one such interface for each family.
  template <class Socket>
  void apply(Socket& socket, bool socket_is_v6, error_code& ec) const
  {
    const option::multicast_interface value(interface);
    if (is_v6 == socket_is_v6) {
      socket.set_option(value, ec);
      return;
    }
    const auto v4 = net::ip::udp::v4();
    ec = value.check();
    if (!ec) set_option_part(socket.native_handle(), option_parts(value, v4, v4).v4(), ec);
  }
};

inline outgoing_interface parse_outgoing_interface(const char* operation, std::string_view text,
                                                   bool socket_is_v6)
{
  error_code ec;
  const auto address = parse_address(text.substr(0, text.find('%')), ec);
  if (ec) refuse(operation, net::error::invalid_argument, in_quotes(text) + " is not an address");
  if (address.is_v6()) {
    if (!socket_is_v6)
      refuse(operation, net::error::no_protocol_option, in_quotes(text) + " on a udp4 socket");
    // If the scope does not exist, the system chooses the interface, as in Node.
    error_code unknown;
    const bool is_known =
        !scope_of(text).empty() && network_interface(text).index(unknown) != 0 && !unknown;
    return {is_known ? network_interface(text) : network_interface(), true};
  }
  if (address.is_unspecified()) return {network_interface(), false};
  network_interface interface(address);
  interface.index(ec);
  if (ec)
    refuse(operation, platform::address_not_available(),
           in_quotes(text) + " is of no interface here");
  return {interface, false};
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
