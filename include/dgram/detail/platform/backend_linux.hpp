// SPDX-License-Identifier: BSL-1.0
// The Linux backend: many datagrams per system call, with recvmmsg(2) and sendmmsg(2).
#ifndef DGRAM_DETAIL_PLATFORM_BACKEND_LINUX_HPP
#define DGRAM_DETAIL_PLATFORM_BACKEND_LINUX_HPP

#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/platform/system.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace platform {

struct linux_backend {
  static constexpr const char* name = "linux";
  static constexpr bool reports_wire_size = true;
  static constexpr int full_size_flag = MSG_TRUNC;
  // linux/udp.h, UDP_MAX_SEGMENTS: 128 since Linux 6.10.
  static constexpr std::size_t max_segments = 128;
  static constexpr std::size_t sure_segments = 64;

  // Both calls limit the count to UIO_MAXIOV. With the same limit here, "fewer than asked" keeps
  // its meaning.
  static constexpr std::size_t max_messages = 1024;

  static std::size_t receive(int fd, message* first, std::size_t count, int flags,
                             error_code& ec) noexcept
  {
    if ((flags & MSG_PEEK) != 0) return peek(fd, *first, flags, ec);
    // MSG_TRUNC asks for the length on the wire instead of the copied length (recv(2)). If an error
    // follows some datagrams, the kernel keeps it for the next call (net/socket.c, do_recvmmsg).
    std::size_t moved = 0;
    for (;;) {
      const unsigned asked = limit(count - moved);
      const std::size_t step = transfer(ec, [&] {
        return system::recvmmsg(fd, first + moved, asked, flags | MSG_DONTWAIT | MSG_TRUNC);
      });
      moved += step;
      if (step < asked || moved == count) break;
    }
    if (moved > 0 && ec == net::error::would_block) ec.clear();
    return moved;
  }

  static std::size_t send(int fd, message* first, std::size_t count, int flags,
                          error_code& ec) noexcept
  {
    return transfer(ec, [&] {
      return system::sendmmsg(fd, first, limit(count), flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    });
  }

private:
  /// A second peek would see the same datagram. gVisor's recvmmsg(2) refuses the flag, and its
  /// recvmsg(2) takes it.
  static std::size_t peek(int fd, message& first, int flags, error_code& ec) noexcept
  {
    return transfer(ec, [&] {
      const ::ssize_t size = system::recvmsg(fd, &first.msg_hdr, flags | MSG_DONTWAIT | MSG_TRUNC);
      if (size < 0) return -1;
      first.msg_len = static_cast<unsigned>(size);
      return 1;
    });
  }

  static unsigned limit(std::size_t count) noexcept
  {
    return static_cast<unsigned>(std::min(count, max_messages));
  }

  template <class Call>
  static std::size_t transfer(error_code& ec, Call call) noexcept
  {
    int result = 0;
    do {
      result = call();
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
      ec = last_error();
      return 0;
    }
    ec.clear();
    return static_cast<std::size_t>(result);
  }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
