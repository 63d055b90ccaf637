// SPDX-License-Identifier: BSL-1.0
// One stream of a QUIC client: what comes back to it, in a room of fixed size.
#ifndef DGRAM_EXAMPLES_QUIC_STREAM_HPP
#define DGRAM_EXAMPLES_QUIC_STREAM_HPP

#include <ngtcp2/ngtcp2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace quic {

using octets = std::span<const std::uint8_t>;

class stream {
public:
  /// How much the client may send before it has acknowledged what came back.
  static constexpr std::size_t window = std::size_t{128} * 1024;

  bool is_complete = false;  ///< the client has sent all

  /// Takes what the client has sent. The body of an HTTP/3 request comes back as a response.
  /// Returns how many of these bytes need no room.
  std::size_t receive(octets data, bool is_request)
  {
    const octets body = is_request ? without_headers(data) : data;
    append(body);
    return data.size() - body.size();
  }

  /// Whether there is something to send to a client that allows so many bytes.
  bool has_output(std::uint64_t allowed) const
  {
    return written_ < available_ ? allowed > 0 : is_complete && !has_ended_;
  }

  /// The next bytes of the output, as far as they lie in one piece.
  ngtcp2_vec next()
  {
    const std::size_t at = written_ % room_size;
    return {room_.data() + at, std::min<std::size_t>(available_ - written_, room_size - at)};
  }

  bool ends_after(std::uint64_t size) const { return is_complete && written_ + size == available_; }

  void wrote(std::uint64_t size, bool is_end)
  {
    written_ += size;
    has_ended_ = is_end && written_ == available_;
  }

  void acknowledged(std::uint64_t size) { acknowledged_ += size; }

  /// How many bytes of the client occupy the room.
  std::uint64_t kept() const { return available_ - acknowledged_; }

  /// The client wants no more.
  void discard_output() { written_ = available_, is_complete = has_ended_ = true; }

private:
  /// A HEADERS frame with the status 200 and nothing else (RFC 9114, RFC 9204).
  static constexpr std::array<std::uint8_t, 5> ok{0x01, 0x03, 0x00, 0x00, 0xd9};
  static constexpr std::size_t room_size = window + ok.size();

  /// A request begins with a HEADERS frame: its type, its size in 1, 2, 4 or 8 bytes, and so many
  /// bytes. `ok` is the answer to it.
  octets without_headers(octets data)
  {
    for (; !data.empty() && !has_head_; data = data.subspan(1)) {
      head_.push_back(data.front());
      has_head_ = head_.size() > 1 && head_.size() == 1 + (std::size_t{1} << (head_[1] >> 6U));
      if (!has_head_) continue;
      head_[1] &= 0x3f;
      for (const std::uint8_t byte : octets(head_).subspan(1))
        headers_ = headers_ << 8U | byte;
      append(ok);
    }
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(headers_, data.size()));
    headers_ -= skipped;
    return data.subspan(skipped);
  }

  void append(octets data)
  {
    room_.resize(room_size);
    const std::size_t at = available_ % room_size;
    const std::size_t first = std::min(data.size(), room_size - at);
    std::ranges::copy(data.first(first), room_.begin() + static_cast<std::ptrdiff_t>(at));
    std::ranges::copy(data.subspan(first), room_.begin());
    available_ += data.size();
  }

  std::vector<std::uint8_t> room_, head_;
  std::uint64_t headers_ = 0;                                     // bytes still to come
  std::uint64_t available_ = 0, written_ = 0, acknowledged_ = 0;  // of the output, from its start
  bool has_head_ = false, has_ended_ = false;
};

}  // namespace quic

#endif
