// SPDX-License-Identifier: BSL-1.0
// Hints about memory that is needed soon. They read nothing.
#ifndef DGRAM_DETAIL_SESSIONS_FETCH_AHEAD_HPP
#define DGRAM_DETAIL_SESSIONS_FETCH_AHEAD_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t cache_line = 64;

/// Fetches one line of the cache.
inline void fetch_ahead([[maybe_unused]] const void* memory) noexcept
{
#if defined(__GNUC__)
  __builtin_prefetch(memory);
  // GCC removes calls of functions that do nothing but prefetch. The statement is such a function's
  // visible effect, and no instruction.
  __asm__ volatile("");
#endif
}

/// Fetches so many bytes from an address on. There need not be memory.
inline void fetch_ahead(std::uintptr_t first, std::size_t size) noexcept
{
  for (std::size_t at = 0; at < size; at += cache_line)
    fetch_ahead(reinterpret_cast<const void*>(first + at));  // NOLINT(*-no-int-to-ptr)
}

inline void fetch_ahead(const void* memory, std::size_t size) noexcept
{
  fetch_ahead(reinterpret_cast<std::uintptr_t>(memory), size);
}

/// Fetches the frames of a coroutine that waits. `object` is a local variable of the coroutine,
/// such as a handle, so it is in the first frame. `wait` is the last memory that the coroutine
/// allocated. If the allocator placed the memory in order, the other frames are between the two.
inline void fetch_coroutine_ahead(const void* object, const void* wait) noexcept
{
  constexpr std::size_t most_frames = 2048;  // those of three coroutines and of the spawned one
  constexpr std::size_t of_wait = 2 * cache_line;
  constexpr std::size_t before_object = 2 * cache_line;  // the beginning of its frame
  const auto first = reinterpret_cast<std::uintptr_t>(object) - before_object;
  const std::uintptr_t distance = reinterpret_cast<std::uintptr_t>(wait) - first;
  if (distance <= most_frames) {
    fetch_ahead(first, distance + of_wait);
  } else {
    fetch_ahead(wait, of_wait);
    fetch_ahead(object, 2 * cache_line);
  }
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
