// SPDX-License-Identifier: BSL-1.0
// The UDP protocol: Asio's, and dual stack beside IPv4 and IPv6.
#ifndef DGRAM_UDP_HPP
#define DGRAM_UDP_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/fwd.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

/// UDP over IPv4, IPv6 or both. Everything that takes an `asio::ip::udp` takes this too.
class udp : public net::ip::udp {
public:
  /// The protocol of the inner Asio socket.
  using native_protocol = net::ip::udp;
  using socket = basic_socket<udp>;
  using receive_batch = basic_receive_batch<udp>;
  using send_batch = basic_send_batch<udp>;
  using datagram = basic_datagram<udp>;
  using owned_datagram = basic_owned_datagram<udp>;
  using datagram_info = basic_datagram_info<udp>;
  using reply_path = basic_reply_path<udp>;
  using path_error = basic_path_error<udp>;

  /// Declared here; `dgram/reader.hpp`, `dgram/writer.hpp`, `dgram/listener.hpp` and
  /// `dgram/exchanger.hpp` define them.
  using reader = dgram::reader<udp>;
  using writer = dgram::writer<udp>;
  using listener = dgram::listener<udp>;
  using exchanger = dgram::exchanger<udp>;
  using answer = basic_answer<udp>;
  using session = dgram::session<udp>;
  using session_ref = dgram::session_ref<udp>;

  /// Asio's protocol. `asio::ip::udp::v6()` is IPv6 as Asio treats it, never dual.
  udp(native_protocol protocol) noexcept : native_protocol(protocol) {}  // NOLINT(*-explicit-*)

  static udp v4() noexcept { return native_protocol::v4(); }
  static udp v6() noexcept { return native_protocol::v6(); }

  /// One socket for both families: it accepts and returns plain IPv4 endpoints, and IPv6 ones.
  static udp dual() noexcept
  {
    udp both = native_protocol::v6();
    both.dual_ = true;
    return both;
  }

  /// The place for a server that starts on every host. The socket serves IPv6 and IPv4, as a
  /// socket of `dual` on `[::]`. If this host has no IPv6, it serves IPv4 on `0.0.0.0`. A host has
  /// no IPv6 if the system opens no IPv6 sockets, or has no wildcard address to bind them to. Every
  /// other error is reported, such as a port that is taken. `port` 0 asks for any free port.
  ///
  /// \code
  /// dgram::udp::socket server{io, dgram::udp::any(5353)};
  /// \endcode
  static any_address any(std::uint16_t port = 0) noexcept { return any_address(port); }

  bool is_dual() const noexcept { return dual_; }

  friend bool operator==(const udp& a, const udp& b) noexcept
  {
    return a.family() == b.family() && a.dual_ == b.dual_;
  }

private:
  bool dual_ = false;
};

using datagram_info = basic_datagram_info<udp>;
using reply_path = basic_reply_path<udp>;
using path_error = basic_path_error<udp>;

/// Returns the path from a local endpoint to a peer, as libraries that keep both have it (QUIC's
/// paths, for example). An unspecified local address leaves the source to the system, and so does a
/// multicast one. The local port is ignored: a datagram leaves from the port of its socket. The
/// interface is the scope of a link-local local address. Mapped IPv4 addresses become plain ones.
/// If the families differ, the send reports `address_family_not_supported`.
///
/// \code
/// const auto local = dgram::parse_endpoint("192.0.2.1:443");
/// socket.send_to(asio::buffer(query), dgram::make_reply_path(local, peer));
/// \endcode
inline reply_path make_reply_path(const udp::endpoint& local, const udp::endpoint& peer)
{
  reply_path path{.peer = canonical(peer)};
  const auto source = canonical(local).address();
  if (source.is_unspecified() || source.is_multicast()) return path;
  path.source = source;
  if (source.is_v6() && source.to_v6().is_link_local())
    path.interface_index = unsigned{source.to_v6().scope_id()};
  return path;
}

/// The same from two socket addresses of the system, such as another library has them: each points
/// to at least that many bytes, and needs no alignment. Errors: those of `from_sockaddr`. On error
/// the result is default-constructed.
///
/// \code
/// // as a QUIC library has a path
/// const dgram::udp::endpoint local = socket.local_endpoint();
/// const auto path =
///     dgram::make_reply_path(local.data(), local.size(), peer.data(), peer.size());
/// socket.send_to(asio::buffer(query), path);
/// \endcode
inline reply_path make_reply_path(const void* local, std::size_t local_size, const void* peer,
                                  std::size_t peer_size, error_code& ec)
{
  const auto from = from_sockaddr(local, local_size, ec);
  if (ec) return {};
  const auto to = from_sockaddr(peer, peer_size, ec);
  if (ec) return {};
  return make_reply_path(from, to);
}

/// The same. Throws `system_error`.
inline reply_path make_reply_path(const void* local, std::size_t local_size, const void* peer,
                                  std::size_t peer_size)
{
  error_code ec;
  auto path = make_reply_path(local, local_size, peer, peer_size, ec);
  detail::throw_if(ec, "make_reply_path");
  return path;
}

#if defined(DGRAM_COMPILED)
// One unit of the program defines these; see dgram/compiled.hpp.
extern template class detail::datagram_metadata<basic_datagram<udp>, udp>;
extern template class basic_socket_handle<udp, net::any_io_executor>;
extern template class basic_socket<udp, net::any_io_executor>;
#endif

DGRAM_NAMESPACE_END

#endif
