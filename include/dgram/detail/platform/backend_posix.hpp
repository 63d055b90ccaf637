// SPDX-License-Identifier: BSL-1.0
// The portable backend: recvmsg(2) and sendmsg(2), one datagram per system call.
#ifndef DGRAM_DETAIL_PLATFORM_BACKEND_POSIX_HPP
#define DGRAM_DETAIL_PLATFORM_BACKEND_POSIX_HPP

#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/platform/system.hpp>

#include <cerrno>
#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace platform {

struct posix_backend {
  static constexpr const char* name = "posix";
  static constexpr bool reports_wire_size = false;
  /// Only Linux accepts this flag for a receive. Elsewhere, only the kernel sets it (recv(2)).
#if defined(__linux__)
  static constexpr int full_size_flag = MSG_TRUNC;
#else
  static constexpr int full_size_flag = 0;
#endif
  static constexpr std::size_t max_segments = 1;
  static constexpr std::size_t sure_segments = 1;
  static constexpr std::size_t max_messages = 1;

  static std::size_t receive(int fd, message* first, std::size_t count, int flags,
                             error_code& ec) noexcept
  {
    return transfer(first, count, ec, [&](message& next) {
      return system::recvmsg(fd, &next.msg_hdr, flags | MSG_DONTWAIT);
    });
  }

  static std::size_t send(int fd, message* first, std::size_t count, int flags,
                          error_code& ec) noexcept
  {
    return transfer(first, count, ec, [&](message& next) {
      return system::sendmsg(fd, &next.msg_hdr, flags | MSG_DONTWAIT | no_signal);
    });
  }

private:
#if defined(MSG_NOSIGNAL)
  static constexpr int no_signal = MSG_NOSIGNAL;
#else
  static constexpr int no_signal = 0;  // macOS: Asio sets SO_NOSIGPIPE when it opens the socket
#endif

  template <class Call>
  static std::size_t transfer(message* first, std::size_t count, error_code& ec, Call call) noexcept
  {
    ec.clear();
    std::size_t moved = 0;
    while (moved < count) {
      const ::ssize_t result = call(first[moved]);
      if (result >= 0) {
        first[moved++].msg_len = static_cast<unsigned>(result);
        continue;
      }
      if (errno == EINTR) continue;
      const error_code failure = last_error();
      if (moved == 0 || failure != net::error::would_block) ec = failure;
      break;
    }
    return moved;
  }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
