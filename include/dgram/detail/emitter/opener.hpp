// SPDX-License-Identifier: BSL-1.0
// Opens or adopts an emitter's socket as its options say, and checks the peers' endpoints.
#ifndef DGRAM_DETAIL_EMITTER_OPENER_HPP
#define DGRAM_DETAIL_EMITTER_OPENER_HPP

#include <dgram/block_list.hpp>
#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>
#include <dgram/socket_options.hpp>
#include <dgram/udp.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Socket>
class family {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;

  static constexpr bool is_ip = ip_protocol<protocol_type>;

  family(Socket& socket, const socket_options& options) noexcept
      : socket_(socket), options_(options)
  {
  }

  bool is_v6() const noexcept { return options_.type == socket_type::udp6; }

  bool is_foreign(const endpoint_type& endpoint) const noexcept
  {
    if constexpr (is_ip)
      return (endpoint.protocol() == net::ip::udp::v6()) != is_v6();
    else
      return false;
  }

  /// Whether `check_peer` has no error. Returns false too if there is a list to look at.
  bool may_send_to(const endpoint_type& peer) const noexcept
  {
    if constexpr (is_ip)
      return !options_.send_block_list && !is_foreign(peer) && peer.port() != 0;
    else
      return !is_unnamed(peer);
  }

  /// Why the socket must not send to this peer; no error if it may.
  error_code check_peer(const endpoint_type& peer) const
  {
    if (is_listed(options_.send_block_list.get(), peer)) return error::ip_blocked;
    if (is_foreign(peer)) return net::error::invalid_argument;
    return check_name(peer);
  }

  /// Whether datagrams from this sender are to be dropped.
  bool is_blocked(const endpoint_type& sender) const
  {
    return is_listed(options_.receive_block_list.get(), sender);
  }

  endpoint_type any_address() const
  {
    if constexpr (!is_ip)
      return {};
    else if (is_v6())
      return {net::ip::address_v6::any(), 0};
    else
      return {net::ip::address_v4::any(), 0};
  }

  endpoint_type loopback(std::uint16_t port) const
  {
    if (is_v6()) return {net::ip::address_v6::loopback(), port};
    return {net::ip::address_v4::loopback(), port};
  }

  void open(error_code& ec)
  {
    socket_.open(protocol(),
                 {.reuse_address = options_.reuse_addr,
                  .reuse_port = options_.reuse_port,
                  .v6_only = options_.ipv6_only,
                  .file_mode = options_.file_mode},
                 ec);
    if (!ec) set_buffer_sizes(ec);
    if (!ec) ask_for_credentials(ec);
    if (ec) return;
    error_code not_here;
    if (options_.coalesce) socket_.handle().set_coalescing(true, not_here);
  }

  /// Takes over a descriptor.
  void adopt(int descriptor, error_code& ec)
  {
    ec.clear();
    if (options_.file_mode != 0) ec = net::error::invalid_argument;
    if (ec) return;
    assign(descriptor, ec);
    // A descriptor that is no socket is the wrong kind of descriptor too.
    if (ec == net::error::not_socket) ec = error::wrong_descriptor;
    if (ec) return;
    error_code ignored;
    if constexpr (is_ip) socket_.set_option(option::reuse_address(true), ignored);
    set_buffer_sizes(ignored);
    ask_for_credentials(ignored);
  }

private:
  /// A sender may have a port or a name to which nothing can be sent.
  static error_code check_name(const endpoint_type& peer)
  {
    if constexpr (is_ip) {
      if (peer.port() == 0) return error::bad_port;
    } else {
      if (is_unnamed(peer)) return net::error::invalid_argument;
    }
    return {};
  }

  static bool is_listed(const block_list* list, const endpoint_type& who)
  {
    if constexpr (is_ip)
      return list != nullptr && list->check(who.address());
    else
      return false;
  }

  protocol_type protocol() const
  {
    if constexpr (is_ip)
      return is_v6() ? protocol_type::v6() : protocol_type::v4();
    else
      return {};
  }

  /// Looks at the descriptor itself, not at the declared type.
  void assign(int descriptor, error_code& ec)
  {
    if constexpr (is_ip) {
      socket_.assign(protocol_type::v4(), descriptor, ec);
      if (ec == error::wrong_descriptor) socket_.assign(protocol_type::v6(), descriptor, ec);
    } else {
      socket_.assign(protocol_type(), descriptor, ec);
    }
  }

  void set_buffer_sizes(error_code& ec)
  {
    if (options_.recv_buffer_size > 0)
      socket_.set_receive_buffer_size(static_cast<int>(options_.recv_buffer_size), ec);
    if (!ec && options_.send_buffer_size > 0)
      socket_.set_send_buffer_size(static_cast<int>(options_.send_buffer_size), ec);
  }

  void ask_for_credentials(error_code& ec)
  {
    if constexpr (!is_ip)
      if (options_.credentials) socket_.set_option(option::receive_credentials(true), ec);
  }

  Socket& socket_;
  const socket_options& options_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
