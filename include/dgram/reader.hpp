// SPDX-License-Identifier: BSL-1.0
// A reader gives one datagram at a time to a coroutine or a function, and receives in batches.
#ifndef DGRAM_READER_HPP
#define DGRAM_READER_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/batch/for_each_op.hpp>
#include <dgram/detail/batch/reader_state.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>
#include <dgram/fwd.hpp>
#include <dgram/reader_config.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/transport.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Returns received datagrams one at a time. The reader owns a batch, and suspends only if no
/// datagram is queued.
///
/// The reader turns coalescing on (`option::coalescing`) if the system has it and its slots can
/// hold a whole train. Coalescing stays on, because queued datagrams are joined already. From then
/// on the socket must be received from in batches: single receives are refused
/// (`error::coalescing`), and pending operations complete with `operation_aborted`. Clear
/// `reader_config::coalesce` to prevent this.
///
/// The reader turns `option::packet_info` on if the socket is bound to a wildcard address. A
/// datagram's `reply_path()` then has the address that was asked. It does the same for an address
/// that other links also have (a group, 255.255.255.255, 169.254.0.0/16).
///
/// A datagram is valid until the next call on the reader, and no longer than the reader;
/// `to_owned()` keeps it. A flood of datagrams does not starve other handlers. They run first,
/// before the reader receives again, after `reader_config::yield_after` datagrams without
/// suspension. If the coroutine is slow, they run before that: after the batch in which 100 us have
/// passed. Fewer `reader_config::slots` make such a turn shorter.
///
/// `async_for_each` is the form for callbacks. It is an operation like those of a socket.
///
/// `next`, `next_for`, `next_until` and `next_batch` are awaitables of the reader's executor type,
/// which is that of the awaiting coroutine. The socket's executor type may be another. They throw
/// `system_error`, or set an `error_code&`. Errors are those of `receive`, and `operation_aborted`
/// if the coroutine or the socket's operations were cancelled, or if the socket was closed and
/// opened again. After `stop` or a close there is no error, but the result is empty. Only one of
/// these calls, `async_for_each` included, may be pending at a time.
///
/// Lifetimes: the socket may be moved, closed or destroyed while the reader is used. The reader may
/// be moved or destroyed while one of its awaitables waits, but not before that one is awaited. If
/// the reader is destroyed, a pending awaitable completes as after `stop`, and datagrams in memory
/// are lost.
///
/// Cancellation: terminal, partial and total, if the coroutine's own filter lets them pass
/// (`co_spawn` lets terminal pass). Cancellation loses no datagram. Asio itself makes a cancelled
/// coroutine throw at its next `co_await`, also from `next(error_code&)`. Do not race `next`
/// against a timer with `||`: Asio's operator discards the datagram of the losing side. Use
/// `next_for`.
///
/// Deadlines: a reader has one timer, which stays armed from one wait to the next. A server may
/// pass a new deadline after each batch at no cost. If a wait with a deadline ends early, the timer
/// may keep the context's `run` for up to 10 ms longer. `stop` and the destructor end it. The
/// clock's last time point is no deadline. A call may also fail with `no_memory` if the timer
/// cannot be armed again during the wait.
///
/// One call that waits may be pending at a time: another one fails with `already_started`. If the
/// socket has never been open, a call fails with `bad_descriptor`.
///
/// Thread safety: as the socket's. If several threads run the context, construct the socket with a
/// strand and run the coroutine on that strand: timers and flushes run on the socket's executor.
///
/// \code
/// dgram::reader reader{socket};
/// while (auto datagram = co_await reader.next())
///   handle(datagram->payload(), datagram->sender());
/// \endcode
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class reader {
  using state_type = detail::reader_state<Handle>;
  using use_awaitable = net::use_awaitable_t<Executor>;

public:
  using protocol_type = Protocol;
  using executor_type = Executor;
  using datagram_type = basic_datagram<Protocol>;
  using batch_type = basic_receive_batch<Protocol>;
  using result_type = std::optional<datagram_type>;
  using handle_type = Handle;

  /// The clock of the deadlines is the handle's: `std::chrono::steady_clock` for a socket.
  using clock_type = typename Handle::clock_type;
  using time_point = typename clock_type::time_point;
  using duration = typename clock_type::duration;

  /// Reads from a socket, or from another transport whose `handle()` is a `transport_handle`.
  /// Throws `std::invalid_argument` if `slots` or `yield_after` is 0, and `std::length_error` for
  /// more slots than memory can hold. Throws `system_error` if a `listener`
  /// (`error::already_listening`) or an `exchanger` (`already_started`) receives from the socket.
  /// Of several readers on one socket each gets some of the datagrams.
  template <transport_with_handle Transport>
    requires std::same_as<handle_of<Transport>, Handle>
  explicit reader(Transport& transport, const reader_config& config = {})
      : reader(transport.handle(), config)
  {
  }

  /// The same, with the handle itself.
  explicit reader(Handle handle, const reader_config& config = {});

  reader(reader&&) noexcept = default;

  /// Ends the reading of this reader first.
  reader& operator=(reader&& other) noexcept;

  /// Ends the reading. A pending `next` completes as after `stop`.
  ~reader();

  /// Returns the next datagram, or nothing after `stop` or a close of the socket.
  net::awaitable<result_type, Executor> next();

  /// The same. On error it returns nothing and sets `ec`.
  net::awaitable<result_type, Executor> next(error_code& ec);

  /// The same, but waits at most until `deadline`. After that it returns nothing and sets `ec` to
  /// `timed_out`.
  net::awaitable<result_type, Executor> next_until(time_point deadline, error_code& ec);

  /// The same. It returns nothing after the deadline, after `stop` and after a close. `is_stopped`
  /// tells these apart.
  net::awaitable<result_type, Executor> next_until(time_point deadline);

  /// As `next_until`, with the time to wait.
  ///
  /// \code
  /// dgram::reader reader{socket};
  /// auto reply = co_await reader.next_for(std::chrono::seconds(2));
  /// if (!reply) fmt::print("no reply\n");
  /// \endcode
  net::awaitable<result_type, Executor> next_for(duration timeout)
  {
    return next_until(after(timeout));
  }

  net::awaitable<result_type, Executor> next_for(duration timeout, error_code& ec)
  {
    return next_until(after(timeout), ec);
  }

  /// Returns the datagrams in memory, or else as many as one call receives. The result is empty
  /// after `stop` or a close. The datagrams are valid until the next call.
  ///
  /// \code
  /// dgram::reader reader{socket};
  /// while (auto datagrams = co_await reader.next_batch())
  ///   for (const dgram::datagram& datagram : datagrams)
  ///     handle(datagram.payload(), datagram.sender());
  /// \endcode
  ///
  /// Together with `writer::push` this is the fastest form of a server in a coroutine.
  net::awaitable<basic_datagrams<Protocol>, Executor> next_batch();

  /// The same. On error it returns no datagrams and sets `ec`.
  net::awaitable<basic_datagrams<Protocol>, Executor> next_batch(error_code& ec);

  /// The same, but waits at most until `deadline`. After that it returns no datagrams and sets `ec`
  /// to `timed_out`. Datagrams that are there are returned also after the deadline.
  ///
  /// \code
  /// dgram::reader reader{socket};
  /// dgram::error_code ec;
  /// const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(25);
  /// for (const dgram::datagram& datagram : co_await reader.next_batch_until(deadline, ec))
  ///   handle(datagram.payload(), datagram.sender());
  /// if (ec == asio::error::timed_out) fmt::print("time to send again\n");
  /// \endcode
  net::awaitable<basic_datagrams<Protocol>, Executor> next_batch_until(time_point deadline,
                                                                       error_code& ec);

  /// The same. It returns no datagrams after the deadline, after `stop` and after a close.
  /// `is_stopped` tells these apart.
  net::awaitable<basic_datagrams<Protocol>, Executor> next_batch_until(time_point deadline);

  /// Calls `function(datagram)` with each datagram, in order, until reading ends. This is the
  /// reader's form for callbacks. The function takes a `datagram_type`, which is valid during the
  /// call, and returns nothing. Between two datagrams of a batch there is no trip through the
  /// scheduler and no allocation. The operation waits only if no datagram is queued. After
  /// `yield_after` datagrams without a wait it lets other handlers run before it receives more. If
  /// the function is slow, it lets them run within a batch: after 32 datagrams or more that took
  /// 100 us. Datagrams that the calls of one batch give to a `writer` of this reader leave as one
  /// batch.
  ///
  /// Completion: `void(error_code)`. There is no error after:
  ///  - `stop`, also from inside the function;
  ///  - a close of the socket;
  ///  - the destruction of the reader.
  ///
  /// Other errors are `already_started`, `bad_descriptor` if the socket has never been open, those
  /// of `receive`, and `operation_aborted` if this operation or those of the socket were cancelled,
  /// or if the socket was closed and opened again. The function is not called after that. The next
  /// call on the reader returns the datagrams in memory; after `stop` only `next` and `next_batch`
  /// do.
  ///
  /// Executor: the handler's associated executor (default: the socket's) calls both the function
  /// and the handler. It never calls them inside the call that started the operation, and never at
  /// the same time. If several threads run the context, this executor must be the strand that the
  /// socket was constructed with.
  ///
  /// Exceptions: an exception that the function throws leaves `run()` of the context. That datagram
  /// counts as delivered. The operation goes on with the next one when the context is run again,
  /// unless it is stopped before.
  ///
  /// Cancellation: terminal, partial and total, and no datagram is lost. The function may stop,
  /// move or destroy the reader, and close, cancel or destroy the socket. The function is destroyed
  /// before the handler is called.
  ///
  /// \code
  /// dgram::reader reader{socket};
  /// dgram::writer writer{reader};
  /// reader.async_for_each(
  ///     [&](const dgram::datagram& datagram) {
  ///       writer.try_send(datagram.payload(), datagram.reply_path());
  ///     },
  ///     [](dgram::error_code ec) { if (ec) fmt::print("reading ended: {}\n", ec.message()); });
  /// io.run();
  /// \endcode
  template <class Function,
            net::completion_token_for<void(error_code)> Token = default_token_t<SocketExecutor>>
    requires std::invocable<std::decay_t<Function>&, const datagram_type&>
  auto async_for_each(Function&& function, Token&& token = default_token_t<SocketExecutor>())
  {
    static_assert(
        std::is_void_v<std::invoke_result_t<std::decay_t<Function>&, const datagram_type&>>,
        "The function of async_for_each returns nothing: a result would be thrown away, and a "
        "coroutine never run.");
    return detail::initiate_composed<void(error_code)>(
        state_,
        [](state_type& state, auto&& each) {
          using op_type = detail::for_each_op<state_type, std::decay_t<Function>>;
          return op_type(state.shared_from_this(), std::forward<decltype(each)>(each));
        },
        std::forward<Token>(token), std::forward<Function>(function));
  }

  /// The whole batch that was received last; for `send_batch::push_replies`.
  batch_type& batch() noexcept { return state_->batch; }

  /// How many datagrams are available without a system call.
  std::size_t remaining() const noexcept { return state_->remaining; }

  /// Ends the reading. `next` still returns the datagrams in memory, and is empty after them. A
  /// pending call completes.
  void stop();

  /// Whether reading has ended, by `stop` or by a close of the socket.
  bool is_stopped() const noexcept { return state_->is_stopped(); }

private:
  template <class, class, class, class>
  friend class writer;
  template <class, class>
  friend class detail::listener_core;
  template <class, class>
  friend class detail::exchanger_core;

  static auto take_one() noexcept
  {
    return [](state_type& state) { return state.take(); };
  }

  static auto take_batch() noexcept
  {
    return [](state_type& state) { return state.take_all(); };
  }

  static time_point after(duration timeout) { return detail::deadline(clock_type::now(), timeout); }

  /// Ends the wait however the coroutine leaves it.
  struct wait_scope {
    state_type& state;
    std::uint64_t number = state.start_wait();
    ~wait_scope() { state.end_wait(number); }
  };

  /// Takes what is in memory, and receives first if there is nothing. This is one coroutine only:
  /// Asio 1.22 keeps the memory of two frames for reuse, and the wait uses the other one.
  /// `Deadline` is a time point or absent. Calls without a deadline do not compile the timer's
  /// code.
  template <class Take, class... Deadline>
  static auto advance(state_type* reader, error_code* failure, Take take, Deadline... deadline)
      -> net::awaitable<std::invoke_result_t<Take, state_type&>, Executor>
  {
    if (failure != nullptr) failure->clear();
    if (!reader->at_end()) co_return take(*reader);
    // Kept from here on, because the reader may be moved or destroyed while the coroutine waits.
    const std::shared_ptr<state_type> state = reader->shared_from_this();
    error_code ec;
    state->begin_receive();
    // An error behind the last batch does not make the descriptor ready, so a wait would miss it.
    const bool asks_first =
        !state->is_drained() &&
        (state->socket.has_pending_error() || !state->policy.template is_yield_due<clock_type>());
    if (state->is_unopened())
      ec = net::error::bad_descriptor;
    else if (asks_first && !state->is_stopped())
      state->try_receive(ec);
    const bool must_wait = !state->is_stopped() && (!asks_first || ec == net::error::would_block);
    if (must_wait && state->is_waited_for()) {
      ec = net::error::already_started;
    } else if (must_wait) {
      net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
      const wait_scope scope{*state};
      (state->deadline.start(deadline), ...);
      const detail::epoch_guard guard(state->socket.epoch());
      state->policy.begin_waiting();
      do {
        // The reader's own slot lets `stop` and the deadline end the wait. Cancellation of the
        // coroutine passes through it. Asio clears the coroutine's slot each time the coroutine
        // resumes.
        if (const auto outer = cancellation.slot(); outer.is_connected()) state->let_cancel(outer);
        auto token = net::bind_cancellation_slot(state->signal.slot(),
                                                 net::redirect_error(use_awaitable(), ec));
        const bool backs_off = state->policy.must_back_off(state->socket);
        co_await detail::async_wait_or_back_off(state->socket, net::socket_base::wait_read,
                                                backs_off, token);
        state->policy.yielded();
        // A wake-up may have been queued before a cancel, a close or the deadline, so its success
        // proves nothing.
        if (guard.is_over(state->socket.epoch(), cancellation) || state->is_stopped() ||
            state->wait_error())
          ec = net::error::operation_aborted;
        else if (backs_off)
          ec.clear();  // another waiter may have set the shared timer anew
        if (!ec) state->try_receive(ec);
      } while (ec == net::error::would_block);
      if (ec == net::error::operation_aborted && state->wait_error()) ec = state->wait_error();
    }
    if (state->is_stopped() && ec == net::error::operation_aborted) ec.clear();
    if (failure != nullptr)
      *failure = ec;
    else if (ec != net::error::timed_out)
      detail::throw_if(ec, "next");
    co_return take(*state);
  }

  std::shared_ptr<state_type> state_;
};

// Outside of the class, because functions defined in a class are inline. Each unit would compile
// them again, even if an `extern template` names another unit.

template <class Protocol, class SocketExecutor, class Executor, class Handle>
reader<Protocol, SocketExecutor, Executor, Handle>::reader(Handle handle,
                                                           const reader_config& config)
    : state_(std::make_shared<state_type>(std::move(handle), config))
{
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::operator=(reader&& other) noexcept
    -> reader&
{
  if (this != &other) {
    if (state_) state_->stop();
    state_ = std::move(other.state_);
  }
  return *this;
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
reader<Protocol, SocketExecutor, Executor, Handle>::~reader()
{
  if (state_) state_->stop();
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next()
    -> net::awaitable<result_type, Executor>
{
  return advance(state_.get(), nullptr, take_one());
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next(error_code& ec)
    -> net::awaitable<result_type, Executor>
{
  return advance(state_.get(), &ec, take_one());
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next_until(time_point deadline,
                                                                    error_code& ec)
    -> net::awaitable<result_type, Executor>
{
  return advance(state_.get(), &ec, take_one(), deadline);
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next_until(time_point deadline)
    -> net::awaitable<result_type, Executor>
{
  return advance(state_.get(), nullptr, take_one(), deadline);
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next_batch()
    -> net::awaitable<basic_datagrams<Protocol>, Executor>
{
  return advance(state_.get(), nullptr, take_batch());
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next_batch(error_code& ec)
    -> net::awaitable<basic_datagrams<Protocol>, Executor>
{
  return advance(state_.get(), &ec, take_batch());
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next_batch_until(time_point deadline,
                                                                          error_code& ec)
    -> net::awaitable<basic_datagrams<Protocol>, Executor>
{
  return advance(state_.get(), &ec, take_batch(), deadline);
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto reader<Protocol, SocketExecutor, Executor, Handle>::next_batch_until(time_point deadline)
    -> net::awaitable<basic_datagrams<Protocol>, Executor>
{
  return advance(state_.get(), nullptr, take_batch(), deadline);
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
void reader<Protocol, SocketExecutor, Executor, Handle>::stop()
{
  state_->stop();
}

template <transport_with_handle Transport>
reader(Transport&, const reader_config& = {})
    -> reader<typename handle_of<Transport>::protocol_type,
              typename handle_of<Transport>::executor_type, net::any_io_executor,
              handle_of<Transport>>;

template <transport_handle Handle>
reader(Handle, const reader_config& = {})
    -> reader<typename Handle::protocol_type, typename Handle::executor_type, net::any_io_executor,
              Handle>;

#if defined(DGRAM_COMPILED)
// One unit of the program defines these; see dgram/compiled.hpp.
extern template class reader<udp>;
#endif

DGRAM_NAMESPACE_END

#endif
