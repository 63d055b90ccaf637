// SPDX-License-Identifier: BSL-1.0
// How a listener deals out a batch: who gets each datagram, and what is resumed then.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_DEALING_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_DEALING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/fetch_ahead.hpp>
#include <dgram/detail/sessions/listener_core.hpp>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Handle, class Executor>
void listener_core<Handle, Executor>::deal(loop_type& loop)
{
  if (loop.state().remaining == 0) return;
  const dealing_scope scope(dealing_);
  const auto datagrams = loop.state().take_all();
  received_ += datagrams.size();
  auto routed = map_.route(datagrams);
  std::size_t dealt = 0;
  for (bool more = true; more;) {
    more = false;
    try {
      for (const auto [found, datagram] : routed) {
        dealt += give(found, datagram, &routed, dealt_at_once - dealt);
        if (dealt >= dealt_at_once) {
          dealt = 0;
          resume_all();
        }
        if (closed_) break;
      }
    } catch (...) {
      later_.throw_later(std::current_exception());
      more = !closed_;
    }
  }
  // If the listener was closed, the rest has no session.
  if (closed_) abandoned_ += undealt();
  resume_all();
  if (forwarding_) finish_dealing();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::start_forwarding()
{
  const auto commons = shard_access::commons(socket_);
  if (!commons) return;
  forwarding_ = std::make_unique<forwarding_type>(
      commons->template get<typename forwarding_type::directory_type>(), config_.forwarded_bytes,
      [weak = this->weak_from_this(), executor = get_executor()] {
        net::post(executor, [weak] {
          if (const auto self = weak.lock()) self->deal_forwarded();
        });
      });
  forwarding_->take_full(forwarded_to_this_);  // allocates now, and not while it deals out
  map_.share_keys(*forwarding_, [this](const datagram_type& received, const auto& key) {
    return forwarding_->pass_on(key, received);
  });
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::deal_forwarded()
{
  // Sessions of a socket that was closed cannot answer, and another listener can.
  if (!socket_.is_open()) loop_.notice_epoch();
  if (silenced_ || is_over()) return;
  has_forwarded_ = true;
  if (dealing_) return;
  {
    const dealing_scope scope(dealing_);
    finish_dealing();
  }
  // As at the end of a batch: the socket may be closed before a later flush.
  writer_.state_->flush();
  if (loop_.is_running() && !is_stopped()) arm_timer();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::finish_dealing()
{
  forwarding_->deliver();
  while (std::exchange(has_forwarded_, false)) {
    forwarding_->take_full(forwarded_to_this_);
    for (const auto& each : forwarded_to_this_)
      take_over(each->size());
    const auto now = clock_type::now();
    for (const auto& each : forwarded_to_this_)
      deal(*each, now);
    forwarding_->give_back(forwarded_to_this_);
    if (closed_) abandoned_ += undealt();
    forwarding_->deliver();
  }
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::deal(parcel<protocol_type>& forwarded,
                                           typename clock_type::time_point now)
{
  while (node_type* const next = closed_ ? nullptr : forwarded.next())
    later_.call([&] {
      const auto received = next->view();
      if (const place_type found = map_.route(received, now)) give(found, received, nullptr, 0);
    });
  resume_all();
}

template <class Handle, class Executor>
std::size_t listener_core<Handle, Executor>::give(place_type to, const datagram_type& received,
                                                  routed_type* rest, std::size_t ahead)
{
  state_type& session = *to;
  const std::size_t size = received.payload().size();
  ++session.received;
  session.out.heard(config_.amplification * std::uint64_t{size});
  if (session.is_new) {
    try {
      meet(to);
    } catch (...) {
      ++inboxes_full_;
      end(to, session_end::closed);
      throw;
    }
  }
  if (each_ && session.unread.empty()) {
    hand_over(to.id(), received);
    return size;
  }
  if (!fits(session, size)) {
    if (!let_take(to)) {
      ++unread_;
      return size;
    }
    if (!make_room(session, size)) {
      ++inbox_full_;
      ++session.out.dropped;
      return size;
    }
  }
  const std::size_t neighbours = rest != nullptr ? rest->neighbours() : 0;
  const std::size_t more =
      neighbours > 0 ? give_train(session, received, *rest, ahead) : std::size_t{0};
  if (more == 0) {
    node_type* const kept = node_type::make(pool_, received);
    if (kept == nullptr) {
      ++inboxes_full_;
      ++session.out.dropped;
      return size;
    }
    session.unread.push(kept);
    ++in_inboxes_;
  }
  if (session.waiting == nullptr || session.is_ready) return size + more;
  try {
    ready_.push_back(to.id());
    session.is_ready = true;
  } catch (const std::bad_alloc&) {
    end_member(session.waiting, {});
  }
  return size + more;
}

template <class Handle, class Executor>
std::size_t listener_core<Handle, Executor>::give_train(state_type& session,
                                                        const datagram_type& received,
                                                        routed_type& rest, std::size_t ahead)
{
  const std::size_t size = received.payload().size();
  const std::size_t datagrams = session.unread.size() + 1;
  const std::size_t bytes = session.unread.bytes() + size;
  if (ahead <= size || datagrams >= config_.inbox_datagrams || bytes >= config_.inbox_bytes)
    return 0;
  const std::size_t neighbours =
      std::min({rest.neighbours(), (ahead - 1) / size, config_.inbox_datagrams - datagrams,
                (config_.inbox_bytes - bytes) / size, node_type::most_neighbours});
  node_type* const kept = neighbours > 0 ? node_type::make(pool_, received, neighbours) : nullptr;
  if (kept == nullptr) return 0;
  rest.pass(neighbours);
  session.received += neighbours;
  session.out.heard(config_.amplification * std::uint64_t{kept->rest()});
  session.unread.push(kept, neighbours + 1);
  in_inboxes_ += neighbours + 1;
  return kept->rest();
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::let_take(place_type to)
{
  const session_id id = to.id();
  if (!to->is_accepted) resume_listening();
  const place_type found = map_.find(id);
  if (found && found->waiting != nullptr && !found->unread.empty()) resume(found->waiting);
  return static_cast<bool>(map_.find(id));
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::make_room(state_type& session, std::size_t size) noexcept
{
  if (config_.inbox_when_full == inbox_full::drop_newest) return fits(session, size);
  while (!fits(session, size)) {
    session.unread.pop()->release(pool_);
    --in_inboxes_;
    ++inbox_full_;
    ++session.out.dropped;
  }
  return true;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::meet(place_type fresh)
{
  if (!each_) {
    if (backlog_.size() >= 2 * std::min(config_.max_unaccepted, most_forgotten)) forget_ended();
    backlog_.push(fresh.id());
  }
  fresh->is_new = false;
  ++unaccepted_;
  if (each_) accept(fresh);
  if (std::exchange(next_is_validated_, false)) mark_validated(fresh);
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::forget_ended()
{
  for (std::size_t left = backlog_.size(); left > 0; --left)
    if (const session_id id = backlog_.pop(); map_.find(id)) backlog_.push(id);
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::welcomes(const datagram_type& received)
{
  next_is_validated_ = false;
  if (is_stopped() || paused_) {
    ++not_accepting_;
    return false;
  }
  if (!each_ && unaccepted_ >= config_.max_unaccepted) {
    ++unaccepted_full_;
    return false;
  }
  if (!on_stranger_) return true;
  stranger_type from(received, writer_reply(), this);
  const bool welcome = on_stranger_(received, from);
  replies_refused_ += from.refused_;
  // The function may have stopped the listener.
  if (welcome && is_stopped()) {
    ++not_accepting_;
    return false;
  }
  next_is_validated_ = from.is_validated_;
  return welcome;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::resume_all()
{
  resume_listening();
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    if (i % fetched_at_once == 0) fetch_waits(i);
    const place_type found = map_.find(ready_[i]);
    if (!found) continue;
    found->is_ready = false;
    if (found->waiting != nullptr && !found->unread.empty()) resume(found->waiting);
  }
  ready_.clear();
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::fetch_waits(std::size_t first) const noexcept
{
  const std::size_t last = std::min(first + fetched_at_once, ready_.size());
  for (; first < last; ++first)
    if (const place_type found = map_.find(ready_[first]))
      fetch_coroutine_ahead(found->handle, found->waiting);
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::resume_listening()
{
  while (serve_ && has_unaccepted()) {
    const auto function = serve_;  // the function may stop the listener
    ++being_served_;
    later_.call([&] { (*function)(*this, accept_one()); });
  }
  if (accepting_ != nullptr && has_unaccepted()) resume(accepting_);
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::meet_waiting()
{
  if (silenced_ || closed_) return;
  resume_listening();
  if (stopped_) end_serving({});
  while (each_ && has_unaccepted()) {
    const place_type found = next_unaccepted();
    const session_id id = found.id();
    backlog_.pop();
    accept(found);
    hand_over_waiting(id);
  }
  if (!each_) return;
  // Known sessions got these while no operation was pending.
  for (const place_type known : map_)
    hand_over_waiting(known.id());
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::hand_over_waiting(session_id of)
{
  for (place_type at = map_.find(of); at && each_ && !at->unread.empty(); at = map_.find(of)) {
    node_type* const oldest = take(at->unread);
    const auto function = each_;
    later_.call([&] { (*function)(*this, of, oldest->view()); });
    release(oldest);
  }
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
