// SPDX-License-Identifier: BSL-1.0
// What this system can do, found out by asking its kernel at run time.
#ifndef DGRAM_CAPABILITIES_HPP
#define DGRAM_CAPABILITIES_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/detail/platform/paths.hpp>
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

/// What the library and the kernel under it can do with sockets of one kind; see `capabilities`.
///
/// It speaks of the system. A path may still refuse what the system has: segmentation where a
/// network interface lacks it (batches go on without), hardware timestamps where a card takes none.
struct system_capabilities {
  /// How datagrams are moved: "linux" (recvmmsg(2), sendmmsg(2)), "posix" (recvmsg(2), sendmsg(2))
  /// or "windows" (WSARecvMsg, WSASendMsg).
  std::string_view backend = platform::backend::name;

  /// How many datagrams one system call takes or gives, each a message of its own; 1: they move one
  /// by one.
  std::size_t datagrams_per_call = platform::backend::max_messages;

  /// A truncated datagram tells the size that it had on the wire.
  bool wire_size = platform::backend::reports_wire_size;

  /// Sockets of this kind can be opened. Where not, there is nothing of what follows.
  bool available = false;

  /// How many datagrams of a batch may leave in one message that the kernel cuts apart (GSO), as
  /// far as is known; 1: none do. Older kernels take 64 and newer ones 128, which the first longer
  /// message finds out.
  std::size_t max_segments = 1;

  bool coalescing = false;           ///< `option::coalescing` (GRO)
  bool packet_info = false;          ///< `option::packet_info`, and answers by `reply_path()`
  bool receive_ecn = false;          ///< `option::receive_ecn`
  bool receive_hop_limit = false;    ///< `option::receive_hop_limit`
  bool receive_timestamp = false;    ///< `option::receive_timestamp`
  bool send_timestamp = false;       ///< `send_options::timestamp`
  bool hardware_timestamps = false;  ///< the kernel hands on what a network card has taken
  bool receive_drop_count = false;   ///< `option::receive_drop_count`
  bool receive_error = false;        ///< `option::receive_error`: an error queue
  bool transmit_time = false;        ///< `send_options::transmit_time`
  bool abstract_names = false;       ///< Unix sockets can have names without a file

  friend bool operator==(const system_capabilities&, const system_capabilities&) = default;
};

namespace detail {

/// Asks by setting the option to what its default constructor says, which changes nothing that
/// matters for a socket that is only asked.
template <class Option, class Protocol>
error_code ask_by_setting(platform::descriptor_type descriptor, const Protocol& protocol)
{
  const Option option{};
  error_code ec;
  platform::set_option(descriptor, option.level(protocol), option.name(protocol),
                       option.data(protocol), option.size(protocol), ec);
  return ec;
}

/// Asks by reading. Some can only be set: an IPv4 socket's multicast_interface, and before Linux
/// 5.13 coalescing.
template <class Option, class Protocol>
error_code ask_for_option(platform::descriptor_type descriptor, const Protocol& protocol)
{
  Option option{};
  if (std::as_const(option).name(protocol) == platform::names::unsupported)
    return net::error::operation_not_supported;
  error_code ec = net::error::no_protocol_option;
  if (option.name(protocol) != platform::names::unsupported)
    platform::get_option(descriptor, option.level(protocol), option.name(protocol),
                         option.data(protocol), option.size(protocol), ec);
  if (ec) ec = ask_by_setting<Option>(descriptor, protocol);
  name_unsupported(ec);
  return ec;
}

/// The answer for a protocol: of a dual-stack one both families have to have it, unless the option
/// is of IPv6 alone.
template <class Option, class Protocol>
error_code ask_for_option(const platform::probe_socket& probe, const Protocol& protocol)
{
  error_code ec = ask_for_option<Option>(probe.descriptor(), protocol);
  if constexpr (dual_stack_protocol<Protocol>)
    if (!ec && protocol.is_dual()) ec = ask_for_option<Option>(probe.descriptor(), Protocol::v4());
  return ec;
}

/// The kernel is asked about these as about any option; they are set by the message, or by the
/// library.
using segmentation = boolean_option<udp_names<platform::names::segmentation>, "segmentation">;

struct transmit_time : option_base<socket_names<platform::names::transmit_time>, "transmit_time",
                                   decltype(platform::transmit_time_request::value)> {
  transmit_time() noexcept : option_base(platform::transmit_time_request().value) {}
};

/// What only datagrams of IP have. Of a Unix socket the kernel takes some of these options, and
/// then says nothing.
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
      found.receive_timestamp && platform::names::send_timestamps_value != 0;
}

template <class Protocol>
system_capabilities find_capabilities(const Protocol& protocol, error_code& ec)
{
  system_capabilities found;
  const platform::probe_socket probe(protocol.family(), ec);
  found.available = !ec;
  if (platform::is_missing_family(ec)) ec.clear();
  if (!found.available) return found;
  found.receive_timestamp = !ask_for_option<option::receive_timestamp>(probe, protocol);
  if constexpr (dual_stack_protocol<Protocol>) find_ip_capabilities(found, probe, protocol);
#if DGRAM_HAS_UNIX_DATAGRAMS
  else
    found.abstract_names = platform::take_abstract_name(probe.descriptor());
#endif
  return found;
}

/// Each instance keeps what was found of one protocol. What could not be found out is asked again.
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

/// What this system can do with UDP sockets of a protocol: the kernel is asked at the first call,
/// with a socket that is closed again, and later ones return what was found. `udp::dual()` has what
/// both families have.
///
/// Throws `system_error` where no socket can be opened for it, as when the process has no
/// descriptors left, and asks again the next time. A protocol that the system does not have is no
/// error: see `system_capabilities::available`. The reference stays valid. Safe to call from
/// several threads.
///
/// \code
/// const dgram::system_capabilities& can = dgram::capabilities();
/// if (can.max_segments == 1) fmt::print("{} sends datagrams without segmentation\n", can.backend);
/// if (!dgram::capabilities(dgram::udp::v6()).available) fmt::print("no IPv6 here\n");
/// \endcode
inline const system_capabilities& capabilities(udp protocol)
{
  // By value: if it were a reference, GCC would take the result of `capabilities(udp::v6())` for a
  // reference to that temporary, and warn users (-Wdangling-reference).
  if (protocol.is_dual()) return detail::known_capabilities<2>(protocol);
  if (protocol == udp::v6()) return detail::known_capabilities<1>(protocol);
  return detail::known_capabilities<0>(protocol);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
/// The same of Unix sockets.
inline const system_capabilities& capabilities(unix_dgram protocol)
{
  return detail::known_capabilities<0>(protocol);
}
#endif

/// The same of UDP over IPv4, or over IPv6 where the system has no IPv4.
inline const system_capabilities& capabilities()
{
  const system_capabilities& v4 = capabilities(udp::v4());
  return v4.available ? v4 : capabilities(udp::v6());
}

/// Whether sockets of `protocol` have an option, one of this library's or of Asio's. The kernel is
/// asked at each call with a socket that is closed again: it is to be read there, or else set to
/// what its default constructor says.
///
/// `ec` says why not: `operation_not_supported`, `no_permission`, the error of opening the socket,
/// or whatever else the kernel says. That it has an option is no promise that it takes every value
/// of it.
///
/// \code
/// if (dgram::supports<dgram::option::busy_poll>()) socket.set_option(dgram::option::busy_poll{50});
/// \endcode
template <std::default_initializable Option, class Protocol>
bool supports(const Protocol& protocol, error_code& ec)
{
  const platform::probe_socket probe(protocol.family(), ec);
  if (!ec) ec = detail::ask_for_option<Option>(probe, protocol);
  return !ec;
}

/// The same. Throws `system_error` where a socket that the system does have cannot be opened.
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
