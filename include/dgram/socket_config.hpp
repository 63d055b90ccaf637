// SPDX-License-Identifier: BSL-1.0
// The configuration of a socket.
#ifndef DGRAM_SOCKET_CONFIG_HPP
#define DGRAM_SOCKET_CONFIG_HPP

#include <dgram/config.hpp>

DGRAM_NAMESPACE_BEGIN

/// How a socket is opened and bound. A field that is left alone leaves the operating system's
/// default.
///
/// \code
/// dgram::udp::socket socket{io, {dgram::udp::v6(), 5353},
///                           {.reuse_address = true, .dual_stack = true}};
/// \endcode
struct socket_config {
  bool reuse_address = false;   ///< share the address with other sockets that set this too
  bool reuse_port = false;      ///< spread the flows over all sockets that set this too
  bool dual_stack = false;      ///< serve IPv4 and IPv6 with one socket; see `udp::dual`
  bool v6_only = false;         ///< keep an IPv6 socket from taking IPv4 traffic
  bool broadcast = false;       ///< allow sending to broadcast addresses
  int receive_buffer_size = 0;  ///< bytes of the kernel's receive queue; 0 leaves the default
  int send_buffer_size = 0;     ///< bytes of the kernel's send queue; 0 leaves the default
  /// The permissions of a Unix socket's file, such as 0660; 0 leaves them to the umask. Peers need
  /// the permission to write. See `unix_dgram`.
  unsigned file_mode = 0;
};

DGRAM_NAMESPACE_END

#endif
