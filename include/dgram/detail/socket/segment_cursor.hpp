// SPDX-License-Identifier: BSL-1.0
// Sends one buffer as many datagrams of equal size; has the interface of a send batch.
#ifndef DGRAM_DETAIL_SOCKET_SEGMENT_CURSOR_HPP
#define DGRAM_DETAIL_SOCKET_SEGMENT_CURSOR_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/message_runs.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Describes one message at a time, anew at each `prepare`, so that it may be moved in between. The
/// description lies in a `scratch` that belongs to the attempt. An operation with a `scratch` would
/// not fit into the memory that Asio keeps for reuse. `Request` is `send_request`, or `no_request`,
/// which takes no room.
template <class Protocol, class Request = no_request>
class segment_cursor {
public:
  using endpoint_type = typename Protocol::endpoint;

  struct scratch {
    endpoint_type native;
    platform::message message;
    platform::buffer buffer{};
    alignas(std::max_align_t) std::array<std::byte, Request::control_size> control;
  };

  segment_cursor(bytes_view payload, std::size_t segment, const endpoint_type& peer,
                 const Request& request = Request())
      : rest_(payload.data()),
        size_(payload.size()),
        segment_(segment),
        peer_(peer),
        request_(request)
  {
  }

  /// Uses this room until the end of the attempt.
  void use(scratch& room) noexcept { room_ = &room; }

  template <class Predicate>
  std::span<platform::message> prepare(const socket_flags& flags, Predicate may_segment,
                                       error_code& ec, const unmet_needs& unmet, std::size_t)
  {
    ec.clear();
    if (segment_ == 0) ec = net::error::invalid_argument;
    if (flags.connected) ec = net::error::already_connected;
    const bool v4 = is_ipv4(peer_);
    if (!ec) ec = request_.template check<Protocol>(v4);
    if (!ec && request_.needs().has_any_of(unmet.needs)) ec = unmet.why;
    if (ec || done_) return {};
    const bool whole = !split_ && !request_.leaves_alone() && may_segment(peer_, segment_);
    const std::size_t most = whole ? limit_.now() : 1;
    const std::size_t fit = std::min(most, max_payload_size(peer_) / segment_);
    chunk_ = std::min(std::max<std::size_t>(fit, 1) * segment_, size_);
    if (is_beyond_protocol<Protocol>(chunk_, v4)) {
      ec = net::error::message_size;
      return {};
    }
    auto& [native, message, buffer, control] = *room_;
    buffer = platform::make_buffer(rest_, chunk_);
    message.set_buffers(&buffer, 1);
    native = peer_;
    if constexpr (dual_stack_protocol<Protocol>)
      if (flags.dual) native = mapped(peer_);
    message.set_address(native.data(), native.size());
    if (front_is_segmented() || !request_.is_plain())
      message.set_control(request_.write(control, v4, flags, front_is_segmented() ? segment_ : 0));
    else
      message.clear_control();
    return {&message, 1};
  }

  template <class Note>
  std::size_t consume(std::size_t, Note note) noexcept
  {
    const std::size_t datagrams = chunk_ == 0 ? 1 : (chunk_ - 1) / segment_ + 1;
    segmented_ += datagrams > 1 ? datagrams : 0;
    if (request_.asks_for_time()) note(request_.number());
    limit_.sent();
    rest_ += chunk_;
    size_ -= chunk_;
    done_ = size_ == 0;
    return datagrams;
  }

  bool front_is_segmented() const noexcept { return chunk_ > segment_; }
  bool try_shorter() noexcept { return limit_.try_shorter(chunk_ / segment_); }
  const endpoint_type& front_peer() const noexcept { return peer_; }
  void split_front() noexcept
  {
    split_ = true;
    limit_.given_up();
  }
  std::size_t bytes() const noexcept { return size_; }
  bool front_asks_for_time() const noexcept { return request_.asks_for_time(); }
  std::size_t take_segmented() noexcept { return std::exchange(segmented_, 0); }
  socket_needs needs() const noexcept { return request_.needs(); }
  std::size_t front_size() const noexcept { return std::min(segment_, size_); }
  bool front_sets_traffic_class() const noexcept { return request_.sets_traffic_class(); }
  bool refuse_front(const error_code&) const noexcept { return false; }

private:
  const std::byte* rest_;
  std::size_t size_;
  std::size_t segment_;
  std::size_t chunk_ = 0;
  std::size_t segmented_ = 0;
  [[no_unique_address]] segment_limit limit_;
  bool split_ = false;
  bool done_ = false;
  endpoint_type peer_;
  scratch* room_ = nullptr;
  [[no_unique_address]] Request request_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
