// SPDX-License-Identifier: BSL-1.0
// The options for creating and binding an emitter socket.
#ifndef DGRAM_SOCKET_OPTIONS_HPP
#define DGRAM_SOCKET_OPTIONS_HPP

#include <dgram/block_list.hpp>
#include <dgram/config.hpp>
#include <dgram/full_policy.hpp>
#include <dgram/name_resolver.hpp>
#include <dgram/writer.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#if DGRAM_HAS_STOP_TOKEN
#include <stop_token>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::int64_t most_uint32 = 0xffffffff;

}  // namespace detail

/// The family of an emitter socket. `any` is `udp6`, which takes IPv4 too, or `udp4` on a host
/// without IPv6. `create_socket` decides it. With `ipv6_only` it is `error::bad_type`.
enum class socket_type { none = 0, udp4 = 4, udp6 = 6, any = 46 };

inline constexpr socket_type udp4 = socket_type::udp4;
inline constexpr socket_type udp6 = socket_type::udp6;
inline constexpr socket_type udp_any = socket_type::any;

/// The function that a lookup calls with its result: an error, or the address of the name.
using lookup_result = std::function<void(error_code, const net::ip::address&)>;

/// Looks names up for an emitter, in place of the system's resolver. It is constructed from one of
/// these:
///  - `std::ref(resolver)`, a `name_resolver` as for `async_connect` and the other functions of
///    resolve.hpp. It must outlive the socket's lookups. The emitter takes the first address that
///    it finds.
///  - A function `void(const std::string& host, socket_type, lookup_result)`, as Node's. It looks
///    up the name in the family of the socket, `udp4` or `udp6`, and reports exactly once, at once
///    or later. It may report on any thread, and also after the socket and its context have gone.
///    It must not report while another thread is destroying the context.
///
/// An exception that it throws is reported too: the code of a `system_error`, and `no_recovery` for
/// any other. The text becomes the failure's detail. Text with a colon is an address and is not
/// looked up.
class lookup_function {
public:
  lookup_function() noexcept = default;

  template <class Function>
    requires(!std::same_as<std::remove_cvref_t<Function>, lookup_function> &&
             std::invocable<Function&, const std::string&, socket_type, lookup_result>)
  lookup_function(Function&& function)  // NOLINT(*-explicit-*)
      : ask_(std::forward<Function>(function))
  {
  }

  template <name_resolver Resolver>
  lookup_function(std::reference_wrapper<Resolver> resolver)  // NOLINT(*-explicit-*)
      : ask_([resolver](const std::string& host, socket_type type, lookup_result report) {
          ask(resolver.get(), host, type, std::move(report));
        })
  {
  }

  explicit operator bool() const noexcept { return static_cast<bool>(ask_); }

  void operator()(const std::string& host, socket_type type, lookup_result report) const
  {
    ask_(host, type, std::move(report));
  }

private:
  template <class Resolver>
  static void ask(Resolver& resolver, const std::string& host, socket_type type,
                  lookup_result report)
  {
    const auto family = type == socket_type::udp6 ? net::ip::udp::v6() : net::ip::udp::v4();
    auto take = [family, report = std::move(report)](error_code ec, const auto& results) {
      for (const auto& result : results) {
        const auto found = static_cast<net::ip::udp::endpoint>(result);
        if (!ec && found.protocol() == family) return report(ec, found.address());
      }
      report(ec ? ec : error_code(net::error::host_not_found), {});
    };
    if constexpr (requires { resolver.async_resolve(family, host, std::string(), take); })
      resolver.async_resolve(family, host, std::string(), std::move(take));
    else
      resolver.async_resolve(host, std::string(), std::move(take));
  }

  std::function<void(const std::string&, socket_type, lookup_result)> ask_;
};

/// The options of `create_socket`. Only the type is required.
struct socket_options {
  socket_type type = socket_type::none;
  bool reuse_addr = false;            ///< share the address with other sockets that set this too
  bool reuse_port = false;            ///< spread the flows over all sockets that set this too
  bool ipv6_only = false;             ///< keep a udp6 socket from taking IPv4 traffic
  std::int64_t recv_buffer_size = 0;  ///< bytes; 0: the system's default
  std::int64_t send_buffer_size = 0;  ///< bytes; 0: the system's default
  lookup_function lookup = {};        ///< looks names up in place of the system's resolver
  /// How long the emitter reuses the result of a lookup.
  std::chrono::milliseconds lookup_lifetime{1000};
#if DGRAM_HAS_STOP_TOKEN
  /// Closes the socket when stop is requested, on any thread. The option is missing if the standard
  /// library has no `std::stop_token`: libc++ 19 has it only with `-fexperimental-library`. `slot`
  /// is always there.
  std::stop_token signal = {};
#endif
  /// Closes the socket when the slot's signal is emitted. A slot holds one socket: the last one
  /// that it was given to.
  net::cancellation_slot slot = {};
  std::shared_ptr<const block_list> receive_block_list = {};  ///< senders that are ignored
  std::shared_ptr<const block_list> send_block_list = {};     ///< peers that are never sent to
  /// Report interface and local address also on sockets bound to one address.
  bool packet_info = false;
  /// The limit of datagrams that wait to be sent: for the kernel to take them, for a bind, a
  /// connect, a name, or the end of a pause. It is 1 or more, and so is that of the bytes. One
  /// datagram may always wait, however large it is.
  std::size_t queue_datagrams = 1024;
  std::size_t queue_bytes = 262144;  ///< the limit of their bytes of payload
  /// What happens to a datagram beyond these limits. `wait` is advice, as with Node's streams:
  /// `send` returns false but queues the datagram, so a caller that goes on sending fills memory.
  /// `drop_newest` is a limit that holds. Datagrams for Unix peers whose queues are full do not
  /// count with the others: they have half of these limits for themselves.
  full_policy when_full = full_policy::wait;

  /// Let the kernel join datagrams if it can. It counts those that it has joined and drops as one.
  /// So the count of `drop_reason::receive_queue_full` is a lower bound, and exact if this is off.
  bool coalesce = true;

  /// Datagrams of up to this many bytes arrive whole. 0 means 64 KiB with UDP, which is every
  /// datagram, and 256 KiB with Unix sockets. A Unix datagram may be as large as its sender's send
  /// buffer. A larger one is cut, and `rinfo.truncated` says so.
  std::size_t receive_size = 0;
  /// Room for control messages on a Unix socket, in bytes per datagram. With any room the socket
  /// takes the descriptors that its peers send: `rinfo.take_descriptor()`. A UDP socket refuses it.
  std::size_t control_size = 0;
  /// Reports which process sent a datagram: `rinfo.credentials`. For Unix sockets on Linux; others
  /// refuse it. See `option::receive_credentials`.
  bool credentials = false;
  /// The permissions of a Unix socket's file, such as 0660; 0 leaves them to the umask. See
  /// `unix_dgram`. A UDP socket and the bind to a descriptor refuse it.
  unsigned file_mode = 0;
};

/// Arguments of `bind` in place of port and address. With GCC 12, give it a name before you use it
/// in a `co_await` expression. A list in braces there may compile and overwrite memory, which is an
/// error of that compiler.
struct bind_options {
  std::int64_t port = 0;
  std::string address = {};
  /// No other process shares the port, as Node's workers would. The library has no such workers, so
  /// `bind` refuses false with `operation_not_supported`. To share a port, see `reuse_port`.
  bool exclusive = true;
  int fd = 0;  ///< a descriptor to take over, if it is above 0
};

DGRAM_NAMESPACE_END

#endif
