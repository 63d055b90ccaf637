// SPDX-License-Identifier: BSL-1.0
#include "allocations.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <new>
#include <system_error>

namespace {

std::atomic<std::uint64_t> own_counter{0};
std::atomic<std::uint64_t>* counter = &own_counter;

void count() noexcept
{
  counter->fetch_add(1, std::memory_order_relaxed);
}

void* allocate(std::size_t size)
{
  count();
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept
{
  count();
  void* memory = nullptr;
  const std::size_t least = sizeof(void*);
  const int error = ::posix_memalign(&memory, alignment < least ? least : alignment, size);
  return error == 0 ? memory : nullptr;
}

}  // namespace

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
  return allocate_aligned(size, alignment);
}

void* operator new(std::size_t size)
{
  return allocate(size);
}
void* operator new[](std::size_t size)
{
  return allocate(size);
}

void* operator new(std::size_t size, std::align_val_t alignment)
{
  if (void* const memory = allocate_aligned(size, static_cast<std::size_t>(alignment)))
    return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept
{
  std::free(memory);
}
void operator delete[](void* memory) noexcept
{
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept
{
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept
{
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept
{
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept
{
  std::free(memory);
}

namespace bench {

std::uint64_t allocations() noexcept
{
  return counter->load(std::memory_order_relaxed);
}

shared_counter::shared_counter()
{
  void* const page =
      ::mmap(nullptr, sizeof *value_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  value_ = new (page) std::atomic<std::uint64_t>(0);
}

shared_counter::~shared_counter()
{
  if (counter == value_) counter = &own_counter;
  ::munmap(value_, sizeof *value_);
}

void shared_counter::adopt() noexcept
{
  counter = value_;
}

}  // namespace bench
