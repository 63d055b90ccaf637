// SPDX-License-Identifier: BSL-1.0
// The events of an emitter, one at a time, for coroutines and other loops.
#ifndef DGRAM_EVENT_STREAM_HPP
#define DGRAM_EVENT_STREAM_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/emitter/awaited_event.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What a stream returns for an event: the value of its one argument, or a tuple of several or
/// none.
template <class... Values>
struct streamed {
  using type = std::tuple<Values...>;
};
template <class Value>
struct streamed<Value> {
  using type = Value;
};

template <class Signature>
struct streamed_by;
template <class... Args>
struct streamed_by<void(Args...)> : streamed<kept_argument<Args>...> {};

/// The bytes that a value of an event owns, for the bound of a stream.
template <class T>
std::size_t bytes_in(const T&) noexcept
{
  return 0;
}
inline std::size_t bytes_in(bytes_view bytes) noexcept
{
  return bytes.size();
}
inline std::size_t bytes_in(const std::vector<std::byte>& bytes) noexcept
{
  return bytes.size();
}
template <class... Values>
std::size_t bytes_in(const std::tuple<Values...>& values) noexcept
{
  return std::apply([](const Values&... each) { return (std::size_t{0} + ... + bytes_in(each)); },
                    values);
}

/// Whether listeners of an event get bytes.
template <class Signature>
inline constexpr bool has_bytes = false;
template <class... Args>
inline constexpr bool has_bytes<void(Args...)> = (std::same_as<Args, bytes_view> || ...);

/// The state that listener and stream share. It does not keep the emitter alive, since the emitter
/// owns the listener.
template <class Value, class Core>
class stream_state : public std::enable_shared_from_this<stream_state<Value, Core>> {
public:
  using value_type = Value;
  using completion_type = completion<std::optional<Value>>;

  stream_state(const std::shared_ptr<Core>& core, std::size_t most, std::size_t most_bytes)
      : core_(core), most_(most), most_bytes_(most_bytes)
  {
  }

  std::size_t size() const noexcept { return queue_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }
  std::uint64_t dropped() const noexcept { return dropped_; }

  /// The listener calls this, on the executor.
  template <class... Args>
  void push(const Args&... args)
  {
    bool copied = true;
    try {
      copy(args...);
    } catch (const std::bad_alloc&) {
      ++dropped_;
      copied = false;
    }
    if (waiting_ == nullptr) return;
    if (copied)
      waiting_.release()->run();
    else
      finish(std::move(waiting_), net::error::no_memory);
  }

  void next(completion_type* done, const net::cancellation_slot& slot)
  {
    completion_ptr<std::optional<Value>> held(done);
    if (waiting_ != nullptr) {
      finish(std::move(held), net::error::already_started);
    } else if (!queue_.empty()) {
      bytes_ -= bytes_in(queue_.front());
      std::get<0>(held->values).emplace(queue_.pop());
      finish(std::move(held), {});
    } else if (ended_) {
      finish(std::move(held), {});
    } else {
      waiting_ = std::move(held);
      watch(slot);
    }
  }

  /// No more events will come.
  void end()
  {
    ended_ = true;
    if (waiting_ != nullptr) finish(std::move(waiting_), {});
  }

private:
  template <class... Args>
  void copy(const Args&... args)
  {
    if (waiting_ != nullptr) {
      std::get<0>(waiting_->values).emplace(keep(args)...);
      return;
    }
    const std::size_t size = (std::size_t{0} + ... + bytes_in(args));
    if (queue_.size() < most_ && size <= most_bytes_ - bytes_) {
      queue_.push(Value(keep(args)...));
      bytes_ += size;
    } else {
      ++dropped_;
    }
  }

  void watch(const net::cancellation_slot& slot)
  {
    waiting_->let_cancel(slot, this->weak_from_this(),
                         [done = waiting_.get()](stream_state& self, net::cancellation_type) {
                           if (self.waiting_.get() == done)
                             self.finish(std::move(self.waiting_), net::error::operation_aborted);
                         });
  }

  void finish(completion_ptr<std::optional<Value>> done, const error_code& ec)
  {
    if (ec) done->outcome = failure_of("next", ec);
    if (const auto core = core_.lock()) core->turns.deliver(done.release());
  }

  std::weak_ptr<Core> core_;
  std::size_t most_;
  std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  operation_queue<Value> queue_;
  completion_ptr<std::optional<Value>> waiting_;
  std::uint64_t dropped_ = 0;
  bool ended_ = false;
};

/// The listener. Its destruction ends the stream.
template <class State>
class stream_listener {
public:
  explicit stream_listener(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  stream_listener(stream_listener&&) noexcept = default;
  stream_listener& operator=(stream_listener&&) = delete;
  ~stream_listener()
  {
    if (state_) state_->end();
  }

  template <class... Args>
    requires std::constructible_from<typename State::value_type, kept_argument<Args>...>
  void operator()(const Args&... args)
  {
    state_->push(args...);
  }

private:
  std::shared_ptr<State> state_;
};

}  // namespace detail

/// All events of one kind, in order, starting when the stream is created. Call `next` for one at a
/// time. `basic_emitter_socket::stream` creates it.
///
/// The stream is a listener that owns its arguments: the bytes of a message are copied into a
/// `std::vector<std::byte>`. Up to `most` events wait for `next`, with up to `most_bytes` bytes of
/// messages together. An event that would exceed either is dropped; `dropped` counts them. An event
/// that a `next` waits for is dropped only if there is no memory for its copy. Destroying the
/// stream ends it.
///
/// \code
/// auto server = dgram::create_socket(io, dgram::udp4);
/// auto messages = server.stream<dgram::event::message>(1024, 1 << 20);  // at most 1 MiB waits
/// server.bind(41234);
/// while (auto message = co_await messages.next(asio::use_awaitable)) {
///   auto& [bytes, from] = *message;
///   server.send(bytes, from);
/// }
/// \endcode
///
/// Thread safety: as for the socket.
template <class Event, class Core>
class event_stream {
public:
  using executor_type = typename Core::executor_type;
  /// The argument of the event's listeners, or a tuple of them.
  using value_type = typename detail::streamed_by<typename Event::signature>::type;

  /// See `basic_emitter_socket::stream`.
  event_stream(const std::shared_ptr<Core>& core, std::size_t most, std::size_t most_bytes)
      : core_(core), state_(std::make_shared<state_type>(core, most, most_bytes))
  {
    detail::stream_listener<state_type> listener(state_);
    // A closed socket emits nothing, and does not destroy its listeners.
    if (!core->has_emitted_close())
      listener_ = core->events.template on<Event>(std::move(listener));
  }

  event_stream(event_stream&&) noexcept = default;
  event_stream& operator=(event_stream&& other) noexcept
  {
    if (this != &other) {
      stop();
      core_ = std::move(other.core_);
      state_ = std::move(other.state_);
      listener_ = std::exchange(other.listener_, {});
    }
    return *this;
  }
  ~event_stream() { stop(); }

  executor_type get_executor() const { return core_->get_executor(); }

  /// Returns the next event. It has no value if no more events will come, because the socket is
  /// closed or its listeners were removed. Completion: `void(error_code,
  /// std::optional<value_type>)`. Errors: `already_started` while another `next` waits,
  /// `operation_aborted`, `no_memory` if there is none for a copy of the event. Cancellation:
  /// terminal, partial and total; no event is lost.
  template <class Token = default_token_t<executor_type>>
  auto next(Token&& token = Token())
  {
    return detail::initiate_completion<std::optional<value_type>>(
        core_, std::forward<Token>(token),
        [state = state_](Core&, typename state_type::completion_type* done,
                         const net::cancellation_slot& slot) { state->next(done, slot); });
  }

  /// How many events wait for `next`.
  std::size_t size() const noexcept { return state_->size(); }

  /// How many bytes their messages have together.
  std::size_t bytes() const noexcept { return state_->bytes(); }

  /// How many events were dropped, because too many waited or there was no memory for a copy.
  std::uint64_t dropped() const noexcept { return state_->dropped(); }

private:
  using state_type = detail::stream_state<value_type, Core>;

  void stop()
  {
    if (core_) core_->events.off(listener_);
  }

  std::shared_ptr<Core> core_;
  std::shared_ptr<state_type> state_;
  listener_id listener_;
};

DGRAM_NAMESPACE_END

#endif
