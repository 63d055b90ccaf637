// SPDX-License-Identifier: BSL-1.0
// The names that the operating system gives to socket options, and the arguments that they take.
#ifndef DGRAM_DETAIL_PLATFORM_NAMES_HPP
#define DGRAM_DETAIL_PLATFORM_NAMES_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/rfc3542.hpp>
#include <dgram/detail/platform/system.hpp>

#if defined(_WIN32)
#include <dgram/detail/platform/names_windows.hpp>
#else
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#endif

#if defined(__linux__)
#include <linux/net_tstamp.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

DGRAM_NAMESPACE_BEGIN

namespace platform {

#if !defined(_WIN32)

namespace names {

inline constexpr int ipv6_family = AF_INET6;
inline constexpr int unix_family = AF_UNIX;

/// The name of an option that this system does not have.
inline constexpr int unsupported = -1;

inline constexpr int socket_level = SOL_SOCKET;
inline constexpr int pending_error = SO_ERROR;
inline constexpr int broadcast = SO_BROADCAST;
inline constexpr int reuse_address = SO_REUSEADDR;
inline constexpr int reuse_port = SO_REUSEPORT;
inline constexpr int receive_buffer = SO_RCVBUF;
inline constexpr int send_buffer = SO_SNDBUF;

inline constexpr int udp_level = IPPROTO_UDP;
#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
inline constexpr int coalescing = UDP_GRO;
inline constexpr int segmentation = UDP_SEGMENT;
#else
inline constexpr int coalescing = unsupported;
inline constexpr int segmentation = unsupported;
#endif

inline constexpr int ipv4_level = IPPROTO_IP;
inline constexpr int ipv4_hop_limit = IP_TTL;
inline constexpr int ipv4_multicast_hop_limit = IP_MULTICAST_TTL;
inline constexpr int ipv4_multicast_loopback = IP_MULTICAST_LOOP;
inline constexpr int ipv4_multicast_interface = IP_MULTICAST_IF;
inline constexpr int ipv4_traffic_class = IP_TOS;

inline constexpr int ipv6_level = IPPROTO_IPV6;
inline constexpr int ipv6_only = IPV6_V6ONLY;
inline constexpr int ipv6_hop_limit = IPV6_UNICAST_HOPS;
inline constexpr int ipv6_multicast_hop_limit = IPV6_MULTICAST_HOPS;
inline constexpr int ipv6_multicast_loopback = IPV6_MULTICAST_LOOP;
inline constexpr int ipv6_multicast_interface = IPV6_MULTICAST_IF;
inline constexpr int ipv6_traffic_class = IPV6_TCLASS;

#if defined(__linux__)
inline constexpr int forced_receive_buffer = SO_RCVBUFFORCE;
inline constexpr int forced_send_buffer = SO_SNDBUFFORCE;
inline constexpr int busy_poll = SO_BUSY_POLL;
inline constexpr int incoming_cpu = SO_INCOMING_CPU;
inline constexpr int ipv4_receive_all_groups = IP_MULTICAST_ALL;
inline constexpr int ipv6_receive_all_groups = IPV6_MULTICAST_ALL;
inline constexpr int ipv4_path_mtu_discovery = IP_MTU_DISCOVER;
inline constexpr int ipv6_path_mtu_discovery = IPV6_MTU_DISCOVER;
inline constexpr int ipv4_freebind = IP_FREEBIND;
inline constexpr int ipv6_freebind = IPV6_FREEBIND;
inline constexpr int ipv4_transparent = IP_TRANSPARENT;
inline constexpr int ipv6_transparent = IPV6_TRANSPARENT;
#else
inline constexpr int forced_receive_buffer = unsupported;
inline constexpr int forced_send_buffer = unsupported;
inline constexpr int busy_poll = unsupported;
inline constexpr int incoming_cpu = unsupported;
inline constexpr int ipv4_receive_all_groups = unsupported;
inline constexpr int ipv6_receive_all_groups = unsupported;
inline constexpr int ipv4_path_mtu_discovery = unsupported;
inline constexpr int ipv6_path_mtu_discovery = unsupported;
inline constexpr int ipv4_freebind = unsupported;
inline constexpr int ipv6_freebind = unsupported;
inline constexpr int ipv4_transparent = unsupported;
inline constexpr int ipv6_transparent = unsupported;
#endif

// Linux has modes (ip(7), IP_MTU_DISCOVER): two forbid fragments, and one allows them everywhere.
// Other systems have a switch.
#if defined(__linux__)
inline constexpr int ipv4_do_not_fragment = IP_MTU_DISCOVER;
inline constexpr int ipv6_do_not_fragment = IPV6_MTU_DISCOVER;
inline constexpr int fragments_forbidden = IP_PMTUDISC_DO;
inline constexpr int fragments_allowed = IP_PMTUDISC_DONT;
#else
#if defined(IP_DONTFRAG)
inline constexpr int ipv4_do_not_fragment = IP_DONTFRAG;
#else
inline constexpr int ipv4_do_not_fragment = unsupported;
#endif
inline constexpr int ipv6_do_not_fragment = rfc3542::do_not_fragment;
inline constexpr int fragments_forbidden = 1;
inline constexpr int fragments_allowed = 0;
#endif

/// Binds to a device by its index: on Linux (5.0) for both families at once, on macOS in two parts.
#if defined(__linux__)
inline constexpr int device_level(int) noexcept
{
  return SOL_SOCKET;
}
inline constexpr int device_name(int) noexcept
{
  return SO_BINDTOIFINDEX;
}
#elif defined(IP_BOUND_IF) && defined(IPV6_BOUND_IF)
inline constexpr int device_level(int family) noexcept
{
  return family == ipv6_family ? IPPROTO_IPV6 : IPPROTO_IP;
}
inline constexpr int device_name(int family) noexcept
{
  return family == ipv6_family ? IPV6_BOUND_IF : IP_BOUND_IF;
}
#else
inline constexpr int device_level(int) noexcept
{
  return SOL_SOCKET;
}
inline constexpr int device_name(int) noexcept
{
  return unsupported;
}
#endif

#if defined(MCAST_JOIN_GROUP)
// RFC 3678, section 5: one name for both families; an index selects the interface.
inline constexpr int join_group = MCAST_JOIN_GROUP;
inline constexpr int leave_group = MCAST_LEAVE_GROUP;
inline constexpr int join_source = MCAST_JOIN_SOURCE_GROUP;
inline constexpr int leave_source = MCAST_LEAVE_SOURCE_GROUP;
inline constexpr int block_source = MCAST_BLOCK_SOURCE;
inline constexpr int unblock_source = MCAST_UNBLOCK_SOURCE;
#else
// NetBSD has only the older options. Its kernel refuses these numbers, and platform::older finds
// the older option for each.
inline constexpr int join_group = -2;
inline constexpr int leave_group = -3;
inline constexpr int join_source = -4;
inline constexpr int leave_source = -5;
inline constexpr int block_source = -6;
inline constexpr int unblock_source = -7;
#endif

}  // namespace names

/// Whether this value of the option forbids fragments. On Linux, two modes do.
inline constexpr bool forbids_fragments(int value) noexcept
{
#if defined(__linux__)
  return value == IP_PMTUDISC_DO || value == IP_PMTUDISC_PROBE;
#else
  return value != names::fragments_allowed;
#endif
}

#if defined(__NetBSD__)

/// The argument of IP_MULTICAST_IF. In an address below 1.0.0.0, the number is an index (RFC 1724,
/// section 3.3). The kernel selects the sender's address.
using interface_request = ::in_addr;

inline interface_request make_interface_request(unsigned interface_index,
                                                const net::ip::address_v4&) noexcept
{
  interface_request request{};
  request.s_addr = htonl(interface_index);
  return request;
}

#else

/// The argument of IP_MULTICAST_IF that takes an index (ip(7)); IPv6 takes the bare index.
using interface_request = ::ip_mreqn;

/// A given `address` becomes the sender's if the socket is bound to no address.
inline interface_request make_interface_request(unsigned interface_index,
                                                const net::ip::address_v4& address) noexcept
{
  interface_request request{};
  request.imr_ifindex = static_cast<int>(interface_index);
  request.imr_address.s_addr = htonl(address.to_uint());
  return request;
}

#endif
#endif

namespace names {

// Options that make the kernel add a control message to each datagram that it delivers.
#if defined(IP_PKTINFO)
inline constexpr int ipv4_packet_info = IP_PKTINFO;
inline constexpr bool ipv4_info_has_interface = true;
#elif defined(IP_RECVDSTADDR) && defined(IP_SENDSRCADDR)
inline constexpr int ipv4_packet_info = IP_RECVDSTADDR;  // FreeBSD, OpenBSD
inline constexpr bool ipv4_info_has_interface = false;
#else
inline constexpr int ipv4_packet_info = unsupported;
inline constexpr bool ipv4_info_has_interface = false;
#endif
inline constexpr int ipv6_packet_info = rfc3542::receive_packet_info;
#if defined(IP_RECVTOS)
inline constexpr int ipv4_receive_traffic_class = IP_RECVTOS;
#else
inline constexpr int ipv4_receive_traffic_class = unsupported;
#endif
#if defined(IPV6_RECVTCLASS)
inline constexpr int ipv6_receive_traffic_class = IPV6_RECVTCLASS;
#else
inline constexpr int ipv6_receive_traffic_class = unsupported;
#endif
#if defined(IP_RECVTTL)
inline constexpr int ipv4_receive_hop_limit = IP_RECVTTL;
#else
inline constexpr int ipv4_receive_hop_limit = unsupported;
#endif
inline constexpr int ipv6_receive_hop_limit = rfc3542::receive_hop_limit;

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
inline constexpr int timestamps = SO_TIMESTAMPING;
inline constexpr int older_timestamps = SO_TIMESTAMP;  // of receives only, in microseconds
inline constexpr int receive_timestamps_value =
    SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_SOFTWARE |
    SOF_TIMESTAMPING_RAW_HARDWARE;
// For datagrams that ask for a time. The kernel reports the datagram's number, and keeps no copy.
inline constexpr int send_timestamps_value = SOF_TIMESTAMPING_SOFTWARE |
                                             SOF_TIMESTAMPING_RAW_HARDWARE |
                                             SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
inline constexpr int drop_count = SO_RXQ_OVFL;
inline constexpr int pass_credentials = SO_PASSCRED;
inline constexpr int ipv4_receive_error = IP_RECVERR;
inline constexpr int ipv6_receive_error = IPV6_RECVERR;
inline constexpr int transmit_time = SO_TXTIME;
inline constexpr int ipv4_mtu = IP_MTU;
inline constexpr int ipv6_mtu = IPV6_MTU;
#else
inline constexpr int older_timestamps = unsupported;
#if defined(SO_TIMESTAMP) && !defined(_WIN32)
inline constexpr int timestamps = SO_TIMESTAMP;
#else
inline constexpr int timestamps = unsupported;
#endif
inline constexpr int receive_timestamps_value = 1;
inline constexpr int send_timestamps_value = 0;
inline constexpr int drop_count = unsupported;
inline constexpr int pass_credentials = unsupported;
inline constexpr int ipv4_receive_error = unsupported;
inline constexpr int ipv6_receive_error = unsupported;
inline constexpr int transmit_time = unsupported;
inline constexpr int ipv4_mtu = unsupported;
inline constexpr int ipv6_mtu = unsupported;
#endif

}  // namespace names

#if defined(__NetBSD__)
/// What stands for the arguments of RFC 3678, which the kernel does not know.
struct group_request {
  unsigned gr_interface;
  ::sockaddr_storage gr_group;
};
struct source_request {
  unsigned gsr_interface;
  ::sockaddr_storage gsr_group;
  ::sockaddr_storage gsr_source;
};
#else
using group_request = ::group_req;
using source_request = ::group_source_req;
#endif

/// Copies an address into a request. On BSDs and macOS an address contains its size, which Asio
/// does not set. Most calls set it, but those with a request check it.
template <class Storage>
void store_address(Storage& storage, const void* address, std::size_t size) noexcept
{
  std::memcpy(&storage, address, size);
  if constexpr (requires { storage.ss_len; })
    storage.ss_len = static_cast<decltype(storage.ss_len)>(size);
}

/// Makes the argument of join_group and leave_group (RFC 3678, section 5.1).
inline group_request make_group_request(unsigned interface_index, const void* address,
                                        std::size_t size) noexcept
{
  group_request request{};
  request.gr_interface = interface_index;
  store_address(request.gr_group, address, size);
  return request;
}

/// The same for the options that also name a source.
inline source_request make_source_request(unsigned interface_index, const void* group,
                                          const void* source, std::size_t size) noexcept
{
  source_request request{};
  request.gsr_interface = interface_index;
  store_address(request.gsr_group, group, size);
  store_address(request.gsr_source, source, size);
  return request;
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
