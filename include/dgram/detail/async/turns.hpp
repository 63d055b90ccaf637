// SPDX-License-Identifier: BSL-1.0
// Runs the tasks of one object on later turns, in the order of their causes.
#ifndef DGRAM_DETAIL_ASYNC_TURNS_HPP
#define DGRAM_DETAIL_ASYNC_TURNS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/at_end.hpp>
#include <dgram/detail/async/handler_memory.hpp>
#include <dgram/detail/async/task.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <typeinfo>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Returns the context if the executor is its own; otherwise null.
template <class Executor>
net::io_context* find_io_context(const Executor& executor)
{
  using of_io = net::io_context::executor_type;
  const of_io* found = nullptr;
  if constexpr (std::same_as<Executor, of_io>) found = &executor;
#if defined(__cpp_rtti)
  // Some versions of Asio do not check the type that `target` is asked for, a strand for example.
  else if constexpr (requires { executor.target_type() == typeid(of_io); })
    if (executor.target_type() == typeid(of_io)) found = executor.template target<of_io>();
#endif
  return found != nullptr ? &net::query(*found, net::execution::context) : nullptr;
}

/// `Owner` has `shared_from_this`, `get_executor`, and `flush`, which passes on what was sent.
template <class Owner>
class turns {
public:
  /// `io` may be null.
  turns(Owner& owner, net::io_context* io) noexcept : owner_(owner), io_(io) {}
  turns(const turns&) = delete;
  turns& operator=(const turns&) = delete;

  /// Returns the context; null if it is not known.
  net::io_context* io() const noexcept { return io_; }

  /// Makes a task from a function.
  template <class Function>
  task_ptr make(Function function)
  {
    return task_ptr(make_task<function_task<Function>>(recycling(), std::move(function)));
  }

  /// Runs a function on a later turn.
  template <class Function>
  void post(Function function)
  {
    deliver(make(std::move(function)).release());
  }

  /// Takes over the task, even if this throws.
  void deliver(task* which)
  {
    if (ended_) {
      which->discard();
      return;
    }
    try {
      schedule();
    } catch (...) {
      which->discard();
      throw;
    }
    tasks_.push(which);
  }

  template <class Part>
  void deliver_once(member_task<Part>& which)
  {
    if (!which.mark_posted()) deliver(&which);
  }

  /// Schedules the next turn, unless it is scheduled already.
  void schedule()
  {
    if (ended_ || scheduled_) return;
    post_stored(memory_, [this](Owner&) { run(); });
    scheduled_ = true;
  }

  /// Calls a function of the program. Its exception leaves the context on a later turn, so the
  /// caller goes on.
  template <class Function>
  void call(Function function)
  {
    try {
      function();
    } catch (...) {
      throw_later(std::current_exception());
    }
  }

  /// Without memory for a turn, `throw_kept` tries again.
  void throw_later(std::exception_ptr thrown)
  {
    try {
      post([thrown] { std::rethrow_exception(thrown); });
    } catch (const std::bad_alloc&) {
      if (!kept_) kept_ = std::move(thrown);
    }
  }

  void throw_kept()
  {
    if (kept_) throw_later(std::exchange(kept_, nullptr));
  }

  /// From now on there is no later turn: new tasks are discarded.
  void end() noexcept { ended_ = true; }

  /// Discards the tasks that wait for their turn.
  void discard() noexcept
  {
    while (!tasks_.empty())
      tasks_.pop()->discard();
  }

  /// Returns a handler in that memory. The handler calls the function with the owner, and keeps the
  /// owner alive.
  template <class Function>
  auto stored(handler_memory& memory, Function function)
  {
    return stored_handler<std::shared_ptr<Owner>, Function>(owner_.shared_from_this(), memory,
                                                            std::move(function));
  }

  /// Posts to the context if it is known, since a type-erased executor ignores the handler's
  /// allocator.
  template <class Function>
  void post_stored(handler_memory& memory, Function function)
  {
    if (io_ != nullptr)
      net::post(io_->get_executor(), stored(memory, std::move(function)));
    else
      net::post(owner_.get_executor(), stored(memory, std::move(function)));
  }

private:
  /// Tasks that were queued before this turn run in it. Tasks that their handlers queue run in a
  /// later one.
  void run()
  {
    scheduled_ = false;
    const at_end passes_on([this] { owner_.flush(); });
    owner_.flush();
    for (std::size_t left = tasks_.size(); left > 0 && !tasks_.empty(); --left) {
      // Schedules the next turn first, since the task may throw, or run the context itself. If this
      // throws, the task is still in the queue.
      if (tasks_.size() > 1) schedule();
      tasks_.pop()->run();
    }
  }

  Owner& owner_;
  net::io_context* io_;
  handler_memory memory_;
  task_queue tasks_;
  std::exception_ptr kept_;  // could not be posted
  bool scheduled_ = false;
  bool ended_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
