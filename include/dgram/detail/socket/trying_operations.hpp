// SPDX-License-Identifier: BSL-1.0
// The operations on one datagram that never block.
#ifndef DGRAM_DETAIL_SOCKET_TRYING_OPERATIONS_HPP
#define DGRAM_DETAIL_SOCKET_TRYING_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/single_transfer.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/send_options.hpp>

#include <cstddef>
#include <optional>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Derived` has a `state()`, for which there are `send_one` and `receive_one`. Sockets of the
/// system and simulated ones share this.
template <class Derived, class Protocol>
class trying_operations {
  using endpoint_type = typename Protocol::endpoint;

public:
  // --- one datagram, never blocking ---
  //
  // With `error_code&`, the error is `would_block` if nothing can be done now. Without it, the
  // result is an empty optional instead, and other errors are thrown.

  template <class ConstBuffers>
  std::size_t try_send(const ConstBuffers& buffers, error_code& ec)
  {
    return send_one(self().state(), buffers, static_cast<const endpoint_type*>(nullptr), 0, ec);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send(const ConstBuffers& buffers)
  {
    return throwing_unless_blocked_by(
        [&](const error_code& ec) { throw_send("try_send", nullptr, payload_size(buffers), ec); },
        [&](error_code& ec) { return try_send(buffers, ec); });
  }

  template <class ConstBuffers>
  std::size_t try_send(const ConstBuffers& buffers, const send_options& options, error_code& ec)
  {
    const send_request request(options);
    return send_one(self().state(), buffers, static_cast<const endpoint_type*>(nullptr), 0, ec,
                    &request);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send(const ConstBuffers& buffers, const send_options& options)
  {
    return try_request("try_send", buffers, nullptr, send_request(options));
  }

  template <class ConstBuffers>
  std::size_t try_send_to(const ConstBuffers& buffers, const endpoint_type& peer, error_code& ec)
  {
    return send_one(self().state(), buffers, &peer, 0, ec);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send_to(const ConstBuffers& buffers, const endpoint_type& peer)
  {
    return throwing_unless_blocked_by(
        [&](const error_code& ec) { throw_send("try_send_to", &peer, payload_size(buffers), ec); },
        [&](error_code& ec) { return try_send_to(buffers, peer, ec); });
  }

  template <class ConstBuffers>
  std::size_t try_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                          const send_options& options, error_code& ec)
  {
    const send_request request(options);
    return send_one(self().state(), buffers, &peer, 0, ec, &request);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                                         const send_options& options)
  {
    return try_request("try_send_to", buffers, &peer, send_request(options));
  }

  template <class ConstBuffers>
  std::size_t try_send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                          error_code& ec)
  {
    const send_request request(path);
    return send_one(self().state(), buffers, &path.peer, 0, ec, &request);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send_to(const ConstBuffers& buffers,
                                         const basic_reply_path<Protocol>& path)
  {
    return try_request("try_send_to", buffers, &path.peer, send_request(path));
  }

  template <class MutableBuffers>
  std::size_t try_receive(const MutableBuffers& buffers, error_code& ec)
  {
    return receive_one(self().state(), buffers, static_cast<endpoint_type*>(nullptr), 0, ec);
  }

  template <class MutableBuffers>
  std::optional<std::size_t> try_receive(const MutableBuffers& buffers)
  {
    return throwing_unless_blocked("try_receive",
                                   [&](error_code& ec) { return try_receive(buffers, ec); });
  }

  template <class MutableBuffers>
  std::size_t try_receive_from(const MutableBuffers& buffers, endpoint_type& sender, error_code& ec)
  {
    return receive_one(self().state(), buffers, &sender, 0, ec);
  }

  template <class MutableBuffers>
  std::optional<std::size_t> try_receive_from(const MutableBuffers& buffers, endpoint_type& sender)
  {
    return throwing_unless_blocked(
        "try_receive_from", [&](error_code& ec) { return try_receive_from(buffers, sender, ec); });
  }

  template <class MutableBuffers>
  std::size_t try_receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info,
                               error_code& ec)
  {
    return receive_one(self().state(), buffers, &info, 0, ec);
  }

  template <class MutableBuffers>
  std::optional<std::size_t> try_receive_from(const MutableBuffers& buffers,
                                              basic_datagram_info<Protocol>& info)
  {
    return throwing_unless_blocked(
        "try_receive_from", [&](error_code& ec) { return try_receive_from(buffers, info, ec); });
  }

protected:
  // NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility): a base of Derived's bases
  trying_operations() = default;

  template <class ConstBuffers>
  std::optional<std::size_t> try_request(const char* what, const ConstBuffers& buffers,
                                         const endpoint_type* peer, const send_request& request)
  {
    return throwing_unless_blocked_by(
        [&](const error_code& ec) {
          throw_request(what, peer, request, payload_size(buffers), ec);
        },
        [&](error_code& ec) { return send_one(self().state(), buffers, peer, 0, ec, &request); });
  }

  /// The text names the peer. If the payload was too large, it says how large, and what fits.
  DGRAM_COLD void throw_send(const char* what, const endpoint_type* peer, const payload_size& size,
                             const error_code& ec)
  {
    std::string call = describe_call(what, peer);
    if (ec == net::error::message_size)
      call.append(size.template describe<Protocol>(is_sent_over_ipv4(peer)));
    throw_if(ec, call.c_str());
  }

  DGRAM_COLD void throw_request(const char* what, const endpoint_type* peer,
                                const send_request& request, const payload_size& size,
                                const error_code& ec)
  {
    const auto refused = request.template check<Protocol>(is_sent_over_ipv4(peer));
    if (ec == error_code(refused)) throw_if(refused, describe_call(what, peer).c_str());
    throw_send(what, peer, size, ec);
  }

private:
  static std::string describe_call(const char* what, const endpoint_type* peer)
  {
    std::string call(what);
    if (peer != nullptr) call.append(" \"").append(to_string(*peer)).append("\"");
    return call;
  }

  bool is_sent_over_ipv4(const endpoint_type* peer)
  {
    return peer != nullptr ? is_ipv4(*peer) : self().state().has_ipv4_peer();
  }

  Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
