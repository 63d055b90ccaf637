// SPDX-License-Identifier: BSL-1.0
// What a paused socket was, and what was set on it, so that another can take its place.
#ifndef DGRAM_DETAIL_EMITTER_REPLACEABLE_SOCKET_HPP
#define DGRAM_DETAIL_EMITTER_REPLACEABLE_SOCKET_HPP

#include <dgram/config.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Socket>
class pausing {
public:
  using endpoint_type = typename Socket::protocol_type::endpoint;

  struct ends {
    endpoint_type local;
    std::optional<endpoint_type> peer;
  };

  bool is_paused() const noexcept { return ends_ != nullptr; }

  /// Where the paused socket was bound and connected.
  const ends& kept() const noexcept { return *ends_; }

  /// Notes where the socket is, which is to be closed then.
  void pause(Socket& socket, bool connected)
  {
    error_code ignored;
    ends_ = std::make_unique<ends>();
    ends_->local = socket.local_endpoint(ignored);
    if (connected) ends_->peer = socket.remote_endpoint(ignored);
  }

  /// Changes the peer that there will be.
  void keep_peer(const std::optional<endpoint_type>& peer) { ends_->peer = peer; }

  ends resume() { return std::move(*std::exchange(ends_, nullptr)); }

  struct setting {
    std::string key;
    std::function<void(Socket&, error_code&)> apply;
  };

  /// A setting that can be kept without memory of its own; `key` names what it replaces.
  template <class Apply>
  setting prepare(std::string key, const Apply& apply)
  {
    settings_.reserve(settings_.size() + 1);
    return {std::move(key), apply};
  }

  /// Keeps a setting, which a pause is to outlast.
  void keep(setting kept)
  {
    unset(kept.key);
    settings_.push_back(std::move(kept));
  }

  void unset(const std::string& key)
  {
    std::erase_if(settings_, [&](const auto& each) { return each.key == key; });
  }

  /// Sets all of it on the socket that takes over, unless there is an error already.
  void set_again(Socket& socket, error_code& ec) const
  {
    for (const auto& each : settings_)
      if (!ec) each.apply(socket, ec);
  }

private:
  std::unique_ptr<ends> ends_;
  std::vector<setting> settings_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
