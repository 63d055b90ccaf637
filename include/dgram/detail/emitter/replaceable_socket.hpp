// SPDX-License-Identifier: BSL-1.0
// An emitter's descriptor: opened as the options say, given up in a pause, and replaced after it.
#ifndef DGRAM_DETAIL_EMITTER_REPLACEABLE_SOCKET_HPP
#define DGRAM_DETAIL_EMITTER_REPLACEABLE_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/emitter/family.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>
#include <dgram/socket_options.hpp>

#include <functional>
#include <memory>
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
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;

  replaceable_socket(Socket& socket, const socket_options& options,
                     const family<protocol_type>& addresses) noexcept
      : socket_(socket), options_(options), family_(addresses)
  {
  }

  void open(error_code& ec) { open(socket_, ec); }

  /// Takes over a descriptor.
  void adopt(int descriptor, error_code& ec)
  {
    ec.clear();
    if (options_.file_mode != 0) ec = net::error::invalid_argument;
    if (!ec) assign(descriptor, ec);
    // A descriptor that is no socket is the wrong kind of descriptor too.
    if (ec == net::error::not_socket) ec = error::wrong_descriptor;
    if (ec) return;
    error_code ignored;
    if constexpr (is_ip) socket_.set_option(option::reuse_address(true), ignored);
    configure(socket_, ignored);
  }

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
    if (!socket_.is_open()) open(ec);
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
    open(substitute, ec);
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
  /// Calls `opened` between opening and binding. Returns the address of the bind.
  template <class Function>
  endpoint_type resume(Function opened, error_code& ec)
  {
    const ends before = std::move(*std::exchange(ends_, nullptr));
    const auto open_again = [&] {
      open(ec);
      if (!ec) opened(before.local);
      if (!ec) socket_.bind(before.local, ec);
      set_again(socket_, ec);
      if (!ec && before.peer) socket_.connect(*before.peer, ec);
    };
    unless_no_memory(open_again, [&] { ec = net::error::no_memory; });
    return before.local;
  }

private:
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  struct ends {
    endpoint_type local;
    std::optional<endpoint_type> peer;
  };

  struct setting {
    std::string key;
    std::function<void(Socket&, error_code&)> apply;
  };

  void open(Socket& socket, error_code& ec) const
  {
    socket.open(family_.protocol(),
                {.reuse_address = options_.reuse_addr,
                 .reuse_port = options_.reuse_port,
                 .v6_only = options_.ipv6_only,
                 .file_mode = options_.file_mode},
                ec);
    if (!ec) configure(socket, ec);
    error_code not_here;
    if (!ec && options_.coalesce) socket.handle().set_coalescing(true, not_here);
  }

  void configure(Socket& socket, error_code& ec) const
  {
    if constexpr (!is_ip)
      if (options_.credentials) socket.set_option(option::receive_credentials(true), ec);
    if (!ec && options_.recv_buffer_size > 0)
      socket.set_receive_buffer_size(static_cast<int>(options_.recv_buffer_size), ec);
    if (!ec && options_.send_buffer_size > 0)
      socket.set_send_buffer_size(static_cast<int>(options_.send_buffer_size), ec);
  }

  /// Looks at the descriptor itself, not at the declared type.
  void assign(int descriptor, error_code& ec)
  {
    if constexpr (is_ip) {
      socket_.assign(protocol_type::v4(), descriptor, ec);
      if (ec == error::wrong_descriptor) socket_.assign(protocol_type::v6(), descriptor, ec);
    } else {
      socket_.assign(protocol_type(), descriptor, ec);
    }
  }

  void set_again(Socket& socket, error_code& ec) const
  {
    for (const auto& each : settings_)
      if (!ec) each.apply(socket, ec);
  }

  Socket& socket_;
  const socket_options& options_;
  const family<protocol_type>& family_;
  std::unique_ptr<ends> ends_;  // set while the socket is paused
  std::vector<setting> settings_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
