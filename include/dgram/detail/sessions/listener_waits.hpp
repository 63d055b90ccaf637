// SPDX-License-Identifier: BSL-1.0
// How the waits of a listener and of its sessions begin, and how a deadline ends them.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_WAITS_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_WAITS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/listener_core.hpp>
#include <dgram/error.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Handle, class Executor>
void listener_core<Handle, Executor>::wait_datagram(session_id id, waiter* added)
{
  const place_type found = find(id);
  if (!found) return end_wait(added, left_for(id));
  if (found->waiting != nullptr) return end_wait(added, net::error::already_started);
  if (!found->unread.empty()) return end_wait(added, {});
  found->waiting = added;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::wait_session(waiter* added)
{
  if (const error_code ec = cannot_listen(form::handles)) return end_wait(added, ec);
  if (is_stopped()) return end_wait(added, {});
  if (!loop_.is_running() || !has_unaccepted()) start_listening(added);
  if (has_unaccepted()) return end_wait(added, {});
  accepting_ = added;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::drain(typename clock_type::duration limit,
                                            drain_completion* added)
{
  if (draining_ != nullptr) return end_wait(added, net::error::already_started);
  stop();
  if (handles_ == 0) close();
  if (closed_) return end_wait(added, {});
  draining_ = added;
  start_draining(limit);
}

template <class Handle, class Executor>
template <class Timer>
std::uint32_t listener_core<Handle, Executor>::set_deadline(place_type of, Timer& timer)
{
  const std::uint32_t own = ++of->wait_number;
  timer.async_wait(
      [self = this->weak_from_this(), id = of.id(), number = own](const error_code& ec) {
        const auto core = self.lock();
        if (ec || !core || core->silenced_) return;
        const place_type found = core->find(id);
        if (found && found->wait_number == number && found->waiting != nullptr)
          core->end_member(found->waiting, net::error::timed_out);
      });
  return own;
}

template <class Handle, class Executor>
template <class Timer>
std::uint64_t listener_core<Handle, Executor>::set_accept_deadline(Timer& timer)
{
  const std::uint64_t own = ++accept_number_;
  timer.async_wait([self = this->weak_from_this(), number = own](const error_code& ec) {
    const auto core = self.lock();
    if (ec || !core || core->silenced_) return;
    if (core->accept_number_ == number && core->accepting_ != nullptr)
      core->end_member(core->accepting_, net::error::timed_out);
  });
  return own;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
