// SPDX-License-Identifier: BSL-1.0
// Sends or receives one datagram, in one attempt that never blocks.
#ifndef DGRAM_DETAIL_SOCKET_SINGLE_TRANSFER_HPP
#define DGRAM_DETAIL_SOCKET_SINGLE_TRANSFER_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/socket/buffer_list.hpp>
#include <dgram/detail/socket/reports.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Stores the sender of a received datagram: nowhere, in an endpoint, or in a `datagram_info`.
template <class Target, class State>
void describe_received(Target* target, State& state, const platform::message& message,
                       typename State::endpoint_type& native)
{
  if (target == nullptr) return;
  native.resize(std::min<std::size_t>(message.address_size(), native.capacity()));
  if constexpr (std::is_same_v<Target, typename State::endpoint_type>) {
    *target = state.from_native(native);
  } else {
    platform::received_control said;
    platform::read_control(message.control(), message.control_truncated(), said);
    said.assume_no_drops(state.flags.silence_is_no_drop);
    if (said.has(platform::received_control::drops_given)) state.drops.read(said.drops);
    std::optional<std::size_t> wire_size = message.size();
    if (message.truncated() && !platform::backend::reports_wire_size) wire_size.reset();
    info_access::assign(*target, state.from_native(native), message.truncated(), wire_size, said,
                        state.flags.wildcard);
  }
}

/// Receives one datagram without blocking; `target` may be null.
template <class State, class Buffers, class Target>
std::size_t receive_one(State& state, const Buffers& buffers, Target* target, int flags,
                        error_code& ec)
{
  state.notice();
  ec = state.pending_receive_error.take();
  // A train of datagrams in one buffer would look like one datagram.
  if (!ec && state.flags.coalescing) ec = error::coalescing;
  buffer_list list(buffers);
  if (!ec && !list.is_whole()) ec = net::error::message_size;
  if (ec) return 0;
  platform::message message;
  list.describe(message);
  typename State::endpoint_type native;
  const std::size_t count = past_reports(state, ec, [&](error_code& failure) {
    if (target != nullptr) message.set_address(native.data(), native.capacity());
    // If there is room for control data, a Unix socket stores descriptors there, and no caller
    // would close them (unix(7), SCM_RIGHTS).
    if constexpr (State::has_addresses && !std::is_same_v<Target, typename State::endpoint_type>)
      if (target != nullptr) message.set_control(info_access::control_room(*target));
    return platform::backend::receive(state.fd(), &message, 1, flags, failure);
  });
  if (count == 0) return 0;
  describe_received(target, state, message, native);
  const std::size_t size = std::min(message.size(), list.total());
  const bool asks_for_full_size = (flags & platform::backend::full_size_flag) != 0;
  const std::size_t told = asks_for_full_size ? message.size() : size;
  // A datagram that is only peeked at will be received, and counted, later.
  if ((flags & net::socket_base::message_peek) != 0) return told;
  ++state.counts.receive_calls;
  ++state.counts.received;
  state.counts.received_bytes += size;
  state.counts.truncated += message.truncated() ? 1U : 0U;
  return told;
}

/// Sends one datagram without blocking, to `peer`, or to the connected peer if `peer` is null.
/// `Request` is `send_request` or `no_request`. With `no_request`, the code for requests is not
/// instantiated.
template <class State, class Buffers, class Request = no_request>
std::size_t send_one(State& state, const Buffers& buffers,
                     const typename State::endpoint_type* peer, int flags, error_code& ec,
                     [[maybe_unused]] const Request* request = nullptr)
{
  constexpr bool asks = std::is_same_v<Request, send_request>;
  state.notice();
  buffer_list list(buffers);
  if (!list.is_whole()) {
    ec = net::error::message_size;
    return 0;
  }
  platform::message message;
  list.describe(message);
  typename State::endpoint_type native;
  if (peer != nullptr) {
    native = state.to_native(*peer);
    message.set_address(native.data(), native.size());
  }
  std::size_t segment = 0;
  const auto send = [&](error_code& failure) {
    const std::size_t count = state.send(&message, 1, flags, failure);
    if constexpr (asks)
      if (failure && request->asks_for_time()) state.note_untimed(failure, segment > 0);
    return count;
  };
  std::size_t sent = 0;
  const bool v4 = peer != nullptr ? is_ipv4(*peer) : bool(state.flags.peer_is_ipv4);
  if (is_beyond_protocol<typename State::protocol_type>(list.total(), v4)) {
    ec = net::error::message_size;
    return 0;
  }
  if constexpr (asks) {
    alignas(std::max_align_t) std::array<std::byte, platform::send_control_size> control;
    const auto write_control = [&] {
      message.set_control(request->write(control, v4, state.flags, segment));
    };
    ec = request->template check<typename State::protocol_type>(v4);
    if (!ec) ec = state.provide(request->needs()).why;
    if (!ec && list.total() > request->segment_size()) segment = request->segment_size();
    if (!ec && segment > 0 && (!State::knows_trains || platform::backend::max_segments == 1))
      ec = net::error::operation_not_supported;
    if (ec) return 0;
    write_control();
    sent = past_reports(state, ec, send, peer);
    if (ec == net::error::invalid_argument && segment == 0 && request->sets_traffic_class() &&
        !state.flags.traffic_class_refused) {
      // A kernel that takes no traffic class per datagram takes the datagram without it.
      state.flags.traffic_class_refused = true;
      write_control();
      sent = past_reports(state, ec, send, peer);
      state.flags.traffic_class_refused = sent == 1;
    }
  } else {
    sent = past_reports(state, ec, send, peer);
  }
  if (sent == 0) return 0;
  if constexpr (asks)
    if (request->asks_for_time()) state.note_timed(request->number());
  state.end_congestion();
  const std::size_t datagrams = segment > 0 ? (list.total() - 1) / segment + 1 : 1;
  state.counts.sent += datagrams;
  state.counts.segmented += segment > 0 ? datagrams : 0;
  state.counts.sent_bytes += message.size();
  ++state.counts.send_calls;
  return message.size();
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
