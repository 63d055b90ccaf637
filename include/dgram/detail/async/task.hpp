// SPDX-License-Identifier: BSL-1.0
// Things to do on a later turn. Each owns its memory, so to queue it costs none.
#ifndef DGRAM_DETAIL_ASYNC_TASK_HPP
#define DGRAM_DETAIL_ASYNC_TASK_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class task;

/// The link of a task in a queue. It is a class of its own because `task` must have no friends:
/// with a friend, the destructor counts as accessible, and compilers ask for a virtual one.
class task_link {
  friend class task_queue;
  task* next_ = nullptr;
};

/// Something to do once. It owns its memory, so queueing it costs none.
class task : public task_link {
public:
  task(const task&) = delete;
  task& operator=(const task&) = delete;

  /// Releases the memory, then does the work.
  virtual void run() = 0;

  /// Releases the memory, and does nothing else.
  virtual void discard() noexcept = 0;

protected:
  task() = default;
  ~task() = default;
};

struct discard_task {
  void operator()(task* which) const noexcept { which->discard(); }
};

using task_ptr = std::unique_ptr<task, discard_task>;

/// A first-in, first-out queue. Its destructor discards the tasks that are left.
class task_queue {
public:
  task_queue() = default;
  task_queue(const task_queue&) = delete;
  task_queue& operator=(const task_queue&) = delete;
  ~task_queue()
  {
    while (!empty())
      pop()->discard();
  }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  void push(task* added) noexcept
  {
    next(added) = nullptr;
    (empty() ? first_ : next(last_)) = added;
    last_ = added;
    ++size_;
  }

  task* pop() noexcept
  {
    --size_;
    return std::exchange(first_, next(first_));
  }

private:
  static task*& next(task_link* of) noexcept { return of->next_; }

  task* first_ = nullptr;
  task* last_ = nullptr;
  std::size_t size_ = 0;
};

template <class T, class Allocator>
using rebound = typename std::allocator_traits<Allocator>::template rebind_alloc<T>;

template <class Task, class Allocator, class... Args>
Task* make_task(const Allocator& allocator, Args&&... args)
{
  rebound<Task, Allocator> memory(allocator);
  Task* const where = memory.allocate(1);
  try {
    return ::new (static_cast<void*>(where)) Task(std::forward<Args>(args)...);
  } catch (...) {
    memory.deallocate(where, 1);
    throw;
  }
}

template <class Task, class Allocator>
void release_task(Task* which, const Allocator& allocator) noexcept
{
  rebound<Task, Allocator> memory(allocator);
  which->~Task();
  memory.deallocate(which, 1);
}

/// A task that is part of its owner, so that to post it takes no memory. `turns::deliver_once`
/// posts it, unless it is posted already.
template <class Owner>
class member_task final : public task {
public:
  member_task(Owner& owner, void (Owner::*function)()) noexcept : owner_(owner), function_(function)
  {
  }

  bool is_posted() const noexcept { return is_posted_; }

  /// Returns whether it was posted before.
  bool mark_posted() noexcept { return std::exchange(is_posted_, true); }

  void run() override
  {
    is_posted_ = false;
    (owner_.*function_)();
  }
  void discard() noexcept override { is_posted_ = false; }

private:
  Owner& owner_;
  void (Owner::*function_)();
  bool is_posted_ = false;
};

using recycling = net::recycling_allocator<void>;

template <class Function>
class function_task final : public task {
public:
  explicit function_task(Function&& function) : function_(std::move(function)) {}

  void run() override
  {
    Function function(std::move(function_));
    release_task(this, recycling());
    std::move(function)();
  }

  void discard() noexcept override { release_task(this, recycling()); }

private:
  Function function_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
