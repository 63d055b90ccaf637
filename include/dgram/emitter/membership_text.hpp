// SPDX-License-Identifier: BSL-1.0
// Groups, sources and interfaces as Node's users write them, and the errors that they know.
#ifndef DGRAM_EMITTER_MEMBERSHIP_TEXT_HPP
#define DGRAM_EMITTER_MEMBERSHIP_TEXT_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/platform/names.hpp>

#include <string>
#include <string_view>

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

inline membership_text parse_membership(std::string_view group, std::string_view source,
                                        std::string_view interface, error_code& ec)
{
  membership_text result;
  const auto address = parse_address(group, ec);
  const auto from = ec || source.empty() ? net::ip::address() : parse_address(source, ec);
  if (ec) {
    ec = net::error::invalid_argument;
    return result;
  }
  result.group = source.empty() ? multicast_group(address) : multicast_group(address, from);
  result.interface = parse_interface(interface, ec);
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

/// The interface that multicast datagrams are to leave by; see `set_multicast_interface`.
inline network_interface parse_outgoing_interface(std::string_view text, bool is_v6, error_code& ec)
{
  const auto percent = text.find('%');
  const auto address = parse_address(text.substr(0, percent), ec);
  if (ec) {
    ec = net::error::invalid_argument;
    return {};
  }
  if (address.is_v6() != is_v6) {
    // No address at all is none of either family, and what the kernel says of such an option.
    ec = address.is_unspecified() ? error_code(net::error::no_protocol_option)
                                  : platform::protocol_not_supported();
    return {};
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
  if (ec) ec = platform::address_not_available();
  return interface;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
