// SPDX-License-Identifier: BSL-1.0
// The pieces of one datagram in the kernel's form, and the limit on their number.
#ifndef DGRAM_DETAIL_SOCKET_BUFFER_LIST_HPP
#define DGRAM_DETAIL_SOCKET_BUFFER_LIST_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/socket/protocols.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether these are buffers of Asio's. If not, the assertion says so; otherwise the compiler would
/// report errors inside Asio. An array of characters may be a text or a buffer, and only the caller
/// knows which.
template <class Buffers>
consteval bool are_buffers()
{
  constexpr bool fits = net::is_const_buffer_sequence<Buffers>::value;
  static_assert(
      fits,
      "a single send or receive takes buffers of Asio's: asio::buffer(data), or for a text "
      "asio::buffer(std::string_view(\"text\")), which leaves out the terminating zero");
  return fits;
}

/// Whether a buffer sequence has more pieces than one datagram may have. Asio leaves out the pieces
/// that are too many.
template <class Buffers>
bool has_too_many_pieces(const Buffers& buffers)
{
  if constexpr (std::is_convertible_v<const Buffers&, net::const_buffer>) {
    return false;
  } else {
    auto next = net::buffer_sequence_begin(buffers);
    const auto last = net::buffer_sequence_end(buffers);
    for (std::size_t count = 0; next != last; ++next)
      if (++count > platform::max_buffers_per_datagram) return true;
    return false;
  }
}

/// Says how large a payload is that was refused, and what the protocol allows if it is beyond that:
/// `65508 bytes; at most 65507`.
template <class Protocol>
std::string too_large(std::size_t bytes, bool v4)
{
  std::string text = std::to_string(bytes) + " bytes";
  if (is_beyond_protocol<Protocol>(bytes, v4))
    text.append("; at most ").append(std::to_string(v4 ? max_ipv4_payload : max_ipv6_payload));
  return text;
}

/// How large a payload is, for the text of an error.
struct payload_size {
  /// The payload has passed the compile-time checks of a send.
  template <class ConstBuffers>
  explicit payload_size(const ConstBuffers& buffers)
  {
    if constexpr (net::is_const_buffer_sequence<ConstBuffers>::value) {
      bytes = net::buffer_size(buffers);
      pieces = static_cast<std::size_t>(
          std::distance(net::buffer_sequence_begin(buffers), net::buffer_sequence_end(buffers)));
    }
  }

  /// Returns text such as ` with 65508 bytes (at most 65507)`.
  template <class Protocol>
  std::string describe(bool v4) const
  {
    const auto counted = [](std::size_t count, const char* what) {
      return std::string(" with ").append(std::to_string(count)).append(what);
    };
    const auto at_most = [](std::size_t most) {
      return std::string(" (at most ").append(std::to_string(most)).append(")");
    };
    if (pieces > platform::max_buffers_per_datagram)
      return counted(pieces, " buffers").append(at_most(platform::max_buffers_per_datagram));
    std::string text = counted(bytes, " bytes");
    if (is_beyond_protocol<Protocol>(bytes, v4))
      text.append(at_most(v4 ? max_ipv4_payload : max_ipv6_payload));
    return text;
  }

  std::size_t bytes = 0;
  std::size_t pieces = 0;
};

/// A buffer sequence in the kernel's form; `is_whole` is false if it has too many pieces.
class buffer_list {
public:
  template <class Buffers>
  explicit buffer_list(const Buffers& buffers)
  {
    if constexpr (are_buffers<Buffers>()) {
      auto next = net::buffer_sequence_begin(buffers);
      const auto last = net::buffer_sequence_end(buffers);
      for (; next != last && count_ < buffers_.size(); ++next) {
        const net::const_buffer one(*next);
        buffers_[count_++] = platform::make_buffer(one.data(), one.size());
        total_ += std::min(one.size(), std::numeric_limits<std::size_t>::max() - total_);
      }
      is_whole_ = next == last;
    }
  }

  void describe(platform::message& message) noexcept
  {
    message.set_buffers(buffers_.data(), count_);
  }

  std::size_t total() const noexcept { return total_; }
  bool is_whole() const noexcept { return is_whole_; }

private:
  std::array<platform::buffer, platform::max_buffers_per_datagram> buffers_;
  std::size_t count_ = 0;
  std::size_t total_ = 0;
  bool is_whole_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
