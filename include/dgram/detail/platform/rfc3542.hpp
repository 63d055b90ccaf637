// SPDX-License-Identifier: BSL-1.0
// The names of RFC 3542 for IPv6 options and control messages, which macOS hides by default.
#ifndef DGRAM_DETAIL_PLATFORM_RFC3542_HPP
#define DGRAM_DETAIL_PLATFORM_RFC3542_HPP

#include <dgram/config.hpp>

#if !defined(_WIN32)
#include <netinet/in.h>
#endif

DGRAM_NAMESPACE_BEGIN

namespace platform::rfc3542 {

#if defined(__APPLE__)

// <netinet6/in6.h> has these only if __APPLE_USE_RFC_3542 was defined before its first inclusion,
// which may be the program's. Another macro gives IPV6_PKTINFO the meaning of the older RFC 2292.
inline constexpr int receive_hop_limit = 37;
inline constexpr int packet_info = 46;
inline constexpr int hop_limit = 47;
inline constexpr int receive_packet_info = 61;
inline constexpr int do_not_fragment = 62;
#if defined(IPV6_3542PKTINFO)
static_assert(receive_hop_limit == IPV6_RECVHOPLIMIT);
static_assert(packet_info == IPV6_3542PKTINFO);
static_assert(hop_limit == IPV6_3542HOPLIMIT);
static_assert(receive_packet_info == IPV6_RECVPKTINFO);
static_assert(do_not_fragment == IPV6_DONTFRAG);
#endif

#else

inline constexpr int packet_info = IPV6_PKTINFO;
inline constexpr int hop_limit = IPV6_HOPLIMIT;
inline constexpr int do_not_fragment = IPV6_DONTFRAG;
#if defined(_WIN32)
inline constexpr int receive_packet_info = IPV6_PKTINFO;
inline constexpr int receive_hop_limit = IPV6_HOPLIMIT;
#else
inline constexpr int receive_packet_info = IPV6_RECVPKTINFO;
inline constexpr int receive_hop_limit = IPV6_RECVHOPLIMIT;
#endif

#endif

}  // namespace platform::rfc3542

DGRAM_NAMESPACE_END

#endif
