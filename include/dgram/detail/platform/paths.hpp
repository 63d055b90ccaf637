// SPDX-License-Identifier: BSL-1.0
// Socket files: identifies a file, finds out whether its socket is gone, and removes it.
#ifndef DGRAM_DETAIL_PLATFORM_PATHS_HPP
#define DGRAM_DETAIL_PLATFORM_PATHS_HPP

#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/detail/platform/system.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The most bytes of a path or an abstract name that Asio's endpoint takes: the kernel's room less
/// a terminating zero.
inline constexpr std::size_t max_path_size = sizeof(::sockaddr_un::sun_path) - 1;

/// Where the path begins in an address. An address that ends there has no path.
inline constexpr std::size_t path_offset = offsetof(::sockaddr_un, sun_path);

/// Whether an address has no path. Linux reports one that ends before its path. Others may report
/// an address of zero bytes, which on Linux are a name (`zeros_are_names`).
#if defined(__linux__)
inline constexpr bool zeros_are_names = true;
#else
inline constexpr bool zeros_are_names = false;
#endif
inline bool has_no_path(const void* address, std::size_t size,
                        bool are_names = zeros_are_names) noexcept
{
  if (size <= path_offset) return true;
  const char* const path = static_cast<const ::sockaddr_un*>(address)->sun_path;
  return !are_names &&
         std::all_of(path, path + (size - path_offset), [](char c) { return c == 0; });
}

/// Whether the path of an address begins with a zero byte (unix(7)). The address must have a path.
inline bool has_abstract_name(const void* address) noexcept
{
  return static_cast<const ::sockaddr_un*>(address)->sun_path[0] == '\0';
}

/// Identifies the file at a path. Two files that exist at the same time differ.
struct file_identity {
  std::uintmax_t device = 0;
  std::uintmax_t number = 0;
  bool is_socket = false;

  friend bool operator==(const file_identity&, const file_identity&) noexcept = default;
};

/// Identifies the file itself if the path is a link, since bind(2) follows no link either. If there
/// is no file, or the system does not tell, the result is no socket.
inline file_identity identify(const char* path) noexcept
{
  struct ::stat status{};
  if (system::lstat(path, &status) != 0) return {};
  file_identity found{.is_socket = S_ISSOCK(status.st_mode)};
  set_field(found.device, status.st_dev);
  set_field(found.number, status.st_ino);
  return found;
}

/// Whether the socket of a socket file is gone: connect(2) finds the file, and no socket behind it.
/// Any other answer, such as "not permitted", is no proof.
inline bool is_abandoned(const void* address, std::size_t size) noexcept
{
  error_code ec;
  const probe_socket probe(AF_UNIX, ec);
  return !ec &&
         system::connect(probe.descriptor(), static_cast<const ::sockaddr*>(address),
                         static_cast<::socklen_t>(size)) != 0 &&
         errno == ECONNREFUSED;
}

/// Gives an unbound `AF_UNIX` socket a name without a file; the kernel chooses it (unix(7),
/// autobind). Returns whether the system can do that.
inline bool take_abstract_name(int descriptor) noexcept
{
  ::sockaddr nobody{};
  nobody.sa_family = AF_UNIX;
  return system::bind(descriptor, &nobody, path_offset) == 0;
}

inline bool remove_file(const char* path) noexcept
{
  return system::unlink(path) == 0;
}

/// Gives an unbound socket the permissions that its file will have, less the umask. Linux creates
/// the file so (net/unix/af_unix.c, unix_bind_bsd); other systems refuse or ignore it.
inline void prepare_file_mode(int descriptor, unsigned mode) noexcept
{
  ::mode_t bits{};
  set_field(bits, mode);
  system::fchmod(descriptor, bits);
}

/// Sets the permissions of a file, unless it has them. Follows no link.
inline void set_file_mode(const char* path, unsigned mode, error_code& ec) noexcept
{
  ec.clear();
  struct ::stat status{};
  if (system::lstat(path, &status) == 0 && (status.st_mode & 0777U) == mode) return;
  ::mode_t bits{};
  set_field(bits, mode);
  if (system::fchmodat(path, bits, AT_SYMLINK_NOFOLLOW) != 0) ec = last_error();
}

/// Returns the path from the root, so that it means the same after a change of the working
/// directory. If that directory is unknown, returns the path unchanged.
inline std::string absolute_path(const std::string& path)
{
  if (path.front() == '/') return path;
  std::array<char, 4096> directory;
  if (system::getcwd(directory.data(), directory.size()) == nullptr) return path;
  return std::string(directory.data()).append("/").append(path);
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
