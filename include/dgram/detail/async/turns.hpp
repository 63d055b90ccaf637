// SPDX-License-Identifier: BSL-1.0
// Runs an emitter's tasks on later turns, in the order of their causes.
#ifndef DGRAM_DETAIL_ASYNC_TURNS_HPP
#define DGRAM_DETAIL_ASYNC_TURNS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/completion.hpp>
#include <dgram/detail/async/handler_memory.hpp>

#include <cstddef>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Hands over what was sent, also where something is thrown.
template <class Owner>
struct flush_at_end {
  Owner& owner;
  ~flush_at_end() { owner.flush(); }
};

/// `Owner` is held by `shared_from_this`, has `get_executor`, and `flush`, which hands over what
/// was sent.
template <class Owner>
class turns {
public:
  /// `io` may be null.
  turns(Owner& owner, net::io_context* io) noexcept : owner_(owner), io_(io) {}
  turns(const turns&) = delete;
  turns& operator=(const turns&) = delete;

  /// The context, where it is known.
  net::io_context* io() const noexcept { return io_; }

  /// A task of a function.
  template <class Function>
  task_ptr make(Function function)
  {
    return task_ptr(make_task<function_task<Function>>(recycling(), std::move(function)));
  }

  /// Does something on a later turn.
  template <class Function>
  void post(Function function)
  {
    deliver(make(std::move(function)).release());
  }

  /// Takes the task over, also if it throws.
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

  /// Sees to it that there is a next turn.
  void schedule()
  {
    if (ended_ || scheduled_) return;
    post_stored(memory_, [this](Owner&) { run(); });
    scheduled_ = true;
  }

  /// There is no later turn: what is delivered is discarded.
  void end() noexcept { ended_ = true; }

  /// Discards what waits for its turn.
  void discard() noexcept
  {
    while (!tasks_.empty())
      tasks_.pop()->discard();
  }

  /// A handler in that memory, which is called with the owner and keeps it.
  template <class Function>
  auto stored(handler_memory& memory, Function function)
  {
    return stored_handler<std::shared_ptr<Owner>, Function>(owner_.shared_from_this(), memory,
                                                            std::move(function));
  }

  /// A type-erased executor has no use for an allocator, so it is the context's that is posted to,
  /// where it is known.
  template <class Function>
  void post_stored(handler_memory& memory, Function function)
  {
    if (io_ != nullptr)
      net::post(io_->get_executor(), stored(memory, std::move(function)));
    else
      net::post(owner_.get_executor(), stored(memory, std::move(function)));
  }

private:
  /// What was started before this turn ends in it; what its handlers start ends later.
  void run()
  {
    scheduled_ = false;
    const flush_at_end<Owner> guard{owner_};
    owner_.flush();
    for (std::size_t left = tasks_.size(); left > 0 && !tasks_.empty(); --left) {
      task* const next = tasks_.pop();
      // The rest has its turn also where this one throws, or runs the context by itself.
      if (!tasks_.empty()) schedule();
      next->run();
    }
  }

  Owner& owner_;
  net::io_context* io_;
  handler_memory memory_;
  task_queue tasks_;
  bool scheduled_ = false;
  bool ended_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
