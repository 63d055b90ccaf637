// SPDX-License-Identifier: BSL-1.0
// What the library knows about a socket, and what some datagrams need before they are sent.
#ifndef DGRAM_DETAIL_SOCKET_FLAGS_HPP
#define DGRAM_DETAIL_SOCKET_FLAGS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/relaxed.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What is known about a socket's descriptor. It decides how a batch is prepared.
struct socket_flags {
  int family = 0;                   ///< the family with which the socket was opened
  bool dual = false;                ///< IPv4 peers go through an IPv6 socket, in mapped form
  relaxed<bool> connected = false;  ///< the kernel has a peer
  bool coalescing = false;          ///< the kernel may join datagrams into one (GRO)
  bool has_coalesced = false;       ///< so the kernel's drops may be trains
  relaxed<bool> wildcard = false;   ///< bound to no single address: an answer needs a source
  relaxed<bool> has_port = false;   ///< a send needs no new port; true without ports
  relaxed<bool> on_a_link = false;  ///< other links share the address: an answer needs an interface
  bool wants_reply_source = false;  ///< answers get that source or interface
  bool receives_errors = false;     ///< path errors come through the error queue
  relaxed<bool> peer_is_ipv4 = false;      ///< if the socket is connected
  bool transmit_time = false;              ///< SO_TXTIME is set
  bool send_timestamps = false;            ///< SO_TIMESTAMPING reports sends
  bool names_timestamps = false;           ///< the library numbers these sends, not the kernel
  relaxed<std::uint32_t> timestamped = 0;  ///< how many of them the kernel took
  bool traffic_class_refused = false;      ///< the kernel takes none per datagram
  bool silence_is_no_drop = false;         ///< a missing drop count means no drop
  bool duplicated = false;                 ///< other descriptors of the socket may exist
  bool shares_queue = false;               ///< other members of a group read the same queue
  std::uint8_t metadata = 0;               ///< `platform::metadata`
  relaxed<int> ipv4_traffic_class = -1;    ///< the socket's own; -1: not known
  relaxed<int> ipv6_traffic_class = -1;

  /// Whether Asio's own operations can do everything that single datagrams need.
  bool is_plain() const noexcept
  {
    return !dual && !coalescing && !receives_errors && !send_timestamps && metadata == 0;
  }
};

/// What must be set on a socket, or read from it, before some datagrams can be sent.
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

/// What cannot be set on a socket or read from it, and why.
struct unmet_needs {
  socket_needs needs;
  error_code why;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
