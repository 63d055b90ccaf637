// SPDX-License-Identifier: BSL-1.0
// Creates emitter sockets, and pauses and resumes all emitter sockets of a context.
#ifndef DGRAM_CREATE_SOCKET_HPP
#define DGRAM_CREATE_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/emitter/core.hpp>
#include <dgram/emitter_socket.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/payload.hpp>
#include <dgram/socket_options.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class T>
concept executor_source = std::convertible_to<T&, net::execution_context&> ||
                          std::convertible_to<T, net::any_io_executor>;

/// The context, if it is an `io_context`; an emitter can count down only that context's work.
template <class Source>
net::io_context* io_context_of(Source& source) noexcept
{
  if constexpr (std::convertible_to<Source&, net::io_context&>)
    return &static_cast<net::io_context&>(source);
  else
    return nullptr;
}

/// `Made`. A program that creates no such socket does not instantiate the type through this name.
template <class Source, class Made>
using made_on = std::conditional_t<executor_source<Source>, Made, void>;

template <class Source>
net::any_io_executor executor_of(Source& source)
{
  if constexpr (std::convertible_to<Source&, net::execution_context&>)
    return source.get_executor();
  else
    return source;
}

}  // namespace detail

/// Creates a UDP socket that emits events. `source` is an `io_context`, another context or an
/// executor. The descriptor is opened when the socket is bound. Throws `error::bad_type`, or
/// `error::out_of_range` for buffer sizes and limits of the queue.
template <detail::executor_source Source>
detail::made_on<Source, emitter_socket> create_socket(Source&& source, socket_options options)
{
  return {detail::executor_of(source), detail::io_context_of(source), std::move(options)};
}

/// The same, and adds a listener for 'message'.
template <detail::executor_source Source, class Listener>
detail::made_on<Source, emitter_socket> create_socket(Source&& source, socket_options options,
                                                      Listener&& on_message)
{
  auto made = create_socket(source, std::move(options));
  made.template on<event::message>(std::forward<Listener>(on_message));
  return made;
}

/// The same with default options for the type.
template <detail::executor_source Source, class... Listener>
detail::made_on<Source, emitter_socket> create_socket(Source&& source, socket_type type,
                                                      Listener&&... on_message)
{
  socket_options options;
  options.type = type;
  return create_socket(source, std::move(options), std::forward<Listener>(on_message)...);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
/// Creates a Unix datagram socket that emits events. Options for IP have no effect.
template <detail::executor_source Source>
detail::made_on<Source, unix_emitter_socket> create_unix_socket(Source&& source,
                                                                socket_options options = {})
{
  return {detail::executor_of(source), detail::io_context_of(source), std::move(options)};
}

/// The same, and adds a listener for 'message'.
template <detail::executor_source Source, class Listener>
  requires detail::is_listener<std::decay_t<Listener>, event::message::of<unix_dgram>::signature>
detail::made_on<Source, unix_emitter_socket> create_unix_socket(Source&& source,
                                                                Listener&& on_message)
{
  auto made = create_unix_socket(source);
  made.template on<event::message>(std::forward<Listener>(on_message));
  return made;
}
#endif

namespace detail {

/// Creates the sockets of `send_once`. A deferred operation may be launched again, and then needs
/// another socket.
template <class Source>
class sockets_for_one_send {
public:
  using socket_type = made_on<Source, emitter_socket>;
  using executor_type = typename socket_type::executor_type;

  sockets_for_one_send(Source& source, socket_options options)
      : executor_(executor_of(source)),
        context_(io_context_of(source)),
        options_(std::move(options))
  {
  }

  executor_type get_executor() const noexcept { return executor_; }

  /// The first launch gets the socket that was used before.
  const socket_type& first() { return *(first_ = make()); }
  std::shared_ptr<socket_type> take() { return first_ ? std::exchange(first_, nullptr) : make(); }

private:
  std::shared_ptr<socket_type> make() const
  {
    return std::make_shared<socket_type>(executor_, context_, options_);
  }

  executor_type executor_;
  net::io_context* context_;
  socket_options options_;
  std::shared_ptr<socket_type> first_;
};

template <class Source, class Token, class... Place>
auto send_from_new(Source& source, socket_type type, const payload_view& message, Token&& token,
                   const Place&... place)
{
  using sockets_type = sockets_for_one_send<Source>;
  const auto sockets = std::make_shared<sockets_type>(source, socket_options{.type = type});
  // Checks the arguments here: no caller catches what a launch throws.
  const auto destination = core_access::destination(sockets->first(), place...);
  return initiate_completion<std::size_t>(
      sockets, std::forward<Token>(token),
      [bytes = message.copy(), destination](sockets_type& from, send_completion* done,
                                            const net::cancellation_slot& slot) {
        const auto socket = from.take();
        auto sent = [socket, held = send_completion_ptr(done)](const failure& outcome,
                                                               std::size_t size) mutable {
          held->outcome = outcome;
          std::get<0>(held->values) = size;
          if (const auto state = socket->state(); !state.closed && !state.closing) socket->close();
          held.release()->run();
        };
        const auto& core = core_access::of(*socket);
        auto* const sending = make_completion<std::size_t>(std::move(sent), from.get_executor());
        done->let_cancel(slot, std::weak_ptr(core),
                         [sending](auto& alive, net::cancellation_type) { alive.cancel(sending); });
        // A new socket is in the state to send.
        detail::start_send(*core, destination, bytes, sending);
      });
}

}  // namespace detail

/// Sends one datagram from a socket that is created for it and closes itself. Completion:
/// `void(error_code, std::size_t)`. Throws and reports the errors of `send`; invalid arguments
/// throw at the call. Cancellation: as for `send`, also while the socket waits for its bind.
///
/// \code
/// std::size_t size = co_await dgram::send_once(io, dgram::udp4, "started", 514, "localhost",
///                                              asio::use_awaitable);
/// \endcode
template <detail::executor_source Source, class Token>
auto send_once(Source&& source, socket_type type, const payload_view& message, std::int64_t port,
               std::string_view address, Token&& token)
{
  return detail::send_from_new(source, type, message, std::forward<Token>(token), port, address);
}

/// The same to an endpoint.
template <detail::executor_source Source, class Endpoint, class Token>
  requires detail::call_endpoint<const Endpoint&, udp>
auto send_once(Source&& source, socket_type type, const payload_view& message,
               const Endpoint& endpoint, Token&& token)
{
  return detail::send_from_new(source, type, message, std::forward<Token>(token), endpoint);
}

/// Pauses all emitter sockets of a context, for programs that move to the background. Sockets that
/// are bound close their descriptors; a socket that is being bound does so afterwards.
/// `resume_sockets` opens new descriptors with the same address, peer, options and groups.
/// Datagrams that arrive meanwhile are lost.
///
/// While sockets are paused:
///  - Sends and connects wait until the sockets resume, within the limits of `socket_options`, as
///    they do for a bind. Closing the socket ends them.
///  - `connect_sync` and `disconnect` change the peer that the resumed socket will have.
///  - Options and groups are tried at once on a temporary descriptor, which reports their errors.
///    They take effect when the socket resumes.
///  - `native_handle` returns -1.
///
/// Thread safety: the program may use these sockets for nothing else during the call.
template <std::derived_from<net::execution_context> Context>
void pause_sockets(Context& context)
{
  detail::for_each_emitter<udp::socket>(context, [](auto& core) { core.pause(); });
#if DGRAM_HAS_UNIX_DATAGRAMS
  detail::for_each_emitter<unix_dgram::socket>(context, [](auto& core) { core.pause(); });
#endif
}

/// Resumes the sockets that `pause_sockets` paused. If a socket cannot resume, it emits 'error' and
/// is unbound.
template <std::derived_from<net::execution_context> Context>
void resume_sockets(Context& context)
{
  detail::for_each_emitter<udp::socket>(context, [](auto& core) { core.resume(); });
#if DGRAM_HAS_UNIX_DATAGRAMS
  detail::for_each_emitter<unix_dgram::socket>(context, [](auto& core) { core.resume(); });
#endif
}

DGRAM_NAMESPACE_END

#endif
