// SPDX-License-Identifier: BSL-1.0
// Gives an open socket to another process of this host, so that a restart loses no datagram.
#ifndef DGRAM_HAND_OVER_HPP
#define DGRAM_HAND_OVER_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/control_message.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/socket/hand_over_giver.hpp>
#include <dgram/detail/socket/hand_over_taker.hpp>
#include <dgram/error.hpp>
#include <dgram/hand_over_config.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#if !DGRAM_HAS_UNIX_DATAGRAMS
#error "this system cannot pass sockets between processes (see DGRAM_HAS_UNIX_DATAGRAMS)"
#endif

DGRAM_NAMESPACE_BEGIN

/// A socket that came from another process.
template <class Protocol, class Executor = net::any_io_executor>
struct taken_over {
  /// The open socket, with the address and the options that it had. Closed if there was an error.
  basic_socket<Protocol, Executor> socket;

  /// The datagrams that the kernel had dropped when the old process offered the socket. What
  /// `socket.statistics().dropped` has beyond that was dropped since, because the receive queue was
  /// too small for the gap.
  std::uint64_t dropped_before = 0;

  peer_credentials from{};  ///< the old process
};

/// The old process's side: offers the socket at `path` until a process has taken it. That process
/// calls `async_take_over`. Until the completion the socket goes on as before, and this process
/// keeps it if anything fails.
///
/// After the completion both processes have the same open socket. Each datagram goes to one of
/// them. This process stops its reader, answers what is in memory, and closes the socket. It sets
/// no option any more. A socket file belongs to the new process then.
///
/// `path` is read by `parse_unix_endpoint`. It names a socket file, which the operation creates
/// with `config.file_mode` and removes at its end, or an abstract name (`@name`). A file that a
/// dead process left is replaced. Every process that can reach an abstract name may connect to it.
/// So the kernel's word on each process decides (`SO_PEERCRED`): it must be of the same effective
/// user, or `config.accept` must accept it. In gVisor, the kernel names this process in place of
/// the other one, so that every process passes: there only the mode of a file keeps others out. One
/// process is served at a time, for at most `config.time_limit`. Processes that are refused or that
/// fail are counted, and the operation goes on.
///
/// Completion: `void(error_code, hand_over_report)`. Errors:
///  - `bad_descriptor` if the socket is closed;
///  - `error::out_of_range` for a time limit that is not positive or a bad mode;
///  - those of `parse_unix_endpoint`, socket(2), bind(2) and listen(2), such as `address_in_use` if
///    another process listens at the path;
///  - `operation_aborted`;
///  - `operation_not_supported` except on Linux.
///
/// Make the socket's readers before: if coalescing begins, every pending operation ends.
///
/// Cancellation: every type. A process that has been offered the socket is told that it does not
/// get it. `cancel` and `close` of the socket, and its destruction, end the operation too. Thread
/// safety: as the socket's.
///
/// \code
/// co_await dgram::async_hand_over(socket, "/run/server/hand-over");
/// \endcode
template <
    class Protocol, class Executor,
    net::completion_token_for<void(error_code, hand_over_report)> Token = default_token_t<Executor>>
auto async_hand_over(basic_socket<Protocol, Executor>& socket, std::string_view path,
                     hand_over_config config, Token&& token = default_token_t<Executor>())
{
  using handle_type = typename basic_socket<Protocol, Executor>::handle_type;
  const auto executor = socket.get_executor();
  return net::async_compose<Token, void(error_code, hand_over_report)>(
      detail::hand_over_op<handle_type>(socket.handle(), std::string(path), std::move(config)),
      token, executor);
}

template <
    class Protocol, class Executor,
    net::completion_token_for<void(error_code, hand_over_report)> Token = default_token_t<Executor>>
auto async_hand_over(basic_socket<Protocol, Executor>& socket, std::string_view path,
                     Token&& token = default_token_t<Executor>())
{
  return async_hand_over(socket, path, hand_over_config(), std::forward<Token>(token));
}

/// The same for coroutines. Throws `system_error`, whose text names the path.
///
/// \code
/// auto report = co_await dgram::hand_over(socket, "/run/server/hand-over");
/// fmt::print("process {} has the socket\n", report.to.process);
/// \endcode
template <class Protocol, class Executor>
net::awaitable<hand_over_report, Executor> hand_over(basic_socket<Protocol, Executor>& socket,
                                                     std::string path, hand_over_config config = {})
{
  const bool has_time = !detail::check_time_limit(config.time_limit);
  error_code ec;
  auto report = co_await async_hand_over(socket, path, std::move(config),
                                         net::redirect_error(net::use_awaitable_t<Executor>(), ec));
  if (ec == error::out_of_range)
    detail::refuse("hand_over", ec,
                   has_time ? "file_mode; allowed is 0001 to 0777" : "time_limit of 0 or less");
  detail::throw_if(ec, "hand_over", path);
  co_return report;
}

/// The new process's side: takes a socket of `Protocol` (`udp` or `unix_dgram`) from the process
/// that offers one at `path` with `async_hand_over`. The socket has the address, the peer and the
/// options that it had there. Datagrams that arrive meanwhile wait in its receive queue.
///
/// The kernel tells who listens at the path (`SO_PEERCRED`). That process must be of the same
/// effective user, or `config.accept` must accept it: otherwise it could be anyone's socket. In
/// gVisor every process passes, so use a path in a directory that no other user may write to. If
/// the old process ends after it made the offer, this process has the socket.
///
/// Completion: `void(error_code, taken_over<Protocol, Executor>)`. Errors:
///  - `socket_error::no_such_file` or `connection_refused` if no process offers a socket there:
///    this process is the first, and opens its own;
///  - `error::untrusted_peer` if this process or the old one does not trust the other;
///  - `error::wrong_descriptor` if that process offers a socket of another kind;
///  - `error::hand_over_version`, `error::hand_over_message` if it is no such process;
///  - `error::hand_over_withdrawn`, `connection_reset` if it gave up or ended before the offer;
///  - `timed_out`, after `config.time_limit`;
///  - `error::out_of_range` for a time limit that is not positive;
///  - those of `parse_unix_endpoint`, socket(2) and connect(2), such as `access_denied`;
///  - `operation_aborted`;
///  - `operation_not_supported` except on Linux.
/// After each of them the old process, if there is one, has the socket.
///
/// Cancellation: every type. Thread safety: the executor is used by one thread at a time, or is a
/// strand.
///
/// \code
/// auto taken = co_await dgram::async_take_over(io, "/run/server/hand-over", asio::use_awaitable);
/// \endcode
template <class Protocol = udp, class Executor,
          net::completion_token_for<void(error_code, taken_over<Protocol, Executor>)> Token =
              default_token_t<Executor>>
  requires(!std::convertible_to<Executor&, net::execution_context&>)
auto async_take_over(const Executor& executor, std::string_view path, take_over_config config,
                     Token&& token = default_token_t<Executor>())
{
  using result = taken_over<Protocol, Executor>;
  return net::async_compose<Token, void(error_code, result)>(
      detail::take_over_op<result>(executor, std::string(path), std::move(config)), token,
      executor);
}

template <class Protocol = udp, class Executor,
          net::completion_token_for<void(error_code, taken_over<Protocol, Executor>)> Token =
              default_token_t<Executor>>
  requires(!std::convertible_to<Executor&, net::execution_context&>)
auto async_take_over(const Executor& executor, std::string_view path,
                     Token&& token = default_token_t<Executor>())
{
  return async_take_over<Protocol>(executor, path, take_over_config(), std::forward<Token>(token));
}

template <class Protocol = udp, class Context,
          net::completion_token_for<void(error_code, taken_over<Protocol>)> Token =
              default_token_t<net::any_io_executor>>
  requires std::convertible_to<Context&, net::execution_context&>
auto async_take_over(Context& context, std::string_view path, take_over_config config,
                     Token&& token = default_token_t<net::any_io_executor>())
{
  return async_take_over<Protocol>(net::any_io_executor(context.get_executor()), path,
                                   std::move(config), std::forward<Token>(token));
}

template <class Protocol = udp, class Context,
          net::completion_token_for<void(error_code, taken_over<Protocol>)> Token =
              default_token_t<net::any_io_executor>>
  requires std::convertible_to<Context&, net::execution_context&>
auto async_take_over(Context& context, std::string_view path,
                     Token&& token = default_token_t<net::any_io_executor>())
{
  return async_take_over<Protocol>(context, path, take_over_config(), std::forward<Token>(token));
}

/// The same for coroutines. The form without `ec` throws `system_error`, whose text names the path.
///
/// \code
/// dgram::error_code ec;
/// auto taken = co_await dgram::take_over(io, "/run/server/hand-over", ec);
/// if (!ec) socket = std::move(taken.socket);
/// \endcode
template <class Protocol = udp, class Context>
net::awaitable<taken_over<Protocol>> take_over(Context& context, std::string path, error_code& ec,
                                               take_over_config config = {})
{
  co_return co_await async_take_over<Protocol>(net::any_io_executor(context.get_executor()), path,
                                               std::move(config),
                                               net::redirect_error(net::use_awaitable, ec));
}

template <class Protocol = udp, class Context>
net::awaitable<taken_over<Protocol>> take_over(Context& context, std::string path,
                                               take_over_config config = {})
{
  error_code ec;
  auto taken = co_await take_over<Protocol>(context, path, ec, std::move(config));
  if (ec == error::out_of_range) detail::refuse("take_over", ec, "time_limit of 0 or less");
  detail::throw_if(ec, "take_over", path);
  co_return taken;
}

DGRAM_NAMESPACE_END

#endif
