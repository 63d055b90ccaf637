// SPDX-License-Identifier: BSL-1.0
// Socket options, peer queries and interface look-up as the operating system spells them.
#ifndef DGRAM_DETAIL_PLATFORM_NAMES_HPP
#define DGRAM_DETAIL_PLATFORM_NAMES_HPP

#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/system.hpp>

#if defined(_WIN32)
#include <dgram/detail/platform/names_windows.hpp>
#else
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace platform {

#if !defined(_WIN32)

// Errors that Asio has no names for.
inline error_code no_such_device() noexcept
{
  return make_system_error(ENODEV);
}
inline error_code address_not_available() noexcept
{
  return make_system_error(EADDRNOTAVAIL);
}
inline error_code protocol_not_supported() noexcept
{
  return make_system_error(EPROTONOSUPPORT);
}

/// Whether this is what a call fails with that is told of an ICMP message about an earlier datagram (udp(7), ip(7);
/// net/ipv4/icmp.c, icmp_err_convert; net/ipv6/icmp.c, icmpv6_err_convert). Of a receive it is nothing else.
inline bool is_path_error(const error_code& ec) noexcept
{
  if (ec.category() != net::error::get_system_category()) return false;
  switch (ec.value()) {
  case ECONNREFUSED:
  case EHOSTUNREACH:
  case ENETUNREACH:
  case EHOSTDOWN:
  case EMSGSIZE:
  case ENOPROTOOPT:
  case EPROTO:
  case EOPNOTSUPP:
  case EACCES:
#if defined(ENONET)
  case ENONET:
#endif
    return true;
  default: return false;
  }
}

/// Whether nothing will come any more (shutdown(2)). A receive that does not block only says that it would (Linux); where
/// poll(2) does not tell, this is false.
inline bool is_receiving_shut_down([[maybe_unused]] int fd) noexcept
{
#if defined(POLLRDHUP)
  ::pollfd asked{fd, POLLRDHUP, 0};
  return system::poll(&asked, 1, 0) == 1 && (asked.revents & POLLRDHUP) != 0;
#else
  return false;
#endif
}

inline bool is_connected(int fd, error_code& ec) noexcept
{
  ::sockaddr_storage peer;
  ::socklen_t size = sizeof peer;
  ec.clear();
  if (system::getpeername(fd, reinterpret_cast<::sockaddr*>(&peer), &size) == 0) return true;
  if (errno != ENOTCONN) ec = last_error();
  return false;
}

/// Whether the kernel puts datagrams together for this socket (udp(7), UDP_GRO).
inline bool is_coalescing(int fd) noexcept
{
#if defined(__linux__)
  error_code ec;
  return get_int_option(fd, IPPROTO_UDP, UDP_GRO, ec) != 0 && !ec;
#else
  static_cast<void>(fd);
  return false;
#endif
}

// What Windows needs to be told of a socket, and says of one without an address; nothing here.
inline void prepare_descriptor(int, error_code&) noexcept
{
}
inline void report_refusals(int, bool) noexcept
{
}
inline void claim_address(int) noexcept
{
}
inline bool is_unbound(const error_code&) noexcept
{
  return false;
}

/// Ends the association with the peer. POSIX leaves the way open; AF_UNSPEC is connect(2)'s on Linux. The
/// BSDs do the same, and report EAFNOSUPPORT when they are done.
inline void disconnect(int fd, error_code& ec) noexcept
{
  ::sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  if (system::connect(fd, &nobody, sizeof nobody) != 0 && errno != EAFNOSUPPORT)
    ec = last_error();
  else
    ec.clear();
}

inline descriptor_kind describe(int fd, error_code& ec) noexcept
{
  descriptor_kind kind;
  kind.type = get_int_option(fd, SOL_SOCKET, SO_TYPE, ec);
  if (ec) return kind;
#if defined(SO_DOMAIN)
  kind.family = get_int_option(fd, SOL_SOCKET, SO_DOMAIN, ec);
#else
  ::sockaddr_storage local;
  ::socklen_t size = sizeof local;
  if (::getsockname(fd, reinterpret_cast<::sockaddr*>(&local), &size) != 0)
    ec = last_error();
  else
    kind.family = local.ss_family;
#endif
  return kind;
}

/// The index of the interface with this name; 0 where there is none.
inline unsigned interface_index(const std::string& name) noexcept
{
  return system::if_nametoindex(name.c_str());
}

/// The name of the interface with this index; empty where there is none.
inline std::string interface_name(unsigned index)
{
  std::array<char, IF_NAMESIZE> name{};
  return system::if_indextoname(index, name.data()) != nullptr ? std::string(name.data())
                                                               : std::string();
}

inline interface_entry make_interface_entry(const ::ifaddrs& from)
{
  interface_entry entry;
  entry.name = from.ifa_name;
  entry.is_up = (from.ifa_flags & IFF_UP) != 0;
  entry.is_loopback = (from.ifa_flags & IFF_LOOPBACK) != 0;
  entry.has_multicast = (from.ifa_flags & IFF_MULTICAST) != 0;
  const int family = from.ifa_addr != nullptr ? from.ifa_addr->sa_family : AF_UNSPEC;
  entry.has_address = family == AF_INET || family == AF_INET6;
  if (family == AF_INET) {
    ::sockaddr_in v4;
    std::memcpy(&v4, from.ifa_addr, sizeof v4);
    entry.address = net::ip::address_v4(ntohl(v4.sin_addr.s_addr));
  } else if (family == AF_INET6) {
    ::sockaddr_in6 v6;
    net::ip::address_v6::bytes_type bytes;
    std::memcpy(&v6, from.ifa_addr, sizeof v6);
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    entry.address = net::ip::address_v6(bytes);
  }
  return entry;
}

/// The interfaces of this host, each as often as it has addresses, and on most systems once more.
inline std::vector<interface_entry> interfaces(error_code& ec)
{
  std::vector<interface_entry> entries;
  ::ifaddrs* first = nullptr;
  if (system::getifaddrs(&first) != 0) {
    ec = last_error();
    return entries;
  }
  ec.clear();
  for (const ::ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next)
    entries.push_back(make_interface_entry(*entry));
  system::freeifaddrs(first);
  return entries;
}

/// Whether a message that was to be cut into segments was refused for that: the interface lacks the checksum
/// offload (EIO), or the segments do not fit its MTU or the kernel does not know the option (EINVAL).
inline bool is_segmentation_refused(const error_code& ec) noexcept
{
  return ec == make_system_error(EIO) || ec == net::error::invalid_argument;
}

/// Whether joining was refused since that is done: EADDRINUSE, or, of a source, EADDRNOTAVAIL (net/ipv4/igmp.c,
/// ip_mc_source).
inline bool is_member_already(const error_code& ec) noexcept
{
  return ec == net::error::address_in_use || ec == make_system_error(EADDRNOTAVAIL);
}

namespace names {

inline constexpr int ipv6_family = AF_INET6;

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

// Linux has modes, of which two forbid fragments and one allows them everywhere (ip(7), IP_MTU_DISCOVER); the others
// have a switch.
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
inline constexpr int ipv6_do_not_fragment = IPV6_DONTFRAG;
inline constexpr int fragments_forbidden = 1;
inline constexpr int fragments_allowed = 0;
#endif

/// Binding to a device by its index: for both families at once on Linux (5.0), and in two parts on macOS.
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

// RFC 3678, section 5: one spelling for both families, with the interface given by its index.
inline constexpr int join_group = MCAST_JOIN_GROUP;
inline constexpr int leave_group = MCAST_LEAVE_GROUP;
inline constexpr int join_source = MCAST_JOIN_SOURCE_GROUP;
inline constexpr int leave_source = MCAST_LEAVE_SOURCE_GROUP;
inline constexpr int block_source = MCAST_BLOCK_SOURCE;
inline constexpr int unblock_source = MCAST_UNBLOCK_SOURCE;

}  // namespace names

/// What an option that forbids fragments reads as; of Linux's modes two do.
inline constexpr bool forbids_fragments(int value) noexcept
{
#if defined(__linux__)
  return value == IP_PMTUDISC_DO || value == IP_PMTUDISC_PROBE;
#else
  return value != names::fragments_allowed;
#endif
}

/// The argument of IP_MULTICAST_IF that takes an index (ip(7)); IPv6 takes the bare index.
using interface_request = ::ip_mreqn;

/// An address, where there is one, becomes the sender's where the socket is not bound to one.
inline interface_request make_interface_request(unsigned interface_index,
                                                const net::ip::address_v4& address) noexcept
{
  interface_request request{};
  request.imr_ifindex = static_cast<int>(interface_index);
  request.imr_address.s_addr = htonl(static_cast<std::uint32_t>(address.to_uint()));
  return request;
}

#endif

/// The argument of join_group and leave_group (RFC 3678, section 5.1).
inline ::group_req make_group_request(unsigned interface_index, const void* address,
                                      std::size_t size) noexcept
{
  ::group_req request{};
  request.gr_interface = interface_index;
  std::memcpy(&request.gr_group, address, size);
  return request;
}

/// The same for the options that name a source besides.
inline ::group_source_req make_source_request(unsigned interface_index, const void* group,
                                              const void* source, std::size_t size) noexcept
{
  ::group_source_req request{};
  request.gsr_interface = interface_index;
  std::memcpy(&request.gsr_group, group, size);
  std::memcpy(&request.gsr_source, source, size);
  return request;
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
