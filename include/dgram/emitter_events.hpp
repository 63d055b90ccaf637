// SPDX-License-Identifier: BSL-1.0
// The calls of an emitter socket that add and remove listeners, and wait for events.
#ifndef DGRAM_EMITTER_EVENTS_HPP
#define DGRAM_EMITTER_EVENTS_HPP

#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/emitter/awaited_event.hpp>
#include <dgram/detail/emitter/core.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/event_stream.hpp>
#include <dgram/events.hpp>

#include <concepts>
#include <cstddef>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether this is a token that can be called with one argument, as a listener can. The argument is
/// another token, which the call adapts: `deferred` and `use_future` are such tokens.
template <class Function, class Signature>
inline constexpr bool is_adapter = false;

template <class Function, class... Args>
  requires(leading_arguments<Function, std::tuple<Args...>>() == 1 &&
           !std::invocable<Function&, error_code, kept_argument<Args>...>)
inline constexpr bool is_adapter<Function, void(Args...)> =
    net::completion_token_for<Function, void(error_code, kept_argument<Args>...)>;

/// Whether `once` adds this as a listener. It takes everything else for a token.
template <class Function, class Signature>
concept once_listener = is_listener<Function, Signature> && !is_adapter<Function, Signature>;

/// `Derived` is the emitter socket. `Event` is one of the types in `dgram::event`. All of these
/// calls throw `error::not_running` if the socket was moved from.
template <class Derived, class Socket>
class emitter_event_calls {
  using core_type = emitter_core<Socket>;
  using executor_type = typename Socket::executor_type;

  template <class Event>
  using event_type = typename event_of<Event, typename Socket::protocol_type>::type;
  template <class Event>
  using signature_of = typename event_type<Event>::signature;

public:
  /// Adds a listener behind the others.
  template <class Event, class Listener>
  listener_id on(Listener&& listener)
  {
    return events().template on<event_type<Event>>(std::forward<Listener>(listener));
  }

  /// Adds a listener that is removed before it is called.
  template <class Event, class Listener>
    requires once_listener<std::decay_t<Listener>, signature_of<Event>>
  listener_id once(Listener&& listener)
  {
    return events().template once<event_type<Event>>(std::forward<Listener>(listener));
  }

  /// Waits for the next such event.
  ///
  /// Completion: `void(error_code, values...)`, with the values that listeners get. The bytes of a
  /// message are a `std::vector<std::byte>`. Errors: `operation_aborted` if the socket is closed
  /// first, or if the listeners are removed; `no_memory` if there is none for the bytes.
  /// Cancellation: terminal, partial and total. A cancelled wait does not get the event; the
  /// listeners do.
  ///
  /// \code
  /// auto client = dgram::create_socket(io, dgram::udp4);
  /// client.send("ping", 41234);
  /// auto [message, from] = co_await client.once<dgram::event::message>(asio::use_awaitable);
  /// fmt::print("{} bytes from {}\n", message.size(), from);
  /// \endcode
  template <class Event, class Token = default_token_t<executor_type>>
    requires(!once_listener<std::decay_t<Token>, signature_of<Event>>)
  auto once(Token&& token = Token())
  {
    return event_awaiter<event_type<Event>>::start(self().shared(), std::forward<Token>(token));
  }

  /// Returns a stream of all events of one kind from now on, in order. At most `most` events wait
  /// to be fetched. See `event_stream`.
  template <class Event>
  auto stream(std::size_t most = 1024)
  {
    constexpr auto any_size = std::numeric_limits<std::size_t>::max();
    return event_stream<event_type<Event>, core_type>(self().shared(), most, any_size);
  }

  /// The same. The messages that wait have at most `most_bytes` bytes together.
  template <class Event>
    requires has_bytes<signature_of<Event>>
  auto stream(std::size_t most, std::size_t most_bytes)
  {
    return event_stream<event_type<Event>, core_type>(self().shared(), most, most_bytes);
  }

  /// Adds a listener in front of the others.
  template <class Event, class Listener>
  listener_id prepend(Listener&& listener)
  {
    return events().template prepend<event_type<Event>>(std::forward<Listener>(listener));
  }

  template <class Event, class Listener>
  listener_id prepend_once(Listener&& listener)
  {
    return events().template prepend_once<event_type<Event>>(std::forward<Listener>(listener));
  }

  /// Removes a listener. Returns false if it is gone already.
  bool off(listener_id id) { return events().off(id); }

  template <class Event>
  void remove_all()
  {
    events().template remove_all<event_type<Event>>();
  }
  void remove_all() { events().remove_all(); }

  template <class Event>
  std::size_t listener_count() const
  {
    return events().template listener_count<event_type<Event>>();
  }

private:
  friend Derived;
  emitter_event_calls() = default;

  const Derived& self() const noexcept { return static_cast<const Derived&>(*this); }
  auto& events() const { return self().core().events; }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
