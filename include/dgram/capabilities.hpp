// SPDX-License-Identifier: BSL-1.0
// What this system can do. The kernel is asked at run time.
#ifndef DGRAM_CAPABILITIES_HPP
#define DGRAM_CAPABILITIES_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/loopback_probe.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>
#include <dgram/udp.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/detail/platform/paths.hpp>
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

/// What the library and the kernel can do with sockets of one kind; see `capabilities`.
///
/// This describes the system. A path may still refuse what the system has:
///  - segmentation, if a network interface lacks it (batches continue without)
///  - hardware timestamps, if the network card takes none
struct system_capabilities {
  /// Which system calls move datagrams: "linux" (recvmmsg(2), sendmmsg(2)), "posix" (recvmsg(2),
  /// sendmsg(2)) or "windows" (WSARecvMsg, WSASendMsg).
  std::string_view backend = platform::backend::name;

  /// How many datagrams one system call sends or receives, each as a message of its own. 1 means
  /// one by one.
  std::size_t datagrams_per_call = platform::backend::max_messages;

  /// Whether a truncated datagram reports the size that it had on the wire.
  bool wire_size = platform::backend::reports_wire_size;

  /// Whether sockets of this kind can be opened. If not, the fields below keep their defaults.
  bool available = false;

  /// How many datagrams of a batch may leave in one message that the kernel splits (GSO), as far as
  /// is known. 1 means none. Older kernels take 64 and newer ones 128. The first longer message
  /// finds out which.
  std::size_t max_segments = 1;

  bool coalescing = false;           ///< `option::coalescing` (GRO)
  bool packet_info = false;          ///< `option::packet_info`, and answers by `reply_path()`
  bool receive_ecn = false;          ///< `option::receive_ecn`
  bool receive_hop_limit = false;    ///< `option::receive_hop_limit`
  bool receive_timestamp = false;    ///< `option::receive_timestamp`
  bool send_timestamp = false;       ///< `send_options::timestamp`
  bool hardware_timestamps = false;  ///< the kernel passes on times of the network card
  bool receive_drop_count = false;   ///< `option::receive_drop_count`
  bool receive_error = false;        ///< `option::receive_error`, also without a peer
  bool transmit_time = false;        ///< `send_options::transmit_time`
  bool abstract_names = false;       ///< Unix sockets can have names without a file

  friend bool operator==(const system_capabilities&, const system_capabilities&) = default;
};

namespace detail {

/// Asks by setting the option to the value of its default constructor. That changes nothing that
/// matters, since the socket is only a probe.
template <class Option, class Protocol>
error_code ask_by_setting(platform::descriptor_type descriptor, const Protocol& protocol)
{
  const Option option{};
  error_code ec;
  platform::set_option(descriptor, option.level(protocol), option.name(protocol),
                       option.data(protocol), option.size(protocol), ec);
  return ec;
}

/// Asks by reading the option, and by setting it. Before Linux 5.13, coalescing can only be set.
/// qemu's user mode reads options that it cannot set. Any other refusal of the default value tells
/// nothing of an option that can be read.
/// The multicast_interface of an IPv4 socket reads as another value than the option has. That value
/// is thrown away.
template <class Option, class Protocol>
error_code ask_for_option(platform::descriptor_type descriptor, const Protocol& protocol)
{
  Option option{};
  const int level = std::as_const(option).level(protocol);
  const int name = std::as_const(option).name(protocol);
  if (name == platform::names::unsupported) return net::error::operation_not_supported;
  error_code ec;
  if (option.name(protocol) != platform::names::unsupported) {
    platform::get_option(descriptor, option.level(protocol), option.name(protocol),
                         option.data(protocol), option.size(protocol), ec);
  } else {
    std::array<std::byte, 64> unused;
    platform::get_option(descriptor, level, name, unused.data(), unused.size(), ec);
  }
  error_code refusal = ask_by_setting<Option>(descriptor, protocol);
  name_unsupported(refusal);
  if (ec) {
    ec = refusal;
    if (!ec && takes_unknown_options(descriptor, level)) ec = net::error::operation_not_supported;
  } else if (refusal == net::error::operation_not_supported) {
    ec = refusal;
  }
  return ec;
}

/// Asks for a protocol. For a dual-stack protocol both families must have the option, unless it
/// exists for IPv6 only.
template <class Option, class Protocol>
error_code ask_for_option(const platform::probe_socket& probe, const Protocol& protocol)
{
  error_code ec = ask_for_option<Option>(probe.descriptor(), protocol);
  if constexpr (dual_stack_protocol<Protocol>)
    if (!ec && protocol.is_dual()) ec = ask_for_option<Option>(probe.descriptor(), Protocol::v4());
  return ec;
}

/// The kernel is asked about these as about any option. The message or the library sets them.
using segmentation = boolean_option<udp_names<platform::names::segmentation>, "segmentation">;

/// Where the system lacks `option::receive_timestamp`, the socket uses this one.
using older_timestamp =
    boolean_option<socket_names<platform::names::older_timestamps>, "older_timestamp">;

struct transmit_time : option_base<socket_names<platform::names::transmit_time>, "transmit_time",
                                   decltype(platform::transmit_time_request::value)> {
  transmit_time() noexcept : option_base(platform::transmit_time_request().value) {}
};

/// Capabilities of IP datagrams only. On a Unix socket the kernel accepts some of these options,
/// but then reports nothing.
template <class Protocol>
void find_ip_capabilities(system_capabilities& found, const platform::probe_socket& probe,
                          const Protocol& protocol)
{
  const auto has = [&]<class Option>(const Option&) {
    return !ask_for_option<Option>(probe, protocol);
  };
  if (has(segmentation())) found.max_segments = platform::segment_limit();
  found.coalescing = has(option::coalescing());
  found.packet_info = has(option::packet_info());
  found.receive_ecn = has(option::receive_ecn());
  found.receive_hop_limit = has(option::receive_hop_limit());
  found.receive_drop_count = has(option::receive_drop_count());
  found.receive_error = has(option::receive_error());
  found.transmit_time = has(transmit_time());
  found.hardware_timestamps = found.send_timestamp =
      has(option::receive_timestamp()) && platform::names::send_timestamps_value != 0;
}

/// Withdraws the capabilities of a family that its kernel claims and does not show: gVisor takes
/// options, and then delivers nothing. `protocol` is no dual-stack one. `ec` is set only if no
/// socket can be opened.
template <class Protocol>
void try_over_loopback(system_capabilities& found, const Protocol& protocol, error_code& ec)
{
  const bool v4 = protocol == Protocol::v4();
  platform::loopback_probe probe(v4, ec);
  if (ec || !probe.is_usable()) return;
  error_code refused;
  const auto set = [&](platform::descriptor_type descriptor, const auto& option) {
    platform::set_option(descriptor, option.level(protocol), option.name(protocol),
                         option.data(protocol), option.size(protocol), refused);
  };
  constexpr int codepoint = static_cast<int>(ecn_codepoint::ect_1);
  if (found.packet_info) set(probe.descriptor(), option::packet_info(true));
  if (found.receive_hop_limit) set(probe.descriptor(), option::receive_hop_limit(true));
  if (found.receive_ecn) {
    set(probe.descriptor(), option::receive_ecn(true));
    set(probe.descriptor(), option::traffic_class(codepoint));
  }
  using said = platform::received_control;
  said seen;
  if (!probe.echo(seen)) return;
  found.receive_hop_limit = seen.has(said::hop_limit_given);
  found.receive_ecn = seen.has(said::traffic_class_given) && (seen.traffic_class & 3) == codepoint;
  found.packet_info = seen.has(said::local) && !probe.takes_any_source();
  if (!found.receive_error) return;
  const platform::probe_socket reporter(protocol.family(), ec);
  if (ec) return;
  set(reporter.descriptor(), option::receive_error(true));
  found.receive_error = probe.reports_errors(reporter);
}

template <class Protocol>
system_capabilities find_capabilities(const Protocol& protocol, error_code& ec)
{
  system_capabilities found;
  const platform::probe_socket probe(protocol.family(), ec);
  found.available = !ec;
  if (platform::is_missing_family(ec)) ec.clear();
  if (!found.available) return found;
  found.receive_timestamp = !ask_for_option<option::receive_timestamp>(probe, protocol) ||
                            !ask_for_option<older_timestamp>(probe, protocol);
  if constexpr (dual_stack_protocol<Protocol>) {
    find_ip_capabilities(found, probe, protocol);
    if (protocol == Protocol::v4() || protocol.is_dual())
      try_over_loopback(found, Protocol::v4(), ec);
    if (!ec && protocol != Protocol::v4()) try_over_loopback(found, Protocol::v6(), ec);
  }
#if DGRAM_HAS_UNIX_DATAGRAMS
  else
    found.abstract_names = platform::take_abstract_name(probe.descriptor());
#endif
  return found;
}

/// Each instance caches the result for one protocol. A failed probe is repeated at the next call.
template <int Which, class Protocol>
const system_capabilities& known_capabilities(const Protocol& protocol)
{
  static const system_capabilities known = [&] {
    error_code ec;
    const auto found = find_capabilities(protocol, ec);
    throw_if(ec, "capabilities");
    return found;
  }();
  return known;
}

}  // namespace detail

/// What this system can do with UDP sockets of a protocol. The first call asks the kernel with
/// temporary sockets; later calls return the cached result. `udp::dual()` has what both families
/// have.
///
/// What the system takes and does not do, as gVisor does, counts as missing. On systems other than
/// Windows, a few datagrams over the loopback interface show the address, the hop limit and the ECN
/// field of a datagram, answers from an address, and reports of errors to an unconnected socket. If
/// the interface is down, these are what the kernel says.
///
/// Throws `system_error` if no socket can be opened, for example because the process has no
/// descriptors left. The next call asks again. A protocol that the system lacks is no error: see
/// `system_capabilities::available`. The reference stays valid. Several threads may call this at
/// the same time.
///
/// \code
/// const dgram::system_capabilities& can = dgram::capabilities();
/// if (can.max_segments == 1) fmt::print("{} sends datagrams without segmentation\n", can.backend);
/// if (!dgram::capabilities(dgram::udp::v6()).available) fmt::print("no IPv6 here\n");
/// \endcode
inline const system_capabilities& capabilities(udp protocol)
{
  // By value. If it were a reference, GCC would take the result of `capabilities(udp::v6())` for a
  // reference to that temporary, and warn users (-Wdangling-reference).
  if (protocol.is_dual()) return detail::known_capabilities<2>(protocol);
  if (protocol == udp::v6()) return detail::known_capabilities<1>(protocol);
  return detail::known_capabilities<0>(protocol);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
/// The same for Unix sockets.
inline const system_capabilities& capabilities(unix_dgram protocol)
{
  return detail::known_capabilities<0>(protocol);
}
#endif

/// The same for UDP over IPv4, or over IPv6 if the system has no IPv4.
inline const system_capabilities& capabilities()
{
  const system_capabilities& v4 = capabilities(udp::v4());
  return v4.available ? v4 : capabilities(udp::v6());
}

/// Whether sockets of `protocol` have an option, which may be this library's or Asio's. Each call
/// asks the kernel with a temporary socket: it reads the option, and sets it to the value of its
/// default constructor. An option that can be read and not set is missing.
///
/// `ec` says why not: `operation_not_supported`, `no_permission`, the error of opening the socket,
/// or another error of the kernel. A socket that has an option may still refuse some of its values.
///
/// \code
/// if (dgram::supports<dgram::option::busy_poll>())
///   socket.set_option(dgram::option::busy_poll{50});
/// \endcode
template <std::default_initializable Option, class Protocol>
bool supports(const Protocol& protocol, error_code& ec)
{
  const platform::probe_socket probe(protocol.family(), ec);
  if (!ec) ec = detail::ask_for_option<Option>(probe, protocol);
  return !ec;
}

/// The same. Throws `system_error` if the system has the protocol but no socket can be opened.
template <std::default_initializable Option, class Protocol = udp>
bool supports(const Protocol& protocol = udp::v4())
{
  error_code ec;
  const platform::probe_socket probe(protocol.family(), ec);
  if (ec && !platform::is_missing_family(ec)) detail::throw_if(ec, "supports");
  return !ec && !detail::ask_for_option<Option>(probe, protocol);
}

DGRAM_NAMESPACE_END

#endif
