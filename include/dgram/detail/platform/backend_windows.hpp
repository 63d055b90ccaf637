// SPDX-License-Identifier: BSL-1.0
// The Windows backend: WSARecvMsg and WSASendMsg, one datagram per system call.
#ifndef DGRAM_DETAIL_PLATFORM_BACKEND_WINDOWS_HPP
#define DGRAM_DETAIL_PLATFORM_BACKEND_WINDOWS_HPP

#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/platform/system.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// Winsock has no flag for a call that does not block. `prepare_descriptor` makes the socket
/// nonblocking, once.
struct windows_backend {
  static constexpr const char* name = "windows";
  static constexpr bool reports_wire_size = false;
  static constexpr int full_size_flag = 0;
  static constexpr std::size_t max_segments = 1;
  static constexpr std::size_t sure_segments = 1;
  static constexpr std::size_t max_messages = 1;

  static std::size_t receive(::SOCKET socket, message* first, std::size_t count, int flags,
                             error_code& ec) noexcept
  {
    return transfer(socket, first, count, ec,
                    [&](message& next) { return receive_one(socket, next, flags); });
  }

  static std::size_t send(::SOCKET socket, message* first, std::size_t count, int flags,
                          error_code& ec) noexcept
  {
    return transfer(socket, first, count, ec, [&](message& next) {
      ::DWORD size = 0;
      if (system::send_message(socket, &next.native, static_cast<::DWORD>(flags), &size) != 0)
        return ::WSAGetLastError();
      next.length = size;
      return 0;
    });
  }

private:
  /// Writes to the message only if a datagram came, so that the message can be offered again.
  static int receive_one(::SOCKET socket, message& into, int flags) noexcept
  {
    ::WSAMSG native = into.native;
    native.dwFlags = static_cast<::DWORD>(flags);
    ::DWORD size = 0;
    const int result = system::receive_message(socket, &native, &size);
    const int error = result == 0 ? 0 : ::WSAGetLastError();
    if (error != 0 && error != WSAEMSGSIZE) return error;
    into.length = size;
    if (error == WSAEMSGSIZE && (native.dwFlags & MSG_CTRUNC) == 0) native.dwFlags |= MSG_TRUNC;
    if ((native.dwFlags & MSG_TRUNC) != 0) into.length = room(native);
    into.native = native;
    return 0;
  }

  static std::size_t room(const ::WSAMSG& message) noexcept
  {
    std::size_t total = 0;
    for (const buffer& each : std::span(message.lpBuffers, message.dwBufferCount))
      total += buffer_size(each);
    return total;
  }

  /// `call` returns one of Winsock's errors, or 0.
  template <class Call>
  static std::size_t transfer(::SOCKET socket, message* first, std::size_t count, error_code& ec,
                              Call call) noexcept
  {
    ec.clear();
    std::size_t moved = 0;
    for (; moved < count; ++moved) {
      const int error = call(first[moved]);
      if (error == 0) continue;
      if (moved == 0 || error != WSAEWOULDBLOCK) ec = to_error(socket, error);
      break;
    }
    return moved;
  }

  /// Windows reports "port unreachable" as a reset connection.
  static error_code to_error(::SOCKET socket, int error) noexcept
  {
    if (error == WSAECONNRESET) return net::error::connection_refused;
    return make_system_error(socket, error);
  }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
