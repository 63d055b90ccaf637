// SPDX-License-Identifier: BSL-1.0
// Describes a received datagram for 'message' listeners; reuses what equals the datagram before.
#ifndef DGRAM_DETAIL_EMITTER_ARRIVAL_HPP
#define DGRAM_DETAIL_EMITTER_ARRIVAL_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/socket/message_runs.hpp>
#include <dgram/events.hpp>
#include <dgram/udp.hpp>

#include <optional>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Describes the datagrams of one turn, whose buffers do not move. The result of `of` is valid
/// until the next call of `of`.
template <class Protocol>
class arrival {
public:
  /// The bound address matters for IP only.
  explicit arrival(const net::ip::address&) noexcept {}

  const basic_remote_info<Protocol>& of(const basic_datagram<Protocol>& received)
  {
    info_ = basic_remote_info<Protocol>(received);
    info_.datagram_.set(received);
    return info_;
  }

private:
  basic_remote_info<Protocol> info_;
};

template <>
class arrival<udp> {
public:
  explicit arrival(const net::ip::address& bound) noexcept : bound_(bound) {}

  const basic_remote_info<udp>& of(const basic_datagram<udp>& received)
  {
    // The datagrams of a train have one sender.
    if (!previous_ || !received.shares_slot_with(*previous_)) {
      if (!previous_ || !same_bytes(received.sender(), previous_->sender()) ||
          !received.arrived_like(*previous_)) [[unlikely]]
        describe(received);
      previous_.emplace(received);
    }
    info_.size = received.payload().size();
    info_.truncated = received.truncated();
    info_.wire_size = info_.truncated ? received.wire_size() : info_.size;
    return info_;
  }

private:
  DGRAM_APART void describe(const basic_datagram<udp>& received)
  {
    info_ = basic_remote_info<udp>(received, bound_);
  }

  const net::ip::address& bound_;
  std::optional<basic_datagram<udp>> previous_;
  basic_remote_info<udp> info_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
