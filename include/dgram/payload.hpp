// SPDX-License-Identifier: BSL-1.0
// The bytes of one datagram to send, in one piece or in several.
#ifndef DGRAM_PAYLOAD_HPP
#define DGRAM_PAYLOAD_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <span>  // and the concepts of ranges: <ranges> itself is slow to compile
#include <string_view>
#include <type_traits>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// The payload that an emitter sends. It is created from anything that holds bytes (a string,
/// vector, span, `asio::buffer`), or from a list or range of these. At most 64 pieces are gathered
/// into one datagram. An empty payload is a zero-length datagram. The view refers to the bytes and
/// does not copy them.
///
/// Throws `system_error` (`error::out_of_range`) for more than 64 pieces.
class payload_view {
public:
  using value_type = net::const_buffer;
  using const_iterator = const net::const_buffer*;

  payload_view() noexcept = default;

  template <class Bytes>
    requires std::convertible_to<const Bytes&, bytes_view>
  payload_view(const Bytes& bytes) noexcept  // NOLINT(*-explicit-*)
  {
    add(bytes);
  }

  payload_view(const char8_t* text) noexcept  // NOLINT(*-explicit-*)
      : payload_view(std::u8string_view(text))
  {
  }

  payload_view(std::initializer_list<bytes_view> pieces)
  {
    for (const auto& piece : pieces)
      add_checked(piece);
  }

  template <std::ranges::input_range Range>
    requires(!std::convertible_to<const Range&, bytes_view> &&
             std::convertible_to<std::ranges::range_reference_t<const Range>, bytes_view>)
  payload_view(const Range& pieces)  // NOLINT(*-explicit-*)
  {
    for (const auto& piece : pieces)
      add_checked(piece);
  }

  payload_view(const payload_view&) = delete;
  payload_view& operator=(const payload_view&) = delete;

  const_iterator begin() const noexcept
  {
    return std::launder(reinterpret_cast<const net::const_buffer*>(storage_));
  }
  const_iterator end() const noexcept { return begin() + count_; }

  std::size_t pieces() const noexcept { return count_; }
  std::size_t size() const noexcept { return size_; }

  /// The first piece; empty if there is none.
  bytes_view front() const noexcept
  {
    if (count_ == 0) return {};
    return {static_cast<const std::byte*>(begin()->data()), begin()->size()};
  }

  std::vector<std::byte> copy() const
  {
    std::vector<std::byte> bytes(size_);
    net::buffer_copy(net::buffer(bytes), *this);
    return bytes;
  }

private:
  void add(bytes_view piece) noexcept
  {
    ::new (static_cast<void*>(storage_ + count_ * sizeof(net::const_buffer)))
        net::const_buffer(piece.data(), piece.size());
    ++count_;
    size_ += piece.size();
  }

  void add_checked(bytes_view piece)
  {
    if (count_ == platform::max_buffers_per_datagram)
      detail::refuse("send", error::out_of_range, "more than 64 pieces");
    add(piece);
  }

  // Raw storage, because most datagrams have one piece and need not pay for 64.
  alignas(net::const_buffer)
      std::byte storage_[platform::max_buffers_per_datagram * sizeof(net::const_buffer)];
  std::size_t count_ = 0;
  std::size_t size_ = 0;
};

DGRAM_NAMESPACE_END

#endif
