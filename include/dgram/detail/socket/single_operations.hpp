// SPDX-License-Identifier: BSL-1.0
// The operations on one datagram that may wait: blocking and asynchronous.
#ifndef DGRAM_DETAIL_SOCKET_SINGLE_OPERATIONS_HPP
#define DGRAM_DETAIL_SOCKET_SINGLE_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/backoff.hpp>
#include <dgram/detail/socket/buffer_list.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/single_transfer.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/detail/socket/trying_operations.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/send_options.hpp>

#include <cstddef>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Derived` has a `state()`, and a `target()` on which operations are launched.
template <class Derived, class Protocol, class Executor>
class single_operations : public trying_operations<Derived, Protocol> {
  using state_type = socket_state<Protocol, Executor>;
  using default_token = default_token_t<Executor>;
  using endpoint_type = typename Protocol::endpoint;

public:
  // Every form of send and receive takes at most 64 pieces for one datagram. If a buffer sequence
  // has more, the error is `message_size`, and nothing is sent or received.

  // --- one datagram, blocking ---

  /// Sends one datagram to the connected peer; blocks while the send queue is full. Returns the
  /// number of bytes sent. Errors: `destination_address_required`, `message_size`, and others of
  /// send(2).
  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, net::socket_base::message_flags flags,
                   error_code& ec)
  {
    if constexpr (are_buffers<ConstBuffers>()) {
      self().state().notice();
      if (self().state().reads_reports() || has_too_many_pieces(buffers))
        return until_done(net::socket_base::wait_write, ec, [&](error_code& failure) {
          return send_one(self().state(), buffers, static_cast<const endpoint_type*>(nullptr),
                          flags, failure);
        });
      return self().state().socket.send(buffers, flags, ec);
    } else {
      return 0;
    }
  }

  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, net::socket_base::message_flags flags = 0)
  {
    return throwing_by(
        [&](const error_code& ec) { this->throw_send("send", nullptr, payload_size(buffers), ec); },
        [&](error_code& ec) { return send(buffers, flags, ec); });
  }

  /// Sends one datagram to `peer`. Errors: those of sendto(2), and `address_in_use` (the socket is
  /// not bound and no port is free).
  ///
  /// On a connected socket the kernel decides:
  /// - Linux sends to `peer`. macOS and the BSDs report `already_connected`, even for the socket's
  ///   own peer.
  /// - The datagram leaves from the address that `connect` chose.
  /// - No answer from `peer`, and no ICMP error from the way to it, can come: the socket hears only
  ///   its own peer.
  /// - A dual-stack socket that is connected to an IPv4 peer cannot send to an IPv6 peer
  ///   (`address_family_not_supported`).
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      net::socket_base::message_flags flags, error_code& ec)
  {
    if constexpr (are_buffers<ConstBuffers>()) {
      self().state().notice();
      // If the descriptor does not block, Asio's own send waits for writability. On Unix sockets
      // that would spin.
      if (path_protocol<Protocol> || self().state().reads_reports() || has_too_many_pieces(buffers))
        return until_done(
            net::socket_base::wait_write, ec,
            [&](error_code& failure) {
              return send_one(self().state(), buffers, &peer, flags, failure);
            },
            true);
      self().state().provide_port(ec);
      if (ec) return 0;
      return self().state().socket.send_to(buffers, self().state().to_native(peer), flags, ec);
    } else {
      return 0;
    }
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      net::socket_base::message_flags flags = 0)
  {
    return throwing_by(
        [&](const error_code& ec) {
          this->throw_send("send_to", &peer, payload_size(buffers), ec);
        },
        [&](error_code& ec) { return send_to(buffers, peer, flags, ec); });
  }

  /// Sends one datagram with `options`. Errors: also those of `send_options`.
  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, const send_options& options, error_code& ec)
  {
    return send_asking(buffers, nullptr, send_request(options), ec);
  }

  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, const send_options& options)
  {
    const send_request request(options);
    return throwing_request("send", buffers, nullptr, request, [&](error_code& ec) {
      return send_asking(buffers, nullptr, request, ec);
    });
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      const send_options& options, error_code& ec)
  {
    return send_asking(buffers, &peer, send_request(options), ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      const send_options& options)
  {
    const send_request request(options);
    return throwing_request("send_to", buffers, &peer, request, [&](error_code& ec) {
      return send_asking(buffers, &peer, request, ec);
    });
  }

  /// Sends an answer: the datagram leaves from the address to which the question was sent. See
  /// `basic_datagram::reply_path`.
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                      const send_options& options, error_code& ec)
  {
    return send_asking(buffers, &path.peer, send_request(path, options), ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                      error_code& ec)
  {
    return send_to(buffers, path, send_options(), ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                      const send_options& options = send_options())
  {
    const send_request request(path, options);
    return throwing_request("send_to", buffers, &path.peer, request, [&](error_code& ec) {
      return send_asking(buffers, &path.peer, request, ec);
    });
  }

  /// Receives one datagram; blocks until there is one. Returns the number of bytes received, which
  /// is 0 for an empty datagram. Returns 0 at once if receiving was shut down and nothing is queued
  /// (Linux). Cuts off what does not fit. Errors: those of recv(2); `connection_refused` on a
  /// connected socket.
  template <class MutableBuffers>
  std::size_t receive(const MutableBuffers& buffers, net::socket_base::message_flags flags,
                      error_code& ec)
  {
    if constexpr (are_buffers<MutableBuffers>()) {
      if (attends_receive(self().state(), buffers))
        return until_done(net::socket_base::wait_read, ec, [&](error_code& failure) {
          return receive_one(self().state(), buffers, static_cast<endpoint_type*>(nullptr), flags,
                             failure);
        });
      return self().state().socket.receive(buffers, flags, ec);
    } else {
      return 0;
    }
  }

  template <class MutableBuffers>
  std::size_t receive(const MutableBuffers& buffers, net::socket_base::message_flags flags = 0)
  {
    return throwing("receive", [&](error_code& ec) { return receive(buffers, flags, ec); });
  }

  /// The same, and stores the sender.
  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                           net::socket_base::message_flags flags, error_code& ec)
  {
    if constexpr (are_buffers<MutableBuffers>()) {
      // Asio's own receive would throw for a sender whose path fills its room.
      if (path_protocol<Protocol> || attends_receive(self().state(), buffers))
        return until_done(net::socket_base::wait_read, ec, [&](error_code& failure) {
          return receive_one(self().state(), buffers, &sender, flags, failure);
        });
      const std::size_t size = self().state().socket.receive_from(buffers, sender, flags, ec);
      if (!ec) sender = self().state().from_native(sender);
      return size;
    } else {
      return 0;
    }
  }

  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                           net::socket_base::message_flags flags = 0)
  {
    return throwing("receive_from",
                    [&](error_code& ec) { return receive_from(buffers, sender, flags, ec); });
  }

  /// The same, and stores all that is known about the datagram; see `basic_datagram_info`.
  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info,
                           error_code& ec)
  {
    return until_done(net::socket_base::wait_read, ec, [&](error_code& failure) {
      return receive_one(self().state(), buffers, &info, 0, failure);
    });
  }

  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info)
  {
    return throwing("receive_from",
                    [&](error_code& ec) { return receive_from(buffers, info, ec); });
  }

  // --- asynchronous operations ---
  //
  // For all of them:
  // - The completion handler is called exactly once, and never inside the initiating function.
  // - Its associated executor calls it; the default is the socket's executor.
  // - Buffers, endpoints and batches that are passed by reference must stay valid until then.
  // - Memory comes from the handler's associated allocator and is released before the handler is
  //   called. In steady state, none is allocated.
  // - An operation that can finish at once uses the handler's immediate executor (Asio 1.27 and
  //   newer) or a post.
  // - For calls without a token, see `default_token_t`.
  //
  // If several operations of one direction are pending, it is not specified which of them gets the
  // next datagram.

  /// Sends one datagram to the connected peer; waits while the send queue is full. The buffers'
  /// memory must stay valid until completion.
  ///
  /// Completion: `void(error_code, std::size_t)`, with the number of bytes sent. Errors: as for
  /// `send`, and `operation_aborted`. Cancellation: terminal, partial and total; a cancelled
  /// operation has sent nothing.
  ///
  /// \code
  /// std::size_t size = co_await socket.async_send(asio::buffer(query), asio::use_awaitable);
  /// \endcode
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, Token&& token = default_token())
  {
    return async_send(buffers, 0, std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, net::socket_base::message_flags flags,
                  Token&& token = default_token())
  {
    if constexpr (are_buffers<ConstBuffers>()) {
      return initiate<transfer_signature>(
          self().target(),
          [](state_type& state, auto&& handler, const ConstBuffers& from,
             net::socket_base::message_flags how) {
            state.notice();
            if (state.reads_reports() || has_too_many_pieces(from) || is_cancellable(handler))
              start_transfer(state, send_attempt<ConstBuffers, no_peer>(from, {}, how),
                             std::forward<decltype(handler)>(handler));
            else
              state.socket.async_send(from, how, std::forward<decltype(handler)>(handler));
          },
          std::forward<Token>(token), buffers, flags);
    }
  }

  /// Sends one datagram with `options`. Errors: also those of `send_options`. Otherwise as
  /// `async_send`.
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, const send_options& options,
                  Token&& token = default_token())
  {
    return async_send_request(buffers, no_peer(), send_request(options),
                              std::forward<Token>(token));
  }

  /// Sends one datagram to `peer`, which is copied. On a connected socket the kernel decides: see
  /// `send_to`. Otherwise as `async_send`.
  ///
  /// \code
  /// socket.async_send_to(asio::buffer(query), peer, [](dgram::error_code ec, std::size_t) {
  ///   if (ec) fmt::print("not sent: {}\n", ec.message());
  /// });
  /// \endcode
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     Token&& token = default_token())
  {
    return async_send_to(buffers, peer, 0, std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     net::socket_base::message_flags flags, Token&& token = default_token())
  {
    if constexpr (are_buffers<ConstBuffers>()) {
      return initiate<transfer_signature>(
          self().target(),
          [](state_type& state, auto&& handler, const ConstBuffers& from, const endpoint_type& to,
             net::socket_base::message_flags how) {
            state.notice();
            error_code refused;
            state.provide_port(refused);
            // Asio's own send waits for writability, which would spin on Unix sockets. The attempt
            // completes with an error if the request is refused.
            if (path_protocol<Protocol> || refused || state.reads_reports() ||
                has_too_many_pieces(from) || is_cancellable(handler))
              start_transfer(state, send_attempt<ConstBuffers, endpoint_type>(from, to, how),
                             std::forward<decltype(handler)>(handler));
            else
              state.socket.async_send_to(from, state.to_native(to), how,
                                         std::forward<decltype(handler)>(handler));
          },
          std::forward<Token>(token), buffers, peer, flags);
    }
  }

  /// Sends one datagram with `options`. Errors: also those of `send_options`. Otherwise as
  /// `async_send_to`.
  ///
  /// \code
  /// co_await socket.async_send_to(asio::buffer(query), peer, dgram::send_options{.hop_limit = 1});
  /// \endcode
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     const send_options& options, Token&& token = default_token())
  {
    return async_send_request(buffers, peer, send_request(options), std::forward<Token>(token));
  }

  /// Sends an answer: the datagram leaves from the address to which the question was sent. See
  /// `basic_datagram::reply_path`. Otherwise as `async_send_to`.
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                     Token&& token = default_token())
  {
    return async_send_request(buffers, path.peer, send_request(path), std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                     const send_options& options, Token&& token = default_token())
  {
    return async_send_request(buffers, path.peer, send_request(path, options),
                              std::forward<Token>(token));
  }

  /// Receives one datagram. Cuts off what does not fit into the buffers. The buffers' memory must
  /// stay valid until completion.
  ///
  /// Completion: `void(error_code, std::size_t)`, with the number of bytes received, which is 0 for
  /// an empty datagram. Errors: as for `receive`, and `operation_aborted`. Cancellation: terminal,
  /// partial and total; a cancelled operation has taken no datagram.
  ///
  /// \code
  /// std::size_t size = co_await socket.async_receive(asio::buffer(storage), asio::use_awaitable);
  /// \endcode
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive(const MutableBuffers& buffers, Token&& token = default_token())
  {
    return async_receive(buffers, 0, std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive(const MutableBuffers& buffers, net::socket_base::message_flags flags,
                     Token&& token = default_token())
  {
    if constexpr (are_buffers<MutableBuffers>()) {
      return initiate<transfer_signature>(
          self().target(),
          [](state_type& state, auto&& handler, const MutableBuffers& into,
             net::socket_base::message_flags how) {
            if (attends_receive(state, into, how) || is_cancellable(handler))
              start_transfer(state,
                             receive_attempt<MutableBuffers, endpoint_type>(into, nullptr, how),
                             std::forward<decltype(handler)>(handler));
            else
              state.socket.async_receive(into, how, std::forward<decltype(handler)>(handler));
          },
          std::forward<Token>(token), buffers, flags);
    }
  }

  /// Receives one datagram and stores its sender; `sender` must stay valid until completion.
  /// Otherwise as `async_receive`.
  ///
  /// \code
  /// std::size_t size = co_await socket.async_receive_from(asio::buffer(storage), sender);
  /// fmt::print("{} bytes from {}\n", size, sender);
  /// \endcode
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                          Token&& token = default_token())
  {
    return async_receive_from(buffers, sender, 0, std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                          net::socket_base::message_flags flags, Token&& token = default_token())
  {
    if constexpr (are_buffers<MutableBuffers>()) {
      return initiate<transfer_signature>(
          self().target(),
          [](state_type& state, auto&& handler, const MutableBuffers& into, endpoint_type* from,
             net::socket_base::message_flags how) {
            // Asio's own operation is the cheapest way to one datagram. But it knows no mapped
            // senders, and would throw for a sender whose path fills its room.
            if (path_protocol<Protocol> || attends_receive(state, into) ||
                !state.flags.is_plain() || is_cancellable(handler))
              start_transfer(state, receive_attempt<MutableBuffers, endpoint_type>(into, from, how),
                             std::forward<decltype(handler)>(handler));
            else
              state.socket.async_receive_from(into, *from, how,
                                              std::forward<decltype(handler)>(handler));
          },
          std::forward<Token>(token), buffers, &sender, flags);
    }
  }

  /// The same, and stores all that is known about the datagram; `info` must stay valid until
  /// completion.
  ///
  /// \code
  /// dgram::datagram_info info;
  /// std::size_t size = co_await socket.async_receive_from(asio::buffer(storage), info);
  /// if (info.truncated()) fmt::print("{} bytes were too many\n", size);
  /// \endcode
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info,
                          Token&& token = default_token())
  {
    if constexpr (are_buffers<MutableBuffers>()) {
      using info_type = basic_datagram_info<Protocol>;
      return initiate<transfer_signature>(
          self().target(),
          [](state_type& state, auto&& handler, const MutableBuffers& into, info_type* about) {
            start_transfer(state, receive_attempt<MutableBuffers, info_type>(into, about, 0),
                           std::forward<decltype(handler)>(handler));
          },
          std::forward<Token>(token), buffers, &info);
    }
  }

private:
  using transfer_signature = void(error_code, std::size_t);

  /// Whether Asio's own receive would do the wrong thing, or not report what is wrong.
  template <class Buffers>
  static bool attends_receive(state_type& state, const Buffers& buffers,
                              net::socket_base::message_flags how = 0)
  {
    state.notice();
    // Asio then waits for an exceptional condition, and does not look at the queue before.
    const bool is_out_of_band = (how & net::socket_base::message_out_of_band) != 0;
    return (state.attends_receives() && !is_out_of_band) || state.flags.coalescing ||
           has_too_many_pieces(buffers);
  }

  /// Repeats a nonblocking call until it has done something. A send is `addressed` if it names its
  /// destination.
  template <class Function>
  std::size_t until_done(net::socket_base::wait_type what, error_code& ec, Function function,
                         bool addressed = false)
  {
    blocking_wait waiting;
    for (;;) {
      const std::size_t size = function(ec);
      if (ec != net::error::would_block || self().state().socket.non_blocking()) return size;
      self().state().wait(what, waiting, ec, addressed);
      if (!ec) continue;
      if (ec == net::error::eof) ec.clear();  // as recv(2) reports it: no bytes, and no error
      return 0;
    }
  }

  template <class ConstBuffers>
  std::size_t send_asking(const ConstBuffers& buffers, const endpoint_type* peer,
                          const send_request& request, error_code& ec)
  {
    return until_done(
        net::socket_base::wait_write, ec,
        [&](error_code& failure) {
          return send_one(self().state(), buffers, peer, 0, failure, &request);
        },
        peer != nullptr);
  }

  /// The text names the peer, and the refused member of the request.
  template <class ConstBuffers, class Function>
  auto throwing_request(const char* what, const ConstBuffers& buffers, const endpoint_type* peer,
                        const send_request& request, Function function)
  {
    return throwing_by(
        [&](const error_code& ec) {
          this->throw_request(what, peer, request, payload_size(buffers), ec);
        },
        function);
  }

  template <class ConstBuffers, class Peer, class Token>
  auto async_send_request(const ConstBuffers& buffers, const Peer& peer,
                          const send_request& request, Token&& token)
  {
    if constexpr (are_buffers<ConstBuffers>()) {
      using attempt_type = send_attempt<ConstBuffers, Peer, send_request>;
      return initiate<transfer_signature>(
          self().target(),
          [](state_type& state, auto&& handler, const ConstBuffers& from, const Peer& to,
             const send_request& what) {
            start_transfer(state, attempt_type(from, to, 0, what),
                           std::forward<decltype(handler)>(handler));
          },
          std::forward<Token>(token), buffers, peer, request);
    }
  }

  friend Derived;
  single_operations() = default;

  Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
