// SPDX-License-Identifier: BSL-1.0
// The contract that every backend fulfils, and the choice of the backend for this build.
#ifndef DGRAM_DETAIL_PLATFORM_BACKEND_HPP
#define DGRAM_DETAIL_PLATFORM_BACKEND_HPP

#include <dgram/config.hpp>

// A backend is a struct of static functions. It moves batches; one datagram is a batch of one.
//
//   static constexpr const char* name;
//       The backend's name in tests and benchmarks.
//
//   static constexpr bool reports_wire_size;
//       Whether the length of a truncated datagram is its length on the wire.
//
//   static constexpr int full_size_flag;
//       The flag with which recv(2) returns that length; 0 for none.
//
//   static constexpr std::size_t max_segments;
//       How many datagrams one message may hold for the kernel to cut apart, in the newest version;
//       1 if the kernel cannot do that.
//
//   static constexpr std::size_t sure_segments;
//       The same, for every version.
//
//   static constexpr std::size_t max_messages;
//       How many messages one system call takes; 1 if it takes them one by one.
//
//   static std::size_t receive(handle, message* first, std::size_t count, int flags,
//                              error_code& ec);
//       Takes up to `count` queued datagrams, in order, into the prepared messages. If it returns
//       less than `count` without an error, the queue was empty afterwards.
//
//   static std::size_t send(handle, const message* first, std::size_t count, int flags,
//                           error_code& ec);
//       Passes up to `count` prepared messages to the kernel, in order, and skips none.
//
// Both functions return how many moved, never block, and retry after EINTR. They set `ec` only to
// say why they stopped. If they return n > 0 and an error, then n datagrams moved. The error is
// that of the next one, and the kernel will not repeat it. They report `would_block` only if
// none moved.

#if defined(DGRAM_FORCE_POSIX_BACKEND)
#include <dgram/detail/platform/backend_posix.hpp>
#elif defined(_WIN32)
#include <dgram/detail/platform/backend_windows.hpp>
#elif defined(__linux__)
#include <dgram/detail/platform/backend_linux.hpp>
#elif defined(__unix__) || defined(__APPLE__)
#include <dgram/detail/platform/backend_posix.hpp>
#else
#error "dgram has no backend for this operating system yet"
#endif

#include <atomic>
#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace platform {

#if defined(DGRAM_FORCE_POSIX_BACKEND)
using backend = posix_backend;
#elif defined(_WIN32)
using backend = windows_backend;
#elif defined(__linux__)
using backend = linux_backend;
#else
using backend = posix_backend;
#endif

/// How many datagrams this kernel takes in one message, as far as the sends have found out.
inline std::atomic<std::size_t> known_segments{backend::max_segments};

inline std::size_t segment_limit() noexcept
{
  return known_segments.load(std::memory_order_relaxed);
}

/// Called when the kernel refused messages longer than `sure_segments`, and took the same datagrams
/// in shorter ones.
inline void note_old_segment_limit() noexcept
{
  known_segments.store(backend::sure_segments, std::memory_order_relaxed);
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
