// SPDX-License-Identifier: BSL-1.0
// Endpoints as text, and the two forms of an IPv4 endpoint on a dual-stack socket.
#ifndef DGRAM_ENDPOINT_HPP
#define DGRAM_ENDPOINT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/detail/platform/paths.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

/// The endpoint type of a protocol, which is always Asio's own.
template <class Protocol>
using endpoint = typename Protocol::endpoint;

/// All addresses of this host, of IPv6 and IPv4 alike, and a port; see `udp::any`.
class any_address {
public:
  explicit any_address(std::uint16_t port) noexcept : port_(port) {}

  std::uint16_t port() const noexcept { return port_; }

private:
  std::uint16_t port_;
};

namespace detail {

inline bool only_has(std::string_view text, std::string_view allowed) noexcept
{
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

inline bool parse_decimal(std::string_view text, std::uint32_t& value) noexcept
{
  if (!only_has(text, "0123456789")) return false;
  std::uint64_t sum = 0;
  for (const char digit : text) {
    sum = 10 * sum + static_cast<std::uint64_t>(digit - '0');
    if (sum > std::numeric_limits<std::uint32_t>::max()) return false;
  }
  value = static_cast<std::uint32_t>(sum);
  return true;
}

/// Whether the text is an IPv4 address in full: four decimal numbers, without zeros before them.
inline bool has_four_numbers(std::string_view text) noexcept
{
  for (int left = 3;; --left) {
    const std::size_t size = left > 0 ? text.find('.') : text.size();
    if (size == std::string_view::npos) return false;
    const std::string_view number = text.substr(0, size);
    std::uint32_t value = 0;
    if (!parse_decimal(number, value) || value > 255) return false;
    if (number.size() > 1 && number.front() == '0') return false;
    if (left == 0) return true;
    text.remove_prefix(size + 1);
  }
}

/// Parses the scope of an IPv6 address: the name or index of an existing interface.
inline std::uint32_t parse_scope(std::string_view text, error_code& ec)
{
  std::uint32_t index = 0;
  const bool named = !only_has(text, "0123456789");
  if (named && text.find('\0') == std::string_view::npos)
    index = platform::interface_index(std::string(text));
  else if (!named && parse_decimal(text, index) && platform::interface_name(index).empty())
    index = 0;
  if (index == 0) ec = error::unknown_interface;
  return index;
}

/// Whether the addresses of a protocol are paths.
template <class Protocol>
concept path_protocol = requires(const typename Protocol::endpoint& endpoint) { endpoint.path(); };

/// A protocol whose endpoints have an IP address.
template <class Protocol>
concept ip_protocol = requires(const typename Protocol::endpoint& endpoint) { endpoint.address(); };

}  // namespace detail

/// Parses an IPv4 or IPv6 address: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`, `fe80::1%2`.
///
/// The scope after `%` is the name or index of an existing interface. Link-local addresses keep it
/// (RFC 4007). For other addresses it is only checked.
///
/// Errors: `error::bad_address`, `error::unknown_interface`. On error the result is the unspecified
/// address.
inline net::ip::address parse_address(std::string_view text, error_code& ec)
{
  ec.clear();
  if (detail::only_has(text, "0123456789.")) {
    // Windows would read shorter and octal forms too.
    if (detail::has_four_numbers(text)) return net::ip::make_address_v4(std::string(text), ec);
  } else {
    const std::size_t percent = text.find('%');
    const std::string_view digits = text.substr(0, percent);
    if (detail::only_has(digits, "0123456789abcdefABCDEF:.")) {
      error_code refused;
      auto v6 = net::ip::make_address_v6(std::string(digits), refused);
      if (!refused) {
        if (percent != std::string_view::npos) {
          const auto scope = detail::parse_scope(text.substr(percent + 1), ec);
          if (ec) return {};
          if (v6.is_link_local() || v6.is_multicast_link_local()) v6.scope_id(scope);
        }
        return v6;
      }
    }
  }
  ec = error::bad_address;
  return {};
}

/// The same. Throws `system_error`, whose text names the input.
inline net::ip::address parse_address(std::string_view text)
{
  error_code ec;
  const auto address = parse_address(text, ec);
  detail::throw_if(ec, "parse_address", text);
  return address;
}

namespace detail {

/// What an endpoint may have, if its port or the length of its path was what was wrong.
inline std::string allowed_in(const error_code& ec)
{
  if (ec == make_error_code(error::bad_port)) return "ports 0 to 65535";
#if DGRAM_HAS_UNIX_DATAGRAMS
  if (ec == net::error::name_too_long)
    return std::string("at most ").append(std::to_string(platform::max_path_size)).append(" bytes");
#endif
  return {};
}

}  // namespace detail

/// Parses a port, 0 to 65535 in decimal digits. Error: `error::bad_port`.
inline std::uint16_t parse_port(std::string_view text, error_code& ec) noexcept
{
  ec.clear();
  std::uint32_t value = 0;
  if (text.size() <= 5 && detail::parse_decimal(text, value) && value <= 65535)
    return static_cast<std::uint16_t>(value);
  ec = error::bad_port;
  return 0;
}

/// The same. Throws `system_error`, whose text names the input.
inline std::uint16_t parse_port(std::string_view text)
{
  error_code ec;
  const auto port = parse_port(text, ec);
  detail::throw_if(ec, "parse_port", text, detail::allowed_in(ec));
  return port;
}

/// Parses `127.0.0.1:53`, `[::1]:53` or `[fe80::1%eth0]:53`. Does not look names up, and has no
/// defaults for missing parts.
///
/// Errors: `error::bad_endpoint` (another form than these), `error::bad_address`,
/// `error::bad_port`, `error::unknown_interface`. On error the result is the default-constructed
/// endpoint.
///
/// \code
/// socket.send_to(asio::buffer(query), dgram::parse_endpoint("[::1]:53"));
/// \endcode
inline net::ip::udp::endpoint parse_endpoint(std::string_view text, error_code& ec)
{
  const std::size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool looks_v6 = host.find(':') != std::string_view::npos;
  if (colon == std::string_view::npos || host.empty() || bracketed != looks_v6) {
    ec = error::bad_endpoint;
    return {};
  }
  const auto address = parse_address(host, ec);
  if (ec) return {};
  const auto port = parse_port(text.substr(colon + 1), ec);
  if (ec) return {};
  return {address, port};
}

/// The same. Throws `system_error`, whose text names the input.
inline net::ip::udp::endpoint parse_endpoint(std::string_view text)
{
  error_code ec;
  auto result = parse_endpoint(text, ec);
  detail::throw_if(ec, "parse_endpoint", text, detail::allowed_in(ec));
  return result;
}

/// The address as text that `parse_address` can read. A link-local scope is the interface's name,
/// or its index if the interface is gone.
inline std::string to_string(const net::ip::address& address)
{
  if (address.is_v4() || address.to_v6().scope_id() == 0) return address.to_string();
  auto v6 = address.to_v6();
  const unsigned index = v6.scope_id();
  v6.scope_id(0);
  const std::string scope = platform::interface_name(index);
  std::string text = v6.to_string();
  text.append("%").append(scope.empty() ? std::to_string(index) : scope);
  return text;
}

/// The endpoint as text that `parse_endpoint` can read.
inline std::string to_string(const net::ip::udp::endpoint& endpoint)
{
  const bool is_v6 = endpoint.address().is_v6();
  std::string text(is_v6 ? "[" : "");
  text.append(to_string(endpoint.address())).append(is_v6 ? "]:" : ":");
  text.append(std::to_string(endpoint.port()));
  return text;
}

#if DGRAM_HAS_UNIX_DATAGRAMS

/// Whether a Unix endpoint has no name. Datagrams from an unbound socket have such a sender.
inline bool is_unnamed(const net::local::datagram_protocol::endpoint& endpoint)
{
  return platform::has_no_path(endpoint.data(), endpoint.size());
}

/// Whether a Unix endpoint is a name in Linux's abstract namespace, to which no file belongs
/// (unix(7)).
inline bool is_abstract(const net::local::datagram_protocol::endpoint& endpoint)
{
  return !is_unnamed(endpoint) && platform::has_abstract_name(endpoint.data());
}

/// Parses the address of a Unix socket: a path, or `@name` for a Linux abstract name. The text has
/// at most 107 bytes, including the `@`. Asio drops a zero byte at the end of a name from the
/// kernel. So a socket cannot reply to an abstract name that ends in a zero byte.
///
/// Errors: `name_too_long`; `invalid_argument` (no text, or a zero byte in a path). On error the
/// result is unnamed.
///
/// \code
/// dgram::unix_dgram::socket logs{io, dgram::unix_dgram{}};
/// logs.connect(dgram::parse_unix_endpoint("/dev/log"));
/// \endcode
inline net::local::datagram_protocol::endpoint parse_unix_endpoint(std::string_view text,
                                                                   error_code& ec)
{
  using endpoint_type = net::local::datagram_protocol::endpoint;
  ec.clear();
  const bool abstract = text.starts_with('@');
  if (text.empty() || (!abstract && text.find('\0') != std::string_view::npos))
    ec = net::error::invalid_argument;
  else if (text.size() > platform::max_path_size)
    ec = net::error::name_too_long;
  if (ec) return {};
  std::string path(text);
  if (abstract) path.front() = '\0';
  return endpoint_type(path);
}

/// The same. Throws `system_error`, whose text names the input.
inline net::local::datagram_protocol::endpoint parse_unix_endpoint(std::string_view text)
{
  error_code ec;
  auto result = parse_unix_endpoint(text, ec);
  detail::throw_if(ec, "parse_unix_endpoint", text, detail::allowed_in(ec));
  return result;
}

namespace detail {

/// The endpoint to bind or connect a socket to. Besides the forms above this takes what Asio's
/// endpoint takes: an empty text, and an abstract name after a NUL.
inline net::local::datagram_protocol::endpoint unix_endpoint_of(std::string_view text,
                                                                error_code& ec)
{
  const bool is_asios = text.empty() || text.front() == '\0';
  if (!is_asios) return parse_unix_endpoint(text, ec);
  ec.clear();
  if (text.size() <= platform::max_path_size) return {std::string(text)};
  ec = net::error::name_too_long;
  return {};
}

}  // namespace detail

/// The path; an abstract name as `@name`; `(unnamed)` for the sender of an unbound socket.
/// `parse_unix_endpoint` can read the text, except `(unnamed)`. A path that begins with `@` or `(`
/// gets a `./` in front.
inline std::string to_string(const net::local::datagram_protocol::endpoint& endpoint)
{
  std::string path = endpoint.path();
  if (path.empty()) return "(unnamed)";
  if (path.front() == '\0')
    path.front() = '@';
  else if (path.front() == '@' || path.front() == '(')
    path.insert(0, "./");
  return path;
}

#endif

/// Returns the endpoint for a socket address of the system, such as another library has it.
/// `address` points to at least `size` bytes, and needs no alignment. A flow label is left out. For
/// the way back, an endpoint has `data()` and `size()`.
///
/// Errors: `address_family_not_supported` (neither `sockaddr_in` nor `sockaddr_in6`),
/// `invalid_argument` (`size` is too small). On error the result is the default-constructed
/// endpoint.
///
/// \code
/// ::sockaddr_storage remote{};
/// std::memcpy(&remote, peer.data(), peer.size());  // as another library has it
/// socket.send_to(asio::buffer(query), dgram::from_sockaddr(&remote, sizeof remote));
/// \endcode
inline net::ip::udp::endpoint from_sockaddr(const void* address, std::size_t size, error_code& ec)
{
  ec.clear();
  net::ip::udp::endpoint copy(net::ip::udp::v6(), 0);
  const auto is_enough_for = [&](const net::ip::udp& protocol) {
    return size >= net::ip::udp::endpoint(protocol, 0).size();
  };
  if (!is_enough_for(net::ip::udp::v4())) {
    ec = net::error::invalid_argument;
    return {};
  }
  std::memcpy(copy.data(), address, std::min(size, copy.capacity()));
  const int family = copy.data()->sa_family;
  const bool is_v6 = family == net::ip::udp::v6().family();
  if (!is_v6 && family != net::ip::udp::v4().family())
    ec = net::error::address_family_not_supported;
  else if (is_v6 && !is_enough_for(net::ip::udp::v6()))
    ec = net::error::invalid_argument;
  if (ec) return {};
  return {copy.address(), copy.port()};
}

/// The same. Throws `system_error`.
inline net::ip::udp::endpoint from_sockaddr(const void* address, std::size_t size)
{
  error_code ec;
  auto result = from_sockaddr(address, size, ec);
  detail::throw_if(ec, "from_sockaddr");
  return result;
}

/// Returns an IPv4-mapped IPv6 endpoint (`[::ffff:192.0.2.1]:53`) as the IPv4 endpoint that it
/// stands for, and any other endpoint unchanged.
inline net::ip::udp::endpoint canonical(const net::ip::udp::endpoint& endpoint)
{
  const auto address = endpoint.address();
  if (address.is_v4() || !address.to_v6().is_v4_mapped()) return endpoint;
  return {net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6()), endpoint.port()};
}

/// Returns an IPv4 endpoint in the form that an IPv6 socket takes (RFC 4291, section 2.5.5.2), and
/// any other endpoint unchanged.
inline net::ip::udp::endpoint mapped(const net::ip::udp::endpoint& endpoint)
{
  const auto address = endpoint.address();
  if (address.is_v6()) return endpoint;
  return {net::ip::make_address_v6(net::ip::v4_mapped, address.to_v4()), endpoint.port()};
}

DGRAM_NAMESPACE_END

#endif
