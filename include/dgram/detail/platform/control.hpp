// SPDX-License-Identifier: BSL-1.0
// Reads and writes control messages in the kernel's form.
#ifndef DGRAM_DETAIL_PLATFORM_CONTROL_HPP
#define DGRAM_DETAIL_PLATFORM_CONTROL_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/rfc3542.hpp>
#include <dgram/detail/platform/system.hpp>

#if !defined(_WIN32)
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/time.h>
#endif

#include <time.h>

#if defined(__linux__)
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// What a socket was told to report about each datagram that it receives.
struct metadata {
  enum field : std::uint8_t {
    nothing = 0,
    packet_info = 1,
    traffic_class = 2,
    hop_limit = 4,
    timestamp = 8,
    drop_count = 16,
  };
};

#if defined(_WIN32)
using control_header = ::WSACMSGHDR;

/// The values of WSA_CMSG_SPACE and WSA_CMSG_LEN, which are no constant expressions.
constexpr std::size_t control_space(std::size_t size) noexcept
{
  constexpr std::size_t alignment = alignof(control_header);
  return sizeof(control_header) + (size + alignment - 1) / alignment * alignment;
}
constexpr std::size_t control_length(std::size_t size) noexcept
{
  return sizeof(control_header) + size;
}
#else
using control_header = ::cmsghdr;

/// How many bytes a control message takes that has this many bytes of data.
constexpr std::size_t control_space(std::size_t size) noexcept
{
  return CMSG_SPACE(size);
}

/// The same, without the padding after the data.
constexpr std::size_t control_length(std::size_t size) noexcept
{
  return CMSG_LEN(size);
}
#endif

/// The size of a control message's header, in bytes; the data follow.
inline constexpr std::size_t control_header_size = control_length(0);

/// Room for everything that this library's options make the kernel add to one datagram, in whole
/// cache lines.
inline constexpr std::size_t receive_control_size = 320;

/// Room for everything that the library adds to one datagram, and for the user's own messages.
inline constexpr std::size_t user_control_size = 64;
inline constexpr std::size_t send_control_size = 216 + user_control_size;

struct control_item {
  int level = 0;
  int type = 0;
  std::span<const std::byte> data;

  /// Reads a value from the start of the data. Returns false if the data are too short.
  template <class T>
  bool read(T& value) const noexcept
  {
    if (data.size() < sizeof value) return false;
    std::memcpy(&value, data.data(), sizeof value);
    return true;
  }

  /// The kernel gives small numbers as one byte or as an int. That depends on the family and the
  /// system.
  bool read_small(std::uint8_t& value) const noexcept
  {
    int wide = 0;
    if (!read(wide)) return read(value);
    value = static_cast<std::uint8_t>(wide);
    return true;
  }
};

/// Reads the message at `offset`, and moves `offset` behind it. Returns false at the end, or if the
/// rest is no whole message.
inline bool next_control(std::span<const std::byte> bytes, std::size_t& offset,
                         control_item& item) noexcept
{
  const std::size_t rest = bytes.size() - offset;
  if (rest < control_header_size) return false;
  control_header header;
  std::memcpy(&header, bytes.data() + offset, sizeof header);
  const std::size_t length = header.cmsg_len;
  if (length < control_header_size || length > rest) return false;
  item.level = header.cmsg_level;
  item.type = header.cmsg_type;
  item.data = bytes.subspan(offset + control_header_size, length - control_header_size);
  offset += std::min(rest, control_space(length - control_header_size));
  return true;
}

/// Adds a message to `room`, of which `used` bytes are taken. If it does not fit, returns false and
/// changes nothing.
inline bool append_control(std::span<std::byte> room, std::size_t& used, int level, int type,
                           const void* data, std::size_t size) noexcept
{
  const std::size_t rest = room.size() - used;
  if (size > rest || control_space(size) > rest) return false;
  std::byte* const at = room.data() + used;
  std::memset(at, 0, control_space(size));  // the padding too, since it goes to the kernel
  control_header header{};
  set_field(header.cmsg_len, control_length(size));
  header.cmsg_level = level;
  header.cmsg_type = type;
  std::memcpy(at, &header, sizeof header);
  if (size > 0) std::memcpy(at + control_header_size, data, size);
  used += control_space(size);
  return true;
}

/// What the control messages of a received datagram say, in a compact form.
struct received_control {
  enum field : std::uint8_t {
    local = 1,
    traffic_class_given = 2,
    hop_limit_given = 4,
    software_time_given = 8,
    hardware_time_given = 16,
    local_is_v4 = 32,
    drops_given = 64,
  };

  bool has(field what) const noexcept { return (present & what) != 0; }

  /// The kernel reports no drops until there are some (net/core/sock.c, sock_recv_drops).
  void assume_no_drops(bool assumable) noexcept
  {
    if (assumable && !truncated) present |= drops_given;
  }

  std::uint8_t present = 0;
  bool truncated = false;  ///< there was more than the room could hold
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 0;
  std::uint32_t interface_index = 0;
  std::uint32_t segment = 0;
  std::uint32_t drops = 0;
  std::array<std::uint8_t, 16> address{};      ///< the destination; IPv4 in the first 4 bytes
  std::array<std::uint8_t, 4> reply_source{};  ///< IPv4: the local address for an answer
  std::int64_t software_time = 0;              ///< nanoseconds since 1970
  std::int64_t hardware_time = 0;
  std::span<const std::byte> raw;
};

namespace control_detail {

/// Calculates in unsigned numbers, since the values from the kernel are unchecked.
inline std::int64_t nanoseconds(std::int64_t seconds, std::int64_t rest) noexcept
{
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(seconds) * 1'000'000'000 +
                                   static_cast<std::uint64_t>(rest));
}

inline std::int64_t nanoseconds(const ::timespec& time) noexcept
{
  return nanoseconds(time.tv_sec, time.tv_nsec);
}

inline std::int64_t nanoseconds(const ::timeval& time) noexcept
{
  const auto rest = static_cast<std::uint64_t>(time.tv_usec) * 1000;
  return nanoseconds(time.tv_sec, static_cast<std::int64_t>(rest));
}

#if defined(IP_PKTINFO)
inline void read_ipv4_info(const control_item& item, received_control& into) noexcept
{
  ::in_pktinfo info;
  if (!item.read(info)) return;
  into.present |= received_control::local | received_control::local_is_v4;
  into.interface_index = static_cast<std::uint32_t>(info.ipi_ifindex);
  std::memcpy(into.address.data(), &info.ipi_addr, sizeof info.ipi_addr);
#if defined(_WIN32)
  into.reply_source = {};
#else
  std::memcpy(into.reply_source.data(), &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
#endif
}
#endif

/// FreeBSD and OpenBSD report the address without the interface (ip(4), IP_RECVDSTADDR).
inline void read_ipv4_destination(const control_item& item, received_control& into) noexcept
{
  ::in_addr address;
  if (!item.read(address)) return;
  into.present |= received_control::local | received_control::local_is_v4;
  into.interface_index = 0;
  std::memcpy(into.address.data(), &address, sizeof address);
  into.reply_source = {};
}

inline void read_ipv6_info(const control_item& item, received_control& into) noexcept
{
  ::in6_pktinfo info;
  if (!item.read(info)) return;
  if (into.has(received_control::local_is_v4)) return;  // IPv4's own message says more
  into.present |= received_control::local;
  into.interface_index = info.ipi6_ifindex;
  std::memcpy(into.address.data(), &info.ipi6_addr, sizeof info.ipi6_addr);
  // On an IPv6 socket, the kernel reports IPv4 addresses in mapped form (net/ipv6/datagram.c,
  // ip6_datagram_recv_common_ctl).
  if (!IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr)) return;
  into.present |= received_control::local_is_v4;
  std::copy_n(into.address.begin() + 12, 4, into.address.begin());
  into.reply_source = {};
  // An answer could not take it.
  if constexpr (!names::ipv4_info_has_interface) into.interface_index = 0;
}

inline void read_ipv4(const control_item& item, received_control& into) noexcept
{
  switch (item.type) {
#if defined(IP_PKTINFO)
  case IP_PKTINFO:
#if defined(IP_RECVPKTINFO) && IP_RECVPKTINFO != IP_PKTINFO
  case IP_RECVPKTINFO:  // NetBSD uses this type
#endif
    read_ipv4_info(item, into);
    break;
#elif defined(IP_RECVDSTADDR)
  case IP_RECVDSTADDR: read_ipv4_destination(item, into); break;
#endif
  case IP_TOS:
#if defined(IP_RECVTOS)
  case IP_RECVTOS:  // the BSDs use this type
#endif
    if (item.read_small(into.traffic_class)) into.present |= received_control::traffic_class_given;
    break;
  case IP_TTL:
#if defined(IP_RECVTTL)
  case IP_RECVTTL:
#endif
    if (item.read_small(into.hop_limit)) into.present |= received_control::hop_limit_given;
    break;
  default: break;
  }
}

inline void read_ipv6(const control_item& item, received_control& into) noexcept
{
  switch (item.type) {
  case rfc3542::packet_info: read_ipv6_info(item, into); break;
#if defined(IPV6_TCLASS)
  case IPV6_TCLASS:
    if (item.read_small(into.traffic_class)) into.present |= received_control::traffic_class_given;
    break;
#endif
  case rfc3542::hop_limit:
    if (item.read_small(into.hop_limit)) into.present |= received_control::hop_limit_given;
    break;
  default: break;
  }
}

inline void note_time(std::int64_t time, received_control::field field, std::int64_t& into,
                      received_control& control) noexcept
{
  if (time == 0) return;  // the kernel has none
  into = time;
  control.present |= field;
}

inline void read_socket([[maybe_unused]] const control_item& item,
                        [[maybe_unused]] received_control& into) noexcept
{
  [[maybe_unused]] constexpr auto software = received_control::software_time_given;
  switch (item.type) {
#if defined(__linux__)
  case SCM_TIMESTAMPING: {
    std::array<::timespec, 3> times;
    if (!item.read(times)) break;
    note_time(nanoseconds(times[0]), software, into.software_time, into);
    note_time(nanoseconds(times[2]), received_control::hardware_time_given, into.hardware_time,
              into);
    break;
  }
  case SO_RXQ_OVFL:
    if (item.read(into.drops)) into.present |= received_control::drops_given;
    break;
#endif
#if defined(SCM_TIMESTAMP)
  case SCM_TIMESTAMP: {
    ::timeval time;
    if (item.read(time)) note_time(nanoseconds(time), software, into.software_time, into);
    break;
  }
#endif
  default: break;
  }
}

}  // namespace control_detail

/// Reads the control messages that the library knows. Skips others, and those that are too short.
inline void read_control(std::span<const std::byte> bytes, bool truncated,
                         received_control& into) noexcept
{
  into.present = 0;
  into.truncated = truncated;
  into.interface_index = into.segment = into.drops = 0;
  into.raw = bytes;
  std::size_t offset = 0;
  for (control_item item; next_control(bytes, offset, item);) {
    switch (item.level) {
    case SOL_SOCKET: control_detail::read_socket(item, into); break;
    case IPPROTO_IP: control_detail::read_ipv4(item, into); break;
    case IPPROTO_IPV6: control_detail::read_ipv6(item, into); break;
#if defined(__linux__)
    case IPPROTO_UDP: {
      int size = 0;
      if (item.type == UDP_GRO && item.read(size) && size > 0)
        into.segment = static_cast<std::uint32_t>(size);
      break;
    }
#endif
    default: break;
    }
  }
}

/// Finds the sender of a Unix datagram. Returns false if the kernel did not name it.
inline bool find_credentials([[maybe_unused]] std::span<const std::byte> control,
                             [[maybe_unused]] std::int32_t& process,
                             [[maybe_unused]] std::uint32_t& user,
                             [[maybe_unused]] std::uint32_t& group) noexcept
{
#if defined(__linux__)
  std::size_t offset = 0;
  for (control_item item; next_control(control, offset, item);) {
    ::ucred sender;
    if (item.level != SOL_SOCKET || item.type != SCM_CREDENTIALS || !item.read(sender)) continue;
    process = sender.pid;
    user = sender.uid;
    group = sender.gid;
    return true;
  }
#endif
  return false;
}

/// Adds a message that passes descriptors with a Unix datagram. If it does not fit, or the system
/// cannot pass any, returns false and changes nothing.
inline bool append_descriptors([[maybe_unused]] std::span<std::byte> room,
                               [[maybe_unused]] std::size_t& used,
                               [[maybe_unused]] std::span<const descriptor_type> passed) noexcept
{
#if defined(_WIN32)
  return false;
#else
  return append_control(room, used, SOL_SOCKET, SCM_RIGHTS, passed.data(), passed.size_bytes());
#endif
}

/// Takes the first descriptor that a Unix datagram brought and that was not taken yet, or none.
/// Marks it as taken in the control messages, whose memory a batch owns.
inline descriptor_type take_descriptor([[maybe_unused]] std::span<const std::byte> control) noexcept
{
#if !defined(_WIN32)
  std::size_t offset = 0;
  for (control_item item; next_control(control, offset, item);) {
    if (item.level != SOL_SOCKET || item.type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= item.data.size(); at += sizeof(int)) {
      auto* const place = const_cast<std::byte*>(item.data.data()) + at;
      constexpr int taken = no_descriptor;
      int descriptor = taken;
      std::memcpy(&descriptor, place, sizeof descriptor);
      if (descriptor == taken) continue;
      std::memcpy(place, &taken, sizeof taken);
      return descriptor;
    }
  }
#endif
  return no_descriptor;
}

/// Closes the descriptors that were not taken.
inline void close_descriptors([[maybe_unused]] std::span<const std::byte> control) noexcept
{
#if !defined(_WIN32)
  for (int descriptor = 0; (descriptor = take_descriptor(control)) != no_descriptor;)
    system::close(descriptor);
#endif
}

/// Whether the system takes hop limit, traffic class and "do not fragment" with a single datagram.
/// The documentation of WSASendMsg has none of them.
#if defined(_WIN32)
inline constexpr bool takes_header_fields = false;
#else
inline constexpr bool takes_header_fields = true;
#endif

/// The control messages of one datagram to send, in the caller's memory.
class send_control {
public:
  explicit send_control(std::span<std::byte> room) noexcept : room_(room) {}

  std::size_t size() const noexcept { return used_; }

  template <class T>
  bool add(int level, int type, const T& value) noexcept
  {
    return append_control(room_, used_, level, type, &value, sizeof value);
  }

  bool add_raw(std::span<const std::byte> messages) noexcept
  {
    if (messages.size() > room_.size() - used_) return false;
    std::memcpy(room_.data() + used_, messages.data(), messages.size());
    used_ += messages.size();
    return true;
  }

  /// Sets from where the datagram leaves. The unspecified address and interface 0 leave the choice
  /// to the system.
  bool add_source(const net::ip::address& source, unsigned interface_index, bool v4) noexcept
  {
    if (v4) {
#if defined(IP_PKTINFO)
      ::in_pktinfo info{};
      info.ipi_ifindex = static_cast<decltype(info.ipi_ifindex)>(interface_index);
#if defined(_WIN32)
      auto& from = info.ipi_addr;
#else
      auto& from = info.ipi_spec_dst;
#endif
      if (source.is_v4()) from.s_addr = htonl(source.to_v4().to_uint());
      return add(IPPROTO_IP, IP_PKTINFO, info);
#elif defined(IP_SENDSRCADDR)
      // The kernel refuses the unspecified address on a socket that is bound to none (ip(4)).
      if (!source.is_v4() || source.is_unspecified()) return true;
      const ::in_addr from{htonl(source.to_v4().to_uint())};
      return add(IPPROTO_IP, IP_SENDSRCADDR, from);
#else
      return false;
#endif
    }
    ::in6_pktinfo info{};
    info.ipi6_ifindex = interface_index;
    if (source.is_v6()) {
      const auto bytes = source.to_v6().to_bytes();
      std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
    }
    return add(IPPROTO_IPV6, rfc3542::packet_info, info);
  }

  bool add_traffic_class(std::uint8_t value, bool v4) noexcept
  {
    return v4 ? add(IPPROTO_IP, IP_TOS, int{value}) : add(IPPROTO_IPV6, IPV6_TCLASS, int{value});
  }

  bool add_hop_limit(int value, bool v4) noexcept
  {
    return v4 ? add(IPPROTO_IP, IP_TTL, value) : add(IPPROTO_IPV6, rfc3542::hop_limit, value);
  }

  /// IPv4 has no such message; there, an option of the socket asks for it.
  bool add_do_not_fragment() noexcept
  {
    return add(IPPROTO_IPV6, rfc3542::do_not_fragment, int{1});
  }

#if defined(__linux__)
  bool add_segment_size(std::size_t size) noexcept
  {
    return add(IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(size));
  }

  bool add_transmit_time(std::int64_t nanoseconds) noexcept
  {
    return add(SOL_SOCKET, SCM_TXTIME, static_cast<std::uint64_t>(nanoseconds));
  }

  bool add_timestamp_request() noexcept
  {
    return add(SOL_SOCKET, SO_TIMESTAMPING,
               std::uint32_t{SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_HARDWARE});
  }

  /// The number that the report will have; see `takes_timestamp_ids`.
  bool add_timestamp_id(std::uint32_t id) noexcept
  {
#if defined(SCM_TS_OPT_ID)
    return add(SOL_SOCKET, SCM_TS_OPT_ID, id);
#elif defined(__sparc__) || defined(__hppa__)
    return false;  // these have numbers of their own
#else
    return add(SOL_SOCKET, 81, id);  // headers before Linux 6.13 have no name for it
#endif
  }
#else
  bool add_segment_size(std::size_t) noexcept { return false; }
  bool add_transmit_time(std::int64_t) noexcept { return false; }
  bool add_timestamp_request() noexcept { return false; }
  bool add_timestamp_id(std::uint32_t) noexcept { return false; }
#endif

private:
  std::span<std::byte> room_;
  std::size_t used_ = 0;
};

#if defined(__linux__)
/// The argument of SO_TXTIME. Its clock is that of `std::chrono::steady_clock`.
struct transmit_time_request {
  ::sock_txtime value{CLOCK_MONOTONIC, 0};
};
#else
struct transmit_time_request {
  int value = 0;
};
#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
