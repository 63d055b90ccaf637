// SPDX-License-Identifier: BSL-1.0
// Socket options as types, which check their values and know both their IPv4 and their IPv6 form.
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

/// Every option is set with `socket.set_option(option)`, read with `socket.get_option(option)`
/// unless it says otherwise, and works on plain Asio sockets too. On a dual-stack socket an option
/// that has an IPv4 and an IPv6 part sets both, or none where one is refused; reading it gives the
/// IPv6 part. A value out of range is `error::out_of_range`, and nothing is changed. What the
/// system lacks is `operation_not_supported` (on a plain Asio socket `no_protocol_option`).
namespace option {

/// Allows sending to broadcast addresses (SO_BROADCAST; RFC 1122, section 4.1.3.6). Off by default.
using broadcast =
    detail::boolean_option<detail::socket_names<platform::names::broadcast>, "broadcast">;

/// Lets several sockets that all ask for it bind the same address (SO_REUSEADDR). For multicast,
/// every one gets each datagram; for unicast on Linux only the last one bound does. Off by default:
/// a port is exclusive.
using reuse_address =
    detail::boolean_option<detail::socket_names<platform::names::reuse_address>, "reuse_address">;

/// Lets several sockets that all ask for it share a port, the kernel spreading the flows over them
/// (SO_REUSEPORT; on Linux since 3.9, for sockets of one user). Off by default: a port is
/// exclusive.
using reuse_port =
    detail::boolean_option<detail::socket_names<platform::names::reuse_port>, "reuse_port">;

/// Keeps an IPv6 socket from taking IPv4 traffic (IPV6_V6ONLY; RFC 3493, section 5.3). Before bind
/// only.
using v6_only = detail::boolean_option<detail::ipv6_names<platform::names::ipv6_only>, "v6_only">;

/// The hop limit of unicast datagrams, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS). Linux takes -1 as "the
/// default"; this does not.
using hop_limit = detail::integer_option<
    detail::ip_names<platform::names::ipv4_hop_limit, platform::names::ipv6_hop_limit>, "hop_limit",
    1, 255>;

/// The hop limit of multicast datagrams, 0 to 255; 0 keeps them on this host (IP_MULTICAST_TTL,
/// IPV6_MULTICAST_HOPS). 1 by default.
using multicast_hop_limit =
    detail::integer_option<detail::ip_names<platform::names::ipv4_multicast_hop_limit,
                                            platform::names::ipv6_multicast_hop_limit>,
                           "multicast_hop_limit", 0, 255>;

/// Whether members on this host get what this socket sends to a group (IP_MULTICAST_LOOP,
/// IPV6_MULTICAST_LOOP). On by default.
using multicast_loopback =
    detail::boolean_option<detail::ip_names<platform::names::ipv4_multicast_loopback,
                                            platform::names::ipv6_multicast_loopback>,
                           "multicast_loopback">;

/// Whether a socket bound to a wildcard address also gets what other sockets of this host have
/// joined (IP_MULTICAST_ALL; IPV6_MULTICAST_ALL since Linux 4.20). On by default.
using receive_all_groups =
    detail::boolean_option<detail::ip_names<platform::names::ipv4_receive_all_groups,
                                            platform::names::ipv6_receive_all_groups>,
                           "receive_all_groups">;

/// The size of the kernel's receive queue in bytes, at least 1 (SO_RCVBUF). The kernel adjusts it
/// in silence: `basic_socket::set_receive_buffer_size` sets it and returns what took effect.
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

/// The byte of the IP header that tells routers how to treat what is sent, 0 to 255: the
/// differentiated services field in the upper six bits (RFC 2474), ECN in the lower two (RFC 3168)
/// (IP_TOS, IPV6_TCLASS). 0 by default.
using traffic_class = detail::integer_option<
    detail::ip_names<platform::names::ipv4_traffic_class, platform::names::ipv6_traffic_class>,
    "traffic_class", 0, 255>;

/// The code point of the differentiated services field, 0 to 63 (RFC 2474), such as 46 for
/// expedited forwarding: the upper six bits of `traffic_class`, whose ECN bits it clears. It reads
/// as what `traffic_class` holds there.
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

  friend std::string to_string(const differentiated_services& option)
  {
    return detail::show_option<differentiated_services>(std::to_string(option.value()));
  }

private:
  static constexpr int refused = -1;  // nothing that traffic_class takes

  int code_point_;
};

/// Who may cut a datagram into fragments, and which MTU counts (ip(7), IP_MTU_DISCOVER). What must
/// not be cut and is too large is refused with `message_size`.
enum class path_mtu {
  off = 0,  ///< this host and routers may cut
  want =
      1,  ///< this host cuts what is beyond the MTU known of the path, and routers nothing else: Linux's default
  require = 2,  ///< nobody cuts; the MTU known of the path counts
  probe = 3,  ///< nobody cuts; the device's MTU counts, so that one can find out oneself (RFC 8899)
  device =
      4,  ///< routers may cut; the device's MTU counts, and nothing that is said of the path is believed
  device_cut = 5,  ///< as `device`, and this host cuts too
};

/// How the path's MTU is found and kept (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER; Linux).
/// `do_not_fragment` is the portable part of it.
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

/// Keeps what is sent from being cut into fragments, here and, over IPv4, by routers (IP_DONTFRAG,
/// IPV6_DONTFRAG; on Linux `path_mtu::require`): a datagram that is too large is refused with
/// `message_size`. Off lets both cut. Linux starts between the two, see `path_mtu::want`, which
/// reads as off.
class do_not_fragment
    : public detail::option_base<detail::ip_names<platform::names::ipv4_do_not_fragment,
                                                  platform::names::ipv6_do_not_fragment>,
                                 "do_not_fragment", int> {
public:
  constexpr explicit do_not_fragment(bool on = false) noexcept
      : option_base(on ? platform::names::fragments_forbidden : platform::names::fragments_allowed)
  {
  }

  /// Of Linux's modes two forbid fragments: this one and `path_mtu::probe`.
  constexpr bool value() const noexcept { return platform::forbids_fragments(data_); }
  constexpr explicit operator bool() const noexcept { return value(); }

  static error_code check() noexcept { return {}; }

  friend std::string to_string(const do_not_fragment& option)
  {
    return detail::show_option<do_not_fragment>(option ? "true" : "false");
  }
};

/// Lets the socket be bound to an address that no interface has, or has yet (IP_FREEBIND;
/// IPV6_FREEBIND since Linux 4.15). Off by default.
using freebind = detail::boolean_option<
    detail::ip_names<platform::names::ipv4_freebind, platform::names::ipv6_freebind>, "freebind">;

/// Lets the socket take, and send as, addresses that are not this host's, as a transparent proxy
/// does (IP_TRANSPARENT, IPV6_TRANSPARENT; Linux, with CAP_NET_ADMIN or CAP_NET_RAW, else
/// `no_permission`). Off by default.
using transparent = detail::boolean_option<
    detail::ip_names<platform::names::ipv4_transparent, platform::names::ipv6_transparent>,
    "transparent">;

/// How long a blocking receive asks the device itself before it sleeps, in microseconds; 0: not at
/// all (SO_BUSY_POLL; Linux; more than it is takes CAP_NET_ADMIN, else `no_permission`).
using busy_poll = detail::integer_option<detail::socket_names<platform::names::busy_poll>,
                                         "busy_poll", 0, detail::max_int>;

/// The CPU whose packets this socket of several that share a port prefers (SO_INCOMING_CPU; Linux
/// 4.4). It reads as the CPU that the last packet came by where none was set, and as -1 before
/// there was one.
using incoming_cpu = detail::integer_option<detail::socket_names<platform::names::incoming_cpu>,
                                            "incoming_cpu", 0, detail::max_int>;

/// Lets the kernel put datagrams of one sender together into one (UDP_GRO; udp(7), Linux 5.0 and
/// newer), which `receive_batch` takes apart again: one trip for as many as 64. Single receives are
/// refused while it is on (`error::coalescing`), and what is pending when it is turned on completes
/// with `operation_aborted`. Turn it off only when nothing is queued: what was put together stays
/// so. Off by default. Elsewhere `operation_not_supported`.
using coalescing =
    detail::boolean_option<detail::udp_names<platform::names::coalescing>, "coalescing">;

/// Lets the socket send and receive by one interface only (SO_BINDTOIFINDEX, Linux 5.0; IP_BOUND_IF
/// and IPV6_BOUND_IF on macOS); "any", the default, ends that. The interface is looked up when the
/// option is made; one that does not exist is `error::unknown_interface` when it is set. On Linux a
/// socket that is bound to one already needs CAP_NET_RAW, else `no_permission`.
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
    return detail::show_option<bind_to_device>(option.named_);
  }

private:
  error_code error_;
  std::string named_;
};

/// The interface that multicast datagrams leave by (IP_MULTICAST_IF, IPV6_MULTICAST_IF); named by
/// an IPv4 address, that one is also their sender's where the socket is not bound to one. The
/// interface is looked up when the option is made; one that does not exist is
/// `error::unknown_interface` when it is set, and one without multicast `error::no_multicast`.
///
/// It reads as the index. Linux does not tell it of an IPv4 socket: there it is what was set
/// through the socket, and cannot be read from a plain Asio socket.
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

  /// Of the object that is read into: the kernel tells an IPv4 address where it was given an index.
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

  /// What a socket remembers, as if it had been read.
  void assign(unsigned index)
  {
    error_.clear();
    v6_ = index;
    v4_ = platform::make_interface_request(index, {});
    named_ = std::to_string(index);
  }

  friend std::string to_string(const multicast_interface& option)
  {
    return detail::show_option<multicast_interface>(option.named_);
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

// What the kernel says of each datagram. Each costs a little per datagram, so all are off by
// default. On an IPv6 socket they are set for IPv4 too, whose datagrams it may take in the mapped
// form.

/// Says which address and interface a datagram came to (IP_PKTINFO, IPV6_RECVPKTINFO; RFC 3542,
/// section 6.2): `local_address()`, `interface_index()`, and `reply_path()` on a wildcard socket. A
/// `reader` of one turns it on, and so does an emitter.
using packet_info = detail::metadata_option<
    detail::ip_names<platform::names::ipv4_packet_info, platform::names::ipv6_packet_info>,
    "packet_info", platform::metadata::packet_info>;

/// Says what is in the traffic class (IP_RECVTOS, IPV6_RECVTCLASS): `ecn()` and `dscp()`.
using receive_ecn =
    detail::metadata_option<detail::ip_names<platform::names::ipv4_receive_traffic_class,
                                             platform::names::ipv6_receive_traffic_class>,
                            "receive_ecn", platform::metadata::traffic_class>;

/// Says how many hops a datagram had left (IP_RECVTTL, IPV6_RECVHOPLIMIT): `hop_limit()`.
using receive_hop_limit =
    detail::metadata_option<detail::ip_names<platform::names::ipv4_receive_hop_limit,
                                             platform::names::ipv6_receive_hop_limit>,
                            "receive_hop_limit", platform::metadata::hop_limit>;

/// Says when a datagram came (SO_TIMESTAMPING; SO_TIMESTAMP on systems without): `receive_time()`
/// and, where the network card was told to take it (ethtool(8), hwstamp_ctl(8)),
/// `hardware_receive_time()`.
using receive_timestamp = detail::flags_option<platform::names::timestamps, "receive_timestamp",
                                               platform::names::receive_timestamps_value>;

/// Says how many datagrams were dropped before this one (SO_RXQ_OVFL; Linux): `dropped()`.
using receive_drop_count =
    detail::metadata_option<detail::socket_names<platform::names::drop_count>, "receive_drop_count",
                            platform::metadata::drop_count>;

/// Keeps errors of the path in a queue of their own (IP_RECVERR, IPV6_RECVERR; ip(7), Linux), from
/// which `async_receive_error` takes them. They are reported there and nowhere else: no receive,
/// and no later send, fails for them, connected or not. Set it before operations are started;
/// clearing it forgets what was kept, and who waits for reports completes with
/// `operation_not_supported`. Elsewhere `operation_not_supported`.
using receive_error = detail::metadata_option<
    detail::ip_names<platform::names::ipv4_receive_error, platform::names::ipv6_receive_error>,
    "receive_error", platform::metadata::nothing>;

}  // namespace option

DGRAM_NAMESPACE_END

#endif
