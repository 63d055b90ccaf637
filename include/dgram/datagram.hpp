// SPDX-License-Identifier: BSL-1.0
// One received datagram, and the result of sending several.
#ifndef DGRAM_DATAGRAM_HPP
#define DGRAM_DATAGRAM_HPP

#include <dgram/config.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// Bytes of somebody else's: a `std::span<const std::byte>` that is made of whatever holds bytes, reads as text, and
/// becomes an Asio buffer with `asio::buffer(view)`.
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

  /// An array of characters is a buffer or a text, and does not say which: pass `asio::buffer` or a `string_view`.
  bytes_view(char* text) = delete;

  /// Characters without the terminating zero of a literal.
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

  /// The bytes as characters; UDP knows no encoding, so none is checked.
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data()), size()}; }

  /// A template, since newer Asio makes buffers from spans by itself, and two ways would be one too many.
  template <std::same_as<net::const_buffer> Buffer>
    requires(!std::convertible_to<std::span<const std::byte>, Buffer>)
  operator Buffer() const noexcept  // NOLINT(*-explicit-*)
  {
    return {data(), size()};
  }
};

/// A datagram with memory of its own; see `basic_datagram::to_owned`.
template <class Protocol>
struct basic_owned_datagram {
  std::vector<std::byte> payload;
  typename Protocol::endpoint sender;
  bool truncated = false;
};

/// A received datagram: a view into the batch that received it, valid until the batch is used again.
template <class Protocol>
class basic_datagram {
public:
  using endpoint_type = typename Protocol::endpoint;

  basic_datagram(std::span<std::byte> payload, const endpoint_type& sender, bool truncated,
                 std::optional<std::size_t> wire_size) noexcept
      : payload_(payload), sender_(&sender), wire_size_(wire_size), truncated_(truncated)
  {
  }

  /// The bytes that were received; none for a zero-length datagram, which is a datagram like any other.
  bytes_view payload() const noexcept { return {payload_.data(), payload_.size()}; }

  /// The same, to be changed in place before the batch is sent back (`basic_reply_batch`).
  std::span<std::byte> mutable_payload() const noexcept { return payload_; }

  /// Who sent it. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return *sender_; }

  /// Whether the datagram was larger than its slot, so that the end of it is lost.
  bool truncated() const noexcept { return truncated_; }

  /// The size that the datagram had on the wire, in bytes; absent where it was truncated and the operating
  /// system does not tell (all but Linux).
  std::optional<std::size_t> wire_size() const noexcept { return wire_size_; }

  /// A copy that may be kept.
  basic_owned_datagram<Protocol> to_owned() const
  {
    return {{payload_.begin(), payload_.end()}, *sender_, truncated_};
  }

private:
  std::span<std::byte> payload_;
  const endpoint_type* sender_;
  std::optional<std::size_t> wire_size_;
  bool truncated_;
};

/// How a batch was sent.
struct send_result {
  std::size_t sent = 0;     ///< how many datagrams the kernel took
  std::size_t refused = 0;  ///< how many were dropped by the batch's `on_refused`
  error_code error;  ///< why the first one that is left was not taken; clear when none is left

  /// Adds what a further step moved; the error is that of the last step.
  send_result& operator+=(const send_result& step) noexcept
  {
    sent += step.sent;
    refused += step.refused;
    error = step.error;
    return *this;
  }
};

DGRAM_NAMESPACE_END

#endif
