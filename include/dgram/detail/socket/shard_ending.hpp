// SPDX-License-Identifier: BSL-1.0
// The operation that takes the last member out of a group and waits until nothing more comes to it.
#ifndef DGRAM_DETAIL_SOCKET_SHARD_ENDING_HPP
#define DGRAM_DETAIL_SOCKET_SHARD_ENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/steering.hpp>
#include <dgram/detail/socket/shard_members.hpp>
#include <dgram/detail/socket/shard_seat.hpp>
#include <dgram/error.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Posts a completion to the handler's executor. Some executors can only call, so that they would
/// do it here: the completion goes through the other executor first then.
template <class Executor, class Otherwise, class Upcall>
void post_upcall(const Executor& executor, [[maybe_unused]] const Otherwise& otherwise,
                 Upcall&& call)
{
  constexpr bool may_run_inline =
      net::execution::is_executor<Executor>::value &&
      !net::can_require_v<Executor, net::execution::blocking_t::never_t>;
  if constexpr (may_run_inline)
    net::post(otherwise, [executor, call = std::forward<Upcall>(call)]() mutable {
      net::dispatch(executor, std::move(call));
    });
  else
    net::post(executor, std::forward<Upcall>(call));
}

/// Ends an open member. Its steps run on the member's executor, so the socket cannot be closed in
/// the meantime. Only what waits in the member's context keeps this object: if the context ends, so
/// does this. The completion may belong to another thread, and the handler's cancellation slot too.
template <class Executor>
class shard_ending : public std::enable_shared_from_this<shard_ending<Executor>> {
  using members_type = shard_members<Executor>;
  using member = typename members_type::member;

public:
  shard_ending(const Executor& executor, std::shared_ptr<members_type> group, member last,
               bool closes)
      : executor_(executor),
        group_(std::move(group)),
        last_(std::move(last)),
        closes_(closes),
        timer_(executor)
  {
  }
  shard_ending(const shard_ending&) = delete;
  shard_ending& operator=(const shard_ending&) = delete;

  void leave_out()
  {
    if (is_done_) return;
    error_code ec;
    group_->leave_out_last(ec);
    if (ec)
      finish(ec);
    else if (state() && !group_->shares_queue())
      wait();
    else
      finish({});
  }

  /// Ends before it begins.
  void refuse(const error_code& ec)
  {
    is_done_ = true;
    complete(ec);
  }

  void cancel()
  {
    finish(net::error::operation_aborted);
    timer_.cancel();
  }

protected:
  const Executor& member_executor() const noexcept { return executor_; }

  virtual ~shard_ending()
  {
    if (!is_done_) group_->stop_ending();
  }

  /// Called once, on the member's executor.
  virtual void complete(const error_code& ec) = 0;

private:
  /// Twice this time passes, so that the kernel is done with the datagrams that it steered by the
  /// program before.
  static constexpr std::chrono::milliseconds pause{1};

  /// Returns the member's socket, or null if the program has closed that, even if it has opened the
  /// same object again.
  std::shared_ptr<typename members_type::state_type> state() const
  {
    auto held = last_.state.lock();
    if (held && (held->seat != last_.seat || !held->socket.is_open())) held.reset();
    return held;
  }

  void wait()
  {
    timer_.expires_after(pause);
    timer_.async_wait([self = this->shared_from_this()](const error_code&) {
      if (!self->is_done_) self->look();
    });
  }

  void look()
  {
    const auto held = state();
    if (!held) return finish({});
    const bool is_empty = !platform::has_queued(held->fd());
    empty_looks_ = is_empty ? empty_looks_ + 1 : 0;
    if (empty_looks_ < 2)
      wait();
    else
      finish({});
  }

  void finish(const error_code& ec)
  {
    if (is_done_) return;
    if (!ec && closes_) group_->close_last(state().get());
    is_done_ = true;
    group_->stop_ending();
    complete(ec);
  }

  Executor executor_;
  std::shared_ptr<members_type> group_;
  member last_;
  bool closes_;
  bool is_done_ = false;
  int empty_looks_ = 0;  // one after the other
  net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>,
                            Executor>
      timer_;
};

template <class Executor, class Handler>
class shard_ending_for final : public shard_ending<Executor> {
public:
  template <class From, class... Args>
  explicit shard_ending_for(From&& handler, const Executor& otherwise, Args&&... args)
      : shard_ending<Executor>(otherwise, std::forward<Args>(args)...),
        work_(net::get_associated_executor(handler, otherwise)),
        handler_(std::forward<From>(handler))
  {
  }

private:
  using handler_executor = net::associated_executor_t<Handler, Executor>;

  void complete(const error_code& ec) override
  {
    const auto executor = work_.get_executor();
    post_upcall(executor, this->member_executor(),
                upcall<Handler, handler_executor, error_code>(std::move(handler_), std::move(work_),
                                                              error_code(ec)));
  }

  net::executor_work_guard<handler_executor> work_;
  Handler handler_;
};

/// Launches the operation: now, or when a deferred operation starts.
template <class Executor>
class shard_ending_initiation {
public:
  shard_ending_initiation(std::shared_ptr<shard_members<Executor>> group, bool closes) noexcept
      : group_(std::move(group)), closes_(closes)
  {
  }

  using executor_type = Executor;

  /// For what adds to the operation, such as the timer of `cancel_after`.
  Executor get_executor() const { return group_->get_executor(); }

  template <class Handler>
  void operator()(Handler&& handler) const
  {
    error_code ec;
    const auto last = group_->begin_ending(ec);
    try {
      const bool is_open =
          last.seat->visit([&](const Executor& executor, platform::descriptor_type) {
            start(std::forward<Handler>(handler), executor, last, ec);
          });
      if (!is_open) end_closed(std::forward<Handler>(handler), ec);
    } catch (...) {
      if (!ec) group_->stop_ending();
      throw;
    }
  }

private:
  using members_type = shard_members<Executor>;

  template <class Handler>
  void start(Handler&& handler, const Executor& executor, const typename members_type::member& last,
             const error_code& ec) const
  {
    using op_type = shard_ending_for<Executor, std::decay_t<Handler>>;
    const net::cancellation_slot slot = net::get_associated_cancellation_slot(handler);
    const auto op =
        std::make_shared<op_type>(std::forward<Handler>(handler), executor, group_, last, closes_);
    if (ec) return op->refuse(ec);
    // The handler's thread holds the seat only: the operation may die with the member's context.
    if (slot.is_connected())
      on_cancellation(
          slot, std::weak_ptr(last.seat),
          [weak = std::weak_ptr(op)](shard_seat<Executor>& seat, net::cancellation_type) {
            seat.visit([&](const Executor& members, platform::descriptor_type) {
              net::post(members, [weak] {
                if (const auto self = weak.lock()) self->cancel();
              });
            });
          });
    net::post(executor, [op] { op->leave_out(); });
  }

  /// Ends a member that the program has closed. Its context may be gone, or nothing may run it.
  template <class Handler>
  void end_closed(Handler&& handler, error_code ec) const
  {
    if (!ec) {
      group_->leave_out_last(ec);
      if (!ec && closes_) group_->close_last(nullptr);
      group_->stop_ending();
    }
    const bool is_posted = group_->visit_open(
        [&](const Executor& executor) { post(std::forward<Handler>(handler), executor, ec); });
    if (!is_posted) post(std::forward<Handler>(handler), net::system_executor(), ec);
  }

  /// Completes on the handler's executor, by default on this one.
  template <class Handler, class Otherwise>
  static void post(Handler&& handler, const Otherwise& otherwise, const error_code& ec)
  {
    using handler_type = std::decay_t<Handler>;
    using handler_executor = net::associated_executor_t<handler_type, Otherwise>;
    const handler_executor executor = net::get_associated_executor(handler, otherwise);
    post_upcall(executor, otherwise,
                upcall<handler_type, handler_executor, error_code>(
                    handler_type(std::forward<Handler>(handler)),
                    net::executor_work_guard<handler_executor>(executor), error_code(ec)));
  }

  std::shared_ptr<shard_members<Executor>> group_;
  bool closes_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
