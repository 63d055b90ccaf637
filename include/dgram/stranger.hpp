// SPDX-License-Identifier: BSL-1.0
// A peer without a session, as the function of a listener for strangers sees it.
#ifndef DGRAM_STRANGER_HPP
#define DGRAM_STRANGER_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/error.hpp>
#include <dgram/fwd.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

/// The sender of a datagram that has no session yet. Its address may be forged, so its answers are
/// never larger than the datagram. Valid during the call.
template <class Protocol>
class basic_stranger {
public:
  using endpoint_type = typename Protocol::endpoint;

  basic_stranger(const basic_stranger&) = delete;
  basic_stranger& operator=(const basic_stranger&) = delete;

  const endpoint_type& sender() const noexcept { return received_->sender(); }

  /// Answers the datagram, with a cookie for example. Returns false, and the listener counts it, if
  /// the answers to this datagram would have more bytes than the datagram, or if there is no room.
  bool reply(bytes_view payload)
  {
    error_code ec;
    const auto path = received_->reply_path(ec);
    if (!ec && payload.size() <= left_ && send_(listener_, path, payload)) {
      left_ -= payload.size();
      return true;
    }
    ++refused_;
    return false;
  }

  /// The peer has proved its address. Its session, if the function lets it have one, begins as
  /// after `session::mark_validated`.
  void mark_validated() noexcept { is_validated_ = true; }

private:
  template <class, class>
  friend class detail::listener_core;

  using send_function = bool (*)(void*, const basic_reply_path<Protocol>&, bytes_view);

  basic_stranger(const basic_datagram<Protocol>& received, send_function send, void* listener)
      : received_(&received), send_(send), listener_(listener), left_(received.payload().size())
  {
  }

  const basic_datagram<Protocol>* received_;
  send_function send_;
  void* listener_;
  std::size_t left_;
  std::size_t refused_ = 0;
  bool is_validated_ = false;
};

using stranger = basic_stranger<udp>;

DGRAM_NAMESPACE_END

#endif
