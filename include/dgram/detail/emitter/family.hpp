// SPDX-License-Identifier: BSL-1.0
// The addresses of an emitter's family, and those that its block lists forbid.
#ifndef DGRAM_DETAIL_EMITTER_FAMILY_HPP
#define DGRAM_DETAIL_EMITTER_FAMILY_HPP

#include <dgram/block_list.hpp>
#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/socket_options.hpp>

#include <cstdint>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Protocol>
class family {
public:
  using endpoint_type = typename Protocol::endpoint;

  static constexpr bool is_ip = ip_protocol<Protocol>;

  explicit family(const socket_options& options) noexcept : options_(options) {}

  bool is_v6() const noexcept { return options_.type == socket_type::udp6; }

  Protocol protocol() const
  {
    if constexpr (is_ip)
      return is_v6() ? Protocol::v6() : Protocol::v4();
    else
      return {};
  }

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
    return !options_.send_block_list && !is_foreign(peer) && can_be_peer(peer);
  }

  /// Why the socket must not send to this peer; no error if it may.
  error_code check_peer(const endpoint_type& peer) const
  {
    if (is_listed(options_.send_block_list.get(), peer)) return error::ip_blocked;
    if (can_be_peer(peer) && !is_foreign(peer)) return {};
    if (is_ip && !is_foreign(peer)) return error::bad_port;
    return net::error::invalid_argument;
  }

  /// What is wrong with a peer that `check_peer` refuses, in words; empty if the code says it.
  std::string fault_of(const endpoint_type& peer) const
  {
    if (!is_foreign(peer)) return {};
    return is_v6() ? "an IPv4 address on a udp6 socket" : "an IPv6 address on a udp4 socket";
  }

  /// Whether datagrams from this sender are to be dropped.
  bool is_blocked(const endpoint_type& sender) const
  {
    return is_listed(options_.receive_block_list.get(), sender);
  }

  endpoint_type any_address() const
  {
    if constexpr (is_ip)
      return {protocol(), 0};
    else
      return {};
  }

  endpoint_type loopback(std::uint16_t port) const
  {
    if (is_v6()) return {net::ip::address_v6::loopback(), port};
    return {net::ip::address_v4::loopback(), port};
  }

private:
  /// A sender may have a port or a name to which nothing can be sent.
  static bool can_be_peer(const endpoint_type& peer) noexcept
  {
    if constexpr (is_ip)
      return peer.port() != 0;
    else
      return !is_unnamed(peer);
  }

  static bool is_listed(const block_list* list, const endpoint_type& who)
  {
    if constexpr (is_ip)
      return list != nullptr && list->check(who.address());
    else
      return false;
  }

  const socket_options& options_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
