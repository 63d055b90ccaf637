// SPDX-License-Identifier: BSL-1.0
// How protocols differ: addresses or paths, one family or both, and the largest payload.
#ifndef DGRAM_DETAIL_SOCKET_PROTOCOLS_HPP
#define DGRAM_DETAIL_SOCKET_PROTOCOLS_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether one socket of a protocol may serve IPv4 and IPv6.
template <class Protocol>
concept dual_stack_protocol = requires { Protocol::dual(); };

/// The largest payload of one datagram: 65,535 bytes less the headers (RFC 768, RFC 791). Over
/// IPv6, only UDP's header counts (RFC 8200).
inline constexpr std::size_t max_ipv4_payload = 65507;
inline constexpr std::size_t max_ipv6_payload = 65527;

/// Whether the size is beyond any datagram. The kernel would refuse it too. But with
/// `option::receive_error`, it would report some sizes twice: as an error and in a report.
template <class Protocol>
constexpr bool is_beyond_protocol(std::size_t size, bool v4) noexcept
{
  return ip_protocol<Protocol> && size > max_ipv4_payload && (v4 || size > max_ipv6_payload);
}

/// Text that stands for an endpoint of the protocol.
template <class Text, class Protocol>
concept endpoint_text = (path_protocol<Protocol> || ip_protocol<Protocol>) &&
                        std::convertible_to<const Text&, std::string_view>;

/// Returns the endpoint for a text: `address:port`, or, for a Unix socket, a path or `@name`.
template <class Protocol>
typename Protocol::endpoint endpoint_of_text(std::string_view text, error_code& ec)
{
#if DGRAM_HAS_UNIX_DATAGRAMS
  if constexpr (path_protocol<Protocol>) return unix_endpoint_of(text, ec);
#endif
  if constexpr (ip_protocol<Protocol>) return parse_endpoint(text, ec);
}

/// The same; throws `system_error`, whose text names the operation and the input.
template <class Protocol>
typename Protocol::endpoint endpoint_of_text(const char* operation, std::string_view text)
{
  error_code ec;
  const auto endpoint = endpoint_of_text<Protocol>(text, ec);
  throw_if(ec, operation, text, allowed_in(ec));
  return endpoint;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
