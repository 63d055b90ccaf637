// SPDX-License-Identifier: BSL-1.0
// The operations on batches, which a socket and its handle share.
#ifndef DGRAM_DETAIL_BATCH_OPERATIONS_HPP
#define DGRAM_DETAIL_BATCH_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/initiation.hpp>
#include <dgram/detail/segment_cursor.hpp>
#include <dgram/detail/socket_state.hpp>
#include <dgram/detail/transfers.hpp>

#include <cstddef>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Derived` has a `state()`.
template <class Derived, class Protocol, class Executor>
class batch_operations {
  using state_type = socket_state<Protocol, Executor>;
  using default_token = default_token_t<Executor>;

public:
  // --- batches, synchronous ---

  /// Receives what is queued, up to the batch's capacity, without blocking. Returns how many datagrams; 0 only
  /// with an error, which is `would_block` where nothing is queued.
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

  /// The same, blocking until there is at least one datagram.
  template <class Batch>
  std::size_t receive_batch(Batch& batch, error_code& ec)
  {
    for (;;) {
      const std::size_t count = try_receive_batch(batch, ec);
      if (ec != net::error::would_block) return count;
      self().state().socket.wait(net::socket_base::wait_read, ec);
      if (ec) return 0;
    }
  }

  template <class Batch>
  std::size_t receive_batch(Batch& batch)
  {
    return throwing("receive_batch", [&](error_code& ec) { return receive_batch(batch, ec); });
  }

  /// Sends what the kernel takes now, without blocking. What it does not take stays in the batch, in order, and
  /// `send_result::error` says why: `would_block`, `no_buffer_space`, or the error of the first datagram that stays.
  /// `already_connected` or `destination_address_required`: nothing was sent, since a datagram has a peer where
  /// the socket is connected, or none where it is not.
  template <class Batch>
  send_result try_send_batch(Batch& batch)
  {
    return send_many(self().state(), batch);
  }

  /// The same, blocking until all were taken or one was refused, also for want of buffer space.
  template <class Batch>
  send_result send_batch(Batch& batch)
  {
    send_result result;
    for (;;) {
      result += try_send_batch(batch);
      if (result.error != net::error::would_block) return result;
      state_type& state = self().state();
      if (state.stays_writable()) {
        state.wait_congestion();
        continue;
      }
      state.socket.wait(net::socket_base::wait_write, result.error);
      if (result.error) return result;
    }
  }

  // --- batches, asynchronous ---

  /// Receives what is queued, up to the batch's capacity; waits until there is at least one datagram. `batch` must
  /// stay until completion.
  ///
  /// Completion: `void(error_code, std::size_t)`, with at least one datagram or an error. Errors: as for `receive`,
  /// and `operation_aborted`. Cancellation: terminal, partial and total; no datagram was taken then.
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
        self().state(),
        [](state_type& state, auto&& handler, Batch* into) {
          compose<void(error_code, std::size_t)>(state, receive_batch_attempt<Batch>(*into),
                                                 std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), &batch);
  }

  /// Sends the batch; waits while the send queue is full, and on a timer (1 ms doubling to 50) while the kernel has
  /// no buffer space. An empty batch is sent at once. `batch`, and the payloads it refers to, must stay until
  /// completion.
  ///
  /// Completion: `void(error_code, send_result)`: how many left, and why the next one did not; the error_code is set
  /// only when none left. What did not leave stays in the batch, in order, to be sent again or dropped. Errors: as
  /// for `try_send_batch` but the two that it waits for, and `operation_aborted`. Cancellation: terminal, partial and
  /// total; the result says how many had left by then.
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
        self().state(),
        [](state_type& state, auto&& handler, Batch* from) {
          compose<void(error_code, send_result)>(state, send_batch_attempt<Batch*>(from),
                                                 std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), &batch);
  }

  /// Sends one buffer as datagrams of `segment_size` bytes each, the last perhaps shorter; an empty buffer is one
  /// empty datagram. Where the path allows it the kernel cuts the buffer apart. The payload must stay until completion;
  /// `peer` is copied. Waits as `async_send_batch` does.
  ///
  /// Completion: `void(error_code, send_result)`: how many datagrams left, counted from the front, and why the next one
  /// did not; the error_code is set only when none left. Errors: as for `try_send_batch`, `invalid_argument` (segment
  /// size 0), and `operation_aborted`. Cancellation: terminal, partial and total; the result says how many had left.
  ///
  /// \code
  /// std::vector<char> image(100'000);
  /// dgram::send_result result = co_await socket.async_send_segments(image, 1200, peer);
  /// \endcode
  template <net::completion_token_for<void(error_code, send_result)> Token = default_token>
  auto async_send_segments(bytes_view payload, std::size_t segment_size,
                           const typename Protocol::endpoint& peer, Token&& token = default_token())
  {
    using cursor = segment_cursor<Protocol>;
    return initiate<void(error_code, send_result)>(
        self().state(),
        [](state_type& state, auto&& handler, const cursor& from) {
          compose<void(error_code, send_result)>(state, send_batch_attempt<cursor>(from),
                                                 std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), cursor(payload, segment_size, peer));
  }

private:
  friend Derived;
  batch_operations() = default;

  Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
