// SPDX-License-Identifier: BSL-1.0
// The arguments of bind, connect and send: numbers, an address, a callback, each of which may be left out.
#ifndef DGRAM_EMITTER_ARGUMENTS_HPP
#define DGRAM_EMITTER_ARGUMENTS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/emitter/payload.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class T>
inline constexpr bool is_ip_endpoint = false;
template <>
inline constexpr bool is_ip_endpoint<net::ip::udp::endpoint> = true;
template <class T>
inline constexpr bool is_unix_endpoint = false;
#if DGRAM_HAS_UNIX_DATAGRAMS
using unix_endpoint = net::local::datagram_protocol::endpoint;
template <>
inline constexpr bool is_unix_endpoint<unix_endpoint> = true;
#endif

/// An address, or a name that stands for one. It refers to what it is made of.
struct host {
  std::string_view text;
  const net::ip::address* address = nullptr;
#if DGRAM_HAS_UNIX_DATAGRAMS
  const unix_endpoint* endpoint = nullptr;

  template <std::same_as<unix_endpoint> Endpoint>
  explicit host(const Endpoint& known) noexcept : endpoint(&known)
  {
  }
#endif

  host(const char* name) noexcept : text(name) {}                    // NOLINT(*-explicit-*)
  host(const std::string& name) noexcept : text(name) {}             // NOLINT(*-explicit-*)
  host(std::string_view name) noexcept : text(name) {}               // NOLINT(*-explicit-*)
  host(const net::ip::address& known) noexcept : address(&known) {}  // NOLINT(*-explicit-*)

  /// As good as none: the default is meant.
  bool is_empty() const noexcept
  {
#if DGRAM_HAS_UNIX_DATAGRAMS
    if (endpoint != nullptr) return false;
#endif
    return address == nullptr && text.empty();
  }
};

/// The arguments of one call, apart from its callback.
struct call {
  std::array<std::int64_t, 3> numbers{};
  std::size_t count = 0;
  std::optional<host> to;

  template <std::integral Number>
  void add(Number number) noexcept
  {
    // A number too large for the type is too large for a port, and so is what stands for it here.
    numbers[count++] = std::in_range<std::int64_t>(number) ? static_cast<std::int64_t>(number) : -1;
  }

  void add(const host& where) noexcept
  {
    if (!where.is_empty()) to = where;
  }

  /// Takes offset and length from in front of the others.
  void drop_slice() noexcept
  {
    numbers[0] = numbers[2];
    count -= 2;
  }
};

template <class T>
concept call_number =
    std::integral<std::remove_cvref_t<T>> && !std::same_as<std::remove_cvref_t<T>, bool>;

template <class First, class... Args>
inline constexpr bool starts_with = false;
template <class First, class Second, class... Args>
inline constexpr bool starts_with<First, Second, Args...> =
    std::same_as<First, std::remove_cvref_t<Second>>;

/// Addresses of one family are none that could be referred to as any address.
template <class T>
concept family_address = std::same_as<std::remove_cvref_t<T>, net::ip::address_v4> ||
                         std::same_as<std::remove_cvref_t<T>, net::ip::address_v6>;

template <class T>
concept call_address = family_address<T> || std::convertible_to<T, host>;

/// Stands for port and address, or for a path.
template <class T>
concept call_ip_endpoint = is_ip_endpoint<std::remove_cvref_t<T>>;
template <class T>
concept call_unix_endpoint = is_unix_endpoint<std::remove_cvref_t<T>>;

/// How many arguments of each kind a call has, and whether they are in order.
struct call_shape {
  std::size_t numbers = 0;
  std::size_t addresses = 0;
  bool is_ordered = true;
  bool has_path = false;  // an endpoint of a Unix socket

  constexpr void count(bool is_number, bool is_address) noexcept
  {
    if (is_number && addresses > 0) is_ordered = false;
    if (is_number) ++numbers;
    if (is_address) ++addresses;
  }

  /// Bind and connect: the port, which a Unix socket has not.
  constexpr bool is_endpoint(bool has_port) const noexcept
  {
    if (has_port) return numbers <= 1 && !has_path;
    return numbers == 0;
  }

  /// Send: the port, behind offset and length.
  constexpr bool is_datagram(bool has_port) const noexcept
  {
    if (has_port) return numbers <= 3 && !has_path;
    return numbers == 0 || numbers == 2;
  }
};

template <class... Args>
consteval call_shape shape_of()
{
  call_shape shape;
  (shape.count(call_number<Args> || call_ip_endpoint<Args>,
               call_address<Args> || call_ip_endpoint<Args> || call_unix_endpoint<Args>),
   ...);
  shape.has_path = (call_unix_endpoint<Args> || ...);
  return shape;
}

/// Says what is wrong with the arguments where a call that has them is compiled.
template <class... Args>
constexpr void check_place()
{
  static_assert(shape_of<Args...>().addresses <= 1, "there is one address, or one path, at most");
  static_assert(shape_of<Args...>().is_ordered, "numbers come first, and then the address");
}

template <bool HasPort, class... Args>
constexpr void check_endpoint_call()
{
  check_place<Args...>();
  static_assert(
      shape_of<Args...>().is_endpoint(HasPort),
      "the only number is the port, and a Unix socket has none; an endpoint is one of the "
      "socket's own kind");
}

template <bool HasPort, class... Args>
constexpr void check_send_call()
{
  check_place<Args...>();
  static_assert(
      shape_of<Args...>().is_datagram(HasPort),
      "the numbers are offset and length, or the port, or all three; a Unix socket has no port; an "
      "endpoint is one of the socket's own kind");
}

/// Calls `run(call, callback)`, or `run(call)` where there is no callback.
template <class Run>
decltype(auto) parse_call(call& parsed, Run&& run)
{
  return run(parsed);
}

template <class Run, class First, class... Rest>
decltype(auto) parse_call(call& parsed, Run&& run, First&& first, Rest&&... rest)
{
  if constexpr (call_number<First>) {
    parsed.add(first);
    return parse_call(parsed, run, std::forward<Rest>(rest)...);
  } else if constexpr (call_ip_endpoint<First>) {
    const net::ip::address address = first.address();
    parsed.add(first.port());
    parsed.add(host(address));
    return parse_call(parsed, run, std::forward<Rest>(rest)...);
  } else if constexpr (call_unix_endpoint<First>) {
    parsed.add(host(first));
    return parse_call(parsed, run, std::forward<Rest>(rest)...);
  } else if constexpr (family_address<First>) {
    const net::ip::address any_family(first);
    parsed.add(host(any_family));
    return parse_call(parsed, run, std::forward<Rest>(rest)...);
  } else if constexpr (std::convertible_to<First, host>) {
    parsed.add(host(first));
    return parse_call(parsed, run, std::forward<Rest>(rest)...);
  } else {
    static_assert(sizeof...(Rest) == 0, "the callback or completion token is the last argument");
    return run(parsed, std::forward<First>(first));
  }
}

/// `length` bytes from `offset` on, of a message in one piece.
inline bytes_view slice_of(const payload_view& message, std::int64_t offset, std::int64_t length)
{
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

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
