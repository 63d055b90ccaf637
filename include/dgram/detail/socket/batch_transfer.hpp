// SPDX-License-Identifier: BSL-1.0
// Sends or receives one batch, as far as the kernel goes without blocking.
#ifndef DGRAM_DETAIL_SOCKET_BATCH_TRANSFER_HPP
#define DGRAM_DETAIL_SOCKET_BATCH_TRANSFER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/socket/flags.hpp>
#include <dgram/detail/socket/refusals.hpp>
#include <dgram/detail/socket/reports.hpp>
#include <dgram/error.hpp>
#include <dgram/send_result.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class State, class Batch>
void count_received(State& state, const Batch& batch)
{
  auto& counts = state.counts;
  ++counts.receive_calls;
  counts.received += batch.size();
  counts.received_bytes += batch.bytes();
  counts.truncated += batch.truncated();
  if (state.flags.coalescing) counts.coalesced += batch.coalesced();
  if (state.flags.metadata == 0) return;
  if (const auto dropped = batch.dropped()) state.drops.read(*dropped);
}

/// Receives what is queued, up to the slots that the batch offers, without blocking. Returns the
/// number of datagrams.
template <class State, class Batch>
std::size_t receive_many(State& state, Batch& batch, error_code& ec)
{
  state.notice();
  const auto slots = batch.prepare(state.flags, ec);
  if (!ec) ec = state.pending_receive_error.take();
  if (ec) return 0;
  const std::size_t count = past_reports(state, ec, [&](error_code& failure) {
    // A Unix socket may deliver descriptors along with the bytes; see `reserve_control`.
    constexpr int flags = State::has_addresses ? 0 : platform::descriptors_close_on_exec;
    return platform::backend::receive(state.fd(), slots.data(), slots.size(), flags, failure);
  });
  batch.commit(count, state.flags);
  if (count > 0) {
    state.end_congestion();
    state.drained = count < slots.size() && !ec;
    // The next receive reports an error that follows the first datagrams, unless it is a path error
    // that is reported elsewhere.
    if (ec && state.reads_reports()) {
      path_error_filter filter;
      if (filter.passes(state, ec, state.flags.receives_errors)) ec.clear();
      filter.settle(state, ec);
    }
    state.pending_receive_error = std::exchange(ec, error_code());
    count_received(state, batch);
  }
  return batch.size();
}

/// Whether to try a batch again after an error. True if the error is not the first datagram's, or
/// if the kernel may take the batch in another form. `refused_segment` is the size of the datagrams
/// that the path may refuse to cut apart, or 0.
template <class State, class Batch>
bool can_try_otherwise(State& state, Batch& batch, const error_code& ec, path_error_filter& filter,
                       bool& tries_without_class, std::size_t& refused_segment)
{
  // On a connected socket, an earlier datagram's error may come although no caller asked for
  // reports.
  const bool suspects =
      state.flags.receives_errors || (state.flags.connected && is_refusal(state, ec));
  if (filter.passes(state, ec, suspects, &batch.front_peer())) return true;
  filter.settle(state, ec);
  refused_segment = 0;
  // This may be a kernel that takes fewer datagrams in one message.
  if (ec == net::error::invalid_argument && batch.try_shorter()) return true;
  if (batch.front_is_segmented() && is_refusal(state, ec)) {
    // The kernel says no more about the cause. One by one, each datagram leaves or gets its own
    // error. If the first one leaves, the cause was that they were to leave together.
    refused_segment = platform::refused_segment(ec, batch.front_size());
    batch.split_front();
    return true;
  }
  if (tries_without_class || state.flags.traffic_class_refused ||
      ec != net::error::invalid_argument || !batch.front_sets_traffic_class())
    return false;
  // A kernel that takes no traffic class per datagram takes the datagram without it.
  tries_without_class = state.flags.traffic_class_refused = true;
  return true;
}

/// Sends as much of the batch as the kernel takes. The rest stays in the batch.
template <class State, class Batch>
send_result send_many(State& state, Batch& batch)
{
  state.notice();
  send_result result;
  unmet_needs unmet;
  if (const socket_needs needs = batch.needs(); needs.any()) unmet = state.provide(needs);
  auto& counts = state.counts;
  path_error_filter filter;
  bool tries_without_class = false;
  bool stopped_short = false;
  [[maybe_unused]] std::uint64_t full_peers = 0;
  std::size_t refused_segment = 0;
  const auto prepare = [&] {
    return batch.prepare(
        state.flags,
        [&](const auto& peer, std::size_t size) {
          return State::knows_trains && !state.unsegmented.refuses(peer, size);
        },
        result.error, unmet, state.window.size());
  };
  std::size_t taken = 0;  // of the messages that were described last
  auto rest = prepare();
  while (!rest.empty() || result.error) {
    const bool reached_kernel = !rest.empty();
    const std::size_t count =
        reached_kernel ? state.send(rest.data(), rest.size(), 0, result.error) : 0;
    if (reached_kernel && result.error && batch.front_asks_for_time()) [[unlikely]] {
      state.note_untimed(result.error, false);
      // The call before this one has met the same error behind what it sent, and cannot report it.
      if (stopped_short) state.note_untimed(result.error, false);
    }
    stopped_short = count > 0 && count < rest.size();
    if (count > 0) {
      const bool learned = refused_segment > 0;
      if (learned) [[unlikely]]
        state.unsegmented.insert(batch.front_peer(), std::exchange(refused_segment, 0));
      const std::size_t waiting = batch.bytes();
      const std::size_t datagrams =
          batch.consume(count, [&](std::uint64_t number) { state.note_timed(number); });
      result.sent += datagrams;
      ++counts.send_calls;
      counts.sent += datagrams;
      counts.sent_bytes += waiting - batch.bytes();
      counts.short_sends += count < rest.size() ? 1U : 0U;
      // What was learned may change how the rest is described.
      rest = rest.subspan(learned ? rest.size() : count);
      taken += count;
      filter.settle(state, error_code());
      tries_without_class = false;
    }
    if (!result.error) {
      if (rest.empty()) {
        if (taken == state.window.size()) state.window.grow();
        taken = 0;
        rest = prepare();
      }
      continue;
    }
    if constexpr (requires { batch.set_front_aside(); }) {
      // Only this peer's queue is full (net/unix/af_unix.c, unix_dgram_sendmsg).
      if (reached_kernel && state.is_peer_full(result.error) && batch.set_front_aside()) {
        ++full_peers;
        state.window.stop(taken, false);
        taken = 0;
        rest = prepare();
        continue;
      }
    }
    if (reached_kernel) state.window.stop(taken, !is_refusal(state, result.error));
    taken = 0;
    if (!reached_kernel || !can_try_otherwise(state, batch, result.error, filter,
                                              tries_without_class, refused_segment)) {
      if (std::exchange(tries_without_class, false)) state.flags.traffic_class_refused = false;
      if (!is_refusal(state, result.error)) break;
      ++counts.rejected;
      if (!batch.refuse_front(result.error)) break;
      ++result.refused;
    }
    rest = prepare();
  }
  if (result.error == net::error::would_block) ++counts.would_block;
  if constexpr (requires { batch.set_front_aside(); }) {
    if (full_peers > 0) {
      counts.would_block += full_peers;
      batch.restore_aside(static_cast<bool>(result.error));
      if (!result.error) result.error = net::error::would_block;
    }
  }
  if (result.sent > 0) {
    counts.segmented += batch.take_segmented();
    state.end_congestion();
  }
  return result;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
