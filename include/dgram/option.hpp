// SPDX-License-Identifier: BSL-1.0
// Socket options as types, which check their values and know both their IPv4 and their IPv6 form.
#ifndef DGRAM_OPTION_HPP
#define DGRAM_OPTION_HPP

#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/platform/control.hpp>
#include <dgram/platform/names.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The parts that every option has: a value of type `T`, and the checks. `Names` gives level and name by family.
template <class Names, class T>
class option_base {
public:
  template <class Protocol>
  int level(const Protocol& protocol) const noexcept
  {
    return Names::level(protocol.family());
  }

  template <class Protocol>
  int name(const Protocol& protocol) const noexcept
  {
    return Names::name(protocol.family());
  }

  template <class Protocol>
  void* data(const Protocol&) noexcept
  {
    return &data_;
  }

  template <class Protocol>
  const void* data(const Protocol&) const noexcept
  {
    return &data_;
  }

  template <class Protocol>
  std::size_t size(const Protocol&) const noexcept
  {
    return sizeof data_;
  }

  template <class Protocol>
  void resize(const Protocol&, std::size_t) noexcept
  {
  }

protected:
  constexpr explicit option_base(T data) noexcept : data_(data) {}

  T data_;  // NOLINT(*-non-private-*,*-identifier-naming)
};

template <class Names>
class boolean_option : public option_base<Names, int> {
public:
  constexpr explicit boolean_option(bool on = false) noexcept : option_base<Names, int>(on ? 1 : 0)
  {
  }

  constexpr bool value() const noexcept { return this->data_ != 0; }
  constexpr explicit operator bool() const noexcept { return value(); }

  static error_code check() noexcept { return {}; }
};

/// An option whose value is refused outside `Least..Greatest`: by `check` on our sockets, and on a plain Asio
/// socket by the kernel (EINVAL), which is given no bytes of it.
template <class Names, int Least, int Greatest>
class integer_option : public option_base<Names, int> {
public:
  constexpr explicit integer_option(int value = Least) noexcept : option_base<Names, int>(value) {}

  constexpr int value() const noexcept { return this->data_; }

  error_code check() const noexcept
  {
    return is_valid() ? error_code() : make_error_code(error::out_of_range);
  }

  /// Asio asks the constant object for what it sets, and the other for the room that it may fill.
  template <class Protocol>
  std::size_t size(const Protocol&) const noexcept
  {
    return is_valid() ? sizeof this->data_ : 0;
  }

  template <class Protocol>
  std::size_t size(const Protocol&) noexcept
  {
    return sizeof this->data_;
  }

private:
  constexpr bool is_valid() const noexcept { return value() >= Least && value() <= Greatest; }
};

template <int Name>
struct socket_names {
  static constexpr int level(int) noexcept { return platform::names::socket_level; }
  static constexpr int name(int) noexcept { return Name; }
};

template <int V4Name, int V6Name>
struct ip_names {
  static constexpr int level(int family) noexcept
  {
    return family == platform::names::ipv6_family ? platform::names::ipv6_level
                                                  : platform::names::ipv4_level;
  }
  static constexpr int name(int family) noexcept
  {
    return family == platform::names::ipv6_family ? V6Name : V4Name;
  }
};

template <int Name>
struct udp_names {
  static constexpr int level(int) noexcept { return platform::names::udp_level; }
  static constexpr int name(int) noexcept { return Name; }
};

template <int Name>
struct ipv6_names {
  static constexpr int level(int) noexcept { return platform::names::ipv6_level; }
  static constexpr int name(int) noexcept { return Name; }
};

inline constexpr int max_int = 0x7fffffff;

}  // namespace detail

/// Every option is set with `socket.set_option(option)`, read with `socket.get_option(option)` unless it says otherwise,
/// and works on plain Asio sockets too. On a dual-stack socket an option that has an IPv4 and an IPv6 part sets both; reading
/// it gives the IPv6 part. A value out of range is `error::out_of_range`, and nothing is changed.
namespace option {

/// Allows sending to broadcast addresses (SO_BROADCAST; RFC 1122, section 4.1.3.6). Off by default.
using broadcast = detail::boolean_option<detail::socket_names<platform::names::broadcast>>;

/// Lets several sockets that all ask for it bind the same address (SO_REUSEADDR). For multicast, every one
/// gets each datagram; for unicast on Linux only the last one bound does. Off by default: a port is exclusive.
using reuse_address = detail::boolean_option<detail::socket_names<platform::names::reuse_address>>;

/// Lets several sockets that all ask for it share a port, the kernel spreading the flows over them
/// (SO_REUSEPORT; on Linux since 3.9, for sockets of one user). Off by default: a port is exclusive.
using reuse_port = detail::boolean_option<detail::socket_names<platform::names::reuse_port>>;

/// Keeps an IPv6 socket from taking IPv4 traffic (IPV6_V6ONLY; RFC 3493, section 5.3). Before bind only.
using v6_only = detail::boolean_option<detail::ipv6_names<platform::names::ipv6_only>>;

/// The hop limit of unicast datagrams, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS). Linux takes -1 as "the default";
/// this does not.
using hop_limit = detail::integer_option<
    detail::ip_names<platform::names::ipv4_hop_limit, platform::names::ipv6_hop_limit>, 1, 255>;

/// The hop limit of multicast datagrams, 0 to 255; 0 keeps them on this host (IP_MULTICAST_TTL,
/// IPV6_MULTICAST_HOPS). 1 by default.
using multicast_hop_limit =
    detail::integer_option<detail::ip_names<platform::names::ipv4_multicast_hop_limit,
                                            platform::names::ipv6_multicast_hop_limit>,
                           0, 255>;

/// Whether members on this host get what this socket sends to a group (IP_MULTICAST_LOOP,
/// IPV6_MULTICAST_LOOP). On by default.
using multicast_loopback =
    detail::boolean_option<detail::ip_names<platform::names::ipv4_multicast_loopback,
                                            platform::names::ipv6_multicast_loopback>>;

/// The size of the kernel's receive queue in bytes, at least 1 (SO_RCVBUF). The kernel adjusts it in silence:
/// `basic_socket::receive_buffer_size` sets it and returns what took effect.
using receive_buffer_size =
    detail::integer_option<detail::socket_names<platform::names::receive_buffer>, 1,
                           detail::max_int>;

/// The size of the kernel's send queue in bytes, at least 1 (SO_SNDBUF); see `receive_buffer_size`.
using send_buffer_size =
    detail::integer_option<detail::socket_names<platform::names::send_buffer>, 1, detail::max_int>;

/// Lets the kernel put datagrams of one sender together into one (UDP_GRO; udp(7), Linux 5.0 and newer), which
/// `receive_batch` takes apart again: one trip for as many as 64. Single receives are refused while it is on
/// (`error::coalescing`), and what is pending when it is turned on completes with `operation_aborted`. Turn it off only
/// when nothing is queued: what was put together stays so. Off by default. Elsewhere `operation_not_supported`.
using coalescing = detail::boolean_option<detail::udp_names<platform::names::coalescing>>;

/// The interface that multicast datagrams leave by (IP_MULTICAST_IF, IPV6_MULTICAST_IF). The interface is looked
/// up when the option is made; one that does not exist is `error::unknown_interface` when it is set. It cannot be read:
/// the kernel tells an address where it was given an index.
class multicast_interface {
  using names = detail::ip_names<platform::names::ipv4_multicast_interface,
                                 platform::names::ipv6_multicast_interface>;

public:
  explicit multicast_interface(const network_interface& interface = network_interface())
  {
    const unsigned found = interface.index(error_);
    v4_ = platform::make_interface_request(found);
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

  template <class Protocol>
  const void* data(const Protocol& protocol) const noexcept
  {
    if (protocol.family() == platform::names::ipv6_family) return &v6_;
    return &v4_;
  }

  template <class Protocol>
  std::size_t size(const Protocol& protocol) const noexcept
  {
    if (error_) return 0;
    return protocol.family() == platform::names::ipv6_family ? sizeof v6_ : sizeof v4_;
  }

private:
  error_code error_;
  platform::interface_request v4_{};
  unsigned v6_ = 0;
};

}  // namespace option

namespace detail {

/// An option that makes the kernel say more of each datagram. The socket has to know, so it is set through the socket.
template <class Names, platform::metadata::field Field>
class metadata_option : public boolean_option<Names> {
public:
  static constexpr platform::metadata::field metadata = Field;

  using boolean_option<Names>::boolean_option;

  static error_code check() noexcept
  {
    constexpr int name = Names::name(platform::names::ipv6_family);
    return name == platform::names::unsupported ? error_code(net::error::operation_not_supported)
                                                : error_code();
  }
};

/// The value is a set of flags, which are set together.
template <int Name, int On>
class flags_option : public option_base<socket_names<Name>, int> {
public:
  constexpr explicit flags_option(bool on = false) noexcept
      : option_base<socket_names<Name>, int>(on ? On : 0)
  {
  }

  constexpr bool value() const noexcept { return (this->data_ & On) == On; }
  constexpr explicit operator bool() const noexcept { return value(); }

  static error_code check() noexcept { return {}; }
};

}  // namespace detail

namespace option {

// What the kernel says of each datagram. Each costs a little per datagram, so all are off by default. On an IPv6 socket
// they are set for IPv4 too, whose datagrams it may take in the mapped form.

/// Says which address and interface a datagram came to (IP_PKTINFO, IPV6_RECVPKTINFO; RFC 3542, section 6.2):
/// `local_address()`, `interface_index()`, and `reply_path()` on a wildcard socket. A `reader` of one turns it on.
using packet_info = detail::metadata_option<
    detail::ip_names<platform::names::ipv4_packet_info, platform::names::ipv6_packet_info>,
    platform::metadata::packet_info>;

/// Says what is in the traffic class (IP_RECVTOS, IPV6_RECVTCLASS): `ecn()` and `dscp()`.
using receive_ecn =
    detail::metadata_option<detail::ip_names<platform::names::ipv4_receive_traffic_class,
                                             platform::names::ipv6_receive_traffic_class>,
                            platform::metadata::traffic_class>;

/// Says how many hops a datagram had left (IP_RECVTTL, IPV6_RECVHOPLIMIT): `hop_limit()`.
using receive_hop_limit =
    detail::metadata_option<detail::ip_names<platform::names::ipv4_receive_hop_limit,
                                             platform::names::ipv6_receive_hop_limit>,
                            platform::metadata::hop_limit>;

/// Says when a datagram came (SO_TIMESTAMPING; SO_TIMESTAMP on systems without): `receive_time()` and, where the network
/// card was told to take it (ethtool(8), hwstamp_ctl(8)), `hardware_receive_time()`.
using receive_timestamp =
    detail::flags_option<platform::names::timestamps, platform::names::receive_timestamps_value>;

/// Says how many datagrams were dropped before this one (SO_RXQ_OVFL; Linux): `dropped()`.
using receive_drop_count =
    detail::metadata_option<detail::socket_names<platform::names::drop_count>,
                            platform::metadata::drop_count>;

/// Keeps errors of the path in a queue of their own (IP_RECVERR, IPV6_RECVERR; ip(7), Linux), from which
/// `async_receive_error` takes them. They are reported there and nowhere else: no receive, and no later send, fails for
/// them, connected or not. Set it before operations are started. Elsewhere `operation_not_supported`.
using receive_error = detail::metadata_option<
    detail::ip_names<platform::names::ipv4_receive_error, platform::names::ipv6_receive_error>,
    platform::metadata::nothing>;

}  // namespace option

DGRAM_NAMESPACE_END

#endif
