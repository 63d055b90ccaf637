// SPDX-License-Identifier: BSL-1.0
// Descriptors between processes and sockets: passes them on, takes them, makes sockets of them.
#ifndef DGRAM_DESCRIPTORS_HPP
#define DGRAM_DESCRIPTORS_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/control_message.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/platform/socket_kinds.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/send_options.hpp>
#include <dgram/socket_kind.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

/// Asks the system what kind of socket a descriptor is. The descriptor need not be open.
inline socket_kind kind_of(platform::descriptor_type descriptor) noexcept
{
  return platform::kind_of(descriptor);
}

namespace detail {

/// The protocol of a descriptor: a dual-stack one for an IPv6 socket that takes IPv4 too.
template <class Protocol>
Protocol protocol_of(platform::descriptor_type descriptor, socket_kind kind)
{
  if constexpr (dual_stack_protocol<Protocol>) {
    if (kind == socket_kind::udp4) return Protocol::v4();
    return platform::is_v6_only(descriptor) ? Protocol::v6() : Protocol::dual();
  } else {
    return Protocol();
  }
}

/// Whether a descriptor of this kind can become a socket of the protocol.
template <class Protocol>
constexpr bool fits_protocol(socket_kind kind) noexcept
{
  if (path_protocol<Protocol>) return kind == socket_kind::unix_datagram;
  return kind == socket_kind::udp4 || kind == socket_kind::udp6;
}

/// If this fails, the descriptor stays with its owner.
template <class Socket>
void adopt_into(Socket& socket, owned_descriptor& from, error_code& ec)
{
  using protocol_type = typename Socket::protocol_type;
  const socket_kind kind = kind_of(from.get());
  ec.clear();
  if (kind == socket_kind::not_open)
    ec = net::error::bad_descriptor;
  else if (!fits_protocol<protocol_type>(kind))
    ec = error::wrong_descriptor;
  if (ec) return;
  platform::keep_from_children(from.get());
  socket.assign(protocol_of<protocol_type>(from.get(), kind), from.get(), ec);
  if (!ec) static_cast<void>(from.release());
}

}  // namespace detail

/// Makes a socket of an open descriptor, which is closed if that fails. The socket is dual-stack if
/// the descriptor is an IPv6 socket that takes IPv4 datagrams too. The descriptor is closed in
/// programs that this process starts later. Options, address and peer stay as they are. A socket
/// file stays when the socket is closed.
///
/// `Protocol` is `udp` or `unix_dgram`. Throws `system_error`, whose text names the descriptor and
/// its kind: `error::wrong_descriptor` (another kind of socket), `bad_descriptor` (not open), and
/// the errors of `assign`.
///
/// \code
/// for (auto& inherited : dgram::inherited_sockets())
///   if (inherited.name == "dns" && dgram::is_datagram(inherited.kind))
///     socket = dgram::adopt<dgram::udp>(io, dgram::owned_descriptor(inherited.descriptor));
/// \endcode
template <class Protocol, class Executor = net::any_io_executor>
basic_socket<Protocol, Executor> adopt(const Executor& executor, owned_descriptor descriptor)
{
  basic_socket<Protocol, Executor> socket(executor);
  error_code ec;
  detail::adopt_into(socket, descriptor, ec);
  if (ec)
    detail::refuse("adopt", ec,
                   "descriptor " + std::to_string(static_cast<std::int64_t>(descriptor.get())) +
                       ": " + to_string(kind_of(descriptor.get())));
  return socket;
}

template <class Protocol, class Context>
  requires std::convertible_to<Context&, net::execution_context&>
basic_socket<Protocol> adopt(Context& context, owned_descriptor descriptor)
{
  return adopt<Protocol>(net::any_io_executor(context.get_executor()), std::move(descriptor));
}

#if DGRAM_HAS_UNIX_DATAGRAMS

namespace detail {

/// Sets `ec` if the number of descriptors is none that a datagram can pass.
inline control_writer passing(std::span<const platform::descriptor_type> passed, error_code& ec)
{
  control_writer control;
  ec.clear();
  if (passed.empty() || !control.add_descriptors(passed)) ec = error::out_of_range;
  return control;
}

[[noreturn]] DGRAM_COLD inline void refuse_descriptors(const error_code& ec, std::size_t count)
{
  if (ec == error::out_of_range)
    refuse("send_descriptors", ec,
           "number of descriptors " +
               beyond(static_cast<std::int64_t>(count), 1, control_writer::max_descriptors));
  raise(ec, "send_descriptors");
}

}  // namespace detail

/// Sends a datagram that passes open descriptors to the process of `peer`: that process gets
/// duplicates, and the caller keeps its own. A receiver without room for them sees the payload
/// alone, and the kernel closes the duplicates.
///
/// Sends 1 to 12 descriptors (`control_writer::max_descriptors`). Without `peer` the socket must be
/// connected. A full peer is waited for, as in `send_to`. Errors: `error::out_of_range` (the number
/// of descriptors; nothing is sent), `bad_descriptor` (one of them is not open), and those of
/// `send_to`. To batches, writers and emitters the same control messages can be given as
/// `send_options::control`: see `control_writer::add_descriptors`.
///
/// \code
/// dgram::unix_dgram::socket local{io, dgram::unix_dgram{}};
/// const std::array descriptors{socket.native_handle()};
/// dgram::send_descriptors(local, asio::buffer("a socket"), descriptors, "/run/server.sock");
/// \endcode
template <class Executor, class ConstBufferSequence>
std::size_t send_descriptors(basic_socket<unix_dgram, Executor>& socket,
                             const ConstBufferSequence& payload,
                             std::span<const platform::descriptor_type> descriptors,
                             const unix_dgram::endpoint& peer, error_code& ec)
{
  const control_writer control = detail::passing(descriptors, ec);
  if (ec) return 0;
  return socket.send_to(payload, peer, send_options{.control = control.bytes()}, ec);
}

template <class Executor, class ConstBufferSequence>
std::size_t send_descriptors(basic_socket<unix_dgram, Executor>& socket,
                             const ConstBufferSequence& payload,
                             std::span<const platform::descriptor_type> descriptors,
                             const unix_dgram::endpoint& peer)
{
  error_code ec;
  const std::size_t sent = send_descriptors(socket, payload, descriptors, peer, ec);
  if (ec) detail::refuse_descriptors(ec, descriptors.size());
  return sent;
}

template <class Executor, class ConstBufferSequence>
std::size_t send_descriptors(basic_socket<unix_dgram, Executor>& socket,
                             const ConstBufferSequence& payload,
                             std::span<const platform::descriptor_type> descriptors, error_code& ec)
{
  const control_writer control = detail::passing(descriptors, ec);
  if (ec) return 0;
  return socket.send(payload, send_options{.control = control.bytes()}, ec);
}

template <class Executor, class ConstBufferSequence>
std::size_t send_descriptors(basic_socket<unix_dgram, Executor>& socket,
                             const ConstBufferSequence& payload,
                             std::span<const platform::descriptor_type> descriptors)
{
  error_code ec;
  const std::size_t sent = send_descriptors(socket, payload, descriptors, ec);
  if (ec) detail::refuse_descriptors(ec, descriptors.size());
  return sent;
}

/// Takes all descriptors that came with a Unix datagram and were not taken yet, in the sender's
/// order. The batch or reader needs room for them: `reserve_control`,
/// `reader_config::control_size`. If there were more than the room holds, the kernel closed the
/// others and `datagram.control_truncated()` is true.
///
/// \code
/// dgram::unix_dgram::socket local{io, "/run/server.sock"};
/// dgram::unix_dgram::reader reader{local, {.control_size = 64}};
/// if (auto datagram = co_await reader.next())
///   for (auto& descriptor : dgram::take_descriptors(*datagram))
///     fmt::print("{}\n", dgram::to_string(dgram::kind_of(descriptor.get())));
/// \endcode
inline std::vector<owned_descriptor> take_descriptors(const unix_dgram::datagram& received)
{
  std::vector<owned_descriptor> taken;
  while (auto descriptor = received.take_descriptor())
    taken.push_back(std::move(descriptor));
  return taken;
}

#endif

DGRAM_NAMESPACE_END

#endif
