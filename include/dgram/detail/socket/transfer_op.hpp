// SPDX-License-Identifier: BSL-1.0
// The composed operation behind every transfer: try, wait (also after ENOBUFS), retry, complete.
#ifndef DGRAM_DETAIL_SOCKET_TRANSFER_OP_HPP
#define DGRAM_DETAIL_SOCKET_TRANSFER_OP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>

#include <memory>
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

/// Drives an `Attempt`, which has these members:
/// - `static constexpr auto wait_for`: `wait_read`, `wait_write`, or `wait_error` for reports.
/// - `progress attempt(State&)` makes one try, and never blocks.
/// - `void finish(State&)` is called before the result is handed over, whatever the result.
///   Optional.
/// - `void abort(error_code)` makes the error the result, unless something has moved already.
/// - `template <class Self> void complete(Self&)` hands the results over.
template <class State, class Attempt>
class transfer_op {
public:
  transfer_op(std::shared_ptr<State> state, Attempt attempt)
      : state_(std::move(state)), attempt_(std::move(attempt))
  {
  }

  template <class Self>
  void operator()(Self& self, error_code ec = {})
  {
    switch (step_) {
    case step::launch:
      guard_.enter(state_->epoch);
      advance(self);
      return;
    case step::wait:
      if (guard_.is_over(state_->epoch, self.get_cancellation_state()))
        ec = net::error::operation_aborted;
      // Another operation may have restarted the shared timer. That ends this wait, but not this
      // operation.
      else if (backing_off_)
        ec.clear();
      if (ec) {
        attempt_.abort(ec);
        complete(self);
      } else {
        advance(self);
      }
      return;
    case step::finish: complete(self);
    }
  }

private:
  enum class step : unsigned char { launch, wait, finish };

  template <class Self>
  void advance(Self& self)
  {
    const progress outcome = attempt_.attempt(*state_);
    if (outcome == progress::done) {
      if (step_ == step::wait) {
        complete(self);
      } else {
        step_ = step::finish;
        const auto executor = state_->socket.get_executor();
        resume_later(executor, std::move(self));
      }
      return;
    }
    if (step_ == step::launch) {
      step_ = step::wait;
      // Called late, since it may allocate. A wait has no side effect, so every kind of
      // cancellation can be honoured.
      enable_cancellation(self, state_);
    }
    State& state = *state_;
    if constexpr (Attempt::wait_for == net::socket_base::wait_write) {
      if (outcome == progress::moved) wake_ups_ = wake_up_counter();
      backing_off_ = outcome == progress::congested || wake_ups_.is_vain(state.reports_taken);
    } else {
      backing_off_ = wake_ups_.is_vain(state.reports_taken);
    }
    if (backing_off_) {
      state.async_wait_congestion(std::move(self));
    } else if constexpr (Attempt::wait_for == net::socket_base::wait_error) {
      backing_off_ = true;
      state.async_wait_reports(std::move(self));
    } else {
      state.socket.async_wait(Attempt::wait_for, std::move(self));
    }
  }

  template <class Self>
  void complete(Self& self)
  {
    if constexpr (requires { attempt_.finish(*state_); }) attempt_.finish(*state_);
    // Releases the state before the handler runs: the handler may destroy the socket and expect the
    // descriptor to be free.
    state_.reset();
    attempt_.complete(self);
  }

  std::shared_ptr<State> state_;
  Attempt attempt_;
  epoch_guard guard_;
  step step_ = step::launch;
  bool backing_off_ = false;  // the wait is on a timer that others may end
  wake_up_counter wake_ups_;
};

template <class Signature, class State, class Attempt, class Handler>
void compose(State& state, Attempt attempt, Handler&& handler)
{
  const auto executor = state.socket.get_executor();
  net::async_compose<Handler, Signature>(
      transfer_op<State, Attempt>(state.shared_from_this(), std::move(attempt)), handler, executor);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
