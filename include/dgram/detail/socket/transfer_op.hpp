// SPDX-License-Identifier: BSL-1.0
// The operation behind every transfer: try, wait (also after ENOBUFS), retry, complete.
#ifndef DGRAM_DETAIL_SOCKET_TRANSFER_OP_HPP
#define DGRAM_DETAIL_SOCKET_TRANSFER_OP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/handler_memory.hpp>
#include <dgram/detail/async/task.hpp>
#include <dgram/detail/async/thread_memory.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Resumes `self` later: on its immediate executor if this Asio has them, otherwise through the
/// scheduler.
template <class Executor, class Self>
void resume_later([[maybe_unused]] const Executor& executor, Self&& self)
{
#if DGRAM_HAS_IMMEDIATE_EXECUTOR
  auto immediate = net::get_associated_immediate_executor(self, executor);
  net::dispatch(immediate, std::forward<Self>(self));
#else
  using own = net::associated_executor_t<std::decay_t<Self>>;
  constexpr bool may_run_inline = net::execution::is_executor<own>::value &&
                                  !net::can_require_v<own, net::execution::blocking_t::never_t>;
  // Posts to the handler's own executor if it can: a post through the socket's would take two
  // trips.
  if constexpr (may_run_inline)
    net::post(executor, std::forward<Self>(self));
  else
    net::post(std::forward<Self>(self));
#endif
}

/// What an attempt reports to the operation.
enum class progress {
  done,       ///< complete with the attempt's results
  not_ready,  ///< wait until the descriptor is readable or writable
  moved,      ///< the same, after a part was sent
  congested,  ///< a send's descriptor is ready and will stay so: wait on a timer
};

/// A transfer that is pending, whatever its attempt and its handler are. All of the waiting is
/// here, so it is compiled once for a type of socket. `Executor` is that of the handler.
template <class State, class Executor>
class pending_transfer : public task {
public:
  /// Owns the transfer while it waits, and resumes it. Asio asks a moved one for its allocator.
  class wake_up {
  public:
    using executor_type = Executor;
    using allocator_type = handler_allocator<>;
    using cancellation_slot_type = net::cancellation_slot;

    explicit wake_up(pending_transfer* transfer) noexcept : transfer_(transfer) {}
    wake_up(wake_up&& other) noexcept
        : transfer_(other.transfer_), owns_(std::exchange(other.owns_, false))
    {
    }
    wake_up& operator=(wake_up&&) = delete;

    /// If the start of a wait fails, Asio destroys this and then releases memory of the transfer.
    ~wake_up()
    {
      if (owns_ && transfer_ != starting) transfer_->discard();
    }

    executor_type get_executor() const noexcept { return transfer_->executor_; }
    allocator_type get_allocator() const noexcept { return allocator_type(transfer_->memory_); }
    cancellation_slot_type get_cancellation_slot() const noexcept
    {
      return transfer_->cancellation_.slot();
    }

    void operator()(error_code ec = {}) { transfer_->resume(std::move(*this), ec); }

    /// Hands the result over.
    void complete()
    {
      owns_ = false;
      transfer_->run();
    }

  private:
    friend pending_transfer;

    pending_transfer* transfer_;
    bool owns_ = true;
  };

protected:
  pending_transfer(std::shared_ptr<State> state, const Executor& executor,
                   net::socket_base::wait_type wait_for)
      : state_(std::move(state)), executor_(executor), wait_for_(wait_for), guard_(state_->epoch)
  {
  }
  ~pending_transfer() = default;

  virtual progress attempt() = 0;
  virtual void abort(const error_code& ec) noexcept = 0;
  virtual void wait_for_report(wake_up&& self) = 0;

  /// Waits after the first attempt. A wait has no side effect, so every kind of cancellation can be
  /// honoured.
  void begin_waiting(wake_up self, progress outcome, const net::cancellation_slot& slot)
  {
    if (slot.is_connected()) [[unlikely]]
      cancellation_ =
          net::cancellation_state(slot, while_exists(state_), net::enable_total_cancellation());
    is_waiting_ = true;
    keep_context_running();
    wait(std::move(self), outcome);
  }

  std::shared_ptr<State> state_;

private:
  void resume(wake_up self, error_code ec)
  {
    // After a success at the first attempt there was no wait.
    if (!is_waiting_) return self.complete();
    if (guard_.is_over(state_->epoch, cancellation_)) ec = net::error::operation_aborted;
    // Another operation may have restarted the shared timer. That ends this wait, but not this
    // operation.
    else if (backing_off_)
      ec.clear();
    if (ec) {
      abort(ec);
      return self.complete();
    }
    const progress outcome = attempt();
    if (outcome == progress::done)
      self.complete();
    else
      wait(std::move(self), outcome);
  }

  void wait(wake_up self, progress outcome)
  {
    if (outcome == progress::moved) wake_ups_ = wake_up_counter();
    backing_off_ =
        outcome == progress::congested ||
        wake_ups_.is_vain(state_->reports_taken, [this] { return state_->is_ready(wait_for_); });
    // From the start of the wait on, another thread may complete the transfer.
    pending_transfer* const before = std::exchange(starting, this);
    try {
      start_wait(self);
    } catch (...) {
      starting = before;
      if (!self.owns_) discard();
      throw;
    }
    starting = before;
  }

  /// A wait is work of the socket's context. Between two waits the transfer may be in another
  /// context, and the socket's must not run out of work then.
  void keep_context_running()
  {
    if constexpr (std::is_same_v<Executor, socket_executor>)
      if (executor_ == state_->socket.get_executor()) return;
    const socket_executor& executor = state_->socket.get_executor();
    work_.emplace(net::prefer(executor, net::execution::outstanding_work.tracked));
  }

  void start_wait(wake_up& self)
  {
    State& state = *state_;
    if (backing_off_) {
      state.async_wait_congestion(std::move(self));
    } else if (wait_for_ == net::socket_base::wait_error) {
      backing_off_ = true;
      wait_for_report(std::move(self));
    } else {
      state.socket.async_wait(wait_for_, std::move(self));
    }
  }

  /// The transfer whose wait this thread is starting.
  static inline thread_local pending_transfer* starting = nullptr;

  using socket_executor = typename State::executor_type;
  using work = std::decay_t<decltype(net::prefer(std::declval<const socket_executor&>(),
                                                 net::execution::outstanding_work.tracked))>;

  Executor executor_;
  std::optional<work> work_;
  net::socket_base::wait_type wait_for_;
  epoch_guard guard_;
  bool is_waiting_ = false;
  bool backing_off_ = false;  // the wait is on a timer that others may end
  wake_up_counter wake_ups_;
  net::cancellation_state cancellation_;
  handler_memory memory_;
};

/// A pending transfer with its `Attempt`, which has these members:
/// - `static constexpr auto wait_for`: `wait_read`, `wait_write`, or `wait_error` for reports.
/// - `progress attempt(State&)` makes one try, and never blocks.
/// - `void finish(State&)` is called before the result is handed over, whatever the result.
///   Optional.
/// - `void abort(error_code)` makes the error the result, unless something has moved already.
/// - `template <class Self> void complete(Self&)` hands the results over, as its last step.
template <class State, class Attempt, class Handler>
class transfer_op final
    : public pending_transfer<State,
                              net::associated_executor_t<Handler, typename State::executor_type>> {
  using executor_type = net::associated_executor_t<Handler, typename State::executor_type>;
  using base = pending_transfer<State, executor_type>;
  using wake_up = typename base::wake_up;

public:
  template <class From>
  transfer_op(const std::shared_ptr<State>& state, Attempt attempt, From&& handler)
      : base(state, net::get_associated_executor(handler, state->socket.get_executor()),
             Attempt::wait_for),
        attempt_(std::move(attempt)),
        handler_(std::forward<From>(handler))
  {
  }

  void launch()
  {
    wake_up self(this);
    const progress outcome = attempt();
    if (outcome != progress::done) {
      net::cancellation_slot slot;
      if constexpr (may_have_slot<Handler>) slot = net::get_associated_cancellation_slot(handler_);
      this->begin_waiting(std::move(self), outcome, slot);
    } else {
      const auto executor = this->state_->socket.get_executor();
#if DGRAM_HAS_IMMEDIATE_EXECUTOR
      net::dispatch(net::get_associated_immediate_executor(handler_, executor), std::move(self));
#else
      resume_later(executor, std::move(self));
#endif
    }
  }

  void run() override
  {
    if constexpr (requires { attempt_.finish(*this->state_); }) attempt_.finish(*this->state_);
    attempt_.complete(*this);
  }

  void discard() noexcept override
  {
    release_task(this, net::get_associated_allocator(handler_, thread_allocator<>()));
  }

  /// Releases everything before the handler runs: the handler may destroy the socket and expect the
  /// descriptor to be free.
  template <class... Results>
  void complete(Results... results)
  {
    Handler handler(std::move(handler_));
    release_task(this, net::get_associated_allocator(handler, thread_allocator<>()));
    std::move(handler)(std::move(results)...);
  }

private:
  progress attempt() override { return attempt_.attempt(*this->state_); }
  void abort(const error_code& ec) noexcept override { attempt_.abort(ec); }

  void wait_for_report([[maybe_unused]] wake_up&& self) override
  {
    if constexpr (Attempt::wait_for == net::socket_base::wait_error)
      this->state_->async_wait_reports(std::move(self));
  }

  Attempt attempt_;
  Handler handler_;
};

/// Starts a transfer. The handler's signature is that of the results of the attempt.
template <class State, class Attempt, class Handler>
void start_transfer(State& state, Attempt attempt, Handler&& handler)
{
  using type = transfer_op<State, Attempt, std::decay_t<Handler>>;
  const auto allocator = net::get_associated_allocator(handler, thread_allocator<>());
  make_task<type>(allocator, state.shared_from_this(), std::move(attempt),
                  std::forward<Handler>(handler))
      ->launch();
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
