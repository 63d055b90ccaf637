// SPDX-License-Identifier: BSL-1.0
// The operation behind `async_for_each`: calls a function with each datagram, or waits for one.
#ifndef DGRAM_DETAIL_BATCH_FOR_EACH_OP_HPP
#define DGRAM_DETAIL_BATCH_FOR_EACH_OP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/batch/receive_policy.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `State` is the state of a reader. One turn handles batch after batch. It ends when nothing is
/// left to receive, or when it is time to let other handlers run.
template <class State, class Function>
class for_each_op {
public:
  for_each_op(std::shared_ptr<State> state, Function function)
      : state_(std::move(state)), function_(std::move(function))
  {
  }

  for_each_op(for_each_op&&) = default;

  /// If the context destroys the operation while it waits, a later `stop` must not signal that
  /// wait.
  ~for_each_op()
  {
    if (state_ && step_ == step::wait) state_->end_wait(wait_number_);
  }

  template <class Self>
  void operator()(Self& self, error_code ec = {})
  {
    switch (std::exchange(step_, step::turn)) {
    case step::launch: launch(self); return;
    case step::turn:
      state_->policy.yielded();
      turn(self, {});
      return;
    case step::wait: resume(self, ec); return;
    case step::finish: complete(self, obstacle_);
    }
  }

private:
  enum class step : unsigned char { launch, turn, wait, finish };

  template <class Self>
  void launch(Self& self)
  {
    // A turn has no side effect that a cancellation would have to undo.
    enable_cancellation(self, state_);
    state_->follow_descriptor();
    guard_.enter(state_->socket.epoch());
    state_->policy.begin_waiting();
    if (state_->is_unopened())
      obstacle_ = net::error::bad_descriptor;
    else if (state_->is_waited_for())
      obstacle_ = net::error::already_started;
    if (!obstacle_ && !state_->is_stopped()) {
      post(self);
      return;
    }
    step_ = step::finish;
    const auto executor = state_->socket.get_executor();
    resume_later(executor, std::move(self));
  }

  /// Always posts, since the operation must not call the function inside the call that started it.
  template <class Self>
  void post(Self& self)
  {
    step_ = step::turn;
    const auto executor = state_->socket.get_executor();
    net::post(executor, std::move(self));
  }

  template <class Self>
  void resume(Self& self, error_code ec)
  {
    state_->end_wait(wait_number_);
    state_->policy.yielded();
    // Another operation may have restarted the shared timer. That ends this wait, but not this
    // operation.
    if (backing_off_) ec.clear();
    // The wake-up may have been queued before a cancel or a close, so its success proves nothing.
    if (!ec && !has_ended(self)) state_->try_receive(ec);
    if (ec == net::error::would_block)
      wait(self);
    else
      turn(self, ec);
  }

  /// `ec` is the result of the receive before this turn.
  template <class Self>
  void turn(Self& self, error_code ec)
  {
    while (!ec) {
      if (const handed how = hand_over(self); how == handed::later)
        return;
      else if (how == handed::no_more)
        break;
      state_->begin_receive();
      if (has_ended(self)) break;
      if (state_->is_drained()) {
        wait(self);
        return;
      }
      if (state_->policy.template is_yield_due<typename State::clock>()) {
        post(self);
        return;
      }
      state_->try_receive(ec);
      if (ec == net::error::would_block) {
        wait(self);
        return;
      }
    }
    complete(self, ec);
  }

  enum class handed : unsigned char { all, later, no_more };

  /// Calls the function with the datagrams in memory. Returns:
  /// - `all` if none is left;
  /// - `later` if the time for this turn is used up: the rest follows after other handlers have
  ///   run;
  /// - `no_more` if the operation was told to end.
  template <class Self>
  handed hand_over(Self& self)
  {
    turn_limit<typename State::clock> limit(state_->remaining);
    while (!has_ended(self)) {
      if (state_->at_end()) return handed::all;
      if (limit.is_reached()) {
        post(self);
        return handed::later;
      }
      const auto datagram = state_->take();
      try {
        // it is there until the operation
        // completes
        // NOLINTNEXTLINE(bugprone-unchecked-optional-access)
        std::invoke(*function_, *datagram);
      } catch (...) {
        post(self);  // the rest is handed over when the context runs again
        throw;
      }
    }
    return handed::no_more;
  }

  template <class Self>
  bool has_ended(Self& self) const
  {
    return state_->is_stopped() ||
           guard_.is_over(state_->socket.epoch(), self.get_cancellation_state());
  }

  template <class Self>
  void wait(Self& self)
  {
    // What waits has come in between.
    if (state_->is_waited_for()) return complete(self, net::error::already_started);
    step_ = step::wait;
    State& waiting = *state_;
    wait_number_ = waiting.start_wait();
    // The reader's own slot lets `stop` end the wait; a cancellation of the operation passes
    // through that slot too. Asio clears the operation's slot each time it resumes.
    if (const auto outer = self.get_cancellation_state().slot(); outer.is_connected())
      waiting.let_cancel(outer);
    backing_off_ = waiting.policy.must_back_off(waiting.socket);
    auto resumed = net::bind_cancellation_slot(waiting.signal.slot(), std::move(self));
    async_wait_or_back_off(waiting.socket, net::socket_base::wait_read, backing_off_,
                           std::move(resumed));
  }

  template <class Self>
  void complete(Self& self, error_code ec)
  {
    if (state_->is_stopped() && !obstacle_)
      ec.clear();
    else if (!ec)
      ec = net::error::operation_aborted;
    // Destroys the function and the reference to the state before the handler runs.
    function_.reset();
    state_.reset();
    self.complete(ec);
  }

  std::shared_ptr<State> state_;
  std::optional<Function> function_;
  epoch_guard guard_;
  error_code obstacle_;  // why it could not begin
  std::uint64_t wait_number_ = 0;
  step step_ = step::launch;
  bool backing_off_ = false;  // the wait is on a timer that others may end
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
