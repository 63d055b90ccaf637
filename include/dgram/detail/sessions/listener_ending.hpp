// SPDX-License-Identifier: BSL-1.0
// How a listener, its sessions and its operations end, and the account of its datagrams.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_ENDING_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_ENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/sessions/listener_core.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <chrono>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Handle, class Executor>
void listener_core<Handle, Executor>::stop()
{
  if (std::exchange(stopped_, true)) return;
  end_sessions(session_end::stopped);
  if (accepting_ != nullptr) end_member(accepting_, {});
  end_serving({});
  end_passing({});
  rest();
  stop_forwarding();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::close(session_end why, const error_code& ec)
{
  if (closed_) return;
  stopped_ = closed_ = true;
  ended_with_ = ec;
  set_owner(socket_, socket_owner::none);
  for (const place_type each : map_)
    end(each, why);
  stop_forwarding();
  if (accepting_ != nullptr) end_member(accepting_, ec);
  end_serving(ec);
  end_passing(ec);
  end_draining(ec);
  rest();
  writer_.close();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::interrupted(loop_type& loop)
{
  if (!loop.is_running()) return loop.state().follow_descriptor();
  if (silenced_ || closed_) return;
  if (!socket_.is_open() || descriptor_ != socket_.descriptor_number()) return close();
  // The operations of the socket were cancelled. Those of the listener are among them.
  if (!stopped_) cancel();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::cancel()
{
  if (accepting_ != nullptr) end_member(accepting_, aborted());
  end_serving(aborted());
  end_passing(aborted());
  end_draining(aborted());
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::session_failed(session_id of,
                                                     const std::exception_ptr& thrown)
{
  try {
    std::rethrow_exception(thrown);
  } catch (const system_error& e) {
    if (e.code() == error::session_ended) return;
    if (!on_failure_) throw;
  } catch (...) {
    if (!on_failure_) throw;
  }
  on_failure_(of, thrown);
}

template <class Handle, class Executor>
listener_statistics listener_core<Handle, Executor>::statistics() const noexcept
{
  const session_map_statistics table = map_.statistics();
  listener_statistics result;
  result.received = received_;
  result.handed_over = handed_over_;
  result.queued = in_inboxes_ + undealt();
  result.unread = unread_ + abandoned_;
  result.inbox_full = inbox_full_;
  result.inboxes_full = inboxes_full_;
  result.sessions_full = table.refused;
  result.unaccepted_full = unaccepted_full_;
  result.not_accepting = not_accepting_;
  result.rejected = table.rejected - unaccepted_full_ - not_accepting_;
  if (forwarding_) {
    result.taken_over = taken_over_;
    result.forwarded = forwarding_->forwarded();
    result.forwards_dropped = forwarding_->dropped();
    result.rejected -= result.forwarded + result.forwards_dropped;
  }
  result.not_validated = not_validated_;
  result.share_full = share_full_;
  result.replies_refused = replies_refused_;
  result.receive_errors = loop_.passing_errors();
  result.ignored = table.ignored;
  result.unkeyed = table.unkeyed;
  result.failed = table.failed;
  result.created = table.created;
  result.idle = table.idle;
  result.closed = table.closed - stopped_sessions_ - failed_sessions_;
  result.evicted = table.evicted;
  result.stopped = stopped_sessions_;
  result.socket_error = failed_sessions_;
  result.keys_refused = table.keys_refused;
  result.sending = writer_.statistics();
  return result;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::discard() noexcept
{
  task_queue all;
  const auto take = [&](auto*& from) {
    if (auto* const left = std::exchange(from, nullptr)) all.push(left);
  };
  for (const place_type each : map_) {
    take(each->waiting);
    take(each->waiting_for_end);
  }
  take(accepting_);
  take(serving_);
  take(passing_);
  take(draining_);
  const auto serve = std::exchange(serve_, nullptr);
  const auto each = std::exchange(each_, nullptr);
  timer_.reset();
  drain_timer_.reset();
  later_.discard();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::on_ended(place_type which, session_end why)
{
  if (why == session_end::stopped) ++stopped_sessions_;
  if (why == session_end::socket_error) ++failed_sessions_;
  state_type& ended = *which;
  if (!ended.is_accepted && !ended.is_new) --unaccepted_;
  waiter* const waiting = std::exchange(ended.waiting, nullptr);
  auto* const waiting_for_end = std::exchange(ended.waiting_for_end, nullptr);
  if (ended.handle != nullptr) {
    remains_type* remains = nullptr;
    if (!closed_ && (why == session_end::idle || why == session_end::stopped))
      remains = keep_remains(which.id(), ended);
    ended.handle->note_end(why, ended_with_, remains);
  }
  discard(ended.unread);
  if (on_end_ && !silenced_) tell_end(which.id(), ended.out.path.peer, why);
  if (waiting_for_end != nullptr) {
    std::get<0>(waiting_for_end->values) = why;
    end_wait(waiting_for_end, {});
  }
  // The batch of this turn may have brought what this waits for.
  if (waiting != nullptr) end_wait(waiting, left_for(which.id()));
}

template <class Handle, class Executor>
auto listener_core<Handle, Executor>::keep_remains(session_id of, state_type& ended) noexcept
    -> remains_type*
{
  try {
    const auto added =
        remains_.try_emplace(of, remains_type{ended.unread, ended.out, ended.handle}).first;
    ended.unread = {};
    return &added->second;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::drop_remains(session_id of) noexcept
{
  const auto left = remains_.find(of);
  discard(left->second.unread);
  remains_.erase(left);
}

template <class Handle, class Executor>
auto listener_core<Handle, Executor>::handle_of(session_id id) const noexcept -> session_type*
{
  if (const place_type found = find(id)) return found->handle;
  const auto left = remains_.find(id);
  return left != remains_.end() ? left->second.handle : nullptr;
}

template <class Handle, class Executor>
auto listener_core<Handle, Executor>::outlet_of(session_id id) noexcept -> outlet_type*
{
  if (const place_type found = find(id)) return &found->out;
  const auto left = remains_.find(id);
  return left != remains_.end() ? &left->second.out : nullptr;
}

template <class Handle, class Executor>
error_code listener_core<Handle, Executor>::left_for(session_id id) const noexcept
{
  const auto left = remains_.find(id);
  if (left != remains_.end() && !left->second.unread.empty()) return {};
  return error::session_ended;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::tell_end(session_id id, const endpoint_type& peer,
                                               session_end why) noexcept
{
  try {
    later_.post([this, id, peer, why] {
      if (on_end_) on_end_(id, peer, why);
    });
  } catch (...) {
    return;
  }
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::end_serving(const error_code& ec)
{
  if (serving_ == nullptr || !serve_) return;
  // Its destructor may call the listener, so it comes last.
  const auto function = std::exchange(serve_, nullptr);
  serving_->outcome = ec;
  finish_serving();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::finish_serving()
{
  if (serving_ == nullptr || serve_ || being_served_ > 0) return;
  const error_code ec = serving_->outcome;
  end_member(serving_, ec);
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::start_draining(typename clock_type::duration limit)
{
  if (!drain_timer_) drain_timer_.emplace(get_executor());
  drain_timer_->expires_after(limit);
  drain_timer_->async_wait(
      [self = this->weak_from_this(), which = draining_](const error_code& ec) {
        const auto core = self.lock();
        if (ec || !core || core->silenced_ || core->draining_ != which) return;
        std::get<0>(core->draining_->values) = core->handles_;
        core->close();
      });
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::end_draining(const error_code& ec)
{
  if (draining_ == nullptr) return;
  drain_timer_->cancel();
  end_member(draining_, ec);
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
  if (loop_.is_running() && !is_stopped()) arm_timer();
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
