// SPDX-License-Identifier: BSL-1.0
// Decides which datagrams can leave together as one message.
#ifndef DGRAM_DETAIL_SOCKET_MESSAGE_RUNS_HPP
#define DGRAM_DETAIL_SOCKET_MESSAGE_RUNS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/socket/protocols.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether two endpoints are the same for the kernel, including scope and flow label. This is
/// cheaper than a comparison of addresses.
template <class Endpoint>
bool same_bytes(const Endpoint& a, const Endpoint& b) noexcept
{
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

/// The same without a function call, since it runs for each datagram that is pushed.
DGRAM_INLINE inline bool same_bytes(const net::ip::udp::endpoint& a,
                                    const net::ip::udp::endpoint& b) noexcept
{
  const auto is_same_at = [&](std::size_t offset) {
    std::uint64_t left = 0;
    std::uint64_t right = 0;
    std::memcpy(&left, reinterpret_cast<const std::byte*>(a.data()) + offset, sizeof left);
    std::memcpy(&right, reinterpret_cast<const std::byte*>(b.data()) + offset, sizeof right);
    return left == right;
  };
  static_assert(sizeof(::sockaddr_in) == 16 && sizeof(::sockaddr_in6) == 28);
  // The first bytes have the family, which decides the size.
  if (!is_same_at(0) || !is_same_at(8)) return false;
  return a.size() == sizeof(::sockaddr_in) || (is_same_at(16) && is_same_at(20));
}

/// Asio's comparison is a function call.
inline bool same_address(const net::ip::address& a, const net::ip::address& b) noexcept
{
  if (a.is_v4() != b.is_v4()) return false;
  return a.is_v4() ? a.to_v4() == b.to_v4() : a.to_v6() == b.to_v6();
}

/// Whether two ways back are the same for the kernel.
template <class Path>
bool same_path(const Path& a, const Path& b) noexcept
{
  return same_bytes(a.peer, b.peer) && a.interface_index == b.interface_index &&
         same_address(a.source, b.source);
}

/// A datagram for a mapped address leaves over IPv4.
inline std::size_t max_payload_size(const net::ip::udp::endpoint& peer) noexcept
{
  if (peer.size() != sizeof(::sockaddr_in6)) return max_ipv4_payload;
  return peer.address().to_v6().is_v4_mapped() ? max_ipv4_payload : max_ipv6_payload;
}

#if DGRAM_HAS_UNIX_DATAGRAMS
/// For Unix sockets, the send buffer sets the limit, and only the kernel knows it.
inline std::size_t max_payload_size(const net::local::datagram_protocol::endpoint&) noexcept
{
  return std::numeric_limits<std::size_t>::max();
}
#endif

inline std::size_t count_datagrams(std::size_t size, std::size_t segment) noexcept
{
  return segment > 0 && size > 0 ? (size - 1) / segment + 1 : 1;
}

/// Datagrams that leave together if the path allows it. They are neighbours for one peer, ask for
/// the same, and have one size; only the last may be shorter. `push` of a batch builds the runs.
template <class Endpoint>
struct datagram_run {
  std::size_t first_buffer = 0;
  std::size_t buffers = 0;  // with which each datagram was pushed
  std::size_t datagrams = 0;
  std::size_t each = 0;     // bytes
  std::size_t bytes = 0;    // of all of them
  std::size_t number = 0;   // of the first one, if its peer may be full; see `front_number`
  std::size_t full_at = 0;  // the most bytes that they may have
  // The size of the largest datagram that can still join; 0: none can.
  std::size_t next_at_most = 0;
  std::uint32_t request = 0;  // what they ask for, counted from 1; 0: nothing
  bool in_one_piece = false;  // side by side in memory, from the first buffer on
  bool is_split = false;      // they leave one by one, because the kernel refused them together
  bool addressed = false;
  bool is_plain = false;  // they have a peer and one buffer each, and ask for nothing
  Endpoint peer;

  /// Begins with one datagram, whose buffers end before `end_buffer`. It fits, and there is room
  /// for at most `most` datagrams of `most_bytes` bytes in all.
  void begin(std::size_t size, std::size_t buffer_count, std::size_t end_buffer, const Endpoint* to,
             std::uint32_t what, std::size_t most, std::size_t most_bytes) noexcept
  {
    first_buffer = end_buffer - buffer_count;
    buffers = buffer_count;
    datagrams = 1;
    each = bytes = size;
    request = what;
    is_split = false;
    next_at_most = size;
    addressed = to != nullptr;
    is_plain = to != nullptr && buffer_count == 1 && what == 0;
    if (to != nullptr)
      peer = *to;
    else
      peer = Endpoint();
    full_at = std::min(most_datagrams(buffer_count), most) * size;
    limit(std::min(max_payload_size(peer), most_bytes));
  }

  /// Lets it have at most so many bytes. Those that it has fit.
  void limit(std::size_t most_bytes) noexcept
  {
    full_at = std::min(full_at, most_bytes);
    next_at_most = full_at > bytes ? std::min(next_at_most, full_at - bytes) : 0;
  }

  /// Whether a datagram of this size can join. An empty one never can: the subtraction wraps.
  bool has_room(std::size_t size) const noexcept { return size - 1 < next_at_most; }

  bool is_joined_by(std::size_t size, std::size_t buffer_count, const Endpoint* to,
                    std::uint32_t what) const noexcept
  {
    return has_room(size) && buffer_count == buffers && what == request &&
           addressed == (to != nullptr) && (to == nullptr || same_bytes(*to, peer));
  }

  /// The same for a datagram in one buffer that asks for nothing.
  DGRAM_INLINE bool is_joined_by(std::size_t size, const Endpoint& to) const noexcept
  {
    return has_room(size) && is_plain && same_bytes(to, peer);
  }

  DGRAM_INLINE void add(std::size_t size) noexcept
  {
    bytes += size;
    ++datagrams;
    next_at_most = size < each ? 0 : std::min(each, full_at - bytes);
  }

  std::size_t first_bytes(std::size_t count) const noexcept
  {
    return std::min(count * each, bytes);
  }

private:
  /// How many datagrams of so many buffers each one message may have.
  static std::size_t most_datagrams(std::size_t buffer_count) noexcept
  {
    if (buffer_count <= 1) [[likely]]
      return platform::backend::max_segments;
    return std::min(platform::backend::max_segments, platform::max_buffers / buffer_count);
  }
};

/// How many datagrams one message may have. An old kernel takes fewer; the first long message finds
/// that out.
class segment_limit {
public:
  std::size_t now() const noexcept
  {
    return tries_shorter_ ? platform::backend::sure_segments : platform::segment_limit();
  }

  /// Called when the kernel refused a message of this many. Returns false if there is no shorter
  /// form to try.
  bool try_shorter(std::size_t datagrams) noexcept
  {
    if (datagrams <= platform::backend::sure_segments) return false;
    tries_shorter_ = true;
    return true;
  }

  void sent() noexcept
  {
    if (std::exchange(tries_shorter_, false)) [[unlikely]]
      platform::note_old_segment_limit();
  }

  /// Called when the length was not the cause.
  void given_up() noexcept { tries_shorter_ = false; }

private:
  bool tries_shorter_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
