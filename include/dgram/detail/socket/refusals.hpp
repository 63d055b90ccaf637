// SPDX-License-Identifier: BSL-1.0
// Decides whether a send failed because of its datagram, or because of the socket or the system.
#ifndef DGRAM_DETAIL_SOCKET_REFUSALS_HPP
#define DGRAM_DETAIL_SOCKET_REFUSALS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/error.hpp>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether a datagram was refused for its own sake, so that others may still be sent. For other
/// errors, the reason lies in the socket or the system.
template <class State>
bool is_refusal(const State& state, const error_code& ec) noexcept
{
  // On IP, a pending ICMP error belongs to an earlier datagram than the send that reports it. On an
  // unconnected Unix socket, no socket listens on this datagram's path.
  // There, broken_pipe says that this peer has shut down its receive side.
  if (ec == net::error::connection_refused || ec == net::error::broken_pipe)
    return state.stays_writable();
  return ec != net::error::would_block && ec != net::error::bad_descriptor &&
         ec != net::error::address_in_use && ec != net::error::not_socket &&
         ec != net::error::already_connected && ec != platform::destination_required() &&
         ec != net::error::shut_down && !platform::is_congestion(ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
