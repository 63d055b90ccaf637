// SPDX-License-Identifier: BSL-1.0
// The library's own errors, names for errors of the system, and how every error is thrown.
#ifndef DGRAM_ERROR_HPP
#define DGRAM_ERROR_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/error_numbers.hpp>

#include <string>
#include <string_view>

DGRAM_NAMESPACE_BEGIN

/// The library's own errors. Each compares equal to the `errc` in parentheses.
enum class error {
  bad_endpoint = 1,   ///< text that is not `address:port` or `[address]:port` (invalid_argument)
  bad_address,        ///< text that is not an IPv4 or IPv6 address (invalid_argument)
  bad_port,           ///< a port outside 0..65535, or one that is not a number (invalid_argument)
  unknown_interface,  ///< no network interface has this name, index or address (no_such_device)
  not_multicast,      ///< the group's address is not a multicast address (invalid_argument)
  out_of_range,    ///< the value of an option or argument is outside its range (invalid_argument)
  slot_too_small,  ///< slots below 64 KiB on a socket that coalesces (invalid_argument)
  /// A socket that coalesces cannot receive a single datagram; receive batches (invalid_argument).
  coalescing,
  wrong_descriptor,  ///< the descriptor is no datagram socket of this protocol (invalid_argument)
  bad_type,          ///< a socket type other than `udp4`, `udp6` and `udp_any` (invalid_argument)
  already_bound,     ///< the socket is bound, or about to be (invalid_argument)
  not_running,       ///< the socket is closed (bad_file_descriptor)
  ip_blocked,        ///< the address is on a block list (permission_denied)
  /// The network interface, or every interface, lacks multicast (operation_not_supported).
  no_multicast,
  bad_source,  ///< a multicast source that is not the address of one host (invalid_argument)
  /// A wildcard socket does not know the address that a datagram was sent to, so there is no reply
  /// path (invalid_argument).
  no_packet_info,
  listener_failed,  ///< a coroutine that listens to an emitter threw (invalid_argument)
  session_ended,    ///< the session has ended, see `session::ended` (connection_aborted)
  /// More bytes than the peer has sent may not be sent to it before its address is proved
  /// (permission_denied).
  not_validated,
  already_listening,  ///< the socket has a listener (invalid_argument)
  /// The process at the other end of a hand-over runs as another user, or a function of the program
  /// refused it, there or here (permission_denied).
  untrusted_peer,
  hand_over_version,    ///< that process uses another version of the hand-over (protocol_error)
  hand_over_message,    ///< that process sent something else than the next message (protocol_error)
  hand_over_withdrawn,  ///< the old process keeps the socket (operation_canceled)
  /// A limit of an exchanger: `max_outstanding`, `max_request_bytes`, or no key of this size is
  /// left (no_buffer_space).
  too_many_exchanges,
};

/// Errors of the operating system that `asio::error` has no names for. Like those of `asio::error`,
/// they compare equal to the codes that operations report in the system's category.
///
/// \code
/// dgram::error_code ec;
/// socket.send(asio::buffer("hello"), 0, ec);
/// if (ec == dgram::socket_error::destination_address_required)
///   fmt::print("connect the socket first\n");
/// \endcode
enum class socket_error {
  /// No interface of this host has the address.
  address_not_available = platform::error_numbers::address_not_available,
  /// A send without a peer on a socket that is not connected.
  destination_address_required = platform::error_numbers::destination_address_required,
  /// A router reports that the host is down.
  host_down = platform::error_numbers::host_down,
  /// No socket file has this path.
  no_such_file = platform::error_numbers::no_such_file,
  /// The system lacks the protocol.
  protocol_not_supported = platform::error_numbers::protocol_not_supported,
  /// The socket at the path has another type, such as a stream socket.
  wrong_protocol_type = platform::error_numbers::wrong_protocol_type,
};

inline error_code make_error_code(error value) noexcept;

namespace detail {

class error_category final : public sys::error_category {
public:
  const char* name() const noexcept override { return "dgram"; }

  std::string message(int value) const override { return text_of(static_cast<error>(value)); }

  sys::error_condition default_error_condition(int value) const noexcept override
  {
    return make_error_condition(condition(static_cast<error>(value)));
  }

private:
  /// One string is made of all of them, which keeps the code small in every unit.
  static const char* text_of(error value) noexcept
  {
    switch (value) {
    case error::bad_endpoint: return "not an endpoint of the form address:port or [address]:port";
    case error::bad_address: return "not an IPv4 or IPv6 address";
    case error::bad_port: return "not a usable port number";
    case error::unknown_interface: return "no such network interface";
    case error::not_multicast: return "not a multicast address";
    case error::out_of_range: return "value out of range";
    case error::slot_too_small:
      return "slots must hold 64 KiB on a socket that coalesces datagrams";
    case error::coalescing:
      return "a socket that coalesces datagrams is received from in batches, until "
             "option::coalescing{false} is set";
    case error::wrong_descriptor: return "not a datagram socket of this protocol";
    case error::bad_type: return "bad socket type, valid types are udp4, udp6 and udp_any";
    case error::already_bound: return "socket is already bound";
    case error::not_running: return "socket is not running";
    case error::ip_blocked: return "address is on a block list";
    case error::no_multicast: return "no multicast on this network interface";
    case error::bad_source: return "a multicast source is the address of one host";
    case error::no_packet_info:
      return "the address that was asked is unknown: set option::packet_info on a wildcard socket";
    case error::listener_failed: return "a listener has thrown";
    case error::session_ended: return "the session has ended";
    case error::not_validated:
      return "the peer has not proved its address: call mark_validated, or set "
             "listener_config::amplification to 0";
    case error::already_listening: return "the socket has a listener";
    case error::untrusted_peer: return "the other process is not trusted with the socket";
    case error::hand_over_version: return "the other process hands over by another version";
    case error::hand_over_message: return "the other process sent no message of a hand-over";
    case error::hand_over_withdrawn: return "the old process keeps its socket";
    case error::too_many_exchanges:
      return "too many exchanges wait: see exchanger_config::max_outstanding and max_request_bytes";
    }
    return "unknown dgram error";
  }

  static auto condition(error value) noexcept -> decltype(sys::errc::invalid_argument)
  {
    switch (value) {
    case error::unknown_interface: return sys::errc::no_such_device;
    case error::not_running: return sys::errc::bad_file_descriptor;
    case error::session_ended: return sys::errc::connection_aborted;
    case error::not_validated:
    case error::ip_blocked:
    case error::untrusted_peer: return sys::errc::permission_denied;
    case error::hand_over_version:
    case error::hand_over_message: return sys::errc::protocol_error;
    case error::hand_over_withdrawn: return sys::errc::operation_canceled;
    case error::too_many_exchanges: return sys::errc::no_buffer_space;
    case error::no_multicast: return sys::errc::operation_not_supported;
    default: return sys::errc::invalid_argument;
    }
  }
};

/// One function throws for all callers, so that each of them compiles a call only.
[[noreturn]] DGRAM_COLD inline void raise(const error_code& ec, const std::string& what)
{
  throw system_error(ec, what);
}

[[noreturn]] DGRAM_COLD inline void raise(const error_code& ec, const char* what)
{
  raise(ec, std::string(what));
}

/// The text names the refused input, and behind it what is allowed.
[[noreturn]] DGRAM_COLD inline void raise(const error_code& ec, const char* what,
                                          std::string_view input, std::string_view allowed = {})
{
  std::string text(what);
  text.append(" \"").append(input).append("\"");
  if (!allowed.empty()) text.append(" (allowed are ").append(allowed).append(")");
  raise(ec, text);
}

/// If `ec` is set, throws a `system_error` whose text starts with `what`.
inline void throw_if(const error_code& ec, const char* what)
{
  if (ec) raise(ec, what);
}

/// The same. The text also names the refused input, and what is allowed if the caller says so.
inline void throw_if(const error_code& ec, const char* what, std::string_view input,
                     std::string_view allowed = {})
{
  if (ec) raise(ec, what, input, allowed);
}

}  // namespace detail

/// The category of `dgram::error`.
inline const sys::error_category& error_category() noexcept
{
  static const detail::error_category category;
  return category;
}

inline error_code make_error_code(error value) noexcept
{
  return {static_cast<int>(value), error_category()};
}

inline error_code make_error_code(socket_error value) noexcept
{
  return {static_cast<int>(value), net::error::get_system_category()};
}

DGRAM_NAMESPACE_END

template <>
struct DGRAM_ERROR_ENUM_TRAIT<dgram::error> : ::std::true_type {};

template <>
struct DGRAM_ERROR_ENUM_TRAIT<dgram::socket_error> : ::std::true_type {};

#endif
