// SPDX-License-Identifier: BSL-1.0
// One stream of a QUIC client: what comes back to it, in a room of fixed size.
#ifndef DGRAM_EXAMPLES_QUIC_STREAM_HPP
#define DGRAM_EXAMPLES_QUIC_STREAM_HPP

#include <ngtcp2/ngtcp2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quic {

/// What a client asks for, by ALPN:
///  - `echo`: each stream comes back;
///  - `perf`: a stream begins with a size in 8 bytes, and as many bytes come back
///    (draft-banks-quic-performance);
///  - `h3`: the body of each HTTP/3 request comes back.
enum class service { echo, perf, h3 };

using octets = std::span<const std::uint8_t>;

class stream {
public:
  /// How much the client may send before it has acknowledged what came back.
  static constexpr std::size_t window = std::size_t{128} * 1024;

  /// Takes what the client has sent. Returns how many of these bytes need no room.
  std::size_t receive(service wanted, octets data)
  {
    const std::size_t whole = data.size();
    for (; !data.empty() && head_.size() < head_size(wanted); data = data.subspan(1)) {
      head_.push_back(data.front());
      if (head_.size() == head_size(wanted)) read_head(wanted);
    }
    if (wanted == service::perf) return whole;
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, data.size()));
    skip_ -= skipped;
    append(data.subspan(skipped));
    return whole - (data.size() - skipped);
  }

  /// Whether there is something to send to a client that allows so many bytes.
  bool has_output(std::uint64_t allowed) const
  {
    return written_ < available_ ? allowed > 0 : is_complete && !has_ended_;
  }

  /// The next bytes of the output, as far as they lie in one piece.
  ngtcp2_vec next()
  {
    static std::vector<std::uint8_t> zeros(room_size);
    const std::size_t at = written_ % room_size;
    const auto size = std::min<std::uint64_t>(available_ - written_, room_size - at);
    return {(room_.empty() ? zeros : room_).data() + at, static_cast<std::size_t>(size)};
  }

  bool ends_after(std::uint64_t size) const { return is_complete && written_ + size == available_; }

  void wrote(std::uint64_t size, bool is_end)
  {
    written_ += size;
    has_ended_ = is_end && written_ == available_;
  }

  void acknowledged(std::uint64_t size) { acknowledged_ += size; }

  /// How many bytes of the client occupy the room.
  std::uint64_t kept() const { return room_.empty() ? 0 : available_ - acknowledged_; }

  /// The client wants no more.
  void discard_output() { written_ = available_, is_complete = has_ended_ = true; }

  bool is_complete = false;  ///< the client has sent all

private:
  /// A HEADERS frame with the status 200 and nothing else (RFC 9114, RFC 9204).
  static constexpr std::array<std::uint8_t, 5> ok{0x01, 0x03, 0x00, 0x00, 0xd9};
  static constexpr std::size_t room_size = window + ok.size();

  /// An HTTP/3 request begins with the type of its first frame, and the frame's size in 1, 2, 4 or
  /// 8 bytes.
  std::size_t head_size(service wanted) const
  {
    if (wanted != service::h3) return wanted == service::perf ? 8 : 0;
    return head_.size() < 2 ? 2 : 1 + (std::size_t{1} << (head_[1] >> 6U));
  }

  void read_head(service wanted)
  {
    if (wanted == service::h3) head_[0] = 0, head_[1] &= 0x3f;
    std::uint64_t number = 0;
    for (const std::uint8_t byte : head_)
      number = number << 8U | byte;
    (wanted == service::h3 ? skip_ : available_) = number;
    if (wanted == service::h3) append(ok);
  }

  void append(octets data)
  {
    if (!data.empty()) room_.resize(room_size);
    const std::size_t at = available_ % room_size;
    const std::size_t first = std::min(data.size(), room_size - at);
    std::ranges::copy(data.first(first), room_.begin() + static_cast<std::ptrdiff_t>(at));
    std::ranges::copy(data.subspan(first), room_.begin());
    available_ += data.size();
  }

  std::vector<std::uint8_t> room_, head_;
  std::uint64_t skip_ = 0;
  std::uint64_t available_ = 0, written_ = 0, acknowledged_ = 0;  // of the output, from its start
  bool has_ended_ = false;
};

}  // namespace quic

#endif
