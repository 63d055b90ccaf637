// SPDX-License-Identifier: BSL-1.0
// Counts every heap allocation and release of a thread: new, malloc and aligned_alloc.
#ifndef DGRAM_TESTS_SUPPORT_ALLOCATIONS_HPP
#define DGRAM_TESTS_SUPPORT_ALLOCATIONS_HPP

// Included in exactly one translation unit of a program: it defines the allocation functions, and
// the linker refuses a second definition. Replacing operator new would not do, since Asio takes its
// memory from aligned_alloc.

#include "support/sanitizers.hpp"

#include <cstddef>
#include <cstdlib>

namespace test {

namespace detail {
// Trivial, so that it may be touched by the first allocation of a thread.
inline thread_local std::size_t allocations = 0;
inline thread_local std::size_t releases = 0;
inline thread_local std::size_t until_failure = 0;  // 0: none fails

/// Whether this allocation is the one that is to fail.
inline bool is_to_fail() noexcept
{
  return until_failure > 0 && --until_failure == 0;
}
}  // namespace detail

/// How many heap allocations this thread has made.
inline std::size_t allocations() noexcept
{
  return detail::allocations;
}

/// How many pieces of heap memory this thread has given back.
inline std::size_t releases() noexcept
{
  return detail::releases;
}

/// While it lives, the n-th allocation of this thread fails, once.
class failing_allocation {
public:
  explicit failing_allocation(std::size_t n) noexcept { detail::until_failure = n; }
  failing_allocation(const failing_allocation&) = delete;
  failing_allocation& operator=(const failing_allocation&) = delete;
  ~failing_allocation() { detail::until_failure = 0; }

  bool has_failed() const noexcept { return detail::until_failure == 0; }
};

}  // namespace test

#if defined(DGRAM_TESTS_SANITIZED_HEAP)

// A sanitizer has an allocator of its own and tells of each allocation.

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace test {

constexpr bool counts_allocations = true;
constexpr bool fails_allocations = false;

void count_allocation(const volatile void*, std::size_t)
{
  ++detail::allocations;
}
void count_release(const volatile void*)
{
  ++detail::releases;
}
const int counting_installed =
    __sanitizer_install_malloc_and_free_hooks(count_allocation, count_release);

}  // namespace test

#elif defined(__GLIBC__)

// Documented in the C library's manual under "Replacing malloc": a program may define these. The
// memory is still that of the C library, so what is not replaced here goes with it.

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) noexcept
{
  ++test::detail::allocations;
  if (test::detail::is_to_fail()) return nullptr;
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept
{
  ++test::detail::allocations;
  if (test::detail::is_to_fail()) return nullptr;
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) noexcept
{
  ++test::detail::allocations;
  if (test::detail::is_to_fail()) return nullptr;
  return __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
  ++test::detail::allocations;
  if (test::detail::is_to_fail()) return nullptr;
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept
{
  constexpr int no_memory = 12;
  ++test::detail::allocations;
  if (test::detail::is_to_fail()) return no_memory;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? no_memory : 0;
}

void free(void* memory) noexcept
{
  if (memory != nullptr) ++test::detail::releases;
  __libc_free(memory);
}

}  // extern "C"

namespace test {
constexpr bool counts_allocations = true;
constexpr bool fails_allocations = true;
}  // namespace test

#else

namespace test {
constexpr bool counts_allocations = false;
constexpr bool fails_allocations = false;
}  // namespace test

#endif

#define DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS()                                            \
  do {                                                                                    \
    if (!test::counts_allocations) SKIP("this C library does not let itself be counted"); \
  } while (false)

#endif
