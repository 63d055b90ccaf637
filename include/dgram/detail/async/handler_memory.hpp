// SPDX-License-Identifier: BSL-1.0
// Reusable memory for a handler that is pending again and again, to spare the heap.
#ifndef DGRAM_DETAIL_ASYNC_HANDLER_MEMORY_HPP
#define DGRAM_DETAIL_ASYNC_HANDLER_MEMORY_HPP

#include <dgram/config.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Room for what Asio keeps of one pending handler. A handler that does not fit, or a second one at
/// the same time, gets its memory from the heap.
class handler_memory {
public:
  handler_memory() = default;
  handler_memory(const handler_memory&) = delete;
  handler_memory& operator=(const handler_memory&) = delete;

  void* allocate(std::size_t size)
  {
    if (size > room_.size() || taken_.exchange(true, std::memory_order_acquire))
      return ::operator new(size);
    return room_.data();
  }

  void deallocate(void* memory) noexcept
  {
    if (memory == room_.data())
      taken_.store(false, std::memory_order_release);
    else
      ::operator delete(memory);
  }

private:
  alignas(std::max_align_t) std::array<std::byte, 208> room_;
  // If several threads run the context, Asio releases memory outside of the handler's strand.
  std::atomic<bool> taken_{false};
};

template <class T = void>
class handler_allocator {
public:
  using value_type = T;

  explicit handler_allocator(handler_memory& memory) noexcept : memory_(&memory) {}

  template <class U>
  handler_allocator(const handler_allocator<U>& other) noexcept  // NOLINT(*-explicit-*)
      : memory_(other.memory_)
  {
  }

  T* allocate(std::size_t count) { return static_cast<T*>(memory_->allocate(sizeof(T) * count)); }
  void deallocate(T* memory, std::size_t) noexcept { memory_->deallocate(memory); }

  template <class U>
  bool operator==(const handler_allocator<U>& other) const noexcept
  {
    return memory_ == other.memory_;
  }

private:
  template <class>
  friend class handler_allocator;

  handler_memory* memory_;
};

/// A handler that lives in such memory. `Owner` is a shared pointer to the object that has the
/// memory. The handler releases it last.
template <class Owner, class Function>
class stored_handler {
public:
  using allocator_type = handler_allocator<>;

  stored_handler(Owner owner, handler_memory& memory, Function function)
      : owner_(std::move(owner)), memory_(&memory), function_(std::move(function))
  {
  }

  allocator_type get_allocator() const noexcept { return allocator_type(*memory_); }

  template <class... Args>
  void operator()(const Args&...)
  {
    function_(*owner_);
  }

private:
  Owner owner_;
  handler_memory* memory_;
  Function function_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
