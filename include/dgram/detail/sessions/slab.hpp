// SPDX-License-Identifier: BSL-1.0
// Blocks that have a number and never move, in chunks.
#ifndef DGRAM_DETAIL_SESSIONS_SLAB_HPP
#define DGRAM_DETAIL_SESSIONS_SLAB_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/memory.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Numbered blocks, from 1. A free block stays constructed, so `Block` must be trivial to destroy.
/// It has `next_free()`, a number that is the slab's while the block is free.
///
/// The first blocks are in small chunks, the others in chunks of a huge page. Memory is used only
/// as far as blocks have been taken.
template <class Block>
  requires std::is_trivially_destructible_v<Block>
class slab {
public:
  /// The largest number: a table may use the highest bit of a number for itself.
  static constexpr std::uint32_t most = std::uint32_t{1} << 30U;

  slab() = default;
  slab(const slab&) = delete;
  slab& operator=(const slab&) = delete;

  ~slab()
  {
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk)
      ::operator delete(chunks_[chunk], alignment(chunk));
  }

  Block& operator[](std::uint32_t number) const noexcept
  {
    const place at = place_of(number - 1);
    return static_cast<Block*>(chunks_[at.chunk])[at.block];
  }

  /// The largest number that was ever in use.
  std::uint32_t last() const noexcept { return last_; }

  /// Returns the number of a free block, the last that was given back. Throws `std::bad_alloc`, and
  /// changes nothing then.
  std::uint32_t take()
  {
    if (free_ != 0) {
      const std::uint32_t number = free_;
      free_ = (*this)[number].next_free();
      return number;
    }
    if (last_ == most) throw std::bad_alloc();
    if (place_of(last_).chunk == chunks_.size()) add_chunk();
    ++last_;
    std::construct_at(&(*this)[last_]);
    return last_;
  }

  void give_back(std::uint32_t number) noexcept
  {
    (*this)[number].next_free() = free_;
    free_ = number;
  }

private:
  struct place {
    std::size_t chunk;
    std::size_t block;
  };

  // The small chunks hold as many blocks as one large chunk.
  static constexpr std::uint32_t small_chunks = 16;
  static constexpr std::uint32_t per_large_chunk = static_cast<std::uint32_t>(
      std::max<std::size_t>(platform::huge_page_size / sizeof(Block), small_chunks));
  static constexpr std::uint32_t per_small_chunk = (per_large_chunk - 1) / small_chunks + 1;

  static place place_of(std::uint32_t at) noexcept
  {
    if (at < per_large_chunk) return {at / per_small_chunk, at % per_small_chunk};
    return {small_chunks - 1 + at / per_large_chunk, at % per_large_chunk};
  }

  static std::align_val_t alignment(std::size_t chunk) noexcept
  {
    return std::align_val_t(chunk < small_chunks ? alignof(Block) : platform::huge_page_size);
  }

  void add_chunk()
  {
    const std::size_t chunk = chunks_.size();
    if (chunk == chunks_.capacity()) chunks_.reserve(std::max<std::size_t>(8, 2 * chunk));
    void* memory = nullptr;
    if (chunk < small_chunks) {
      memory = ::operator new(sizeof(Block) * per_small_chunk, alignment(chunk));
    } else {
      // All of the last page, too: the system gives huge pages only where they fit.
      constexpr std::size_t page = platform::huge_page_size;
      constexpr std::size_t size = (sizeof(Block) * per_large_chunk + page - 1) / page * page;
      memory = ::operator new(size, alignment(chunk));
      platform::prefer_huge_pages(memory, size);
    }
    chunks_.push_back(memory);
  }

  std::vector<void*> chunks_;
  std::uint32_t last_ = 0;
  std::uint32_t free_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
