// SPDX-License-Identifier: BSL-1.0
// Checks the arguments of bind, connect and send, and words the errors (bad port, size, address).
#ifndef DGRAM_DETAIL_EMITTER_ARGUMENTS_HPP
#define DGRAM_DETAIL_EMITTER_ARGUMENTS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/emitter/family.hpp>
#include <dgram/detail/emitter/operation.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/option.hpp>
#include <dgram/payload.hpp>
#include <dgram/socket_options.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class T>
concept call_number =
    std::integral<std::remove_cvref_t<T>> && !std::same_as<std::remove_cvref_t<T>, bool>;

/// An address, a name or a path: as text, or as an address of Asio's.
template <class T>
concept call_address =
    std::convertible_to<T, std::string_view> || std::convertible_to<T, net::ip::address>;

/// An endpoint, or the result of an emitter's `address` or `remote_address`.
template <class T, class Protocol>
concept call_endpoint =
    !call_address<T> && (std::convertible_to<T, typename Protocol::endpoint> ||
                         std::derived_from<std::remove_cvref_t<T>, basic_address_info<Protocol>>);

template <class First, class... Args>
inline constexpr bool starts_with = false;
template <class First, class Second, class... Args>
inline constexpr bool starts_with<First, Second, Args...> =
    std::same_as<First, std::remove_cvref_t<Second>>;

/// How many arguments of each kind a call has, and whether they are in order.
struct call_shape {
  std::size_t numbers = 0;
  std::size_t addresses = 0;
  std::size_t endpoints = 0;
  std::size_t callbacks = 0;
  bool is_ordered = true;

  constexpr void count(bool is_number, bool is_address, bool is_endpoint) noexcept
  {
    if (callbacks > 0 || (is_number && addresses + endpoints > 0)) is_ordered = false;
    numbers += is_number ? 1 : 0;
    addresses += is_address ? 1 : 0;
    endpoints += is_endpoint ? 1 : 0;
    callbacks += is_number || is_address || is_endpoint ? 0 : 1;
  }

  constexpr bool is_place() const noexcept { return addresses + endpoints <= 1; }

  /// For bind and connect: the only number is the port, which an endpoint contains.
  constexpr bool is_endpoint(bool has_port) const noexcept
  {
    return numbers == 0 || (has_port && numbers == 1 && endpoints == 0);
  }

  /// For send: the port follows offset and length.
  constexpr bool is_datagram(bool has_port) const noexcept
  {
    return has_port && endpoints == 0 ? numbers <= 3 : numbers == 0 || numbers == 2;
  }
};

template <class Protocol, class... Args>
consteval call_shape shape_of()
{
  call_shape shape;
  (shape.count(call_number<Args>, call_address<Args>, call_endpoint<Args, Protocol>), ...);
  return shape;
}

template <class Protocol, class... Args>
inline constexpr bool ends_with_callback = shape_of<Protocol, Args...>().callbacks > 0;

template <class... Args>
decltype(auto) last_of(Args&&... args) noexcept
{
  return std::get<sizeof...(Args) - 1>(std::forward_as_tuple(std::forward<Args>(args)...));
}

/// The arguments of one call, apart from its callback. Refers to the text.
template <class Protocol>
class call {
public:
  template <class... Args>
  explicit call(const Args&... args)
  {
    (add(args), ...);
    if (count_ % 2 == 1) port = numbers_[count_ - 1];
  }

  std::optional<std::int64_t> port;
  std::string_view text;                                // an address, a name or a path
  std::optional<net::ip::address> address;              // replaces the text
  std::optional<typename Protocol::endpoint> endpoint;  // replaces port and address

  bool has_address() const noexcept { return address || !text.empty(); }
  bool has_destination() const noexcept { return port || has_address() || endpoint; }
  bool has_slice() const noexcept { return count_ > 1; }

  /// Returns the bytes of a message in one piece that offset and length choose.
  bytes_view slice_of(const payload_view& message) const
  {
    const std::int64_t offset = numbers_[0];
    const std::int64_t length = numbers_[1];
    const auto size = static_cast<std::int64_t>(message.size());
    const auto refuse_slice = [size](const std::string& what) {
      refuse("send", error::out_of_range,
             what + "; the message has " + std::to_string(size) + " bytes");
    };
    if (message.pieces() > 1)
      refuse("send", error::out_of_range, "offset and length of a list of pieces");
    if (offset < 0 || offset > size) refuse_slice("offset " + std::to_string(offset));
    if (length < 0 || length > size - offset)
      refuse_slice("length " + std::to_string(length) + " from offset " + std::to_string(offset));
    return {message.front().data() + offset, static_cast<std::size_t>(length)};
  }

private:
  /// Ignores a callback.
  template <class Argument>
  void add(const Argument& argument)
  {
    if constexpr (call_number<Argument>)
      // A number that does not fit the type is no port; -1 stands for it, and is refused.
      numbers_[count_++] =
          std::in_range<std::int64_t>(argument) ? static_cast<std::int64_t>(argument) : -1;
    else if constexpr (std::convertible_to<const Argument&, std::string_view>)
      text = argument;
    else if constexpr (std::convertible_to<const Argument&, net::ip::address>)
      address = argument;
    else if constexpr (std::convertible_to<const Argument&, typename Protocol::endpoint>)
      endpoint = argument;
    else if constexpr (call_endpoint<Argument, Protocol>)
      endpoint = argument.endpoint();
  }

  std::array<std::int64_t, 3> numbers_{};
  std::size_t count_ = 0;
};

/// Reads the arguments of a call, or says at compile time what is wrong with them.
template <class Protocol, bool Sends, class... Args>
call<Protocol> read_call(const Args&... args)
{
  constexpr call_shape shape = shape_of<Protocol, const Args&...>();
  static_assert(shape.is_place(), "there is one address, one path or one endpoint at most");
  static_assert(shape.is_ordered,
                "numbers come first, then an address or an endpoint, and last one callback or "
                "completion token");
  if constexpr (Sends)
    static_assert(shape.is_datagram(ip_protocol<Protocol>),
                  "the numbers are offset and length, or the port, or all three; an endpoint has "
                  "the port, and a Unix socket has none");
  else
    static_assert(shape.is_endpoint(ip_protocol<Protocol>),
                  "the only number is the port; an endpoint has it, and a Unix socket has none");
  return call<Protocol>(args...);
}

/// Returns the port. Throws `bad_port`, with the port and the range, if the port is out of range.
inline std::uint16_t checked_port(const char* operation, std::int64_t port, std::int64_t least)
{
  if (port < least || port > 65535)
    refuse(operation, error::bad_port, "port " + beyond(port, least, 65535));
  return static_cast<std::uint16_t>(port);
}

/// The kernel's buffer sizes have 31 bits, and Node accepts 32.
inline int checked_buffer_size(const char* operation, std::int64_t bytes)
{
  if (bytes > 0 && bytes <= max_int) return static_cast<int>(bytes);
  const bool fits = bytes > 0 && bytes <= most_uint32;
  refuse(operation, fits ? error_code(net::error::invalid_argument) : error::out_of_range,
         beyond(bytes, 1, max_int) + " bytes");
}

inline socket_options checked_options(socket_options options, bool needs_type)
{
  auto& type = options.type;
  if (needs_type && type == socket_type::any) {
    if (options.ipv6_only) refuse("create_socket", error::bad_type, "udp_any with ipv6_only");
    type = platform::has_ipv6() ? socket_type::udp6 : socket_type::udp4;
  }
  if (needs_type && type != socket_type::udp4 && type != socket_type::udp6)
    refuse("create_socket", error::bad_type, "type " + std::to_string(static_cast<int>(type)));
  const std::pair<bool, const char*> of_unix[] = {{options.control_size != 0, "control_size"},
                                                  {options.credentials, "credentials"},
                                                  {options.file_mode != 0, "file_mode"}};
  for (const auto& [is_set, what] : of_unix)
    if (needs_type && is_set)
      refuse("create_socket", net::error::operation_not_supported,
             std::string(what) + " of a UDP socket");
  const auto check_size = [](const char* which, std::int64_t bytes) {
    if (bytes < 0 || bytes > most_uint32)
      refuse("create_socket", error::out_of_range,
             which + beyond(bytes, 0, most_uint32) + " bytes");
  };
  check_size("recv_buffer_size ", options.recv_buffer_size);
  check_size("send_buffer_size ", options.send_buffer_size);
  const auto check_queue = [](const char* which, std::size_t most) {
    if (most == 0)
      refuse("create_socket", error::out_of_range,
             std::string(which) + ": 0; it must be 1 or more");
  };
  check_queue("queue_datagrams", options.queue_datagrams);
  check_queue("queue_bytes", options.queue_bytes);
  return options;
}

/// Reads the destination of a call. `Family` knows the addresses of the socket's family.
template <class Protocol>
class destination_reader {
public:
  using endpoint_type = typename Protocol::endpoint;
  using destination_type = destination<Protocol>;
  using call_type = call<Protocol>;

  destination_reader(const char* operation, const family<Protocol>& kind) noexcept
      : operation_(operation), family_(kind)
  {
  }

  /// The local address of a bind. Without an address, the bind is to the wildcard address. If
  /// `looks_up` is set, that address is looked up too, since the user's own lookup may replace it.
  destination_type local(const call_type& call, bool looks_up) const
  {
    if (call.endpoint) return {*call.endpoint};
    if constexpr (is_ip) {
      const std::uint16_t port = checked_port(operation_, call.port.value_or(0), 0);
      if (call.has_address()) return named(call, port);
      auto any = family_.any_address();
      any.port(port);
      if (looks_up) return {any.address().to_string(), port};
      return {any};
    } else {
      return call.has_address() ? named(call, 0) : destination_type(endpoint_type());
    }
  }

  /// The peer of a send or a connect. Without an address, the peer is this host.
  destination_type peer(const call_type& call) const
  {
    if (call.endpoint) {
      if constexpr (is_ip)
        checked_port(operation_, call.endpoint->port(), 1);
      else if (is_unnamed(*call.endpoint))
        refuse(operation_, net::error::invalid_argument, "the endpoint has no path");
      return {*call.endpoint};
    }
    if constexpr (is_ip) {
      if (!call.port) refuse(operation_, error::bad_port, "no port");
      const std::uint16_t port = checked_port(operation_, *call.port, 1);
      if (call.has_address()) return named(call, port);
      return {family_.loopback(port)};
    } else {
      if (!call.has_address()) refuse(operation_, net::error::invalid_argument, "no path");
      return named(call, 0);
    }
  }

  /// Returns the endpoint of a destination that needs no lookup; refuses a name.
  endpoint_type literal(const destination_type& where) const
  {
    if (where.is_name())
      refuse(operation_, net::error::invalid_argument,
             in_quotes(where.name()) + " is not an address");
    return where.endpoint();
  }

private:
  static constexpr bool is_ip = ip_protocol<Protocol>;

  /// Reads an address or a path. On IP, text that is no address is a name to look up.
  destination_type named(const call_type& to, std::uint16_t port) const
  {
    if constexpr (is_ip) {
      if (to.address) return {endpoint_type(*to.address, port)};
      error_code not_an_address;
      const auto address = parse_address(to.text, not_an_address);
      if (!not_an_address) return {endpoint_type(address, port)};
      // A lookup would take digits alone for the number of an IPv4 address (inet_aton(3)).
      if (only_has(to.text, "0123456789"))
        refuse(operation_, net::error::invalid_argument,
               in_quotes(to.text) + " is neither an address nor a name; a port is a number");
      return {to.text, port};
    }
#if DGRAM_HAS_UNIX_DATAGRAMS
    else {
      error_code ec;
      const auto endpoint = parse_unix_endpoint(to.text, ec);
      if (ec) refuse(operation_, ec, in_quotes(to.text, allowed_in(ec)));
      return {endpoint};
    }
#endif
  }

  const char* operation_;
  const family<Protocol>& family_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
