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

/// Datagrams between processes of one host (unix(7)). A function that takes an
/// `asio::local::datagram_protocol` takes this too. The socket, the batches, the reader and the
/// writer are the same templates as those of UDP.
///
/// An address is one of these:
///  - a path of at most 107 bytes;
///  - a Linux abstract name, after a leading NUL;
///  - empty.
///
/// See `parse_unix_endpoint`, `is_unnamed` and `is_abstract`. Asio's endpoint throws
/// `name_too_long` for a longer path. A socket that is constructed from one names it in the error.
///
/// **Text** that a socket is constructed from, bound to or connected to is read by
/// `parse_unix_endpoint`, as in the emitter. `@name` is an abstract name, and `./@name` is a file
/// of that name. If an operation takes only an endpoint (`send_to`), Asio converts the text, and it
/// is always a path.
///
/// **Binding** creates a socket file. If the path is a socket file that no socket listens on, it is
/// replaced. If a socket listens on it, or if it is a file of another kind or a link, the error is
/// `address_in_use`. If a socket is bound to an empty endpoint, Linux chooses an abstract name.
/// `close`, the destructor, and moving another socket over this one remove the file. They leave it
/// if another file has taken its place (device and inode are compared). A move passes this duty on,
/// `release` gives it up, and `assign` does not take it. Changing the working directory does not
/// matter.
///
/// **Permissions** of the file are those of the umask, unless `socket_config::file_mode` names
/// them. On Linux the file never has more than these, whatever the umask is, and no other file of
/// the process is affected. On other systems it has those of the umask for a moment. The mode has
/// bits of 0777 (`error::out_of_range`). With a mode, a bind to an abstract name or to an empty
/// endpoint is `invalid_argument`, since there is no file. If the mode cannot be set, the bind
/// fails and the file is removed; close the socket then.
///
/// \code
/// dgram::unix_dgram::socket private_server{io, "/run/server.sock", {.file_mode = 0660}};
/// \endcode
///
/// No program can rule this out: after a program looks at a path and before it removes the file,
/// another process may put its own socket there, and lose it. Processes that may start at the same
/// time with the same path need a lock of their own. After fork(2) one of the two processes must
/// `release` the socket. Otherwise the first process that ends removes the file.
///
/// **Senders**: a reply goes to the address of a bound sender. The address of an unbound sender is
/// empty (`is_unnamed`), and a reply to it fails with `invalid_argument`.
///
/// **A full peer** makes a send wait, because the kernel never drops Unix datagrams. The kernel
/// does not tell an unconnected socket when there is room again. Its sends try again on a timer (1
/// ms, doubling to 50 ms). The kernel wakes the sends of a connected socket. Later datagrams in the
/// same batch or writer wait too.
///
/// There is no segmentation, coalescing or multicast. Only the send buffer limits the size of a
/// datagram (`message_size`).
///
/// \code
/// dgram::unix_dgram::socket syslog{io, dgram::unix_dgram{}};
/// syslog.send_to(asio::buffer(query), "/dev/log");
///
/// dgram::unix_dgram::socket server{io, "/run/server.sock"};
/// dgram::unix_dgram::receive_batch batch{32};
/// co_await server.async_receive_batch(batch);
/// for (const dgram::unix_dgram::datagram& datagram : batch)
///   if (!dgram::is_unnamed(datagram.sender()))
///     server.send_to(asio::buffer(query), datagram.sender());
/// \endcode
class unix_dgram : public net::local::datagram_protocol {
public:
  /// The protocol of the inner Asio socket.
  using native_protocol = net::local::datagram_protocol;
  using socket = basic_socket<unix_dgram>;
  using receive_batch = basic_receive_batch<unix_dgram>;
  using send_batch = basic_send_batch<unix_dgram>;
  using datagram = basic_datagram<unix_dgram>;
  using owned_datagram = basic_owned_datagram<unix_dgram>;
  using datagram_info = basic_datagram_info<unix_dgram>;
  using reply_path = basic_reply_path<unix_dgram>;

  /// Declared here; `dgram/reader.hpp`, `dgram/writer.hpp`, `dgram/listener.hpp` and
  /// `dgram/exchanger.hpp` define them.
  using reader = dgram::reader<unix_dgram>;
  using writer = dgram::writer<unix_dgram>;
  using listener = dgram::listener<unix_dgram>;
  using exchanger = dgram::exchanger<unix_dgram>;
  using answer = basic_answer<unix_dgram>;
  using session = dgram::session<unix_dgram>;
  using session_ref = dgram::session_ref<unix_dgram>;

  unix_dgram() noexcept = default;

  /// Asio's protocol, which has no parameters either.
  unix_dgram(native_protocol) noexcept {}  // NOLINT(*-explicit-*)

  friend bool operator==(const unix_dgram&, const unix_dgram&) noexcept { return true; }
};

DGRAM_NAMESPACE_END

#endif
