// SPDX-License-Identifier: BSL-1.0
// Connecting to the first of several endpoints, as Asio's functions of these names do for its
// sockets.
#ifndef DGRAM_CONNECT_HPP
#define DGRAM_CONNECT_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/error.hpp>

#include <concepts>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Points to endpoints, or to what converts to one, such as an entry of a resolver's results.
template <class Iterator, class Protocol>
concept endpoint_iterator = requires(Iterator position) {
  { *position } -> std::convertible_to<typename Protocol::endpoint>;
  ++position;
  { position == position } -> std::convertible_to<bool>;
};

template <class Endpoints, class Protocol>
concept endpoint_range = requires(const Endpoints& endpoints) {
  { endpoints.begin() } -> endpoint_iterator<Protocol>;
  endpoints.end();
};

/// Gets the last error and the next endpoint, and returns whether to try that endpoint.
template <class Condition, class Protocol>
concept connect_condition =
    requires(Condition condition, const error_code& ec, const typename Protocol::endpoint& next) {
      { condition(ec, next) } -> std::convertible_to<bool>;
    };

/// Tries each endpoint that there is no reason to skip.
struct any_endpoint {
  template <class Endpoint>
  bool operator()(const error_code&, const Endpoint&) const noexcept
  {
    return true;
  }
};

/// Returns the position of the endpoint that `socket`, a socket or a handle, is connected to, or
/// `last` and an error.
template <class Endpoint, class Socket, class Iterator, class Condition>
Iterator connect_first(Socket& socket, Iterator first, Iterator last, Condition& condition,
                       error_code& ec)
{
  ec.clear();
  for (; first != last; ++first) {
    const Endpoint peer = *first;
    if (!condition(std::as_const(ec), peer)) continue;
    error_code ignored;
    socket.close(ignored);
    socket.connect(peer, ec);
    if (!ec) return first;
  }
  if (!ec) ec = net::error::not_found;
  return last;
}

/// The endpoints of a range are its own copy, since the operation may be launched later.
template <class Handle, class Endpoints, class Condition>
class connect_range_op {
  using endpoint_type = typename Handle::endpoint_type;

public:
  connect_range_op(Handle socket, Endpoints endpoints, Condition condition)
      : work_(std::in_place, std::move(socket), std::move(endpoints), std::move(condition))
  {
  }

  template <class Self>
  void operator()(Self& self)
  {
    if (!work_) {
      self.complete(error_, peer_);
      return;
    }
    auto [socket, endpoints, condition] = std::move(*work_);
    work_.reset();  // released before the handler runs
    const auto last = endpoints.end();
    const auto found =
        connect_first<endpoint_type>(socket, endpoints.begin(), last, condition, error_);
    if (!error_) peer_ = *found;
    const auto executor = socket.get_executor();
    resume_later(executor, std::move(self));
  }

private:
  struct work {
    work(Handle on, Endpoints to, Condition when)
        : socket(std::move(on)), endpoints(std::move(to)), condition(std::move(when))
    {
    }
    Handle socket;
    Endpoints endpoints;
    Condition condition;
  };

  std::optional<work> work_;
  endpoint_type peer_;
  error_code error_;
};

template <class Handle, class Iterator, class Condition>
class connect_iterators_op {
  using endpoint_type = typename Handle::endpoint_type;

public:
  connect_iterators_op(Handle socket, Iterator first, Iterator last, Condition condition)
      : socket_(std::move(socket)),
        position_(std::move(first)),
        last_(std::move(last)),
        condition_(std::move(condition))
  {
  }

  template <class Self>
  void operator()(Self& self)
  {
    if (!socket_) {
      self.complete(error_, position_);
      return;
    }
    Handle socket = std::move(*socket_);
    socket_.reset();
    position_ = connect_first<endpoint_type>(socket, position_, last_, condition_, error_);
    const auto executor = socket.get_executor();
    resume_later(executor, std::move(self));
  }

private:
  std::optional<Handle> socket_;
  Iterator position_;
  Iterator last_;
  Condition condition_;
  error_code error_;
};

}  // namespace detail

// Of all of these functions, as of `asio::connect` and `asio::async_connect`: each endpoint is
// tried in turn, until the socket is connected to one. Before each, the socket is closed, and then
// opened for the endpoint's protocol: options, the local address and pending operations do not
// outlast that. To keep them, and to look a name up, use `async_connect` with a host and a service
// (`dgram/resolve.hpp`). A condition `bool(error_code last, endpoint next)` may skip endpoints.
//
// Errors: that of the last endpoint that was tried, as of `basic_socket::connect`; `not_found` if
// none was.

/// Connects to one of a range, such as a resolver's results. Returns the endpoint; with an error,
/// an unspecified one.
///
/// \code
/// asio::ip::udp::resolver resolver{io};
/// dgram::connect(socket, resolver.resolve("localhost", "5353"));
/// \endcode
template <class Protocol, class Executor, detail::endpoint_range<Protocol> Endpoints,
          detail::connect_condition<Protocol> Condition>
typename Protocol::endpoint connect(basic_socket<Protocol, Executor>& socket,
                                    const Endpoints& endpoints, Condition condition, error_code& ec)
{
  using endpoint_type = typename Protocol::endpoint;
  const auto last = endpoints.end();
  const auto found =
      detail::connect_first<endpoint_type>(socket, endpoints.begin(), last, condition, ec);
  return ec ? endpoint_type() : endpoint_type(*found);
}

template <class Protocol, class Executor, detail::endpoint_range<Protocol> Endpoints>
typename Protocol::endpoint connect(basic_socket<Protocol, Executor>& socket,
                                    const Endpoints& endpoints, error_code& ec)
{
  return connect(socket, endpoints, detail::any_endpoint(), ec);
}

template <class Protocol, class Executor, detail::endpoint_range<Protocol> Endpoints,
          detail::connect_condition<Protocol> Condition = detail::any_endpoint>
typename Protocol::endpoint connect(basic_socket<Protocol, Executor>& socket,
                                    const Endpoints& endpoints, Condition condition = Condition())
{
  return detail::throwing(
      "connect", [&](error_code& ec) { return connect(socket, endpoints, condition, ec); });
}

/// The same for two iterators. Returns the position of the endpoint; with an error, `last`.
template <class Protocol, class Executor, detail::endpoint_iterator<Protocol> Iterator,
          detail::connect_condition<Protocol> Condition>
Iterator connect(basic_socket<Protocol, Executor>& socket, Iterator first, Iterator last,
                 Condition condition, error_code& ec)
{
  return detail::connect_first<typename Protocol::endpoint>(socket, first, last, condition, ec);
}

template <class Protocol, class Executor, detail::endpoint_iterator<Protocol> Iterator>
Iterator connect(basic_socket<Protocol, Executor>& socket, Iterator first, Iterator last,
                 error_code& ec)
{
  return connect(socket, first, last, detail::any_endpoint(), ec);
}

template <class Protocol, class Executor, detail::endpoint_iterator<Protocol> Iterator,
          detail::connect_condition<Protocol> Condition = detail::any_endpoint>
Iterator connect(basic_socket<Protocol, Executor>& socket, Iterator first, Iterator last,
                 Condition condition = Condition())
{
  return detail::throwing(
      "connect", [&](error_code& ec) { return connect(socket, first, last, condition, ec); });
}

/// Connects to one of a range, which is copied. UDP connects without a word to the peer, so this
/// completes at once.
///
/// Completion: `void(error_code, endpoint)`, as `connect` returns it. Errors: see above.
/// Cancellation: none, it is done when it is launched. Thread safety: as the socket's.
///
/// \code
/// co_await dgram::async_connect(socket, clients, asio::use_awaitable);
/// \endcode
template <class Protocol, class Executor, detail::endpoint_range<Protocol> Endpoints,
          detail::connect_condition<Protocol> Condition,
          net::completion_token_for<void(error_code, typename Protocol::endpoint)> Token =
              default_token_t<Executor>>
auto async_connect(basic_socket<Protocol, Executor>& socket, const Endpoints& endpoints,
                   Condition condition, Token&& token = default_token_t<Executor>())
{
  using handle_type = typename basic_socket<Protocol, Executor>::handle_type;
  const auto executor = socket.get_executor();
  return net::async_compose<Token, void(error_code, typename Protocol::endpoint)>(
      detail::connect_range_op<handle_type, Endpoints, Condition>(socket.handle(), endpoints,
                                                                  std::move(condition)),
      token, executor);
}

template <class Protocol, class Executor, detail::endpoint_range<Protocol> Endpoints,
          net::completion_token_for<void(error_code, typename Protocol::endpoint)> Token =
              default_token_t<Executor>>
  requires(!detail::connect_condition<std::decay_t<Token>, Protocol>)
auto async_connect(basic_socket<Protocol, Executor>& socket, const Endpoints& endpoints,
                   Token&& token = default_token_t<Executor>())
{
  return async_connect(socket, endpoints, detail::any_endpoint(), std::forward<Token>(token));
}

/// The same for two iterators, which must stay valid until the operation is launched.
///
/// Completion: `void(error_code, Iterator)`, as `connect` returns it.
template <class Protocol, class Executor, detail::endpoint_iterator<Protocol> Iterator,
          detail::connect_condition<Protocol> Condition,
          net::completion_token_for<void(error_code, Iterator)> Token = default_token_t<Executor>>
auto async_connect(basic_socket<Protocol, Executor>& socket, Iterator first, Iterator last,
                   Condition condition, Token&& token = default_token_t<Executor>())
{
  using handle_type = typename basic_socket<Protocol, Executor>::handle_type;
  const auto executor = socket.get_executor();
  return net::async_compose<Token, void(error_code, Iterator)>(
      detail::connect_iterators_op<handle_type, Iterator, Condition>(
          socket.handle(), std::move(first), std::move(last), std::move(condition)),
      token, executor);
}

template <class Protocol, class Executor, detail::endpoint_iterator<Protocol> Iterator,
          net::completion_token_for<void(error_code, Iterator)> Token = default_token_t<Executor>>
  requires(!detail::connect_condition<std::decay_t<Token>, Protocol>)
auto async_connect(basic_socket<Protocol, Executor>& socket, Iterator first, Iterator last,
                   Token&& token = default_token_t<Executor>())
{
  return async_connect(socket, std::move(first), std::move(last), detail::any_endpoint(),
                       std::forward<Token>(token));
}

DGRAM_NAMESPACE_END

#endif
