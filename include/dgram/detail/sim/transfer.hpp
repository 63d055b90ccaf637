// SPDX-License-Identifier: BSL-1.0
// Moves datagrams between buffers or batches and a simulated socket, without blocking.
#ifndef DGRAM_DETAIL_SIM_TRANSFER_HPP
#define DGRAM_DETAIL_SIM_TRANSFER_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/sim/state.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/buffer_list.hpp>
#include <dgram/detail/socket/refusals.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/error.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/send_result.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

// The attempts of attempts.hpp find these for a simulated socket.

template <class Buffers, class Target>
std::size_t receive_one(sim_state& state, const Buffers& buffers, Target* target, int flags,
                        error_code& ec)
{
  ec.clear();
  const bool peeks = flags == net::socket_base::message_peek;
  if (flags != 0 && !peeks) ec = net::error::operation_not_supported;
  if (!ec && state.flags.coalescing) ec = error::coalescing;
  if (!ec && has_too_many_pieces(buffers)) ec = net::error::message_size;
  const sim_packet* const packet = ec ? nullptr : state.first(ec);
  if (packet == nullptr) return 0;
  const std::size_t size = net::buffer_copy(buffers, net::buffer(packet->payload));
  const bool truncated = size < packet->payload.size();
  if (target != nullptr) {
    if constexpr (std::is_same_v<Target, sim_endpoint>) {
      *target = packet->source;
    } else {
      arrival_info info = state.describe(*packet);
      info.wire_size = packet->payload.size();
      *target = Target(packet->source, size, info);
    }
  }
  if (peeks) return size;
  state.remove_first();
  ++state.counts.receive_calls;
  state.counts.received_bytes += size;
  state.counts.truncated += truncated ? 1U : 0U;
  return size;
}

template <class Buffers, class Request = no_request>
std::size_t send_one(sim_state& state, const Buffers& buffers, const sim_endpoint* peer, int flags,
                     error_code& ec, [[maybe_unused]] const Request* request = nullptr)
{
  ec.clear();
  send_options asked;
  if constexpr (std::is_same_v<Request, send_request>) {
    const bool v4 = peer != nullptr ? is_ipv4(*peer) : state.has_ipv4_peer();
    ec = request->template check<udp>(v4);
    asked = request->options();
  }
  if (!ec && flags != 0) ec = net::error::operation_not_supported;
  if (!ec && has_too_many_pieces(buffers)) ec = net::error::message_size;
  if (!ec) ec = state.obstacle(peer != nullptr, false);
  if (ec) return 0;
  const std::size_t size = net::buffer_size(buffers);
  ec = state.send(peer, asked, size, [&](std::span<std::byte> room) {
    net::buffer_copy(net::buffer(room.data(), room.size()), buffers);
  });
  if (ec) return 0;
  ++state.counts.send_calls;
  return size;
}

template <class Protocol>
std::size_t receive_many(sim_state& state, basic_receive_batch<Protocol>& batch, error_code& ec)
{
  batch.clear();
  ec.clear();
  if (state.flags.coalescing &&
      batch.slot_size() < basic_receive_batch<Protocol>::default_slot_size)
    ec = error::slot_too_small;
  const sim_packet* packet = ec ? nullptr : state.first(ec);
  if (packet == nullptr) return 0;
  while (packet != nullptr &&
         batch.store(packet->payload, packet->source, state.describe(*packet))) {
    state.remove_first();
    packet = state.next();
  }
  state.drained = batch.used_slots() < batch.offered();
  ++state.counts.receive_calls;
  state.counts.received_bytes += batch.bytes();
  state.counts.truncated += batch.truncated();
  return batch.size();
}

template <class Protocol>
send_result send_many(sim_state& state, basic_send_batch<Protocol>& batch)
{
  send_result result;
  while (!batch.empty()) {
    const auto next = batch.front();
    result.error = state.obstacle(next.peer() != nullptr, true);
    if (!result.error)
      result.error = state.send(next.peer(), next.options(), next.size(),
                                [&](std::span<std::byte> room) { next.copy_to(room); });
    if (!result.error) {
      batch.drop_front();
      ++result.sent;
    } else if (is_refusal(state, result.error) && result.error != net::error::connection_refused &&
               batch.refuse_front(result.error)) {
      ++state.counts.rejected;
      ++result.refused;
    } else {
      break;
    }
  }
  if (batch.empty()) result.error.clear();
  if (result.sent > 0) ++state.counts.send_calls;
  return result;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
