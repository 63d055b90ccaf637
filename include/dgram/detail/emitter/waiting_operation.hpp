// SPDX-License-Identifier: BSL-1.0
// Operations that wait for a bind, a connect or a name.
#ifndef DGRAM_DETAIL_EMITTER_WAITING_OPERATION_HPP
#define DGRAM_DETAIL_EMITTER_WAITING_OPERATION_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/completion.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/emitter/backlog.hpp>
#include <dgram/detail/emitter/send_queue.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Where something is to go: to an endpoint, or to the address that a name stands for, or to the connected peer. An answer
/// has an endpoint, and keeps the way back.
template <class Protocol>
struct target {
  using path_type = basic_reply_path<Protocol>;

  std::optional<path_type> path;
  std::string name;
  std::uint16_t port = 0;

  static target of(const typename Protocol::endpoint& endpoint)
  {
    return {path_type{endpoint}, {}, 0};
  }

  bool is_peer() const noexcept { return !path && name.empty(); }
};

/// The same for the length of a call, at little cost where the endpoint is known: it refers to the name.
template <class Protocol>
class destination {
public:
  using endpoint_type = typename Protocol::endpoint;
  using path_type = basic_reply_path<Protocol>;

  /// The connected peer.
  destination() noexcept = default;
  destination(const endpoint_type& endpoint) noexcept : path_{endpoint}, known_(true) {}
  destination(const path_type& path) noexcept : path_(path), known_(true) {}
  destination(const net::ip::address& address, std::uint16_t port)
      : path_{endpoint_type(address, port)}, known_(true)
  {
  }
  destination(std::string_view name, std::uint16_t port) noexcept : name_(name), port_(port) {}

  bool is_name() const noexcept { return !name_.empty(); }
  const endpoint_type& endpoint() const noexcept { return path_.peer; }

  /// Null for the connected peer, and for a name.
  const path_type* path() const noexcept { return known_ ? &path_ : nullptr; }

  target<Protocol> keep() const
  {
    if (known_) return {path_, {}, 0};
    return {std::nullopt, std::string(name_), port_};
  }

private:
  path_type path_;
  bool known_ = false;
  std::string_view name_;
  std::uint16_t port_ = 0;
};

/// Nothing is what a cancelled operation is to do.
enum class action : unsigned char { nothing, bind, connect, send, close };

template <class Protocol>
struct waiting_operation {
  action kind = action::nothing;
  target<Protocol> to = {};
  waiting_send<Protocol> send = {};
  std::uint32_t number = 0;  // of the bind or the connect
  backlog_place place = {};  // of the send

  const char* name() const noexcept
  {
    switch (kind) {
    case action::bind: return "bind";
    case action::connect: return "connect";
    default: return "send";
    }
  }
};

/// Takes a send out of a range of operations; null where it is none of them.
template <class Operations>
send_completion_ptr withdraw_send(Operations& waiting, const task* done)
{
  for (auto& each : waiting) {
    if (each.send.done.get() != done) continue;
    send_completion_ptr found = std::move(each.send.done);
    each = {};
    return found;
  }
  return nullptr;
}

/// A bind or a connect: how far it is, and who is told of its end.
struct milestone {
  enum class phase : unsigned char { none, pending, done };

  phase at = phase::none;
  completion_ptr<> done;
  listener_id listener;      // a callback; it is forgotten where what it listens for is not to be
  std::uint32_t number = 0;  // counts those that were begun and those that came to nothing

  void begin(completion<>* with)
  {
    at = phase::pending;
    done.reset(with);
    ++number;
  }

  void give_up()
  {
    at = phase::none;
    ++number;
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
