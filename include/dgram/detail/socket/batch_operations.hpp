// SPDX-License-Identifier: BSL-1.0
// The operations on batches, segments and reports, which a socket shares with its handle.
#ifndef DGRAM_DETAIL_SOCKET_BATCH_OPERATIONS_HPP
#define DGRAM_DETAIL_SOCKET_BATCH_OPERATIONS_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/segment_cursor.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/path_error.hpp>
#include <dgram/send_options.hpp>
#include <dgram/send_result.hpp>
#include <dgram/socket_statistics.hpp>

#include <cstddef>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Derived` has a `state()`, and a `target()` on which operations are launched.
template <class Derived, class Protocol, class Executor>
class batch_operations {
  using state_type = socket_state<Protocol, Executor>;
  using default_token = default_token_t<Executor>;

public:
  // --- batches, synchronous ---

  /// Receives what is queued, up to the batch's capacity, without blocking. Returns the number of
  /// datagrams. It is 0 only with an error, which is `would_block` if nothing is queued.
  template <class Batch>
  std::size_t try_receive_batch(Batch& batch, error_code& ec)
  {
    return receive_many(self().state(), batch, ec);
  }

  template <class Batch>
  std::optional<std::size_t> try_receive_batch(Batch& batch)
  {
    return throwing_unless_blocked("try_receive_batch",
                                   [&](error_code& ec) { return try_receive_batch(batch, ec); });
  }

  /// The same, but blocks until there is at least one datagram. The error is `eof` if receiving was
  /// shut down and nothing is queued (Linux).
  template <class Batch>
  std::size_t receive_batch(Batch& batch, error_code& ec)
  {
    blocking_wait waiting;
    for (;;) {
      const std::size_t count = try_receive_batch(batch, ec);
      if (ec != net::error::would_block) return count;
      self().state().wait(net::socket_base::wait_read, waiting, ec);
      if (ec) return 0;
    }
  }

  template <class Batch>
  std::size_t receive_batch(Batch& batch)
  {
    return throwing("receive_batch", [&](error_code& ec) { return receive_batch(batch, ec); });
  }

  /// Sends what the kernel takes now, without blocking. What the kernel does not take stays in the
  /// batch, in order. `send_result::error` says why:
  /// - `would_block`, `no_buffer_space`. On an unconnected Unix socket, `would_block` means that
  ///   peers have full queues; the datagrams of all other peers were sent;
  /// - `address_in_use`: no port is free;
  /// - `already_connected`: nothing was sent, since a datagram has a peer and the socket is
  ///   connected;
  /// - `destination_address_required`: nothing was sent, since a datagram has no peer and the
  ///   socket is not connected;
  /// - any other error is that of the first datagram that stays.
  template <class Batch>
  send_result try_send_batch(Batch& batch)
  {
    return send_many(self().state(), batch);
  }

  /// The same, but blocks until the kernel has taken all datagrams or refused one, for example
  /// because it has no buffer space. It waits for full Unix peers when all others have theirs.
  template <class Batch>
  send_result send_batch(Batch& batch)
  {
    send_result result;
    blocking_wait waiting;
    for (;;) {
      const send_result step = try_send_batch(batch);
      result += step;
      if (step.error != net::error::would_block) return result;
      if (step.sent > 0) waiting = blocking_wait();
      self().state().wait(net::socket_base::wait_write, waiting, result.error);
      if (result.error) return result;
    }
  }

  // --- batches, asynchronous ---

  /// Receives what is queued, up to the batch's capacity. Waits until there is at least one
  /// datagram. `batch` must stay valid until completion.
  ///
  /// Completion: `void(error_code, std::size_t)`, with at least one datagram or an error. Errors:
  /// as for `receive`, and `operation_aborted`. Cancellation: terminal, partial and total; a
  /// cancelled operation has taken no datagram.
  ///
  /// \code
  /// dgram::receive_batch batch{32};
  /// co_await socket.async_receive_batch(batch);
  /// for (const dgram::datagram& datagram : batch)
  ///   fmt::print("{}: {}\n", datagram.sender(), datagram.payload().text());
  /// \endcode
  template <class Batch,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_batch(Batch& batch, Token&& token = default_token())
  {
    return initiate<void(error_code, std::size_t)>(
        self().target(),
        [](state_type& state, auto&& handler, Batch* into) {
          start_transfer(state, receive_batch_attempt<Batch>(*into),
                         std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), &batch);
  }

  /// Sends the batch. Waits while the send queue is full. While the kernel has no buffer space, or
  /// peers of an unconnected Unix socket have full queues, waits on a timer (1 ms, doubling to 50).
  /// The datagrams of other peers leave before that wait. An empty batch is sent at once. `batch`,
  /// and the payloads to which it refers, must stay valid until completion.
  ///
  /// Completion: `void(error_code, send_result)`. The result says how many datagrams left, and why
  /// the next one did not. The error_code is set only if none left. What did not leave stays in the
  /// batch, in order, to be sent again or dropped. Errors: `operation_aborted`, and those of
  /// `try_send_batch` except the two for which it waits. Cancellation: terminal, partial and total;
  /// the result says how many had left by then.
  ///
  /// \code
  /// dgram::send_batch batch{64};
  /// for (const auto& client : clients) batch.push(update, client);
  /// while (!batch.empty()) {
  ///   dgram::error_code ec;
  ///   const dgram::send_result result =
  ///       co_await socket.async_send_batch(batch, asio::redirect_error(asio::use_awaitable, ec));
  ///   if (result.error) batch.drop_front();  // this one cannot be sent; the others can
  /// }
  /// \endcode
  template <class Batch,
            net::completion_token_for<void(error_code, send_result)> Token = default_token>
  auto async_send_batch(Batch& batch, Token&& token = default_token())
  {
    return initiate<void(error_code, send_result)>(
        self().target(),
        [](state_type& state, auto&& handler, Batch* from) {
          start_transfer(state, send_batch_attempt<Batch*>(from),
                         std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), &batch);
  }

  /// Sends one buffer as datagrams of `segment_size` bytes each; the last may be shorter. An empty
  /// buffer is one empty datagram. If the path allows it, the kernel cuts the buffer apart. The
  /// payload must stay valid until completion; `peer` is copied. Waits as `async_send_batch` does.
  ///
  /// Completion: `void(error_code, send_result)`. The result says how many datagrams left, counted
  /// from the front, and why the next one did not. The error_code is set only if none left. Errors:
  /// as for `try_send_batch`, `invalid_argument` (segment size 0), and `operation_aborted`.
  /// Cancellation: terminal, partial and total; the result says how many had left.
  ///
  /// \code
  /// std::vector<char> image(100'000);
  /// dgram::send_result result = co_await socket.async_send_segments(image, 1200, peer);
  /// \endcode
  template <net::completion_token_for<void(error_code, send_result)> Token = default_token>
  auto async_send_segments(bytes_view payload, std::size_t segment_size,
                           const typename Protocol::endpoint& peer, Token&& token = default_token())
  {
    return start_segments(segment_cursor<Protocol>(payload, segment_size, peer),
                          std::forward<Token>(token));
  }

  /// The same, but sends each datagram with `options`, whose segment size is ignored. Further
  /// errors: those of `send_options`.
  template <net::completion_token_for<void(error_code, send_result)> Token = default_token>
  auto async_send_segments(bytes_view payload, std::size_t segment_size,
                           const typename Protocol::endpoint& peer, const send_options& options,
                           Token&& token = default_token())
  {
    return start_segments(
        segment_cursor<Protocol, send_request>(payload, segment_size, peer, send_request(options)),
        std::forward<Token>(token));
  }

  // --- counters, path errors and send times ---

  /// Counts what the socket has moved and lost since it was opened. It does not count Asio's own
  /// operations, which single datagrams use if the caller asks for nothing more. Thread safety:
  /// call it on the socket's strand, like every function.
  ///
  /// \code
  /// const dgram::socket_statistics so_far = socket.statistics();
  /// fmt::print("{} received, {} dropped by the kernel\n", so_far.received, so_far.dropped);
  /// \endcode
  socket_statistics statistics() { return self().state().statistics(); }

  /// Takes a path error without waiting; `would_block` if there is none. Other errors: as for
  /// `async_receive_error`.
  basic_path_error<Protocol> try_receive_error(error_code& ec)
  {
    return next_report<basic_path_error<Protocol>>(self().state(), ec);
  }

  std::optional<basic_path_error<Protocol>> try_receive_error()
  {
    return throwing_unless_blocked("try_receive_error",
                                   [&](error_code& ec) { return try_receive_error(ec); });
  }

  /// Waits for a path error: an ICMP message, or a datagram that this host found too large. Each
  /// path error is reported once, here and nowhere else. The socket keeps up to 64 for later calls.
  /// After that, each new one replaces the oldest, which is counted as lost.
  ///
  /// Completion: `void(error_code, path_error)`. Cancellation: terminal, partial and total; no
  /// report is lost. Errors:
  /// - `operation_not_supported`: `option::receive_error` is off, or the system has no such queue
  ///   (every system except Linux). On such a system, a connected socket learns of refusals by the
  ///   error of a receive or a send. An unconnected socket learns of nothing.
  /// - `bad_descriptor`, `operation_aborted`.
  ///
  /// \code
  /// socket.set_option(dgram::option::receive_error{true});
  /// const dgram::path_error error = co_await socket.async_receive_error();
  /// fmt::print("{} is out of reach: {}\n", error.peer, error.code.message());
  /// if (error.mtu) fmt::print("packets of {} bytes would pass\n", *error.mtu);
  /// \endcode
  template <
      net::completion_token_for<void(error_code, basic_path_error<Protocol>)> Token = default_token>
  auto async_receive_error(Token&& token = default_token())
  {
    return start_report<basic_path_error<Protocol>>(std::forward<Token>(token));
  }

  /// Takes the time of a send that asked for it (`send_options::timestamp`), without waiting. The
  /// error is `would_block` if there is none.
  send_timestamp try_send_timestamp(error_code& ec)
  {
    return next_report<send_timestamp>(self().state(), ec);
  }

  std::optional<send_timestamp> try_send_timestamp()
  {
    return throwing_unless_blocked("try_send_timestamp",
                                   [&](error_code& ec) { return try_send_timestamp(ec); });
  }

  /// Waits for the time at which a datagram left, if its send asked for that. Reports come in the
  /// order of the sends. Each datagram has one, or two if the network card reports a time too. The
  /// socket keeps up to 64.
  ///
  /// Completion: `void(error_code, send_timestamp)`. Errors: `operation_not_supported` (every
  /// system except Linux), `bad_descriptor`, `operation_aborted`. Cancellation: terminal, partial
  /// and total; no report is lost.
  ///
  /// \code
  /// socket.send_to(asio::buffer(query), peer, dgram::send_options{.timestamp = true});
  /// const dgram::send_timestamp left = co_await socket.async_send_timestamp();
  /// if (left.time) fmt::print("{} ns\n", left.time->time_since_epoch().count());
  /// \endcode
  template <net::completion_token_for<void(error_code, send_timestamp)> Token = default_token>
  auto async_send_timestamp(Token&& token = default_token())
  {
    return start_report<send_timestamp>(std::forward<Token>(token));
  }

private:
  template <class Cursor, class Token>
  auto start_segments(const Cursor& cursor, Token&& token)
  {
    return initiate<void(error_code, send_result)>(
        self().target(),
        [](state_type& state, auto&& handler, const Cursor& from) {
          start_transfer(state, send_batch_attempt<Cursor>(from),
                         std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), cursor);
  }

  template <class Report, class Token>
  auto start_report(Token&& token)
  {
    return initiate<void(error_code, Report)>(
        self().target(),
        [](state_type& state, auto&& handler) {
          start_transfer(state, report_attempt<Report>(), std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token));
  }

  friend Derived;
  batch_operations() = default;

  Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
