// SPDX-License-Identifier: BSL-1.0
// Reads the queue in which Linux keeps ICMP errors and send times (recvmsg(2), MSG_ERRQUEUE).
#ifndef DGRAM_DETAIL_PLATFORM_ERROR_QUEUE_HPP
#define DGRAM_DETAIL_PLATFORM_ERROR_QUEUE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/system.hpp>

#if !defined(_WIN32)
#include <sys/socket.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// One entry of the queue.
struct queued_report {
  enum class kind : unsigned char { host, icmp, icmpv6, time, unknown };

  kind what = kind::unknown;
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  int error = 0;                 ///< errno
  std::uint32_t info = 0;        ///< the MTU, if the error is EMSGSIZE
  std::uint32_t id = 0;          ///< for a time: the number of its datagram
  std::uint64_t own_number = 0;  ///< for a time: the number that the caller gave the datagram
  ::sockaddr_storage peer{};
  std::size_t peer_size = 0;
  std::optional<net::ip::address> offender{};
  std::int64_t software_time = 0;
  std::int64_t hardware_time = 0;
  std::array<std::byte, 64> quoted{};  ///< the start of the payload
  std::size_t quoted_size = 0;
};

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)

inline constexpr bool has_error_queue = true;

namespace error_queue_detail {

inline std::optional<net::ip::address> read_address(const control_item& item)
{
  constexpr std::size_t offset = sizeof(::sock_extended_err);
  if (item.data.size() < offset) return std::nullopt;
  const control_item rest{item.level, item.type, item.data.subspan(offset)};
  ::sa_family_t family = AF_UNSPEC;
  if (!rest.read(family)) return std::nullopt;
  ::sockaddr_in v4;
  if (family == AF_INET && rest.read(v4)) return net::ip::address_v4(ntohl(v4.sin_addr.s_addr));
  ::sockaddr_in6 v6;
  if (family != AF_INET6 || !rest.read(v6)) return std::nullopt;
  net::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  net::ip::address_v6 address(bytes, v6.sin6_scope_id);
  if (address.is_v4_mapped()) return net::ip::make_address_v4(net::ip::v4_mapped, address);
  return address;
}

inline queued_report::kind kind_of(const ::sock_extended_err& said) noexcept
{
  switch (said.ee_origin) {
  case SO_EE_ORIGIN_LOCAL: return queued_report::kind::host;
  case SO_EE_ORIGIN_ICMP: return queued_report::kind::icmp;
  case SO_EE_ORIGIN_ICMP6: return queued_report::kind::icmpv6;
  case SO_EE_ORIGIN_TIMESTAMPING: return queued_report::kind::time;
  default: return queued_report::kind::unknown;
  }
}

}  // namespace error_queue_detail

/// Reads the control messages of an entry.
inline void read_report(std::span<const std::byte> control, queued_report& into)
{
  std::size_t offset = 0;
  for (control_item item; next_control(control, offset, item);) {
    ::sock_extended_err said;
    const bool is_error = (item.level == IPPROTO_IP && item.type == IP_RECVERR) ||
                          (item.level == IPPROTO_IPV6 && item.type == IPV6_RECVERR);
    if (!is_error || !item.read(said)) continue;
    into.what = error_queue_detail::kind_of(said);
    into.type = said.ee_type;
    into.code = said.ee_code;
    into.error = static_cast<int>(said.ee_errno);
    into.info = said.ee_info;
    into.id = said.ee_data;
    if (into.what != queued_report::kind::time && into.what != queued_report::kind::host)
      into.offender = error_queue_detail::read_address(item);
  }
  received_control times;
  read_control(control, false, times);
  into.software_time = times.software_time;
  into.hardware_time = times.hardware_time;
}

/// Takes one entry. Returns false if there is none.
inline bool next_report(int fd, queued_report& into)
{
  // Constructs in place: with sanitizers, GCC 12 warns about the assignment, and takes the optional
  // for uninitialized.
  std::destroy_at(&into);
  std::construct_at(&into);
  alignas(::cmsghdr) std::array<std::byte, 512> control;
  // The entry also carries the datagram's own bytes, as far as the report quotes them. Only their
  // start is kept.
  ::iovec quoted{into.quoted.data(), into.quoted.size()};
  ::msghdr header{};
  header.msg_iov = &quoted;
  header.msg_iovlen = 1;
  header.msg_name = &into.peer;
  header.msg_namelen = sizeof into.peer;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ::ssize_t result = 0;
  do {
    result = system::recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return false;
  into.peer_size = header.msg_namelen;
  into.quoted_size = std::min(static_cast<std::size_t>(result), into.quoted.size());
  read_report(std::span<const std::byte>(control).first(header.msg_controllen), into);
  return true;
}

/// Reads how many datagrams the kernel has dropped for lack of room, modulo 2^32
/// (linux/sock_diag.h, SK_MEMINFO_DROPS).
inline bool read_drops(int fd, std::uint32_t& drops) noexcept
{
  constexpr std::size_t index = 8;
  std::array<std::uint32_t, index + 1> values{};
  error_code ec;
  const std::size_t size = get_option(fd, SOL_SOCKET, SO_MEMINFO, values.data(), sizeof values, ec);
  if (ec || size < sizeof values) return false;
  drops = values[index];
  return true;
}

#else

inline constexpr bool has_error_queue = false;

inline bool next_report(descriptor_type, queued_report&)
{
  return false;
}

inline bool read_drops(descriptor_type, std::uint32_t&) noexcept
{
  return false;
}

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
