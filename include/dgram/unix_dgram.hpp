// SPDX-License-Identifier: BSL-1.0
// Unix datagrams: between processes of one host, addressed by paths.
#ifndef DGRAM_UNIX_DGRAM_HPP
#define DGRAM_UNIX_DGRAM_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/fwd.hpp>

#if !DGRAM_HAS_UNIX_DATAGRAMS
#error "this system has no Unix datagrams (see DGRAM_HAS_UNIX_DATAGRAMS)"
#endif

DGRAM_NAMESPACE_BEGIN

/// Datagrams between processes of one host (unix(7)). Everything that takes an
/// `asio::local::datagram_protocol` takes this too, and the socket, the batches, the reader and the
/// writer are the same templates as those of UDP.
///
/// An address is a path, at most 107 bytes long, a Linux abstract name (after a leading NUL), or
/// nothing: see `parse_unix_endpoint`, `is_unnamed` and `is_abstract`. Asio's endpoint throws
/// `name_too_long` where it is made of a longer one; a socket that is made of one names it.
///
/// **Text** that a socket is made of, bound to or connected to is read by `parse_unix_endpoint`, as
/// by the emitter: `@name` is an abstract name, and `./@name` a file of that name. Where an
/// operation takes nothing but an endpoint (`send_to`), text becomes one of Asio's making, which is
/// always a path.
///
/// **Binding** makes a socket file. Where there is one already that nobody listens on, it is
/// replaced; one that somebody listens on, a file of another kind and a link are `address_in_use`.
/// Binding to an empty endpoint makes Linux choose an abstract name. `close`, the destructor and
/// another socket moved over this one remove the file, unless another one has taken its place
/// (device and inode are compared); a move takes that duty along, `release` gives it up, `assign`
/// takes none. A working directory that has changed meanwhile does not matter.
///
/// What no program can rule out: between a look at a path and the removal of what was seen, another
/// process may put its own socket there, and lose it. Processes that may start at the same time
/// with the same path need a lock of their own. After fork(2) one of the two processes is to
/// `release` the socket, or the first that ends removes the file.
///
/// **Senders**: a bound sender's address is where a reply goes; that of one that was not bound is
/// empty (`is_unnamed`), and a reply to it is `invalid_argument`.
///
/// **A full peer** makes a send wait, as Unix datagrams are never dropped. The kernel does not tell
/// an unconnected socket when there is room again, so its sends ask again on a timer (1 ms doubling
/// to 50); those of a connected one are woken up. What stands behind such a datagram in a batch or
/// a writer waits with it.
///
/// There is no segmentation, coalescing or multicast, and no limit to a datagram but the send
/// buffer (`message_size`).
///
/// \code
/// dgram::unix_dgram::socket syslog{io, dgram::unix_dgram{}};
/// syslog.send_to(asio::buffer(query), "/dev/log");
///
/// dgram::unix_dgram::socket server{io, "/run/server.sock"};
/// dgram::unix_dgram::receive_batch batch{32};
/// co_await server.async_receive_batch(batch);
/// for (const dgram::unix_dgram::datagram& datagram : batch)
///   if (!dgram::is_unnamed(datagram.sender())) server.send_to(asio::buffer(query), datagram.sender());
/// \endcode
class unix_dgram : public net::local::datagram_protocol {
public:
  /// What the inner Asio socket is made of.
  using native_protocol = net::local::datagram_protocol;
  using socket = basic_socket<unix_dgram>;
  using receive_batch = basic_receive_batch<unix_dgram>;
  using send_batch = basic_send_batch<unix_dgram>;
  using datagram = basic_datagram<unix_dgram>;
  using owned_datagram = basic_owned_datagram<unix_dgram>;
  using datagram_info = basic_datagram_info<unix_dgram>;
  using reply_path = basic_reply_path<unix_dgram>;

  /// Declared here; `dgram/reader.hpp` and `dgram/writer.hpp` define them.
  using reader = dgram::reader<unix_dgram>;
  using writer = dgram::writer<unix_dgram>;

  unix_dgram() noexcept = default;

  /// Asio's protocol, which has no choices either.
  unix_dgram(native_protocol) noexcept {}  // NOLINT(*-explicit-*)

  friend bool operator==(const unix_dgram&, const unix_dgram&) noexcept { return true; }
};

DGRAM_NAMESPACE_END

#endif
