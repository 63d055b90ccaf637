// SPDX-License-Identifier: BSL-1.0
// A view of bytes that converts from any container of bytes, and to text and buffers.
#ifndef DGRAM_BYTES_VIEW_HPP
#define DGRAM_BYTES_VIEW_HPP

#include <dgram/config.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// A `std::span<const std::byte>` that does not own its bytes. It converts from containers of
/// bytes, reads as text, and becomes an Asio buffer with `asio::buffer(view)`.
class bytes_view : public std::span<const std::byte> {
public:
  constexpr bytes_view() noexcept = default;

  bytes_view(const void* data, std::size_t size) noexcept
      : std::span<const std::byte>(static_cast<const std::byte*>(data), size)
  {
  }

  bytes_view(net::const_buffer buffer) noexcept  // NOLINT(*-explicit-*)
      : bytes_view(buffer.data(), buffer.size())
  {
  }

  bytes_view(net::mutable_buffer buffer) noexcept  // NOLINT(*-explicit-*)
      : bytes_view(buffer.data(), buffer.size())
  {
  }

  /// Deleted, because an array of characters may be a buffer or a text. Pass `asio::buffer` or a
  /// `string_view`.
  bytes_view(char* text) = delete;

  /// The characters of a literal, without the terminating zero.
  bytes_view(const char* text) noexcept  // NOLINT(*-explicit-*)
      : bytes_view(std::string_view(text).data(), std::string_view(text).size())
  {
  }

  /// The bytes of a string, vector, array or view of numbers, characters or bytes.
  template <std::ranges::contiguous_range Range>
    requires(std::ranges::sized_range<Range> && !std::is_array_v<std::remove_cvref_t<Range>> &&
             (std::is_arithmetic_v<std::ranges::range_value_t<Range>> ||
              std::is_enum_v<std::ranges::range_value_t<Range>>))
  bytes_view(const Range& range) noexcept  // NOLINT(*-explicit-*)
      : bytes_view(std::ranges::data(range),
                   std::ranges::size(range) * sizeof(std::ranges::range_value_t<Range>))
  {
  }

  /// The bytes as characters. UDP has no encoding, so no encoding is checked.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data()), size()}; }

  /// The bytes as C libraries take them. Valid as long as the bytes.
  std::span<const unsigned char> octets() const noexcept
  {
    return {reinterpret_cast<const unsigned char*>(data()), size()};
  }

  /// A copy of the bytes as characters.
  ///
  /// \code
  /// dgram::bytes_view view = "payload";
  /// std::string kept{view};
  /// \endcode
  explicit operator std::string() const { return std::string(text()); }

  /// A template that newer Asio disables: there buffers convert from spans, and two conversions
  /// would be ambiguous.
  template <std::same_as<net::const_buffer> Buffer>
    requires(!std::convertible_to<std::span<const std::byte>, Buffer>)
  operator Buffer() const noexcept  // NOLINT(*-explicit-*)
  {
    return {data(), size()};
  }
};

/// A copy that owns the bytes.
inline std::vector<std::byte> to_owned(bytes_view bytes)
{
  return {bytes.begin(), bytes.end()};
}

namespace detail {

/// A string, vector or array of bytes or numbers that is destroyed at the end of its expression.
template <class T>
concept temporary_owner =
    !std::is_reference_v<T> && std::ranges::range<T> && !std::ranges::view<T> &&
    !std::ranges::borrowed_range<T> && !std::derived_from<T, bytes_view> &&
    std::is_arithmetic_v<std::conditional_t<std::is_enum_v<std::ranges::range_value_t<T>>, int,
                                            std::ranges::range_value_t<T>>>;

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
