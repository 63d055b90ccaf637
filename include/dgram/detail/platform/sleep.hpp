// SPDX-License-Identifier: BSL-1.0
// Blocks the thread for a while. The header <thread> costs every user compile time.
#ifndef DGRAM_DETAIL_PLATFORM_SLEEP_HPP
#define DGRAM_DETAIL_PLATFORM_SLEEP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/system.hpp>

#if !defined(_WIN32)
#include <time.h>

#include <cerrno>
#endif

#include <chrono>
#include <ratio>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// `duration` is shorter than a second.
inline void sleep_for(std::chrono::milliseconds duration) noexcept
{
#if defined(_WIN32)
  ::Sleep(static_cast<::DWORD>(duration.count()));
#else
  ::timespec left{};
  left.tv_nsec =
      std::chrono::duration_cast<std::chrono::duration<long, std::nano>>(duration).count();
  while (system::nanosleep(&left) != 0 && errno == EINTR) {}
#endif
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
