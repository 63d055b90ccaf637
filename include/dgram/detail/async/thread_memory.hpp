// SPDX-License-Identifier: BSL-1.0
// Memory of ended operations, which each thread keeps for its next ones.
#ifndef DGRAM_DETAIL_ASYNC_THREAD_MEMORY_HPP
#define DGRAM_DETAIL_ASYNC_THREAD_MEMORY_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/thread_exit.hpp>

#include <cstddef>
#include <new>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Blocks of one size. Asio keeps two pieces of memory for a thread, of any size. Its posts and
/// waits need both of them while an operation of this library is pending.
class thread_memory {
public:
  static void* allocate(std::size_t size)
  {
    if (size > sizeof(block) || first == nullptr) return allocate_new(size);
    block* const taken = first;
    first = taken->next;
    --kept;
    return taken;
  }

  static void deallocate(void* memory, std::size_t size) noexcept
  {
    if (size > sizeof(block) || kept == most_kept) return ::operator delete(memory);
    first = ::new (memory) block{first};
    ++kept;
  }

private:
  union block {
    block* next;
    alignas(std::max_align_t) std::byte room[1024];  // NOLINT(*-avoid-c-arrays)
  };

  static constexpr unsigned most_kept = 4;

  DGRAM_COLD static void* allocate_new(std::size_t size)
  {
    if (!is_registered && platform::call_at_thread_exit<&end_thread>()) {
      is_registered = true;
      kept = 0;
    }
    return ::operator new(size > sizeof(block) ? size : sizeof(block));
  }

  /// Keeps nothing from then on: a context with static storage is destroyed later.
  static void end_thread() noexcept
  {
    kept = most_kept;
    while (first != nullptr) {
      block* const last = first;
      first = last->next;
      ::operator delete(last);
    }
  }

  static inline thread_local block* first = nullptr;
  static inline thread_local unsigned kept = most_kept;  // nothing more is kept
  static inline thread_local bool is_registered = false;
};

template <class T = void>
class thread_allocator {
public:
  using value_type = T;

  thread_allocator() = default;
  template <class U>
  thread_allocator(const thread_allocator<U>&) noexcept  // NOLINT(*-explicit-*)
  {
  }

  T* allocate(std::size_t count)
  {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    return static_cast<T*>(thread_memory::allocate(sizeof(T) * count));
  }
  void deallocate(T* memory, std::size_t count) noexcept
  {
    thread_memory::deallocate(memory, sizeof(T) * count);
  }

  template <class U>
  bool operator==(const thread_allocator<U>&) const noexcept
  {
    return true;
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
