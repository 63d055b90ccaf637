// SPDX-License-Identifier: BSL-1.0
// Finds out whether the kernel takes the number of a datagram that asks when it left.
#ifndef DGRAM_DETAIL_PLATFORM_TIMESTAMP_IDS_HPP
#define DGRAM_DETAIL_PLATFORM_TIMESTAMP_IDS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/names.hpp>

#if defined(__linux__)
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#endif

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace platform {

enum class timestamp_ids : std::uint8_t { not_known, taken, refused };

/// What this process has found out.
inline std::atomic<timestamp_ids> known_timestamp_ids{timestamp_ids::not_known};

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)

/// Offers such a number with a datagram to a broadcast address, which the kernel refuses later with
/// EACCES, so that nothing leaves. A kernel that does not know the control message refuses that
/// first, with EINVAL (net/ipv4/udp.c, udp_sendmsg).
inline timestamp_ids look_for_timestamp_ids() noexcept
{
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return timestamp_ids::not_known;
  alignas(::cmsghdr) std::array<std::byte, 64> room{};
  send_control control(room);
  control.add_timestamp_id(0);
  ::sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(9);
  peer.sin_addr.s_addr = htonl(0x7fffffff);  // 127.255.255.255
  ::iovec nothing{};
  ::msghdr header{};
  header.msg_name = &peer;
  header.msg_namelen = sizeof peer;
  header.msg_iov = &nothing;
  header.msg_iovlen = 1;
  header.msg_control = room.data();
  set_field(header.msg_controllen, control.size());
  const int value = names::send_timestamps_value;
  const bool asked = ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &value, sizeof value) == 0;
  const bool is_taken = asked && ::sendmsg(fd, &header, MSG_DONTWAIT) < 0 && errno == EACCES;
  ::close(fd);
  return is_taken ? timestamp_ids::taken : timestamp_ids::refused;
}

/// Whether the kernel lets the sender number the datagrams (Linux 6.13, SCM_TS_OPT_ID). An older
/// one counts them itself.
inline bool takes_timestamp_ids() noexcept
{
  timestamp_ids known = known_timestamp_ids.load(std::memory_order_relaxed);
  if (known == timestamp_ids::not_known) {
    known = look_for_timestamp_ids();
    known_timestamp_ids.store(known, std::memory_order_relaxed);
  }
  return known == timestamp_ids::taken;
}

/// Whether a kernel that counts by itself has counted a datagram that it then refused. It counts
/// when it builds the packet. These errors come later: from a firewall, from a full queue of the
/// device (reported only with IP_RECVERR), or from a check of the segments (net/ipv4/udp.c,
/// udp_send_skb).
inline bool was_counted(const error_code& ec, bool segmented, bool receives_errors) noexcept
{
  if (ec == net::error::no_permission) return true;
  if (ec == net::error::no_buffer_space) return receives_errors;
  return segmented && (ec == net::error::invalid_argument || ec == net::error::message_size ||
                       ec == make_system_error(EIO));
}

#else

inline bool takes_timestamp_ids() noexcept
{
  return false;
}

inline bool was_counted(const error_code&, bool, bool) noexcept
{
  return false;
}

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
