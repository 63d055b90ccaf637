// SPDX-License-Identifier: BSL-1.0
// Opens a socket as a `socket_config` says.
#ifndef DGRAM_DETAIL_SOCKET_OPENING_HPP
#define DGRAM_DETAIL_SOCKET_OPENING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>
#include <dgram/socket_config.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// As in a program, with a zero in front.
inline std::string octal(unsigned value)
{
  std::array<char, 16> digits;
  std::size_t first = digits.size();
  for (; value != 0; value /= 8)
    digits[--first] = static_cast<char>('0' + value % 8);
  return std::string("0").append(digits.data() + first, digits.size() - first);
}

/// What a call was about when it failed, for the text of an exception.
struct failed_step {
  const char* call = "open";
  std::string subject = {};
  std::string allowed = {};  // the values that the subject may have, if its value was out of range

  /// Out of line, because every option calls it with another text.
  DGRAM_COLD void refuse(std::string what, std::string range = {})
  {
    subject = std::move(what);
    allowed = std::move(range);
  }

  void throw_if(const error_code& ec) const
  {
    if (!subject.empty()) detail::throw_if(ec, call, subject, allowed);
    detail::throw_if(ec, call);
  }
};

/// Sets the options of the configuration until one is refused, and says which.
template <class Socket>
DGRAM_COLD void configure(Socket& socket, const typename Socket::protocol_type& protocol,
                          const socket_config& config, failed_step& step, error_code& ec)
{
  const auto set = [&](bool wanted, const auto& option) {
    if (!wanted || ec) return;
    socket.set_option(option, ec);
    if (ec) step.refuse(to_string(option), allowed_by<std::remove_cvref_t<decltype(option)>>(ec));
  };
  if (config.v6_only && protocol.family() != platform::names::ipv6_family) {
    ec = net::error::invalid_argument;
    step.refuse(to_string(option::v6_only(true)));
  }
  if (config.dual_stack && !dual_stack_protocol<typename Socket::protocol_type>) {
    ec = net::error::invalid_argument;
    step.refuse("dual_stack");
  }
  if (config.file_mode != 0) {
    const bool has_file = path_protocol<typename Socket::protocol_type>;
    if (!has_file) ec = net::error::invalid_argument;
    if (has_file && config.file_mode > 0777) {
      ec = error::out_of_range;
      step.allowed = "0 to 0777";
    }
    if (ec) step.subject = "file_mode{" + octal(config.file_mode) + "}";
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
                                const socket_config& config, failed_step& step, error_code& ec)
{
  auto opened = protocol;
  if constexpr (dual_stack_protocol<typename Socket::protocol_type>)
    if (config.dual_stack) opened = Socket::protocol_type::dual();
  socket.open(opened, ec);
  if (ec) return;
  configure(socket, protocol, config, step, ec);
  error_code ignored;
  if (ec) socket.close(ignored);
}

/// Opens a configured socket of the protocol and binds it. Closes it again if that fails.
template <class Socket>
void open_bound(Socket& socket, const typename Socket::protocol_type& protocol, std::uint16_t port,
                const socket_config& config, failed_step& step, error_code& ec)
{
  step = {};
  open_configured(socket, protocol, config, step, ec);
  if (ec) return;
  const typename Socket::endpoint_type local(protocol, port);
  socket.bind(local, ec);
  if (!ec) return;
  step = {.call = "bind", .subject = to_string(local)};
  error_code ignored;
  socket.close(ignored);
}

/// Opens a socket for all addresses of the host: of both families, or of IPv4 if there is no IPv6.
template <class Socket>
void open_any(Socket& socket, const any_address& local, socket_config config, failed_step& step,
              error_code& ec)
{
  using protocol_type = typename Socket::protocol_type;
  if (config.v6_only) {
    step.subject = to_string(option::v6_only(true));
    ec = net::error::invalid_argument;
    return;
  }
  config.dual_stack = false;
  open_bound(socket, protocol_type::dual(), local.port(), config, step, ec);
  // An option has a subject too. What it says is not about the family.
  const bool no_sockets = step.subject.empty() && platform::is_missing_family(ec);
  const bool no_address = ec == platform::address_not_available();
  if (no_sockets || no_address)
    open_bound(socket, protocol_type::v4(), local.port(), config, step, ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
