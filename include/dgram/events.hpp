// SPDX-License-Identifier: BSL-1.0
// The events of an emitter socket, and what its listeners are given.
#ifndef DGRAM_EVENTS_HPP
#define DGRAM_EVENTS_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/failure.hpp>
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

/// Where a socket is bound, or whom it is connected to.
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
  std::string address;               ///< the path, or `@name`; empty where a socket has none
  std::string_view family = "unix";  ///< always that

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

/// Who sent a datagram, and how it arrived. It is a value, and may be kept: a reply to it leaves
/// later as it does at once.
template <class Protocol>
struct basic_remote_info : basic_address_info<Protocol> {
  std::size_t size = 0;                  ///< bytes of the message
  bool truncated = false;                ///< the message was longer, and the end of it is lost
  std::optional<std::size_t> wire_size;  ///< how long it was then, where the system tells

  basic_remote_info() noexcept = default;
  explicit basic_remote_info(const basic_datagram<Protocol>& received)
      : basic_address_info<Protocol>(received.sender()),
        size(received.payload().size()),
        truncated(received.truncated()),
        wire_size(received.wire_size())
  {
  }

  /// The way back to the sender.
  basic_reply_path<Protocol> reply_path() const { return {this->endpoint()}; }
};

/// The same of a UDP datagram, and where it arrived.
template <>
struct basic_remote_info<udp> : basic_address_info<udp> {
  std::size_t size = 0;
  bool truncated = false;
  std::optional<std::size_t> wire_size;
  net::ip::address local_address;  ///< what it was sent to: an address of this host, or a group
  unsigned interface_index = 0;    ///< what it came in by; 0 where that is not known

  basic_remote_info() noexcept = default;

  /// `bound` is what the socket is bound to, where the datagram itself does not tell.
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
    const auto path = received.reply_path(not_known);
    source_ = path.source;
    way_back_ = path.interface_index;
  }

  /// The way back to the sender: an answer leaves from the address that the datagram was sent to,
  /// and by the interface where that matters; see `basic_datagram::reply_path`. The port may be
  /// changed before. What was given another address is no answer any more, and the system chooses
  /// where it leaves from.
  basic_reply_path<udp> reply_path() const
  {
    if (address != sender_) return {endpoint()};
    return {endpoint(), source_, way_back_};
  }

private:
  net::ip::address sender_;
  net::ip::address source_;  // unspecified: the system's choice
  unsigned way_back_ = 0;    // the interface; 0: the system's choice
};

using address_info = basic_address_info<udp>;
using remote_info = basic_remote_info<udp>;
#if DGRAM_HAS_UNIX_DATAGRAMS
using unix_address_info = basic_address_info<unix_dgram>;
using unix_remote_info = basic_remote_info<unix_dgram>;
#endif

/// Why datagrams were lost before they became messages, or before they were sent.
enum class drop_reason {
  queue_full,          ///< sent while the send queue was full, and its policy is to drop
  blocked,             ///< received from an address on the receive block list
  receive_queue_full,  ///< lost by the kernel, since they were not received fast enough
};

/// So many datagrams were dropped since the last 'drop' event.
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

/// The same, naming the endpoint where there is one.
template <class Endpoint>
failure failure_at(const char* operation, const error_code& ec, const Endpoint* where)
{
  failure result = failure_of(operation, ec);
  if (where != nullptr) name_subject(result, *where);
  return result;
}

}  // namespace detail

/// What an emitter socket emits. Each is emitted on a later turn than the call that causes it.
namespace event {

/// A datagram arrived. The bytes are valid during the listener; `to_owned` keeps them.
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

/// The socket is closed; the last event of all.
struct close {
  using signature = void();
};

/// Something failed, and nobody else was told. Without a listener it is thrown out of `run()`,
/// unless an ICMP message caused it, which is counted only.
struct error {
  using signature = void(const failure&);
};

/// As `error`, emitted before it; does not count as a listener for it.
struct error_monitor {
  using signature = void(const failure&);
};

/// Nothing was sent or received for the time that `set_timeout` was given.
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
