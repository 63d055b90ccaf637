// SPDX-License-Identifier: BSL-1.0
// Groups, sources and interfaces as Node's users write them, and the errors that they know.
#ifndef DGRAM_DETAIL_EMITTER_MEMBERSHIP_TEXT_HPP
#define DGRAM_DETAIL_EMITTER_MEMBERSHIP_TEXT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>

#include <string>
#include <string_view>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One membership: what to join, and a key that finds it again.
struct membership_text {
  multicast_group group{net::ip::address()};
  network_interface interface;
  std::string key;
};

/// An interface's address, with or without a scope that says the same, or its name; no text for "any".
inline network_interface parse_interface(std::string_view text, error_code& ec)
{
  if (text.empty()) return {};
  error_code not_an_address;
  const auto address = parse_address(text, not_an_address);
  const auto scope = text.find('%');
  if (!not_an_address && scope != std::string_view::npos)
    return network_interface(parse_scope(text.substr(scope + 1), ec));
  if (!not_an_address && address.is_unspecified()) return {};
  const network_interface named(text);
  error_code unknown;
  named.index(unknown);
  // Text that is neither an address nor the name of an interface is no interface at all.
  if (unknown && not_an_address) ec = net::error::invalid_argument;
  return named;
}

/// Throws for text that is no address.
inline net::ip::address parse_or_refuse(const char* operation, const char* what,
                                        std::string_view text)
{
  error_code ec;
  const auto address = parse_address(text, ec);
  if (ec)
    refuse(operation, net::error::invalid_argument, what + quoted(text) + " is not an address");
  return address;
}

inline membership_text parse_membership(const char* operation, std::string_view group,
                                        std::string_view source, std::string_view interface)
{
  if (group.empty()) refuse(operation, net::error::invalid_argument, "no group");
  const auto address = parse_or_refuse(operation, "group ", group);
  membership_text result;
  result.group = source.empty()
                     ? multicast_group(address)
                     : multicast_group(address, parse_or_refuse(operation, "source ", source));
  error_code ec;
  result.interface = parse_interface(interface, ec);
  if (ec == net::error::invalid_argument)
    refuse(operation, ec, "interface " + quoted(interface) + " is neither an address nor a name");
  if (ec) refuse(operation, platform::no_such_device(), "interface " + quoted(interface));
  result.key.append(group).append(" ").append(source).append(" ").append(interface);
  return result;
}

/// What Node reports, in the system's codes.
inline error_code membership_error(const error_code& ec)
{
  if (ec == error::not_multicast || ec == error::bad_source) return net::error::invalid_argument;
  if (ec == error::unknown_interface || ec == error::no_multicast)
    return platform::no_such_device();
  if (ec == net::error::address_family_not_supported) return net::error::no_protocol_option;
  return ec;
}

[[noreturn]] inline void refuse_membership(const char* operation, const error_code& ec,
                                           std::string_view group, std::string_view source,
                                           std::string_view interface)
{
  std::string what = "group " + quoted(group);
  if (ec == error::not_multicast)
    what += " is not a multicast address";
  else if (ec == error::bad_source)
    what = "source " + quoted(source) + " is not the address of one host";
  else if (!interface.empty())
    what += ", interface " + quoted(interface);
  refuse(operation, membership_error(ec), std::move(what));
}

/// The interface that multicast datagrams are to leave by; see `set_multicast_interface`.
inline network_interface parse_outgoing_interface(const char* operation, std::string_view text,
                                                  bool is_v6)
{
  const auto percent = text.find('%');
  error_code ec;
  const auto address = parse_address(text.substr(0, percent), ec);
  if (ec) refuse(operation, net::error::invalid_argument, quoted(text) + " is not an address");
  if (address.is_v6() != is_v6) {
    // No address at all is none of either family, and what the kernel says of such an option.
    ec = address.is_unspecified() ? error_code(net::error::no_protocol_option)
                                  : platform::protocol_not_supported();
    refuse(operation, ec, quoted(text) + (is_v6 ? " on a udp6 socket" : " on a udp4 socket"));
  }
  if (is_v6) {
    // A scope that does not exist leaves it to the system, as Node does.
    error_code unknown;
    const bool scoped = percent != std::string_view::npos;
    const unsigned index = scoped ? parse_scope(text.substr(percent + 1), unknown) : 0;
    return index == 0 ? network_interface() : network_interface(index);
  }
  if (address.is_unspecified()) return {};
  network_interface interface(address);
  interface.index(ec);
  if (ec)
    refuse(operation, platform::address_not_available(), quoted(text) + " is of no interface here");
  return interface;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
