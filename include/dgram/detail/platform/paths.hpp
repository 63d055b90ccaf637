// SPDX-License-Identifier: BSL-1.0
// Socket files: identifies a file, finds out whether its socket is gone, and removes it.
#ifndef DGRAM_DETAIL_PLATFORM_PATHS_HPP
#define DGRAM_DETAIL_PLATFORM_PATHS_HPP

#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/detail/platform/system.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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

/// Where the path begins in an address; one that ends there has none.
inline constexpr std::size_t path_offset = offsetof(::sockaddr_un, sun_path);

/// Whether an address that has a path begins it with a zero byte (unix(7)).
inline bool has_abstract_name(const void* address) noexcept
{
  return static_cast<const ::sockaddr_un*>(address)->sun_path[0] == '\0';
}

/// Which file is at a path. Two that exist at the same time differ.
struct file_identity {
  std::uintmax_t device = 0;
  std::uintmax_t number = 0;
  bool is_socket = false;

  friend bool operator==(const file_identity&, const file_identity&) noexcept = default;
};

/// The file itself, where the path is a link: bind(2) follows none either. Not a socket where there
/// is nothing, or where it cannot be found out.
inline file_identity identify(const char* path) noexcept
{
  struct ::stat status{};
  if (system::lstat(path, &status) != 0) return {};
  return {status.st_dev, status.st_ino, S_ISSOCK(status.st_mode)};
}

/// Whether a socket file is left over from a socket that is gone: connect(2) finds the file and
/// nobody behind it. Any other answer, also "not permitted", is no proof.
inline bool is_abandoned(const void* address, std::size_t size) noexcept
{
  error_code ec;
  const probe_socket probe(AF_UNIX, ec);
  return !ec &&
         system::connect(probe.descriptor(), static_cast<const ::sockaddr*>(address),
                         static_cast<::socklen_t>(size)) != 0 &&
         errno == ECONNREFUSED;
}

/// Whether an unbound socket of `AF_UNIX` can have a name without a file: the kernel is to choose
/// one (unix(7), autobind).
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

/// The path from the root, so that it means the same after a change of the working directory; as it
/// is where that is unknown.
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
