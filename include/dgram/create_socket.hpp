// SPDX-License-Identifier: BSL-1.0
// How emitter sockets are made, and how those of a context are paused and resumed.
#ifndef DGRAM_CREATE_SOCKET_HPP
#define DGRAM_CREATE_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/completion.hpp>
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

/// The context, where it is an `io_context`, whose work the emitter can take back.
template <class Source>
net::io_context* io_context_of(Source& source) noexcept
{
  if constexpr (std::convertible_to<Source&, net::io_context&>)
    return &static_cast<net::io_context&>(source);
  else
    return nullptr;
}

/// `Made`, named in a way that lets a program which makes none do without its instantiation.
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

/// Makes a UDP socket that emits events, on an `io_context`, another context or an executor.
/// Nothing is opened before it is bound. Thrown: `error::bad_type`, `error::out_of_range` (buffer
/// sizes).
template <detail::executor_source Source>
detail::made_on<Source, emitter_socket> create_socket(Source&& source, socket_options options)
{
  return {detail::executor_of(source), detail::io_context_of(source), std::move(options)};
}

/// The same, with a listener for 'message'.
template <detail::executor_source Source, class Listener>
detail::made_on<Source, emitter_socket> create_socket(Source&& source, socket_options options,
                                                      Listener&& on_message)
{
  auto made = create_socket(source, std::move(options));
  made.template on<event::message>(std::forward<Listener>(on_message));
  return made;
}

/// The same, with no option but the type.
template <detail::executor_source Source, class... Listener>
detail::made_on<Source, emitter_socket> create_socket(Source&& source, socket_type type,
                                                      Listener&&... on_message)
{
  socket_options options;
  options.type = type;
  return create_socket(source, std::move(options), std::forward<Listener>(on_message)...);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
/// Makes a Unix datagram socket that emits events. Of the options those for IP mean nothing.
template <detail::executor_source Source>
detail::made_on<Source, unix_emitter_socket> create_unix_socket(Source&& source,
                                                                socket_options options = {})
{
  return {detail::executor_of(source), detail::io_context_of(source), std::move(options)};
}

/// The same, with a listener for 'message'.
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

template <class Source, class Token, class... Place>
auto send_from_new(Source& source, socket_type type, const payload_view& message, Token&& token,
                   const Place&... place)
{
  using made = made_on<Source, emitter_socket>;
  const auto executor = executor_of(source);
  const auto make = [executor, context = io_context_of(source), type] {
    return std::make_shared<made>(executor, context, socket_options{.type = type});
  };
  // What is wrong with the arguments is thrown here, by a socket which is that of the first launch:
  // nobody catches what a launch throws, and a deferred operation may be launched again.
  const auto spare = std::make_shared<std::shared_ptr<made>>(make());
  return initiate_completion<std::size_t>(
      executor, std::forward<Token>(token),
      [make, spare, executor, bytes = message.copy(),
       to = core_access::destination(**spare, place...)](send_completion* done,
                                                         net::cancellation_slot slot) {
        auto socket = std::exchange(*spare, nullptr);
        if (!socket) socket = make();
        done->has_slot = slot.is_connected();
        auto sent = [socket, held = send_completion_ptr(done)](const failure& outcome,
                                                               std::size_t size) mutable {
          held->outcome = outcome;
          std::get<0>(held->values) = size;
          if (const auto state = socket->state(); !state.closed && !state.closing) socket->close();
          held.release()->run();
        };
        auto* const sending = make_completion<std::size_t>(std::move(sent), executor);
        const auto& core = core_access::of(*socket);
        core->let_cancel(sending, slot);
        detail::start_late_send(*core, to, bytes, sending);
      });
}

}  // namespace detail

/// Sends one datagram from a socket that is made for it and closes itself. Completion:
/// `void(error_code, std::size_t)`. Thrown, at the call, and reported: as for `send`. Cancellation:
/// as for `send`, with the bind as one of the things that it waits for.
///
/// \code
/// std::size_t size = co_await dgram::send_once(io, dgram::udp4, "started", 514, "localhost", asio::use_awaitable);
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

/// Pauses all emitter sockets of a context that are bound, or about to be and then after it: their
/// descriptors are closed. `resume_sockets` opens others, bound and connected as they were, with
/// the same options and in the same groups; meanwhile what others send is lost. For programs that
/// are put into the background.
///
/// What is started meanwhile: sends and connects wait until the sockets resume, within the limits
/// of `socket_options` and as for a bind; closing ends them. `connect_sync` and `disconnect` change
/// the peer that there will be. Options and groups are tried at once on a descriptor made for that,
/// which is where their errors come from, and hold from the resumption on. `native_handle` is -1.
///
/// Thread safety: nothing else may be done with these sockets meanwhile.
template <std::derived_from<net::execution_context> Context>
void pause_sockets(Context& context)
{
  detail::for_each_emitter<udp::socket>(context, [](auto& core) { core.pause(); });
#if DGRAM_HAS_UNIX_DATAGRAMS
  detail::for_each_emitter<unix_dgram::socket>(context, [](auto& core) { core.pause(); });
#endif
}

/// What fails is an 'error' event of that socket, which is unbound then.
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
