// SPDX-License-Identifier: BSL-1.0
// A hint to the system about how large memory is used.
#ifndef DGRAM_DETAIL_PLATFORM_MEMORY_HPP
#define DGRAM_DETAIL_PLATFORM_MEMORY_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/system.hpp>

#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The size and alignment of a huge page where processors have pages of 4 KiB.
inline constexpr std::size_t huge_page_size = std::size_t{1} << 21U;

/// Asks for huge pages, because memory that is read at random costs a page walk for each read. This
/// is a hint: without such pages, or on another system, nothing happens.
inline void prefer_huge_pages([[maybe_unused]] void* memory,
                              [[maybe_unused]] std::size_t size) noexcept
{
#if defined(__linux__)
  // Only whole huge pages, so that the neighbours in memory keep theirs.
  const auto start = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (start + huge_page_size - 1) / huge_page_size * huge_page_size;
  const std::uintptr_t last = (start + size) / huge_page_size * huge_page_size;
  if (first >= last) return;
  system::madvise(static_cast<std::byte*>(memory) + (first - start), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
