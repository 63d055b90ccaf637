// SPDX-License-Identifier: BSL-1.0
// The calls of an emitter socket that set options, and join and leave groups.
#ifndef DGRAM_EMITTER_OPTIONS_HPP
#define DGRAM_EMITTER_OPTIONS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/emitter/core.hpp>
#include <dgram/detail/emitter/membership_text.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/option.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Whether `set_membership` joins or leaves.
enum class membership_operation { leave, join };

namespace detail {

/// All of these calls throw `bad_descriptor` before the socket is bound, `error::not_running`, and
/// the errors of setsockopt(2). `Derived` is the emitter socket.
template <class Derived, class Socket>
class emitter_option_calls {
  using core_type = emitter_core<Socket>;

  static constexpr bool is_ip = ip_protocol<typename Socket::protocol_type>;

public:
  /// Allows sending to broadcast addresses.
  void set_broadcast(bool on)
    requires is_ip
  {
    set("set_broadcast", option::broadcast(on));
  }

  /// Sets the hop limit of unicast datagrams, and returns it. Throws `invalid_argument` outside 1
  /// to 255.
  int set_ttl(int hops)
    requires is_ip
  {
    set("set_ttl", option::hop_limit(hops), beyond(hops, 1, 255));
    return hops;
  }

  /// Sets the hop limit of multicast datagrams, and returns it. Throws `invalid_argument` outside 0
  /// to 255.
  int set_multicast_ttl(int hops)
    requires is_ip
  {
    set("set_multicast_ttl", option::multicast_hop_limit(hops), beyond(hops, 0, 255));
    return hops;
  }

  /// Sets whether members on this host receive what the socket sends to a group. Returns the value.
  bool set_multicast_loopback(bool on)
    requires is_ip
  {
    set("set_multicast_loopback", option::multicast_loopback(on));
    return on;
  }

  /// Sets the interface that multicast datagrams leave by. `address` is an address of that
  /// interface; for IPv6 it is `::%eth0` or `::%2`. With 0.0.0.0 and :: the system chooses. A
  /// `udp6` socket has one interface for each family. Throws `invalid_argument` for other text,
  /// EADDRNOTAVAIL if no interface has the address, and ENOPROTOOPT for an IPv6 address on a `udp4`
  /// socket.
  void set_multicast_interface(std::string_view address)
    requires is_ip
  {
    constexpr auto operation = "set_multicast_interface";
    self().check_bound(operation);
    const bool is_v6 = core().family.is_v6();
    const auto outgoing = parse_outgoing_interface(operation, address, is_v6);
    error_code ec;
    core().replaceable.set(
        outgoing.is_v6 ? "set_multicast_interface of IPv6" : "set_multicast_interface of IPv4",
        [outgoing, is_v6](Socket& socket, error_code& failed) {
          outgoing.apply(socket, is_v6, failed);
        },
        ec);
    if (ec) refuse(operation, ec, in_quotes(address));
  }

  /// Joins a group. `interface` is an address of the interface, or its name; without it the system
  /// chooses. Binds an unbound socket. A `udp6` socket joins groups of both families. Throws:
  ///  - `invalid_argument` for a missing or wrong group, a wrong interface, or addresses of
  ///    different families in one call;
  ///  - ENODEV if the interface does not exist;
  ///  - `address_in_use` if the socket has joined the group already;
  ///  - ENOPROTOOPT for an IPv6 group on a `udp4` socket.
  void add_membership(std::string_view group, std::string_view interface = {})
    requires is_ip
  {
    change_membership("add_membership", membership_change::join, group, {}, interface);
  }

  /// Leaves a group. Closing the socket also leaves it.
  void drop_membership(std::string_view group, std::string_view interface = {})
    requires is_ip
  {
    change_membership("drop_membership", membership_change::leave, group, {}, interface);
  }

  /// Joins or leaves a group.
  void set_membership(std::string_view group, std::string_view interface, membership_operation what)
    requires is_ip
  {
    const bool joins = what == membership_operation::join;
    change_membership("set_membership", joins ? membership_change::join : membership_change::leave,
                      group, {}, interface);
  }

  void set_membership(std::string_view group, membership_operation what)
    requires is_ip
  {
    set_membership(group, {}, what);
  }

  /// Joins a group for the datagrams of one source. Throws as `add_membership` does, but
  /// `address_not_available` the second time.
  void add_source_specific_membership(std::string_view source, std::string_view group,
                                      std::string_view interface = {})
    requires is_ip
  {
    change_membership("add_source_specific_membership", membership_change::join, group, source,
                      interface);
  }

  void drop_source_specific_membership(std::string_view source, std::string_view group,
                                       std::string_view interface = {})
    requires is_ip
  {
    change_membership("drop_source_specific_membership", membership_change::leave, group, source,
                      interface);
  }

  /// Sets the size of the kernel's queue in bytes. The kernel adjusts the value without an error:
  /// Linux doubles it, within a limit. Throws `error::out_of_range` for values below 1 or above 32
  /// bits, and `invalid_argument` for values above 31 bits.
  void set_recv_buffer_size(std::int64_t bytes)
  {
    set("set_recv_buffer_size",
        option::receive_buffer_size(checked_buffer_size("set_recv_buffer_size", bytes)),
        std::to_string(bytes) + " bytes");
  }

  void set_send_buffer_size(std::int64_t bytes)
  {
    set("set_send_buffer_size",
        option::send_buffer_size(checked_buffer_size("set_send_buffer_size", bytes)),
        std::to_string(bytes) + " bytes");
  }

  std::size_t get_recv_buffer_size() const
  {
    self().check_bound("get_recv_buffer_size");
    return ask("get_recv_buffer_size",
               [](Socket& socket, error_code& ec) { return socket.get_receive_buffer_size(ec); });
  }

  std::size_t get_send_buffer_size() const
  {
    self().check_bound("get_send_buffer_size");
    return ask("get_send_buffer_size",
               [](Socket& socket, error_code& ec) { return socket.get_send_buffer_size(ec); });
  }

private:
  friend Derived;
  emitter_option_calls() = default;

  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  const Derived& self() const noexcept { return static_cast<const Derived&>(*this); }
  core_type& core() const { return self().core(); }

  /// `what` describes the value, for the text of an error.
  template <class Option>
  void set(const char* operation, const Option& option, std::string what = {})
  {
    self().check_bound(operation);
    error_code ec;
    core().replaceable.set(
        operation,
        [option](Socket& socket, error_code& failed) { socket.set_option(option, failed); }, ec);
    if (ec == error::out_of_range) ec = net::error::invalid_argument;
    if (ec) refuse(operation, ec, std::move(what));
  }

  template <class Query>
  std::size_t ask(const char* operation, Query query) const
  {
    std::size_t answer = 0;
    error_code ec;
    core().replaceable.with_socket(
        [&](Socket& socket, error_code& failed) {
          answer = static_cast<std::size_t>(query(socket, failed));
        },
        ec);
    if (ec) self().throw_now(ec, operation);
    return answer;
  }

  void change_membership(const char* operation, membership_change change, std::string_view group,
                         std::string_view source, std::string_view interface)
  {
    self().check_running(operation);
    const membership_text membership{operation, change, core().family.is_v6(),
                                     group,     source, interface};
    const auto apply = membership.parse<Socket>();
    if (core().bind_phase() == core_type::phase::none) self().bind_sync();
    self().check_bound(operation);
    error_code ec;
    if (membership.joins()) {
      core().replaceable.set(membership.key(), apply, ec);
    } else {
      core().replaceable.with_socket(apply, ec);
      if (!ec) core().replaceable.unset(membership.key());
    }
    if (ec) membership.refuse(ec);
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
