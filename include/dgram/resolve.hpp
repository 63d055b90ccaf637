// SPDX-License-Identifier: BSL-1.0
// Names and services in place of endpoints: they are looked up without blocking the thread.
#ifndef DGRAM_RESOLVE_HPP
#define DGRAM_RESOLVE_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/cancellation.hpp>
#include <dgram/detail/initiation.hpp>
#include <dgram/detail/transfer_op.hpp>
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

/// Takes whatever a resolver has found.
struct any_results_handler {
  template <class Results>
  void operator()(const error_code&, const Results&) const
  {
  }
};

}  // namespace detail

/// What looks names up: `resolver.async_resolve(host, service, handler)` starts a lookup, and calls the handler later and
/// once, by its associated executor and never inside that call, with an `error_code` and a range of what converts to
/// `asio::ip::udp::endpoint`, in the order in which they are to be tried. It copies the two texts. Where it also has
/// `async_resolve(protocol, host, service, handler)`, that is called for a socket of one family only. Asio's
/// resolvers are such; so may be a cache, a stub in a test, or a client of c-ares.
template <class Resolver>
concept name_resolver =
    requires(Resolver& resolver, const std::string& text, detail::any_results_handler handler) {
      resolver.async_resolve(text, text, handler);
    };

namespace detail {

/// A host and a service as they were given, and what can be said of them without a lookup.
struct name_query {
  std::string host;
  std::string service;

  /// The endpoints, where both are numbers; `ec` where they cannot be right; else they are to be looked up. What has
  /// the form of an address is one, or wrong: no name has a colon, or digits and dots alone. A service has a letter
  /// (RFC 6335, section 5.1).
  std::optional<net::ip::udp::endpoint> read(error_code& ec) const
  {
    const bool is_literal = host.find(':') != std::string::npos || only_has(host, "0123456789.");
    net::ip::address address;
    if (is_literal)
      address = parse_address(host, ec);
    else if (host.empty() || host.find('\0') != std::string::npos)
      ec = error::bad_address;
    if (ec) return std::nullopt;
    const bool is_named = std::any_of(service.begin(), service.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    std::uint16_t port = 0;
    if (!is_named)
      port = parse_port(service, ec);
    else if (service.find('\0') != std::string::npos)
      ec = error::bad_port;
    if (ec || is_named || !is_literal) return std::nullopt;
    return net::ip::udp::endpoint(address, port);
  }
};

/// A lookup under way. Whoever abandons it drops the block; the resolver's handler then finds nobody to tell.
/// `Resolver` is a reference to the caller's, or a type of resolver that lives here.
template <class Resolver, class Handle>
struct lookup {
  using endpoint_type = typename Handle::endpoint_type;
  using native_protocol = typename Handle::protocol_type::native_protocol;

  template <class From>
  lookup(From& from, const Handle& socket) : resolver(from), handle(socket)
  {
  }

  Resolver resolver;
  Handle handle;
  bool done = false;
  error_code error;
  std::vector<endpoint_type> found;

  static void start(const std::shared_ptr<lookup>& block, const name_query& query)
  {
    auto handler = net::bind_executor(
        block->handle.get_executor(),
        [weak = std::weak_ptr<lookup>(block)](const error_code& ec, const auto& results) {
          const auto self = weak.lock();
          if (!self) return;
          self->done = true;
          self->error = ec;
          for (const auto& result : results)
            self->found.push_back(static_cast<endpoint_type>(result));
          self->handle.wake_lookups();
        });
    auto& asked = block->resolver;
    if constexpr (requires(native_protocol family) {
                    asked.async_resolve(family, query.host, query.service, std::move(handler));
                  }) {
      error_code closed;
      const auto protocol = block->handle.protocol(closed);
      if (!closed && !protocol.is_dual()) {
        asked.async_resolve(native_protocol(protocol), query.host, query.service,
                            std::move(handler));
        return;
      }
    }
    asked.async_resolve(query.host, query.service, std::move(handler));
  }
};

// What is done with the endpoints: `check` says why it need not even be begun.

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
  static error_code check(const Handle& socket)
  {
    return socket.is_connected() ? error_code(net::error::already_connected) : error_code();
  }

  template <class Handle, class Endpoints>
  static void apply(Handle& socket, const Endpoints& found, error_code& ec)
  {
    const bool was_open = socket.is_open();
    for (const auto& peer : found) {
      socket.connect(peer, ec);
      if (!ec) return;
      // Opened for this peer's family, and the next one may be of the other.
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
    if (!socket.is_open()) return net::error::bad_descriptor;
    return socket.is_connected() ? error_code(net::error::already_connected) : error_code();
  }
};

/// Reads the query, has it looked up where that is needed, and does what is to be done with the result.
template <class Resolver, class Handle, class Action>
class named_op {
  using endpoint_type = typename Handle::endpoint_type;
  using lookup_type = lookup<Resolver, Handle>;
  using source_type =
      std::conditional_t<std::is_reference_v<Resolver>, std::remove_reference_t<Resolver>,
                         typename Handle::executor_type>;

public:
  /// `source` is the caller's resolver, or null where one is to be made.
  named_op(Handle socket, std::string_view host, std::string_view service, source_type* source,
           Action action)
      : socket_(std::move(socket)),
        query_{std::string(host), std::string(service)},
        source_(source),
        action_(std::move(action))
  {
  }

  template <class Self>
  void operator()(Self& self, error_code = {})
  {
    switch (step_) {
    case step::launch:
      epoch_ = socket().epoch();
      enable_cancellation(self, socket().lifetime());
      begin(self);
      return;
    case step::wait:
      // Every lookup of the socket is woken when one has ended, so what the wait itself says means nothing.
      if (socket().epoch() != epoch_ ||
          self.get_cancellation_state().cancelled() != net::cancellation_type::none)
        error_ = net::error::operation_aborted;
      else if (!lookup_->done)
        return wait(self);
      else
        take_results();
      act(self);
      return;
    case step::finish: complete(self);
    }
  }

  /// The end of the send.
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
    if constexpr (std::is_reference_v<Resolver>) {
      lookup_ = std::make_shared<lookup_type>(*source_, socket());
    } else {
      auto executor = socket().get_executor();
      lookup_ = std::make_shared<lookup_type>(executor, socket());
    }
    lookup_type::start(lookup_, query_);
    step_ = step::wait;
    wait(self);
  }

  template <class Self>
  void wait(Self& self)
  {
    const Handle waits_on = socket();
    waits_on.async_wait_lookup(std::move(self));
  }

  std::string wildcard() const
  {
    error_code ec;
    const auto protocol = socket().protocol(ec);
    return endpoint_type(protocol, 0).address().to_string();
  }

  /// A closed socket is opened for what it is connected to.
  bool is_of_family(const endpoint_type& peer) const
  {
    error_code closed;
    const auto protocol = socket().protocol(closed);
    return closed || protocol.is_dual() || protocol.family() == peer.protocol().family();
  }

  void take_results()
  {
    error_ = lookup_->error;
    for (const auto& found : lookup_->found)
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
    socket.async_send_to_first(action.buffers, std::move(endpoints), action.flags, std::move(self));
  }

  template <class Self>
  void complete(Self& self)
  {
    // Released before the handler runs: it may destroy the socket and expect the descriptor to be free.
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
  source_type* source_;
  Action action_;
  std::shared_ptr<lookup_type> lookup_;
  std::vector<endpoint_type> endpoints_;
  error_code error_;
  std::uint64_t epoch_ = 0;
  step step_ = step::launch;
};

template <class Signature, class Resolver, class Socket, class Source, class Action, class Token>
auto start_named(Socket& socket, std::string_view host, std::string_view service, Source* source,
                 Action action, Token&& token)
{
  using handle_type = typename Socket::handle_type;
  const auto executor = socket.get_executor();
  return net::async_compose<Token, Signature>(
      named_op<Resolver, handle_type, Action>(socket.handle(), host, service, source,
                                              std::move(action)),
      token, executor);
}

/// With Asio's own resolver.
template <class Signature, class Protocol, class Executor, class Action, class Token>
auto start_named(basic_socket<Protocol, Executor>& socket, std::string_view host,
                 std::string_view service, Action action, Token&& token)
{
  using resolver_type = net::ip::basic_resolver<typename Protocol::native_protocol, Executor>;
  return start_named<Signature, resolver_type>(socket, host, service,
                                               static_cast<Executor*>(nullptr), std::move(action),
                                               std::forward<Token>(token));
}

}  // namespace detail

// Of all of these functions: `host` is an address, or a name to be looked up; `service` is a port number, or a name such as
// "domain". Both are copied. Where both are numbers no resolver is asked (a service name with an address is: it is in
// the system's tables). What a resolver has found is tried in its order, as far as it is of the socket's
// family: IPv4, IPv6, or on a dual-stack or closed socket both. The last one's error is reported.
//
// Without a resolver it is Asio's, which calls getaddrinfo(3) in a thread of its own, one lookup after the other, for all
// sockets of the context. A resolver that is passed must stay until completion.
//
// Errors, all at completion: those of the resolver (`host_not_found`, `service_not_found`, ...);
// `host_not_found` where nothing of the socket's family was found; `address_family_not_supported` (an address of
// another family); `error::bad_address`, `error::unknown_interface` and `error::bad_port` for text that can be neither an
// address nor a name; `operation_aborted`; and those of the operation itself.
//
// Cancellation: terminal, partial and total, also by `cancel`, `close`, `release` and the end of the socket, complete the
// operation at once; nothing was done then. The lookup is abandoned. Asio's own cannot be stopped: the context's
// `run` returns, and its destructor too, only when getaddrinfo has.
//
// The socket may be moved, closed or destroyed meanwhile. Thread safety: as the socket's. A lookup allocates memory.

/// Binds to an address by name; without a host to the wildcard of the socket's family.
///
/// Completion: `void(error_code)`. Errors: see above; `bad_descriptor`, and those of bind(2).
///
/// \code
/// co_await dgram::async_bind(socket, "localhost", "5353", asio::use_awaitable);
/// \endcode
template <detail::ip_protocol Protocol, class Executor,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_bind(basic_socket<Protocol, Executor>& socket, std::string_view host,
                std::string_view service, Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code)>(socket, host, service, detail::bind_by_name(),
                                               std::forward<Token>(token));
}

/// The same with a resolver.
template <detail::ip_protocol Protocol, class Executor, name_resolver Resolver,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
auto async_bind(basic_socket<Protocol, Executor>& socket, std::string_view host,
                std::string_view service, Resolver& resolver,
                Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code), Resolver&>(
      socket, host, service, &resolver, detail::bind_by_name(), std::forward<Token>(token));
}

/// Connects to a peer by name, and opens a closed socket. Where none of the peers can be connected to, the socket is as it
/// was; but a closed one has been open meanwhile, which ends what else was pending on it, such as another lookup, with
/// `operation_aborted`.
///
/// Completion: `void(error_code)`. Errors: see above; `already_connected`, `error::bad_port` (0), and those of connect(2).
///
/// \code
/// co_await dgram::async_connect(socket, "dns.example.net", "domain", asio::use_awaitable);
/// \endcode
template <detail::ip_protocol Protocol, class Executor,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_connect(basic_socket<Protocol, Executor>& socket, std::string_view host,
                   std::string_view service, Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code)>(socket, host, service, detail::connect_by_name(),
                                               std::forward<Token>(token));
}

/// The same with a resolver.
template <detail::ip_protocol Protocol, class Executor, name_resolver Resolver,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
auto async_connect(basic_socket<Protocol, Executor>& socket, std::string_view host,
                   std::string_view service, Resolver& resolver,
                   Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code), Resolver&>(
      socket, host, service, &resolver, detail::connect_by_name(), std::forward<Token>(token));
}

/// Sends one datagram to a peer by name: the first that is not refused. The buffers' memory must stay until completion. It
/// waits while the send queue is full or the kernel has no buffer space.
///
/// Completion: `void(error_code, std::size_t)`, with the bytes sent. Errors: see above; `bad_descriptor`,
/// `already_connected`, and those of sendto(2).
///
/// \code
/// co_await dgram::async_send_to(socket, asio::buffer(query), "dns.example.net", "53", asio::use_awaitable);
/// \endcode
template <
    detail::ip_protocol Protocol, class Executor, class ConstBuffers,
    net::completion_token_for<void(error_code, std::size_t)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_send_to(basic_socket<Protocol, Executor>& socket, const ConstBuffers& buffers,
                   std::string_view host, std::string_view service,
                   Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code, std::size_t)>(
      socket, host, service, detail::send_by_name<ConstBuffers>{buffers, 0},
      std::forward<Token>(token));
}

/// The same with a resolver.
template <
    detail::ip_protocol Protocol, class Executor, class ConstBuffers, name_resolver Resolver,
    net::completion_token_for<void(error_code, std::size_t)> Token = default_token_t<Executor>>
auto async_send_to(basic_socket<Protocol, Executor>& socket, const ConstBuffers& buffers,
                   std::string_view host, std::string_view service, Resolver& resolver,
                   Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code, std::size_t), Resolver&>(
      socket, host, service, &resolver, detail::send_by_name<ConstBuffers>{buffers, 0},
      std::forward<Token>(token));
}

DGRAM_NAMESPACE_END

#endif
