// SPDX-License-Identifier: BSL-1.0
// What the library knows about a socket, and what some datagrams need before they are sent.
#ifndef DGRAM_DETAIL_SOCKET_FLAGS_HPP
#define DGRAM_DETAIL_SOCKET_FLAGS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/relaxed.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What is known of a socket's descriptor, and decides how a batch is prepared for it.
struct socket_flags {
  int family = 0;                   ///< what the socket was opened with
  bool dual = false;                ///< IPv4 peers go through an IPv6 socket, in their mapped form
  relaxed<bool> connected = false;  ///< the kernel has a peer
  bool coalescing = false;          ///< the kernel may put datagrams together into one (GRO)
  relaxed<bool> wildcard =
      false;  ///< bound to no address of its own, or not bound: an answer needs a source
  relaxed<bool> has_port = false;  ///< a send need not find it one; true where there are no ports
  relaxed<bool> on_a_link =
      false;  ///< bound to an address that other links have too: an answer needs an interface
  bool wants_reply_source = false;     ///< if an answer needs one of these
  bool receives_errors = false;        ///< errors of the path come through the error queue
  relaxed<bool> peer_is_ipv4 = false;  ///< of a connected socket
  bool transmit_time = false;          ///< SO_TXTIME is set
  bool send_timestamps = false;        ///< SO_TIMESTAMPING tells of sends
  bool traffic_class_refused = false;  ///< the kernel takes none per datagram
  bool silence_is_no_drop =
      false;                  ///< a datagram that nothing is said of came before the first drop
  std::uint8_t metadata = 0;  ///< `platform::metadata`
  std::uint8_t ipv4_traffic_class = 0;  ///< what the socket has set, when it was last asked
  std::uint8_t ipv6_traffic_class = 0;

  /// Whether Asio's own operations do all that single datagrams need.
  bool is_plain() const noexcept
  {
    return !dual && !coalescing && !receives_errors && !send_timestamps && metadata == 0;
  }
};

/// What a socket must have been told, or asked, before some datagrams can be sent.
struct socket_needs {
  bool traffic_class = false;  ///< that of the socket, since a part of it stays
  bool transmit_time = false;
  bool timestamps = false;

  bool any() const noexcept { return traffic_class || transmit_time || timestamps; }

  bool has_any_of(const socket_needs& other) const noexcept
  {
    return (traffic_class && other.traffic_class) || (transmit_time && other.transmit_time) ||
           (timestamps && other.timestamps);
  }

  socket_needs& operator|=(const socket_needs& other) noexcept
  {
    traffic_class |= other.traffic_class;
    transmit_time |= other.transmit_time;
    timestamps |= other.timestamps;
    return *this;
  }
};

/// What a socket cannot be told or asked, and why.
struct unmet_needs {
  socket_needs needs;
  error_code why;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
