// SPDX-License-Identifier: BSL-1.0
// How a socket is opened.
#ifndef DGRAM_SOCKET_CONFIG_HPP
#define DGRAM_SOCKET_CONFIG_HPP

#include <dgram/config.hpp>

DGRAM_NAMESPACE_BEGIN

/// How a socket is opened and bound. Everything is the operating system's default unless said
/// otherwise.
///
/// \code
/// dgram::udp::socket socket{io, {dgram::udp::v6(), 5353}, {.reuse_address = true, .dual_stack = true}};
/// \endcode
struct socket_config {
  bool reuse_address = false;   ///< share the address with sockets that ask for it too
  bool reuse_port = false;      ///< spread the flows over the sockets that ask for it too
  bool dual_stack = false;      ///< serve IPv4 and IPv6 with one socket; see `udp::dual`
  bool v6_only = false;         ///< keep an IPv6 socket from taking IPv4 traffic
  bool broadcast = false;       ///< allow sending to broadcast addresses
  int receive_buffer_size = 0;  ///< bytes of the kernel's receive queue; 0 leaves the default
  int send_buffer_size = 0;     ///< bytes of the kernel's send queue; 0 leaves the default
};

DGRAM_NAMESPACE_END

#endif
