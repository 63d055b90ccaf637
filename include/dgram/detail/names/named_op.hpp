// SPDX-License-Identifier: BSL-1.0
// The operation behind bind, connect and send by name: a lookup, then the call with its result.
#ifndef DGRAM_DETAIL_NAMES_NAMED_OP_HPP
#define DGRAM_DETAIL_NAMES_NAMED_OP_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/names/name_lookups.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A host and a service as the caller gave them, and what they mean without a lookup.
struct name_query {
  std::string host;
  std::string service;

  /// Returns the endpoint if both are numbers. Returns none and sets `ec` if they cannot be right.
  /// Otherwise returns none: they need a lookup. The name of a service contains a letter (RFC 6335,
  /// section 5.1).
  std::optional<net::ip::udp::endpoint> read(error_code& ec) const
  {
    const auto address = read_host(host, ec);
    if (ec) return std::nullopt;
    const bool is_named = std::any_of(service.begin(), service.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    std::uint16_t port = 0;
    if (!is_named)
      port = parse_port(service, ec);
    else if (service.find('\0') != std::string::npos)
      ec = error::bad_port;
    if (ec || is_named || !address) return std::nullopt;
    return net::ip::udp::endpoint(*address, port);
  }
};

// The actions on the endpoints. `check` says why an action cannot even begin.

struct bind_by_name {
  static constexpr bool takes_wildcard = true;

  template <class Handle>
  static error_code check(const Handle& socket)
  {
    return socket.is_open() ? error_code() : error_code(net::error::bad_descriptor);
  }

  template <class Handle, class Endpoints>
  static void apply(Handle& socket, const Endpoints& found, error_code& ec)
  {
    for (const auto& local : found) {
      socket.bind(local, ec);
      if (!ec) return;
    }
  }
};

struct connect_by_name {
  static constexpr bool takes_wildcard = false;

  template <class Handle>
  static error_code check(const Handle&)
  {
    return {};
  }

  template <class Handle, class Endpoints>
  static void apply(Handle& socket, const Endpoints& found, error_code& ec)
  {
    const bool was_open = socket.is_open();
    for (const auto& peer : found) {
      socket.connect(peer, ec);
      if (!ec) return;
      // The socket was opened for this peer's family, and the next peer may be of the other.
      error_code ignored;
      if (!was_open) socket.close(ignored);
    }
  }
};

template <class Buffers>
struct send_by_name {
  static constexpr bool takes_wildcard = false;

  Buffers buffers;
  net::socket_base::message_flags flags;

  template <class Handle>
  static error_code check(const Handle& socket)
  {
    return socket.is_open() ? error_code() : error_code(net::error::bad_descriptor);
  }
};

/// Reads the query, looks it up if necessary, and applies the action to the result. If `Resolver`
/// is void, one of Asio's is used.
template <class Resolver, class Handle, class Action>
class named_op {
  using endpoint_type = typename Handle::endpoint_type;

public:
  named_op(Handle socket, std::string_view host, std::string_view service, Resolver* resolver,
           Action action)
      : socket_(std::move(socket)),
        query_{std::string(host), std::string(service)},
        resolver_(resolver),
        action_(std::move(action))
  {
  }

  template <class Self>
  void operator()(Self& self, error_code = {})
  {
    switch (step_) {
    case step::launch:
      guard_.enter(socket().epoch());
      enable_cancellation(self, socket().lifetime());
      begin(self);
      return;
    case step::wait:
      // The end of any lookup wakes every lookup of the socket, so the wait's own result means
      // nothing.
      if (guard_.is_over(socket().epoch(), self.get_cancellation_state()))
        error_ = net::error::operation_aborted;
      else if (!lookup_->is_done())
        return wait(self);
      else
        take_results();
      act(self);
      return;
    case step::finish: complete(self);
    }
  }

  /// Called when the send has ended.
  template <class Self>
  void operator()(Self& self, error_code ec, std::size_t size)
  {
    self.complete(ec, size);
  }

private:
  enum class step : unsigned char { launch, wait, finish };

  static constexpr bool sends = !requires(Handle& socket, error_code& ec) {
    Action::apply(socket, std::vector<endpoint_type>(), ec);
  };

  // NOLINTBEGIN(bugprone-unchecked-optional-access): it is there until the operation completes
  Handle& socket() noexcept { return *socket_; }
  const Handle& socket() const noexcept { return *socket_; }
  // NOLINTEND(bugprone-unchecked-optional-access)

  template <class Self>
  void begin(Self& self)
  {
    error_ = action_.check(socket());
    if constexpr (Action::takes_wildcard)
      if (query_.host.empty() && !error_) query_.host = wildcard();
    std::optional<endpoint_type> literal;
    if (!error_) literal = query_.read(error_);
    if (literal && !is_of_family(*literal))
      error_ = net::error::address_family_not_supported;
    else if (literal)
      endpoints_.push_back(*literal);
    if (error_ || literal) return act(self);
    lookup_ =
        std::make_shared<lookup>([waiting = socket()]() mutable { lookup_access::wake(waiting); });
    const auto executor = socket().get_executor();
    if constexpr (std::is_void_v<Resolver>)
      lookup_->ask_system(executor, family(), query_.host, query_.service);
    else
      lookup_->ask(*resolver_, executor, family(), query_.host, query_.service);
    step_ = step::wait;
    wait(self);
  }

  template <class Self>
  void wait(Self& self)
  {
    const Handle waits_on = socket();
    lookup_access::async_wait(waits_on, std::move(self));
  }

  std::string wildcard() const
  {
    error_code ec;
    const auto protocol = socket().protocol(ec);
    return endpoint_type(protocol, 0).address().to_string();
  }

  /// Returns none for a socket that takes both families.
  std::optional<net::ip::udp> family() const
  {
    error_code closed;
    const auto protocol = socket().protocol(closed);
    if (closed || protocol.is_dual()) return std::nullopt;
    return net::ip::udp(protocol);
  }

  /// A closed socket takes any family, since connecting opens it.
  bool is_of_family(const endpoint_type& peer) const
  {
    const auto only = family();
    return !only || *only == peer.protocol();
  }

  void take_results()
  {
    error_ = lookup_->error();
    for (const auto& found : lookup_->found())
      if (is_of_family(found)) endpoints_.push_back(found);
    if (!error_ && endpoints_.empty()) error_ = net::error::host_not_found;
  }

  template <class Self>
  void act(Self& self)
  {
    lookup_.reset();
    if constexpr (sends) {
      if (!error_) return send(self);
    } else {
      if (!error_) action_.apply(socket(), endpoints_, error_);
    }
    if (step_ == step::wait) {
      complete(self);
    } else {
      step_ = step::finish;
      const auto executor = socket().get_executor();
      resume_later(executor, std::move(self));
    }
  }

  template <class Self>
  void send(Self& self)
  {
    const Handle socket = this->socket();
    socket_.reset();
    const Action action = action_;
    auto endpoints = std::exchange(endpoints_, {});
    query_ = {};
    lookup_access::async_send_to_first(socket, action.buffers, std::move(endpoints), action.flags,
                                       std::move(self));
  }

  template <class Self>
  void complete(Self& self)
  {
    // Releases the socket before the handler runs: the handler may destroy it and expect the
    // descriptor to be free.
    socket_.reset();
    endpoints_ = {};
    query_ = {};
    if constexpr (sends)
      self.complete(error_, std::size_t{0});
    else
      self.complete(error_);
  }

  std::optional<Handle> socket_;  // empty once it is not needed any more
  name_query query_;
  Resolver* resolver_;
  Action action_;
  std::shared_ptr<lookup> lookup_;
  std::vector<endpoint_type> endpoints_;
  error_code error_;
  epoch_guard guard_;
  step step_ = step::launch;
};

template <class Signature, class Socket, class Resolver, class Action, class Token>
auto start_named(Socket& socket, std::string_view host, std::string_view service,
                 Resolver* resolver, Action action, Token&& token)
{
  using handle_type = typename Socket::handle_type;
  const auto executor = socket.get_executor();
  return net::async_compose<Token, Signature>(
      named_op<Resolver, handle_type, Action>(socket.handle(), host, service, resolver,
                                              std::move(action)),
      token, executor);
}

/// Stands for one of Asio's resolvers.
inline constexpr void* system_resolver = nullptr;

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
