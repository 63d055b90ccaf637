// SPDX-License-Identifier: BSL-1.0
// One datagram in the form of WSARecvMsg and WSASendMsg.
#ifndef DGRAM_DETAIL_PLATFORM_MESSAGE_WINDOWS_HPP
#define DGRAM_DETAIL_PLATFORM_MESSAGE_WINDOWS_HPP

#include <dgram/config.hpp>

#include <winsock2.h>

#include <ws2tcpip.h>

#include <mswsock.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// One buffer of a gather or scatter list, with Winsock's layout.
using buffer = ::WSABUF;

/// Cuts the size to the most that a WSABUF can hold. No datagram is that large.
inline buffer make_buffer(const void* data, std::size_t size) noexcept
{
  constexpr std::size_t most = std::numeric_limits<::ULONG>::max();
  return {static_cast<::ULONG>(std::min(size, most)), static_cast<char*>(const_cast<void*>(data))};
}

inline void* buffer_data(const buffer& from) noexcept
{
  return from.buf;
}

inline std::size_t buffer_size(const buffer& from) noexcept
{
  return from.len;
}

/// The most buffers that one message may have; Windows names no limit.
inline constexpr std::size_t max_buffers = 1024;

/// The most buffers for one datagram: as many as Asio's own operations take.
inline constexpr std::size_t max_buffers_per_datagram = 64;

/// A flag for receives, about descriptors that come with a datagram. Windows has none.
inline constexpr int descriptors_close_on_exec = 0;

/// Room for the control data of one message.
struct control_buffer {
  alignas(::WSACMSGHDR) std::array<std::byte, 64> bytes;
};

/// A message that a batch prepares once and the backend fills at each call. It refers to its
/// buffers, address and control data, and owns none of them.
struct message {
  ::WSAMSG native{};
  std::size_t length = 0;

  void set_buffers(buffer* first, std::size_t count) noexcept
  {
    native.lpBuffers = first;
    native.dwBufferCount = static_cast<::DWORD>(count);
  }

  void set_address(const void* data, std::size_t size) noexcept
  {
    native.name = static_cast<::sockaddr*>(const_cast<void*>(data));
    native.namelen = static_cast<int>(size);
  }

  /// Sets the room for received control data. For a send, the room contains the control data
  /// already.
  void set_control(std::span<const std::byte> room) noexcept
  {
    native.Control = make_buffer(room.data(), room.size());
  }

  /// Returns the received control data.
  std::span<const std::byte> control() const noexcept
  {
    return {static_cast<const std::byte*>(buffer_data(native.Control)),
            buffer_size(native.Control)};
  }

  void clear_control() noexcept { native.Control = {}; }

  void set_segment_size(control_buffer&, std::size_t) noexcept {}
  std::size_t segment_size() const noexcept { return 0; }

  std::size_t size() const noexcept { return length; }
  std::size_t address_size() const noexcept { return static_cast<std::size_t>(native.namelen); }
  bool truncated() const noexcept { return (native.dwFlags & MSG_TRUNC) != 0; }

  /// Whether there were more control data than room.
  bool control_truncated() const noexcept { return (native.dwFlags & MSG_CTRUNC) != 0; }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
