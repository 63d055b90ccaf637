// SPDX-License-Identifier: BSL-1.0
// Socket options as types. They check their values and know both their IPv4 and their IPv6 form.
#ifndef DGRAM_OPTION_HPP
#define DGRAM_OPTION_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/option_types.hpp>
#include <dgram/error.hpp>
#include <dgram/network_interface.hpp>

#include <cstddef>
#include <string>

DGRAM_NAMESPACE_BEGIN

/// Set an option with `socket.set_option(option)`, and read it with `socket.get_option(option)`
/// unless its text says otherwise. Options also work on plain Asio sockets. On a dual-stack socket
/// an option with an IPv4 and an IPv6 part sets both, or none if one is refused. Reading it returns
/// the IPv6 part. A value out of range is `error::out_of_range`, and changes nothing. An option
/// that the system lacks is `operation_not_supported` (on a plain Asio socket
/// `no_protocol_option`).
namespace option {

/// Allows sending to broadcast addresses (SO_BROADCAST; RFC 1122, section 4.1.3.6). Off by default.
using broadcast =
    detail::boolean_option<detail::socket_names<platform::names::broadcast>, "broadcast">;

/// Lets several sockets bind the same address if all of them set this option (SO_REUSEADDR). Each
/// of them gets every multicast datagram. Only the last one bound gets unicast on Linux. Off by
/// default: a port is exclusive.
using reuse_address =
    detail::boolean_option<detail::socket_names<platform::names::reuse_address>, "reuse_address">;

/// Lets several sockets share a port if all of them set this option (SO_REUSEPORT; on Linux since
/// 3.9, for sockets of one user). The kernel spreads the flows over them. Off by default: a port is
/// exclusive.
using reuse_port =
    detail::boolean_option<detail::socket_names<platform::names::reuse_port>, "reuse_port">;

/// Keeps an IPv6 socket from taking IPv4 traffic (IPV6_V6ONLY; RFC 3493, section 5.3). Set it
/// before bind.
using v6_only = detail::boolean_option<detail::ipv6_names<platform::names::ipv6_only>, "v6_only">;

/// The hop limit of unicast datagrams, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS). Linux accepts -1 as
/// "the default"; this option does not.
using hop_limit = detail::integer_option<
    detail::ip_names<platform::names::ipv4_hop_limit, platform::names::ipv6_hop_limit>, "hop_limit",
    1, 255>;

/// The hop limit of multicast datagrams, 0 to 255; 0 keeps them on this host (IP_MULTICAST_TTL,
/// IPV6_MULTICAST_HOPS). 1 by default.
using multicast_hop_limit =
    detail::integer_option<detail::ip_names<platform::names::ipv4_multicast_hop_limit,
                                            platform::names::ipv6_multicast_hop_limit>,
                           "multicast_hop_limit", 0, 255>;

/// Whether members on this host receive what this socket sends to a group (IP_MULTICAST_LOOP,
/// IPV6_MULTICAST_LOOP). On by default.
using multicast_loopback =
    detail::boolean_option<detail::ip_names<platform::names::ipv4_multicast_loopback,
                                            platform::names::ipv6_multicast_loopback>,
                           "multicast_loopback">;

/// Whether a socket bound to a wildcard address also receives from groups that other sockets of
/// this host have joined (IP_MULTICAST_ALL; IPV6_MULTICAST_ALL since Linux 4.20). On by default.
using receive_all_groups =
    detail::boolean_option<detail::ip_names<platform::names::ipv4_receive_all_groups,
                                            platform::names::ipv6_receive_all_groups>,
                           "receive_all_groups">;

/// The size of the kernel's receive queue in bytes, at least 1 (SO_RCVBUF). The kernel adjusts it
/// without an error. `basic_socket::set_receive_buffer_size` sets it and returns the size that took
/// effect.
using receive_buffer_size =
    detail::integer_option<detail::socket_names<platform::names::receive_buffer>,
                           "receive_buffer_size", 1, detail::max_int>;

/// The size of the kernel's send queue in bytes, at least 1 (SO_SNDBUF); see `receive_buffer_size`.
using send_buffer_size = detail::integer_option<detail::socket_names<platform::names::send_buffer>,
                                                "send_buffer_size", 1, detail::max_int>;

/// The size of the kernel's receive queue, also beyond the system's limit (SO_RCVBUFFORCE; Linux,
/// with CAP_NET_ADMIN, else `no_permission`). It reads as `receive_buffer_size` does, and so does
/// `basic_socket::force_receive_buffer_size`.
using forced_receive_buffer_size =
    detail::forced_size_option<platform::names::forced_receive_buffer,
                               platform::names::receive_buffer, "forced_receive_buffer_size">;

/// The size of the kernel's send queue, also beyond the system's limit (SO_SNDBUFFORCE); see
/// `forced_receive_buffer_size`.
using forced_send_buffer_size =
    detail::forced_size_option<platform::names::forced_send_buffer, platform::names::send_buffer,
                               "forced_send_buffer_size">;

/// The byte of the IP header that tells routers how to treat a datagram, 0 to 255 (IP_TOS,
/// IPV6_TCLASS). The upper six bits are the differentiated services field (RFC 2474), and the lower
/// two are ECN (RFC 3168). 0 by default.
using traffic_class = detail::integer_option<
    detail::ip_names<platform::names::ipv4_traffic_class, platform::names::ipv6_traffic_class>,
    "traffic_class", 0, 255>;

/// The code point of the differentiated services field, 0 to 63 (RFC 2474), such as 46 for
/// expedited forwarding. It is the upper six bits of `traffic_class`; setting it clears the ECN
/// bits. Reading it returns these six bits.
class differentiated_services : public traffic_class {
public:
  static constexpr const char* label = "differentiated_services";

  constexpr explicit differentiated_services(int code_point = 0) noexcept
      : traffic_class(code_point >= 0 && code_point <= 63 ? code_point << 2 : refused),
        code_point_(code_point)
  {
  }

  constexpr int value() const noexcept
  {
    return traffic_class::value() == refused ? code_point_ : traffic_class::value() >> 2;
  }

  static std::string allowed() { return "0 to 63"; }

  friend std::string to_string(const differentiated_services& option)
  {
    return detail::show_option(differentiated_services::label, option.value());
  }

private:
  static constexpr int refused = -1;  // a value that traffic_class refuses

  int code_point_;
};

/// Whether hosts and routers may fragment a datagram, and which MTU counts (ip(7),
/// IP_MTU_DISCOVER). A datagram that is too large and must not be fragmented is refused with
/// `message_size`.
enum class path_mtu {
  off = 0,  ///< this host and routers may fragment
  /// This host fragments datagrams beyond the known MTU of the path; routers fragment only those.
  /// Linux's default.
  want = 1,
  require = 2,  ///< no host or router fragments; the known MTU of the path counts
  /// No host or router fragments. The device's MTU counts, so that a program can probe the path
  /// itself (RFC 8899).
  probe = 3,
  /// Routers may fragment. The device's MTU counts, and reports about the path are ignored.
  device = 4,
  device_cut = 5,  ///< as `device`, and this host fragments too
};

/// How the kernel finds and keeps the MTU of the path (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER; Linux).
/// `do_not_fragment` is the portable part of this option.
class path_mtu_discovery
    : public detail::integer_option<detail::ip_names<platform::names::ipv4_path_mtu_discovery,
                                                     platform::names::ipv6_path_mtu_discovery>,
                                    "path_mtu_discovery", 0, 5> {
public:
  constexpr explicit path_mtu_discovery(path_mtu mode = path_mtu::want) noexcept
      : integer_option(static_cast<int>(mode))
  {
  }

  constexpr path_mtu value() const noexcept { return static_cast<path_mtu>(data_); }
};

/// Keeps this host, and over IPv4 also routers, from fragmenting datagrams (IP_DONTFRAG,
/// IPV6_DONTFRAG; on Linux `path_mtu::require`). A datagram that is too large is refused with
/// `message_size`. If the option is off, both may fragment. Linux starts between the two with
/// `path_mtu::want`, which reads as off.
class do_not_fragment
    : public detail::option_base<detail::ip_names<platform::names::ipv4_do_not_fragment,
                                                  platform::names::ipv6_do_not_fragment>,
                                 "do_not_fragment", int> {
public:
  constexpr explicit do_not_fragment(bool on = false) noexcept
      : option_base(on ? platform::names::fragments_forbidden : platform::names::fragments_allowed)
  {
  }

  /// Two of Linux's modes forbid fragments: this one and `path_mtu::probe`.
  constexpr bool value() const noexcept { return platform::forbids_fragments(data_); }
  constexpr explicit operator bool() const noexcept { return value(); }

  static error_code check() noexcept { return {}; }

  friend std::string to_string(const do_not_fragment& option)
  {
    return detail::show_option(do_not_fragment::label, option ? "true" : "false");
  }
};

/// Lets the socket be bound to an address that no interface has yet, or ever (IP_FREEBIND;
/// IPV6_FREEBIND since Linux 4.15). Off by default.
using freebind = detail::boolean_option<
    detail::ip_names<platform::names::ipv4_freebind, platform::names::ipv6_freebind>, "freebind">;

/// Lets the socket receive at, and send from, addresses that this host does not have, as a
/// transparent proxy does (IP_TRANSPARENT, IPV6_TRANSPARENT; Linux, with CAP_NET_ADMIN or
/// CAP_NET_RAW, else `no_permission`). Off by default.
using transparent = detail::boolean_option<
    detail::ip_names<platform::names::ipv4_transparent, platform::names::ipv6_transparent>,
    "transparent">;

/// How long a blocking receive polls the device before it sleeps, in microseconds (SO_BUSY_POLL;
/// Linux). 0 turns polling off. Raising the value needs CAP_NET_ADMIN, else `no_permission`.
using busy_poll = detail::integer_option<detail::socket_names<platform::names::busy_poll>,
                                         "busy_poll", 0, detail::max_int>;

/// The CPU whose packets this socket prefers, among several that share a port (SO_INCOMING_CPU;
/// Linux 4.4). If none was set, it reads as the CPU that the last packet came by, and as -1 before
/// the first packet.
using incoming_cpu = detail::integer_option<detail::socket_names<platform::names::incoming_cpu>,
                                            "incoming_cpu", 0, detail::max_int>;

/// Lets the kernel join datagrams of one sender into one (UDP_GRO; udp(7), Linux 5.0 and newer).
/// `receive_batch` takes them apart again: one trip for as many as 64. While the option is on,
/// single receives are refused (`error::coalescing`). Turning it on completes pending operations
/// with `operation_aborted`. Turn it off only when no datagram is queued, because joined datagrams
/// stay joined. Off by default. Other systems report `operation_not_supported`.
using coalescing =
    detail::boolean_option<detail::udp_names<platform::names::coalescing>, "coalescing">;

/// Lets the socket send and receive by one interface only (SO_BINDTOIFINDEX, Linux 5.0; IP_BOUND_IF
/// and IPV6_BOUND_IF on macOS). "any", the default, ends that. The constructor looks the interface
/// up. Setting one that does not exist is `error::unknown_interface`. On Linux, a socket that is
/// bound to an interface already needs CAP_NET_RAW to change it, else `no_permission`.
class bind_to_device : public detail::option_base<detail::device_names, "bind_to_device", int> {
public:
  explicit bind_to_device(const network_interface& interface = network_interface())
      : option_base(0), named_(to_string(interface))
  {
    data_ = static_cast<int>(interface.index(error_));
  }

  /// The index of the interface; 0 for "any".
  unsigned index() const noexcept { return static_cast<unsigned>(data_); }

  error_code check() const noexcept { return error_; }

  template <class Protocol>
  std::size_t size(const Protocol&) const noexcept
  {
    return error_ ? 0 : sizeof data_;
  }

  template <class Protocol>
  std::size_t size(const Protocol&) noexcept
  {
    return sizeof data_;
  }

  template <class Protocol>
  void resize(const Protocol&, std::size_t)
  {
    error_.clear();
    named_ = std::to_string(index());
  }

  friend std::string to_string(const bind_to_device& option)
  {
    return detail::show_option(bind_to_device::label, option.named_);
  }

private:
  error_code error_;
  std::string named_;
};

/// The interface that multicast datagrams leave by (IP_MULTICAST_IF, IPV6_MULTICAST_IF). If an IPv4
/// address names it, that address is also the sender's, unless the socket is bound to one. The
/// constructor looks the interface up. Setting one that does not exist is
/// `error::unknown_interface`, and one without multicast is `error::no_multicast`.
///
/// It reads as the index. Linux does not report the index for an IPv4 socket. There it reads as the
/// index that was set through the socket, and cannot be read from a plain Asio socket.
class multicast_interface {
  using names = detail::ip_names<platform::names::ipv4_multicast_interface,
                                 platform::names::ipv6_multicast_interface>;

public:
  static constexpr const char* label = "multicast_interface";

  explicit multicast_interface(const network_interface& interface = network_interface())
      : named_(to_string(interface))
  {
    const unsigned found = detail::multicast_index(interface, error_);
    v4_ = platform::make_interface_request(found, interface.named_address_v4());
    v6_ = found;
  }

  /// The index of the interface; 0 for "the operating system's choice".
  unsigned index() const noexcept { return v6_; }

  error_code check() const noexcept { return error_; }

  template <class Protocol>
  int level(const Protocol& protocol) const noexcept
  {
    return names::level(protocol.family());
  }

  template <class Protocol>
  int name(const Protocol& protocol) const noexcept
  {
    return names::name(protocol.family());
  }

  /// For the object that is read into. If an index was set, the kernel would report an IPv4
  /// address.
  template <class Protocol>
  int name(const Protocol& protocol) noexcept
  {
    return is_v6(protocol) ? names::name(protocol.family()) : platform::names::unsupported;
  }

  template <class Protocol>
  const void* data(const Protocol& protocol) const noexcept
  {
    if (is_v6(protocol)) return &v6_;
    return &v4_;
  }

  template <class Protocol>
  void* data(const Protocol&) noexcept
  {
    return &v6_;
  }

  template <class Protocol>
  std::size_t size(const Protocol& protocol) const noexcept
  {
    if (error_) return 0;
    return is_v6(protocol) ? sizeof v6_ : sizeof v4_;
  }

  template <class Protocol>
  std::size_t size(const Protocol&) noexcept
  {
    return sizeof v6_;
  }

  template <class Protocol>
  void resize(const Protocol&, std::size_t)
  {
    assign(v6_);
  }

  /// Takes the index that a socket remembers, as if it had been read.
  void assign(unsigned index)
  {
    error_.clear();
    v6_ = index;
    v4_ = platform::make_interface_request(index, {});
    named_ = std::to_string(index);
  }

  friend std::string to_string(const multicast_interface& option)
  {
    return detail::show_option(multicast_interface::label, option.named_);
  }

private:
  template <class Protocol>
  static bool is_v6(const Protocol& protocol) noexcept
  {
    return protocol.family() == platform::names::ipv6_family;
  }

  error_code error_;
  platform::interface_request v4_{};
  unsigned v6_ = 0;
  std::string named_;
};

// What the kernel reports about each datagram. Each option costs a little per datagram, so all are
// off by default. Setting one on an IPv6 socket also sets it for IPv4, because the socket may
// receive IPv4 datagrams in the mapped form.

/// Reports the address and the interface that a datagram came to (IP_PKTINFO, IPV6_RECVPKTINFO; RFC
/// 3542, section 6.2): `local_address()`, `interface_index()`, and `reply_path()` on a wildcard
/// socket. A `reader` of a wildcard socket turns it on, and so does an emitter.
using packet_info = detail::metadata_option<
    detail::ip_names<platform::names::ipv4_packet_info, platform::names::ipv6_packet_info>,
    "packet_info", platform::metadata::packet_info>;

/// Reports the traffic class (IP_RECVTOS, IPV6_RECVTCLASS): `ecn()` and `dscp()`.
using receive_ecn =
    detail::metadata_option<detail::ip_names<platform::names::ipv4_receive_traffic_class,
                                             platform::names::ipv6_receive_traffic_class>,
                            "receive_ecn", platform::metadata::traffic_class>;

/// Reports how many hops a datagram had left (IP_RECVTTL, IPV6_RECVHOPLIMIT): `hop_limit()`.
using receive_hop_limit =
    detail::metadata_option<detail::ip_names<platform::names::ipv4_receive_hop_limit,
                                             platform::names::ipv6_receive_hop_limit>,
                            "receive_hop_limit", platform::metadata::hop_limit>;

/// Reports when a datagram came (SO_TIMESTAMPING; SO_TIMESTAMP on systems without it):
/// `receive_time()`. If the network card was set up for timestamps (ethtool(8), hwstamp_ctl(8)), it
/// also reports `hardware_receive_time()`.
using receive_timestamp = detail::flags_option<platform::names::timestamps, "receive_timestamp",
                                               platform::names::receive_timestamps_value>;

/// Reports how many datagrams were dropped before this one (SO_RXQ_OVFL; Linux): `dropped()`.
using receive_drop_count =
    detail::metadata_option<detail::socket_names<platform::names::drop_count>, "receive_drop_count",
                            platform::metadata::drop_count>;

/// Reports which process sent a Unix datagram (SO_PASSCRED; unix(7), Linux): `credentials()`. The
/// receiver needs room for it, see `basic_receive_batch::reserve_control` and
/// `reader_config::control_size`. If an unbound socket sets it, Linux binds the socket to an
/// abstract name when it first sends, and gVisor does not. Other sockets report
/// `operation_not_supported`.
using receive_credentials =
    detail::boolean_option<detail::unix_names<platform::names::pass_credentials>,
                           "receive_credentials">;

/// Keeps errors of the path in a queue of their own (IP_RECVERR, IPV6_RECVERR; ip(7), Linux).
/// `async_receive_error` takes them from there, and they are reported nowhere else: no receive and
/// no later send fails for them, connected or not. Set the option before operations are started.
/// Clearing it discards the queue, and completes pending `async_receive_error` calls with
/// `operation_not_supported`. Other systems report `operation_not_supported`.
using receive_error = detail::metadata_option<
    detail::ip_names<platform::names::ipv4_receive_error, platform::names::ipv6_receive_error>,
    "receive_error", platform::metadata::nothing>;

}  // namespace option

DGRAM_NAMESPACE_END

#endif
