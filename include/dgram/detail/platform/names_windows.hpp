// SPDX-License-Identifier: BSL-1.0
// The names that Windows gives to socket options, and the arguments that they take.
#ifndef DGRAM_DETAIL_PLATFORM_NAMES_WINDOWS_HPP
#define DGRAM_DETAIL_PLATFORM_NAMES_WINDOWS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/system.hpp>

#include <winsock2.h>

#include <ws2tcpip.h>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace platform {

namespace names {

inline constexpr int ipv6_family = AF_INET6;
inline constexpr int unix_family = AF_UNIX;

/// The name of an option that this system does not have.
inline constexpr int unsupported = -1;

inline constexpr int socket_level = SOL_SOCKET;
inline constexpr int pending_error = SO_ERROR;
inline constexpr int broadcast = SO_BROADCAST;
inline constexpr int reuse_address = SO_REUSEADDR;
inline constexpr int reuse_port = unsupported;
inline constexpr int receive_buffer = SO_RCVBUF;
inline constexpr int send_buffer = SO_SNDBUF;
inline constexpr int forced_receive_buffer = unsupported;
inline constexpr int forced_send_buffer = unsupported;
inline constexpr int busy_poll = unsupported;
inline constexpr int incoming_cpu = unsupported;

inline constexpr int udp_level = IPPROTO_UDP;
inline constexpr int coalescing = unsupported;
inline constexpr int segmentation = unsupported;

inline constexpr int ipv4_level = IPPROTO_IP;
inline constexpr int ipv4_hop_limit = IP_TTL;
inline constexpr int ipv4_multicast_hop_limit = IP_MULTICAST_TTL;
inline constexpr int ipv4_multicast_loopback = IP_MULTICAST_LOOP;
inline constexpr int ipv4_multicast_interface = IP_MULTICAST_IF;
inline constexpr int ipv4_receive_all_groups = unsupported;
inline constexpr int ipv4_traffic_class = IP_TOS;
inline constexpr int ipv4_path_mtu_discovery = unsupported;
inline constexpr int ipv4_do_not_fragment = IP_DONTFRAGMENT;
inline constexpr int ipv4_freebind = unsupported;
inline constexpr int ipv4_transparent = unsupported;

inline constexpr int ipv6_level = IPPROTO_IPV6;
inline constexpr int ipv6_only = IPV6_V6ONLY;
inline constexpr int ipv6_hop_limit = IPV6_UNICAST_HOPS;
inline constexpr int ipv6_multicast_hop_limit = IPV6_MULTICAST_HOPS;
inline constexpr int ipv6_multicast_loopback = IPV6_MULTICAST_LOOP;
inline constexpr int ipv6_multicast_interface = IPV6_MULTICAST_IF;
inline constexpr int ipv6_receive_all_groups = unsupported;
inline constexpr int ipv6_traffic_class = IPV6_TCLASS;
inline constexpr int ipv6_path_mtu_discovery = unsupported;
inline constexpr int ipv6_do_not_fragment = IPV6_DONTFRAG;
inline constexpr int ipv6_freebind = unsupported;
inline constexpr int ipv6_transparent = unsupported;

inline constexpr int fragments_forbidden = 1;
inline constexpr int fragments_allowed = 0;

inline constexpr int device_level(int) noexcept
{
  return SOL_SOCKET;
}

/// IP_UNICAST_IF does not fit: it selects only the interface for sends.
inline constexpr int device_name(int) noexcept
{
  return unsupported;
}

// RFC 3678, section 5: one name for both families; an index selects the interface.
inline constexpr int join_group = MCAST_JOIN_GROUP;
inline constexpr int leave_group = MCAST_LEAVE_GROUP;
inline constexpr int join_source = MCAST_JOIN_SOURCE_GROUP;
inline constexpr int leave_source = MCAST_LEAVE_SOURCE_GROUP;
inline constexpr int block_source = MCAST_BLOCK_SOURCE;
inline constexpr int unblock_source = MCAST_UNBLOCK_SOURCE;

}  // namespace names

inline constexpr bool forbids_fragments(int value) noexcept
{
  return value != names::fragments_allowed;
}

/// The argument of IP_MULTICAST_IF: an address, or an index in the form of one (0.x.x.x).
using interface_request = std::uint32_t;

inline interface_request make_interface_request(unsigned interface_index,
                                                const net::ip::address_v4& address) noexcept
{
  return htonl(address.is_unspecified() ? interface_index
                                        : static_cast<std::uint32_t>(address.to_uint()));
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
