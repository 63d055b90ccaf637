// SPDX-License-Identifier: BSL-1.0
// One datagram in the kernel's form: buffers, address, control data, flags and length.
#ifndef DGRAM_DETAIL_PLATFORM_MESSAGE_HPP
#define DGRAM_DETAIL_PLATFORM_MESSAGE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>

#if defined(_WIN32)

#include <dgram/detail/platform/message_windows.hpp>

#else

#include <netinet/in.h>
#include <sys/socket.h>

#if defined(__linux__)
#include <netinet/udp.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// One buffer of a gather or scatter list, with the kernel's layout.
using buffer = ::iovec;

inline buffer make_buffer(const void* data, std::size_t size) noexcept
{
  return {const_cast<void*>(data), size};
}

#if defined(__linux__)
using native_message = ::mmsghdr;
#else
struct native_message {
  ::msghdr msg_hdr;
  unsigned msg_len;
};
#endif

inline void* buffer_data(const buffer& from) noexcept
{
  return from.iov_base;
}

inline std::size_t buffer_size(const buffer& from) noexcept
{
  return from.iov_len;
}

/// The most buffers that one message may have: UIO_MAXIOV on Linux; elsewhere IOV_MAX, which is at
/// least as large.
inline constexpr std::size_t max_buffers = 1024;

/// The most buffers for one datagram: as many as Asio's own operations take.
inline constexpr std::size_t max_buffers_per_datagram = 64;

/// A flag for receives: descriptors that come with a datagram do not outlive an exec (recvmsg(2)).
#if defined(MSG_CMSG_CLOEXEC)
inline constexpr int descriptors_close_on_exec = MSG_CMSG_CLOEXEC;
#else
inline constexpr int descriptors_close_on_exec = 0;
#endif

/// Room for the control data of one message.
struct control_buffer {
  alignas(::cmsghdr) std::array<std::byte, 64> bytes;
};

/// A message header that a batch prepares once and a backend fills at each call. It refers to its
/// buffers, address and control data, and owns none of them. An array of these is an array of
/// native messages.
struct message : native_message {
  message() noexcept : native_message{} {}

  void set_buffers(buffer* first, std::size_t count) noexcept
  {
    msg_hdr.msg_iov = first;
    set_field(msg_hdr.msg_iovlen, count);
  }

  void set_address(const void* data, std::size_t size) noexcept
  {
    msg_hdr.msg_name = const_cast<void*>(data);
    msg_hdr.msg_namelen = static_cast<decltype(msg_hdr.msg_namelen)>(size);
  }

  /// Offers a receive room for control data.
  void set_control(control_buffer& control) noexcept
  {
    msg_hdr.msg_control = control.bytes.data();
    set_field(msg_hdr.msg_controllen, control.bytes.size());
  }

  /// The same, with room of any size. For a send, the room contains the control data already.
  void set_control(std::span<const std::byte> room) noexcept
  {
    msg_hdr.msg_control = const_cast<std::byte*>(room.data());
    set_field(msg_hdr.msg_controllen, room.size());
  }

  /// Returns the received control data.
  std::span<const std::byte> control() const noexcept
  {
    return {static_cast<const std::byte*>(msg_hdr.msg_control), msg_hdr.msg_controllen};
  }

  void clear_control() noexcept
  {
    msg_hdr.msg_control = nullptr;
    msg_hdr.msg_controllen = 0;
  }

#if defined(__linux__)
  /// Asks the kernel to cut the payload into datagrams of this size (udp(7), UDP_SEGMENT).
  void set_segment_size(control_buffer& control, std::size_t size) noexcept
  {
    msg_hdr.msg_control = control.bytes.data();
    msg_hdr.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
    ::cmsghdr* const header = CMSG_FIRSTHDR(&msg_hdr);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto value = static_cast<std::uint16_t>(size);
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
  }

  /// Returns the size of the datagrams that the kernel has joined into this one (udp(7), UDP_GRO);
  /// 0 if it has not.
  std::size_t segment_size() const noexcept
  {
    if (msg_hdr.msg_controllen < CMSG_LEN(sizeof(int))) return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"  // in CMSG_NXTHDR of musl
    for (::cmsghdr* header = CMSG_FIRSTHDR(&msg_hdr); header != nullptr;
         header = CMSG_NXTHDR(const_cast<::msghdr*>(&msg_hdr), header)) {
      if (header->cmsg_level != IPPROTO_UDP || header->cmsg_type != UDP_GRO) continue;
      if (header->cmsg_len < CMSG_LEN(sizeof(int))) continue;
      int value = 0;
      std::memcpy(&value, CMSG_DATA(header), sizeof value);
      return value > 0 ? static_cast<std::size_t>(value) : 0;
    }
#pragma GCC diagnostic pop
    return 0;
  }
#else
  void set_segment_size(control_buffer&, std::size_t) noexcept {}
  std::size_t segment_size() const noexcept { return 0; }
#endif

  /// Returns the number of bytes received or sent; with MSG_TRUNC, the size of the datagram on the
  /// wire.
  std::size_t size() const noexcept { return msg_len; }
  std::size_t address_size() const noexcept { return msg_hdr.msg_namelen; }
  bool truncated() const noexcept { return (msg_hdr.msg_flags & MSG_TRUNC) != 0; }

  /// Whether there were more control data than room.
  bool control_truncated() const noexcept { return (msg_hdr.msg_flags & MSG_CTRUNC) != 0; }
};

static_assert(sizeof(message) == sizeof(native_message));

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
#endif
