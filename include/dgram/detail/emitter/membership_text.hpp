// SPDX-License-Identifier: BSL-1.0
// Parses multicast groups, sources and interfaces as Node writes them; reports Node's errors.
#ifndef DGRAM_DETAIL_EMITTER_MEMBERSHIP_TEXT_HPP
#define DGRAM_DETAIL_EMITTER_MEMBERSHIP_TEXT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
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

/// One membership: the group to join, and the key under which it is found again.
struct membership_text {
  multicast_group group{net::ip::address()};
  network_interface interface;
  std::string key;
};

/// Parses an interface: its address, with or without a scope, or its name. No text means any
/// interface. Sets `ec` for an address of the other family, and for a join also for text that is
/// neither an address nor a name. For a leave, the interface may be gone: the socket knows by which
/// name it joined.
inline network_interface parse_interface(std::string_view text, bool is_v6,
                                         membership_change change, error_code& ec)
{
  const bool is_scoped = !scope_of(text).empty();
  error_code no_address;
  const auto address = parse_address(is_scoped ? text.substr(0, text.find('%')) : text, no_address);
  if (!no_address && address.is_v6() != is_v6) ec = net::error::invalid_argument;
  if (text.empty() || (!no_address && !is_scoped && address.is_unspecified())) return {};
  const network_interface named(text);
  error_code unknown;
  if (no_address && change == membership_change::join) named.index(unknown);
  if (unknown) ec = net::error::invalid_argument;
  return named;
}

inline std::string no_interface(std::string_view text)
{
  return "interface " + in_quotes(text) + " is neither an address of the group's family nor a name";
}

/// Returns the system's code for the error that Node reports.
inline error_code membership_error(membership_change change, const error_code& ec)
{
  if (ec == error::not_multicast || ec == error::bad_source) return net::error::invalid_argument;
  if (ec == error::unknown_interface || ec == error::no_multicast)
    return change == membership_change::join ? platform::no_such_device()
                                             : platform::address_not_available();
  return ec;
}

/// `is_v6` is the socket's family. An IPv6 socket accepts groups of both families.
inline membership_text parse_membership(const char* operation, membership_change change, bool is_v6,
                                        std::string_view group, std::string_view source,
                                        std::string_view interface)
{
  if (group.empty()) refuse(operation, net::error::invalid_argument, "no group");
  const auto parse = [operation](const char* what, std::string_view text) {
    error_code ec;
    const auto address = parse_address(text, ec);
    if (ec)
      refuse(operation, net::error::invalid_argument,
             what + in_quotes(text) + " is not an address");
    return address;
  };
  const auto address = parse("group ", group);
  membership_text result;
  result.group = multicast_group(address);
  if (!source.empty()) {
    const auto from = parse("source ", source);
    if (from.is_v6() != address.is_v6())
      refuse(operation, net::error::invalid_argument,
             "source " + in_quotes(source) + " is not of the family of group " + in_quotes(group));
    result.group = multicast_group(address, from);
  }
  error_code ec;
  result.interface = parse_interface(interface, address.is_v6(), change, ec);
  if (ec) refuse(operation, ec, no_interface(interface));
  if (address.is_v6() && !is_v6 && address.is_multicast())
    refuse(operation, net::error::no_protocol_option,
           "group " + in_quotes(group) + " on a udp4 socket");
  result.key.append(group).append(" ").append(source).append(" ").append(interface);
  return result;
}

[[noreturn]] inline void refuse_membership(const char* operation, membership_change change,
                                           const error_code& ec, std::string_view group,
                                           std::string_view source, std::string_view interface)
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
    refuse(operation, net::error::invalid_argument, no_interface(interface));
  refuse(operation, membership_error(change, ec), std::move(what));
}

/// Joins or leaves. An IPv6 socket can be a member of IPv4 groups too, since it receives what is
/// sent to them.
template <class Socket>
void apply_membership(Socket& socket, membership_change change, const membership_text& membership,
                      bool is_v6, error_code& ec)
{
  const bool joins = change == membership_change::join;
  const auto& [group, interface, key] = membership;
  std::vector<unsigned> where;
  auto handle = socket.handle();
  if constexpr (requires { handle.join(group, interface, where, ec, is_v6); })
    joins ? handle.join(group, interface, where, ec, is_v6)
          : handle.leave(group, interface, where, ec, is_v6);
  else
    joins ? socket.join(group, interface, ec) : socket.leave(group, interface, ec);
}

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
    if (!ec)
      platform::set_option(socket.native_handle(), value.level(v4), value.name(v4), value.data(v4),
                           value.size(v4), ec);
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
