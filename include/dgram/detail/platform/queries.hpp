// SPDX-License-Identifier: BSL-1.0
// Asks the system about a descriptor, its peer, and the host's interfaces.
#ifndef DGRAM_DETAIL_PLATFORM_QUERIES_HPP
#define DGRAM_DETAIL_PLATFORM_QUERIES_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/system.hpp>

#if defined(_WIN32)
#include <dgram/detail/platform/queries_windows.hpp>
#else
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// Returns which of these events poll(2) sees now. It also sees POLLERR, POLLHUP and POLLNVAL.
inline int events_now(int fd, int asked) noexcept
{
  ::pollfd looked_at{fd, static_cast<short>(asked), 0};
  return system::poll(&looked_at, 1, 0) == 1 ? looked_at.revents : 0;
}

/// Whether a wait would complete at once.
inline bool is_ready(int fd, net::socket_base::wait_type what) noexcept
{
  const bool is_write = what == net::socket_base::wait_write;
  return events_now(fd, is_write ? POLLOUT : what == net::socket_base::wait_read ? POLLIN : 0) != 0;
}

/// Whether no datagram will come any more (shutdown(2)). A nonblocking receive reports only that it
/// would block (Linux). If poll(2) cannot tell, this is false.
inline bool is_receiving_shut_down([[maybe_unused]] int fd) noexcept
{
#if defined(POLLRDHUP)
  return (events_now(fd, POLLRDHUP) & POLLRDHUP) != 0;
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

/// Returns a number that no later socket has, even if that socket's descriptor is the same number.
/// Returns 0 if there is no socket.
inline std::uint64_t identity_of(int fd) noexcept
{
  struct ::stat about;
  if (fd == -1 || ::fstat(fd, &about) != 0) return 0;
  if (about.st_ino != 0) return about.st_ino;
  // On systems where sockets have no such number, the descriptor's number must do.
  return static_cast<std::uint64_t>(fd) + 1;
}

/// Whether the kernel joins datagrams together for this socket (udp(7), UDP_GRO).
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

// Settings that only Windows needs.
inline void prepare_descriptor(int, error_code&) noexcept
{
}
inline void report_refusals(int, bool) noexcept
{
}
inline void claim_address(int) noexcept
{
}

/// Ends the association with the peer. POSIX does not say how. On Linux, connect(2) takes
/// AF_UNSPEC. The BSDs do the same, and report EAFNOSUPPORT afterwards.
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

/// Returns the index of the interface with this name; 0 if there is none.
inline unsigned interface_index(const std::string& name) noexcept
{
  return system::if_nametoindex(name.c_str());
}

/// Returns the name of the interface with this index; empty if there is none.
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

/// Returns the interfaces of this host. Each has one entry for each address, and on most systems
/// one more.
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

}  // namespace platform

DGRAM_NAMESPACE_END
#endif

#endif
