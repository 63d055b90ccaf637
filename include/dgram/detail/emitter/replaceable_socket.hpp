// SPDX-License-Identifier: BSL-1.0
// Remembers the addresses and settings of a paused socket, so that a new one can replace it.
#ifndef DGRAM_DETAIL_EMITTER_REPLACEABLE_SOCKET_HPP
#define DGRAM_DETAIL_EMITTER_REPLACEABLE_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/emitter/opener.hpp>
#include <dgram/error.hpp>
#include <dgram/socket_options.hpp>

#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A socket that can give up its descriptor for a while. During that time it
/// - returns the same local address and peer as before;
/// - accepts another peer;
/// - tries options on a temporary descriptor.
template <class Socket>
class replaceable_socket {
public:
  using endpoint_type = typename Socket::protocol_type::endpoint;

  replaceable_socket(Socket& socket, const socket_options& options, family<Socket>& opener) noexcept
      : socket_(socket), options_(options), family_(opener)
  {
  }
  replaceable_socket(const replaceable_socket&) = delete;
  replaceable_socket& operator=(const replaceable_socket&) = delete;

  bool is_paused() const noexcept { return ends_ != nullptr; }

  endpoint_type local_endpoint(error_code& ec) const
  {
    if (!is_paused()) return socket_.local_endpoint(ec);
    ec.clear();
    return ends_->local;
  }

  endpoint_type remote_endpoint(error_code& ec) const
  {
    if (!is_paused() || !ends_->peer) return socket_.remote_endpoint(ec);
    ec.clear();
    return *ends_->peer;
  }

  /// On a paused socket, sets the peer for the next descriptor.
  void connect(const endpoint_type& peer, error_code& ec)
  {
    ec.clear();
    if (is_paused()) {
      ends_->peer = peer;
      return;
    }
    if (!socket_.is_open()) family_.open(ec);
    // The kernel would replace a peer that the socket got in another way.
    if (!ec && socket_.handle().is_connected()) ec = net::error::already_connected;
    if (!ec) socket_.connect(peer, ec);
  }

  void disconnect(error_code& ec)
  {
    ec.clear();
    if (is_paused())
      ends_->peer.reset();
    else
      socket_.disconnect(ec);
  }

  template <class Function>
  void with_socket(const Function& function, error_code& ec)
  {
    ec.clear();
    if (!is_paused()) {
      function(socket_, ec);
      return;
    }
    Socket substitute(socket_.get_executor());
    family<Socket>(substitute, options_).open(ec);
    set_again(substitute, ec);
    if (!ec) function(substitute, ec);
  }

  /// Applies a setting that outlasts a pause. It replaces the setting with the same `key`.
  template <class Apply>
  void set(std::string key, const Apply& apply, error_code& ec)
  {
    // Reserves memory first, so that a setting that was applied can always be kept.
    settings_.reserve(settings_.size() + 1);
    setting kept{std::move(key), apply};
    with_socket(apply, ec);
    if (ec) return;
    unset(kept.key);
    settings_.push_back(std::move(kept));
  }

  void unset(const std::string& key)
  {
    std::erase_if(settings_, [&](const auto& each) { return each.key == key; });
  }

  /// Remembers the addresses of the socket, and closes it.
  void pause(bool connected)
  {
    error_code ignored;
    auto where = std::make_unique<ends>();
    where->local = socket_.local_endpoint(ignored);
    if (connected) where->peer = socket_.remote_endpoint(ignored);
    ends_ = std::move(where);
    socket_.close(ignored);
  }

  /// Opens a new descriptor. Afterwards the socket is not paused any more, even if this fails.
  /// Calls `open` between opening and binding. Returns the address of the bind.
  template <class Function>
  endpoint_type resume(Function open, error_code& ec)
  {
    const ends before = std::move(*std::exchange(ends_, nullptr));
    try {
      family_.open(ec);
      if (!ec) open(before.local);
      if (!ec) socket_.bind(before.local, ec);
      set_again(socket_, ec);
      if (!ec && before.peer) socket_.connect(*before.peer, ec);
    } catch (const std::bad_alloc&) {
      ec = net::error::no_memory;
    }
    return before.local;
  }

private:
  struct ends {
    endpoint_type local;
    std::optional<endpoint_type> peer;
  };

  struct setting {
    std::string key;
    std::function<void(Socket&, error_code&)> apply;
  };

  void set_again(Socket& socket, error_code& ec) const
  {
    for (const auto& each : settings_)
      if (!ec) each.apply(socket, ec);
  }

  Socket& socket_;
  const socket_options& options_;
  family<Socket>& family_;
  std::unique_ptr<ends> ends_;  // set while the socket is paused
  std::vector<setting> settings_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
