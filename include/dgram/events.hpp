// SPDX-License-Identifier: BSL-1.0
// The events of an emitter socket, and the arguments of its listeners.
#ifndef DGRAM_EVENTS_HPP
#define DGRAM_EVENTS_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/failure.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/udp.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline std::string_view family_name(const net::ip::address& address) noexcept
{
  return address.is_v4() ? "IPv4" : "IPv6";
}

}  // namespace detail

/// The address that a socket is bound or connected to.
template <class Protocol>
struct basic_address_info;

template <>
struct basic_address_info<udp> {
  net::ip::address address;
  std::string_view family;  ///< "IPv4" or "IPv6"
  std::uint16_t port = 0;

  basic_address_info() noexcept = default;
  explicit basic_address_info(const net::ip::udp::endpoint& endpoint)
      : address(endpoint.address()), family(detail::family_name(address)), port(endpoint.port())
  {
  }

  net::ip::udp::endpoint endpoint() const { return {address, port}; }

  friend bool operator==(const basic_address_info& a, const basic_address_info& b)
  {
    return a.endpoint() == b.endpoint();
  }
};

#if DGRAM_HAS_UNIX_DATAGRAMS
template <>
struct basic_address_info<unix_dgram> {
  std::string address;               ///< the path, or `@name`; empty if a socket has none
  std::string_view family = "unix";  ///< always "unix"

  basic_address_info() noexcept = default;
  explicit basic_address_info(const unix_dgram::endpoint& endpoint)
  {
    if (!is_unnamed(endpoint)) address = to_string(endpoint);
  }

  unix_dgram::endpoint endpoint() const
  {
    return address.empty() ? unix_dgram::endpoint() : parse_unix_endpoint(address);
  }

  friend bool operator==(const basic_address_info& a, const basic_address_info& b)
  {
    return a.address == b.address;
  }
};
#endif

/// `0.0.0.0:41234`, `[::1]:41234`, `/run/server.sock`, `(unnamed)`.
inline std::string to_string(const basic_address_info<udp>& info)
{
  return to_string(info.endpoint());
}
#if DGRAM_HAS_UNIX_DATAGRAMS
inline std::string to_string(const basic_address_info<unix_dgram>& info)
{
  return info.address.empty() ? "(unnamed)" : info.address;
}
#endif

namespace detail {

/// Refers to the datagram of an event. A copy refers to none, since it may outlive the datagram.
template <class Protocol>
class datagram_of_event {
public:
  datagram_of_event() noexcept = default;
  datagram_of_event(const datagram_of_event&) noexcept {}
  datagram_of_event& operator=(const datagram_of_event& other) noexcept
  {
    if (this != &other) datagram_ = nullptr;
    return *this;
  }
  ~datagram_of_event() = default;

  void set(const basic_datagram<Protocol>& datagram) noexcept { datagram_ = &datagram; }
  const basic_datagram<Protocol>* get() const noexcept { return datagram_; }

private:
  const basic_datagram<Protocol>* datagram_ = nullptr;
};

template <class Protocol>
class arrival;

template <class Socket>
class emitter_core;

}  // namespace detail

/// The sender of a datagram, and how the datagram arrived. It is a value that may be kept: a later
/// reply leaves as an immediate one does.
template <class Protocol>
struct basic_remote_info : basic_address_info<Protocol> {
  std::size_t size = 0;    ///< bytes of the message
  bool truncated = false;  ///< the message was longer, and its end is lost
  /// The length of the whole datagram in bytes; absent if it was truncated and the system does not
  /// report the length.
  std::optional<std::size_t> wire_size;
  /// The process that sent the message; absent without `socket_options::credentials`.
  std::optional<peer_credentials> credentials;

  basic_remote_info() noexcept = default;
  explicit basic_remote_info(const basic_datagram<Protocol>& received)
      : basic_address_info<Protocol>(received.sender()),
        size(received.payload().size()),
        truncated(received.truncated()),
        wire_size(received.wire_size()),
        credentials(received.credentials())
  {
  }

  /// Takes a descriptor that came with the message, as `basic_datagram::take_descriptor` does.
  /// Needs `socket_options::control_size`. Only the listener's own argument has them, so the
  /// listener takes it by reference. Copies have none, such as those of `once` and streams.
  /// Descriptors that were not taken are closed after the last listener.
  ///
  /// \code
  /// auto server = dgram::create_unix_socket(io, {.control_size = 64});
  /// server.on<dgram::event::message>([](dgram::bytes_view, const dgram::unix_remote_info& rinfo) {
  ///   while (auto descriptor = rinfo.take_descriptor())
  ///     fmt::print("descriptor {} is ours\n", descriptor.get());
  /// });
  /// server.bind("/run/server.sock");
  /// \endcode
  owned_descriptor take_descriptor() const noexcept
  {
    if (datagram_.get() == nullptr) return {};
    return datagram_.get()->take_descriptor();
  }

  /// The control messages of the datagram. Like the descriptors, copies have none.
  dgram::control_messages control_messages() const noexcept
  {
    return datagram_.get() != nullptr ? datagram_.get()->control_messages()
                                      : dgram::control_messages();
  }

  /// The path of a reply to the sender.
  basic_reply_path<Protocol> reply_path() const { return {this->endpoint()}; }

private:
  friend detail::arrival<Protocol>;

  detail::datagram_of_event<Protocol> datagram_;
};

/// The same for a UDP datagram, with the address and interface that it arrived on.
template <>
struct basic_remote_info<udp> : basic_address_info<udp> {
  std::size_t size = 0;
  bool truncated = false;
  std::optional<std::size_t> wire_size;
  net::ip::address local_address;  ///< the address of this host, or the group, it was sent to
  unsigned interface_index = 0;    ///< the interface it arrived on; 0 if not known

  basic_remote_info() noexcept = default;

  /// `bound` is the address that the socket is bound to. It is used if the datagram has no local
  /// address.
  basic_remote_info(const basic_datagram<udp>& received, const net::ip::address& bound)
      : basic_address_info(received.sender()),
        size(received.payload().size()),
        truncated(received.truncated()),
        wire_size(received.wire_size()),
        local_address(received.local_address().value_or(bound)),
        interface_index(received.interface_index()),
        sender_(address)
  {
    error_code not_known;
    path_ = received.reply_path(not_known);
    path_.peer = endpoint();
  }

  /// The path of a reply to the sender. The reply leaves from the address that the datagram was
  /// sent to, and by the interface if that matters; see `basic_datagram::reply_path`. The caller
  /// may change the port first. If the caller changes the address, this is no reply any more, and
  /// the system chooses the source address.
  basic_reply_path<udp> reply_path() const
  {
    if (address != sender_) return {endpoint()};
    return {endpoint(), path_.source, path_.interface_index};
  }

private:
  template <class>
  friend class detail::emitter_core;

  /// The same without a copy; null if the caller has changed the address or the port.
  const basic_reply_path<udp>* known_path() const
  {
    return port == path_.peer.port() && address == sender_ ? &path_ : nullptr;
  }

  net::ip::address sender_;
  basic_reply_path<udp> path_{};
};

using address_info = basic_address_info<udp>;
using remote_info = basic_remote_info<udp>;
#if DGRAM_HAS_UNIX_DATAGRAMS
using unix_address_info = basic_address_info<unix_dgram>;
using unix_remote_info = basic_remote_info<unix_dgram>;
#endif

/// Why datagrams were lost before they became messages or were sent.
enum class drop_reason {
  queue_full,          ///< the send queue was full, and its policy is to drop
  blocked,             ///< the sender is on the receive block list
  receive_queue_full,  ///< the kernel dropped them, because its receive queue was full
};

/// How many datagrams were dropped since the last 'drop' event.
struct drop_info {
  drop_reason reason{};
  std::size_t count = 0;
};

namespace detail {

inline void name_subject(failure& what, const net::ip::udp::endpoint& endpoint)
{
  what.address = to_string(endpoint.address());
  what.port = endpoint.port();
}
#if DGRAM_HAS_UNIX_DATAGRAMS
inline void name_subject(failure& what, const unix_dgram::endpoint& endpoint)
{
  what.address = to_string(endpoint);
}
#endif

/// As `failure_of`; also names the endpoint if there is one.
template <class Endpoint>
failure failure_at(const char* operation, const error_code& ec, const Endpoint* where)
{
  failure result = failure_of(operation, ec);
  if (where != nullptr) name_subject(result, *where);
  return result;
}

}  // namespace detail

/// The events of an emitter socket. Each event is emitted on a later turn than the call that causes
/// it.
namespace event {

/// A datagram arrived. The bytes are valid during the call of the listener; `to_owned` copies them.
struct message {
  template <class Protocol>
  struct of {
    using signature = void(bytes_view, const basic_remote_info<Protocol>&);
  };
};

/// The socket is bound and receives.
struct listening {
  using signature = void();
};

/// The socket is connected.
struct connect {
  using signature = void();
};

/// The socket is closed. This is the last event.
struct close {
  using signature = void();
};

/// Something failed, and no callback was called with the error. If 'error' has no listener, `run()`
/// throws the failure. Failures that an ICMP message caused are then only counted.
struct error {
  using signature = void(const failure&);
};

/// Emitted before each 'error', with the same failure. Does not count as a listener for 'error'.
struct error_monitor {
  using signature = void(const failure&);
};

/// Nothing was sent or received for the duration that was passed to `set_timeout`.
struct timeout {
  using signature = void();
};

/// The send queue was full, and is empty now.
struct drain {
  using signature = void();
};

/// Datagrams were dropped.
struct drop {
  using signature = void(const drop_info&);
};

}  // namespace event

DGRAM_NAMESPACE_END

#endif
