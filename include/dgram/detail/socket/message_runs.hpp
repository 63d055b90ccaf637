// SPDX-License-Identifier: BSL-1.0
// Decides which datagrams can leave together as one message.
#ifndef DGRAM_DETAIL_SOCKET_MESSAGE_RUNS_HPP
#define DGRAM_DETAIL_SOCKET_MESSAGE_RUNS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/socket/protocols.hpp>

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
