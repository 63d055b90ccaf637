// SPDX-License-Identifier: BSL-1.0
// Opens a socket as a `socket_config` says.
#ifndef DGRAM_DETAIL_SOCKET_OPENING_HPP
#define DGRAM_DETAIL_SOCKET_OPENING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/option.hpp>
#include <dgram/socket_config.hpp>

#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Sets the options of the configuration until one is refused; `refused` is then the text of that
/// option.
template <class Socket>
DGRAM_COLD void configure(Socket& socket, const typename Socket::protocol_type& protocol,
                          const socket_config& config, std::string& refused, error_code& ec)
{
  const auto set = [&](bool wanted, const auto& option) {
    if (!wanted || ec) return;
    socket.set_option(option, ec);
    if (ec) refused = to_string(option);
  };
  if (config.v6_only && protocol.family() != platform::names::ipv6_family) {
    ec = net::error::invalid_argument;
    refused = to_string(option::v6_only(true));
  }
  if (config.dual_stack && !dual_stack_protocol<typename Socket::protocol_type>) {
    ec = net::error::invalid_argument;
    refused = "dual_stack";
  }
  set(config.reuse_address, option::reuse_address(true));
  set(config.reuse_port, option::reuse_port(true));
  set(config.v6_only, option::v6_only(true));
  set(config.broadcast, option::broadcast(true));
  set(config.receive_buffer_size != 0, option::receive_buffer_size(config.receive_buffer_size));
  set(config.send_buffer_size != 0, option::send_buffer_size(config.send_buffer_size));
}

/// Opens and configures a socket. If an option is refused, closes the socket again.
template <class Socket>
DGRAM_COLD void open_configured(Socket& socket, const typename Socket::protocol_type& protocol,
                                const socket_config& config, std::string& refused, error_code& ec)
{
  auto opened = protocol;
  if constexpr (dual_stack_protocol<typename Socket::protocol_type>)
    if (config.dual_stack) opened = Socket::protocol_type::dual();
  socket.open(opened, ec);
  if (ec) return;
  configure(socket, protocol, config, refused, ec);
  error_code ignored;
  if (ec) socket.close(ignored);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
