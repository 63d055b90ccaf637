// SPDX-License-Identifier: BSL-1.0
// The loop of a listener: when it waits, when it receives, and when it ends.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_LOOP_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_LOOP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/sessions/listener_core.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <chrono>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Handle, class Executor>
void listener_core<Handle, Executor>::begin()
{
  state().follow_descriptor();
  descriptor_ = socket_.descriptor_number();
  guard_.enter(socket_.epoch());
  state().policy.begin_waiting();
  if (socket_.has_pending_error())
    post_turn();
  else
    wait();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::post_turn()
{
  later_.post_stored(memory_, [](listener_core& core) {
    core.state().policy.yielded();
    core.turn({});
  });
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::wait()
{
  backing_off_ = state().policy.must_back_off(socket_);
  state().start_wait();
  is_waiting_ = true;
  try {
    arm_timer();
    auto woken =
        net::bind_cancellation_slot(state().signal.slot(), woken_handler{this->shared_from_this()});
    if (backing_off_)
      socket_.async_wait_congestion(std::move(woken));
    else
      socket_.async_wait(net::socket_base::wait_read, std::move(woken));
  } catch (...) {
    is_waiting_ = false;
    state().end_wait();
    throw;
  }
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::wait_in_turn()
{
  try {
    wait();
  } catch (const system_error& failed) {
    fail(failed.code());
    throw;
  } catch (...) {
    fail(net::error::no_memory);
    throw;
  }
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::fail(const error_code& ec)
{
  close(session_end::socket_error, ec);
  goes_on();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::woken(error_code ec)
{
  is_waiting_ = false;
  state().end_wait();
  state().policy.yielded();
  if (!goes_on()) return;
  // Other operations may end the shared timer, and the loop ends its own wait to look around.
  if (backing_off_ || ec == net::error::operation_aborted) ec.clear();
  if (!ec) state().try_receive(ec);
  if (must_wait_after(ec))
    wait_in_turn();
  else
    turn(ec);
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::goes_on()
{
  if (!silenced_ && !closed_ && (!socket_.is_open() || descriptor_ != socket_.descriptor_number()))
    close();
  if (silenced_ || is_stopped()) {
    receiving_ = false;
    if (!silenced_) timer_->cancel();
    return false;
  }
  // The operations of the socket were cancelled. Those of the listener are among them.
  if (guard_.is_over(socket_.epoch())) {
    guard_.enter(socket_.epoch());
    cancel();
  }
  return true;
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::must_wait_after(const error_code& ec)
{
  if (ec == net::error::would_block) return true;
  const bool passes = platform::is_path_error(ec) || ec == net::error::no_memory ||
                      ec == net::error::no_buffer_space;
  if (passes) ++receive_errors_;
  return passes;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::turn(error_code ec)
{
  later_.throw_kept();
  while (!ec) {
    deal();
    if (!goes_on()) return;
    // What is sent now may fail, and the handler for errors may end everything, or throw.
    later_.call([this] { state().begin_receive(); });
    if (!goes_on()) return;
    if (state().is_drained()) return wait_in_turn();
    if (state().policy.template is_yield_due<clock_type>()) return post_turn();
    state().try_receive(ec);
    if (must_wait_after(ec)) return wait_in_turn();
  }
  fail(ec);
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::arm_timer()
{
  if (due_) return;
  auto next = map_.next_expiry();
  if (!next) return;
  // A new session may be due before all present ones.
  if (some_have_own_timeouts_)
    next = std::min(*next, deadline(clock_type::now(), config_.idle_timeout));
  timer_->expires_at(*next);
  timer_->async_wait(
      [core = this->shared_from_this()](const error_code&) { core->look_for_idle(); });
  due_ = next;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::look_for_idle()
{
  due_.reset();
  if (silenced_ || closed_) return;
  map_.expire(clock_type::now(), looked_at_per_turn);
  if (receiving_) arm_timer();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::set_idle_timeout(place_type which,
                                                       std::chrono::nanoseconds timeout)
{
  map_.set_idle_timeout(which, timeout);
  some_have_own_timeouts_ = true;
  // The timer arms itself again when its wait has ended.
  if (due_ && !silenced_ && map_.next_expiry() < due_) timer_->cancel();
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
