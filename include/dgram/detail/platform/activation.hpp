// SPDX-License-Identifier: BSL-1.0
// The environment in which a supervisor starts a process with open sockets (sd_listen_fds(3)).
#ifndef DGRAM_DETAIL_PLATFORM_ACTIVATION_HPP
#define DGRAM_DETAIL_PLATFORM_ACTIVATION_HPP

#include <dgram/config.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

#if !defined(_WIN32)
#include <unistd.h>
#endif

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The number of the first passed descriptor (SD_LISTEN_FDS_START).
inline constexpr int first_passed_descriptor = 3;

#if defined(_WIN32)

inline constexpr bool has_socket_activation = false;

inline std::int64_t process_id() noexcept
{
  return 0;
}
inline const char* environment(const char*) noexcept
{
  return nullptr;
}
inline void unset_environment(const char*) noexcept
{
}

#else

inline constexpr bool has_socket_activation = true;

inline std::int64_t process_id() noexcept
{
  return ::getpid();
}

/// Returns null if the variable is not set.
inline const char* environment(const char* name) noexcept
{
  return std::getenv(name);
}

inline void unset_environment(const char* name) noexcept
{
  ::unsetenv(name);
}

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
