// SPDX-License-Identifier: BSL-1.0
// The system-call seam: every call that the library itself makes into the kernel goes through here.
#ifndef DGRAM_DETAIL_PLATFORM_SYSTEM_HPP
#define DGRAM_DETAIL_PLATFORM_SYSTEM_HPP

#include <dgram/config.hpp>

#if defined(DGRAM_SYSTEM_HEADER)

// Tests supply their own `dgram::platform::system`, with scripted results.
#include DGRAM_SYSTEM_HEADER

#elif defined(_WIN32)

#include <dgram/detail/platform/system_windows.hpp>

#else

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The calls as the operating system has them; result and errno are unchanged.
struct system {
  static ::ssize_t recvmsg(int fd, ::msghdr* message, int flags) noexcept
  {
    return ::recvmsg(fd, message, flags);
  }

  static ::ssize_t sendmsg(int fd, const ::msghdr* message, int flags) noexcept
  {
    return ::sendmsg(fd, message, flags);
  }

#if defined(__linux__)
  static int recvmmsg(int fd, ::mmsghdr* messages, unsigned count, int flags) noexcept
  {
    // No timeout: the kernel looks at it only after each datagram (recvmmsg(2), BUGS).
    return move_messages(&::recvmmsg, fd, messages, count, flags);
  }

  static int sendmmsg(int fd, ::mmsghdr* messages, unsigned count, int flags) noexcept
  {
    return move_messages(&::sendmmsg, fd, messages, count, flags);
  }

  /// C libraries have different types for the flags.
  template <class Flags, class... Timeout>
  static int move_messages(int (*call)(int, ::mmsghdr*, unsigned, Flags, Timeout*...), int fd,
                           ::mmsghdr* messages, unsigned count, int flags) noexcept
  {
    return call(fd, messages, count, static_cast<Flags>(flags), static_cast<Timeout*>(nullptr)...);
  }
#endif

  static int madvise(void* memory, std::size_t size, int advice) noexcept
  {
    return ::madvise(memory, size, advice);
  }

  static int connect(int fd, const ::sockaddr* address, ::socklen_t size) noexcept
  {
    return ::connect(fd, address, size);
  }

  static int getpeername(int fd, ::sockaddr* address, ::socklen_t* size) noexcept
  {
    return ::getpeername(fd, address, size);
  }

  static int getsockname(int fd, ::sockaddr* address, ::socklen_t* size) noexcept
  {
    return ::getsockname(fd, address, size);
  }

  static int getsockopt(int fd, int level, int name, void* value, ::socklen_t* size) noexcept
  {
    return ::getsockopt(fd, level, name, value, size);
  }

  static int setsockopt(int fd, int level, int name, const void* value, ::socklen_t size) noexcept
  {
    return ::setsockopt(fd, level, name, value, size);
  }

  static unsigned if_nametoindex(const char* name) noexcept { return ::if_nametoindex(name); }

  static char* if_indextoname(unsigned index, char* name) noexcept
  {
    return ::if_indextoname(index, name);
  }

  static int getifaddrs(::ifaddrs** first) noexcept { return ::getifaddrs(first); }

  static void freeifaddrs(::ifaddrs* first) noexcept { ::freeifaddrs(first); }

  static int socket(int family, int type, int protocol) noexcept
  {
    return ::socket(family, type, protocol);
  }

  static int bind(int fd, const ::sockaddr* address, ::socklen_t size) noexcept
  {
    return ::bind(fd, address, size);
  }

  static int listen(int fd, int backlog) noexcept { return ::listen(fd, backlog); }

#if defined(__linux__)
  static int accept4(int fd, int flags) noexcept { return ::accept4(fd, nullptr, nullptr, flags); }
#endif

  static int set_close_on_exec(int fd) noexcept { return ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

  static int duplicate(int fd) noexcept { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }

  static int close(int fd) noexcept { return ::close(fd); }

  static int poll(::pollfd* which, ::nfds_t count, int milliseconds) noexcept
  {
    return ::poll(which, count, milliseconds);
  }

  static int lstat(const char* path, struct ::stat* status) noexcept
  {
    return ::lstat(path, status);
  }

  static int unlink(const char* path) noexcept { return ::unlink(path); }

  static int fchmod(int fd, ::mode_t mode) noexcept { return ::fchmod(fd, mode); }

  static int fchmodat(const char* path, ::mode_t mode, int flags) noexcept
  {
    return ::fchmodat(AT_FDCWD, path, mode, flags);
  }

  static char* getcwd(char* path, std::size_t size) noexcept { return ::getcwd(path, size); }

  static int getentropy(void* buffer, std::size_t size) noexcept
  {
    return ::getentropy(buffer, size);
  }

  static int nanosleep(::timespec* left) noexcept { return ::nanosleep(left, left); }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
#endif
