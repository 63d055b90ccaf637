// SPDX-License-Identifier: BSL-1.0
// How the sessions of a listener send: the way to the peer, what it may get, and the shared queue.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_SENDING_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_SENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/listener_core.hpp>
#include <dgram/error.hpp>
#include <dgram/full_policy.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Claims a part of the queue. The destructor takes the claim back, unless the datagram was
/// queued: a send that waits claims again later.
template <class Handle, class Executor>
class listener_core<Handle, Executor>::share_claim {
public:
  share_claim(listener_core& core, session_id of) noexcept : core_(core), of_(of) {}
  share_claim(const share_claim&) = delete;
  share_claim& operator=(const share_claim&) = delete;
  ~share_claim()
  {
    if (claimed_ == 0) return;
    if (outlet_type* const to = core_.outlet_of(of_)) to->unclaim(claimed_);
  }

  /// Returns whether the session may use the queue, which each may if it is not crowded. The
  /// first time a flush may make room, and the refusal is counted.
  bool make(std::size_t size, std::size_t datagrams, bool is_first);

  void keep() noexcept { claimed_ = 0; }

private:
  listener_core& core_;
  session_id of_;
  std::uint32_t claimed_ = 0;
};

template <class Handle, class Executor>
auto listener_core<Handle, Executor>::reserve(session_id of, std::size_t size, error_code& ec)
    -> reply_path_type
{
  outlet_type* const to = outlet_of(of);
  ec.clear();
  if (to == nullptr || is_over())
    ec = error::session_ended;
  else if (!may_send(*to, size))
    ec = error::not_validated;
  if (ec && to != nullptr) ++to->refused;
  if (ec == error::not_validated) ++not_validated_;
  return ec ? reply_path_type() : to->path;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::return_unspent(session_id of, std::size_t size) noexcept
{
  if (config_.amplification == 0) return;
  if (outlet_type* const to = outlet_of(of)) to->return_unspent(size);
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::must_wait(session_id of, bytes_view payload,
                                                const reply_path_type& to, bool is_first,
                                                error_code& ec)
{
  auto& queue = *writer_.state_;
  ec.clear();
  if (!is_crowded() && queue.takes_at_once(payload.size(), 1, to)) {
    queue.push(payload, 1, to);
    return false;
  }
  ec = is_over() ? error_code(error::session_ended) : queue.check(to);
  if (!ec && is_first) queue.make_room(payload.size(), 1, ec);
  share_claim claim(*this, of);
  const bool may_queue = ec || claim.make(payload.size(), 1, is_first);
  if (!may_queue && config_.queue.when_full == full_policy::wait) return true;
  if (queue.must_wait(payload.size(), 1, ec, to)) return true;
  if (ec) return false;
  if (may_queue && queue.can_take(payload.size(), 1, to)) {
    queue.push(payload, 1, to);
    claim.keep();
  } else {
    queue.count_dropped(payload.size(), 1, to, queue.number_of());
  }
  return false;
}

template <class Handle, class Executor>
template <class... Options>
net::awaitable<void, Executor> listener_core<Handle, Executor>::send_in_room(
    std::shared_ptr<listener_core> core, session_id to, bytes_view payload,
    const Options*... options)
{
  error_code ec;
  const reply_path_type path = core->reserve(to, payload.size(), ec);
  throw_if(ec, "send");
  try {
    share_claim claim(*core, to);
    for (bool is_first = true; !claim.make(
             payload.size(), writer_state_type::places_of(payload.size(), *options...), is_first);
         is_first = false) {
      auto& queue = *core->writer_.state_;
      if (core->config_.queue.when_full != full_policy::wait) {
        queue.count_dropped(payload.size(), 1, path, queue.number_of(*options...));
        co_return;
      }
      co_await queue.async_wait_room(net::redirect_error(net::use_awaitable_t<Executor>(), ec));
      const auto state = co_await net::this_coro::cancellation_state;
      if (state.cancelled() != net::cancellation_type::none)
        throw_if(net::error::operation_aborted, "send");
    }
    co_await core->writer_.send(payload, path, *options...);
    claim.keep();
  } catch (const system_error& e) {
    core->return_unspent(to, payload.size());
    ec = e.code();
    const bool is_end = ec == net::error::operation_aborted || ec == net::error::bad_descriptor;
    if (!is_end || !core->is_stopped()) throw;
    throw_if(error::session_ended, "send");
  } catch (...) {
    core->return_unspent(to, payload.size());
    throw;
  }
}

template <class Handle, class Executor>
template <class... Options>
bool listener_core<Handle, Executor>::try_send(session_id of, outlet_type& to, bytes_view payload,
                                               error_code& ec, const Options&... options)
{
  ec.clear();
  if (is_over()) {
    ec = error::session_ended;
  } else if (!may_send(to, payload.size())) {
    ec = error::not_validated;
  } else {
    if constexpr (sizeof...(Options) == 0) {
      // One look for the room of the datagram and for that of the crowd.
      auto& queue = *writer_.state_;
      const std::size_t room = std::max(payload.size(), half_of_bytes_);
      if (queue.takes_at_once(room, half_of_datagrams_, to.path)) [[likely]] {
        queue.push(payload, 1, to.path);
        return true;
      }
    }
    return try_send_with_room(of, to.path, payload, ec, options...);
  }
  if (ec == error::not_validated) ++not_validated_;
  ++to.refused;
  return false;
}

template <class Handle, class Executor>
template <class... Options>
bool listener_core<Handle, Executor>::try_send_with_room(session_id of, reply_path_type path,
                                                         bytes_view payload, error_code& ec,
                                                         const Options&... options)
{
  const auto kept = this->shared_from_this();
  const auto refused = [&] {
    return_unspent(of, payload.size());
    if (outlet_type* const left = outlet_of(of)) ++left->refused;
  };
  try {
    share_claim claim(*this, of);
    if (!claim.make(payload.size(), writer_state_type::places_of(payload.size(), options...),
                    true)) {
      ec = net::error::would_block;
    } else if (writer_.try_send(payload, path, options..., ec)) {
      claim.keep();
      return true;
    }
  } catch (...) {
    refused();
    throw;
  }
  refused();
  return false;
}

template <class Handle, class Executor>
bool listener_core<Handle, Executor>::share_claim::make(std::size_t size, std::size_t datagrams,
                                                        bool is_first)
{
  auto& queue = *core_.writer_.state_;
  for (bool flushes = is_first;; flushes = false) {
    outlet_type* const to = core_.is_crowded() ? core_.outlet_of(of_) : nullptr;
    if (to == nullptr) return true;
    const std::size_t each = queue.batch.max_bytes() / queue.batch.capacity();
    const std::uint64_t last = queue.statistics.queued;
    const std::size_t share = std::max<std::size_t>(queue.batch.max_bytes() / shares_of_queue, 1);
    claimed_ = to->claim(last - queue.size(), last, std::max(datagrams * each, size), share);
    if (claimed_ != 0) return true;
    if (!flushes) break;
    queue.flush();
  }
  if (is_first) ++core_.share_full_;
  return false;
}

template <class Handle, class Executor>
void listener_core<Handle, Executor>::will_wait(session_id of) noexcept
{
  if (outlet_type* const left = outlet_of(of)) --left->refused;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
