// SPDX-License-Identifier: BSL-1.0
// The arguments of bind, connect and send: numbers, an address, a callback, each of which may be left out.
#ifndef DGRAM_EMITTER_ARGUMENTS_HPP
#define DGRAM_EMITTER_ARGUMENTS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/emitter/payload.hpp>
#include <dgram/error.hpp>

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

/// An address, or a name that stands for one. It refers to the text.
struct host {
  std::string_view text;
  std::optional<net::ip::address> address;

  host(const char* name) noexcept : text(name) {}                      // NOLINT(*-explicit-*)
  host(const std::string& name) noexcept : text(name) {}               // NOLINT(*-explicit-*)
  host(std::string_view name) noexcept : text(name) {}                 // NOLINT(*-explicit-*)
  host(const net::ip::address& known) noexcept : address(known) {}     // NOLINT(*-explicit-*)
  host(const net::ip::address_v4& known) noexcept : address(known) {}  // NOLINT(*-explicit-*)
  host(const net::ip::address_v6& known) noexcept : address(known) {}  // NOLINT(*-explicit-*)
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
};

template <class T>
concept call_number =
    std::integral<std::remove_cvref_t<T>> && !std::same_as<std::remove_cvref_t<T>, bool>;

template <class First, class... Args>
inline constexpr bool starts_with = false;
template <class First, class Second, class... Args>
inline constexpr bool starts_with<First, Second, Args...> =
    std::same_as<First, std::remove_cvref_t<Second>>;

/// Calls `run(call, callback)`, or `run(call)` where there is no callback.
template <class Run>
decltype(auto) parse_call(const call& parsed, Run run)
{
  return run(parsed);
}

template <class Run, class First, class... Rest>
// NOLINTNEXTLINE(performance-unnecessary-value-param): most of them add to it
decltype(auto) parse_call(call parsed, Run run, First&& first, Rest&&... rest)
{
  if constexpr (call_number<First>) {
    parsed.add(first);
    return parse_call(std::move(parsed), std::move(run), std::forward<Rest>(rest)...);
  } else if constexpr (std::convertible_to<First, host>) {
    const host to = first;
    // As good as none: the default is meant.
    if (to.address || !to.text.empty()) parsed.to = to;
    return parse_call(std::move(parsed), std::move(run), std::forward<Rest>(rest)...);
  } else {
    static_assert(sizeof...(Rest) == 0, "the callback or completion token is the last argument");
    return run(parsed, std::forward<First>(first));
  }
}

/// `length` bytes from `offset` on, of a message in one piece.
inline bytes_view slice_of(const payload_view& message, std::int64_t offset, std::int64_t length)
{
  const auto size = static_cast<std::int64_t>(message.size());
  if (message.pieces() > 1) throw_if(error::out_of_range, "send: offset and length of a list");
  if (offset < 0 || offset > size) throw_if(error::out_of_range, "send: offset");
  if (length < 0 || length > size - offset) throw_if(error::out_of_range, "send: length");
  if (message.pieces() == 0) return {};
  return {static_cast<const std::byte*>(message.begin()->data()) + offset,
          static_cast<std::size_t>(length)};
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
