// SPDX-License-Identifier: BSL-1.0
// A listener serves many peers on one socket, and gives each peer a session.
#ifndef DGRAM_LISTENER_HPP
#define DGRAM_LISTENER_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/executor_check.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/sessions/listener_core.hpp>
#include <dgram/detail/sessions/listener_dealing.hpp>
#include <dgram/detail/sessions/listener_ending.hpp>
#include <dgram/detail/sessions/listener_sending.hpp>
#include <dgram/detail/sessions/listener_waits.hpp>
#include <dgram/detail/sessions/session_ops.hpp>
#include <dgram/error.hpp>
#include <dgram/fwd.hpp>
#include <dgram/listener_config.hpp>
#include <dgram/session.hpp>
#include <dgram/session_key.hpp>
#include <dgram/session_map.hpp>
#include <dgram/stranger.hpp>
#include <dgram/transport.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Receives for all peers of a server on one socket, and gives each of them a session. A datagram
/// of a new peer makes a session; a function that is given to the constructor finds sessions by
/// another key. Three forms hand the sessions over:
///  - `serve` calls a coroutine for each session;
///  - `accept` returns one session after the other;
///  - `async_for_each` calls a function with each datagram in place. It makes no handles.
///
/// The first operation decides between handles (`serve`, `accept`) and the form in place. The other
/// form then fails with `operation_not_supported`. One of these operations may be pending at a
/// time; another one fails with `already_started`.
///
/// **Receiving** begins with the first of these operations, and goes on until `stop`, `close`, or
/// the end of the socket or the listener, whatever is pending then. It is one operation of the
/// socket, and keeps the context running. If no `accept` is pending, new sessions wait for the next
/// one. Nothing else may receive from the socket. The listener sets the options that a `reader`
/// sets.
///
/// **Ending:**
///
/// | | new peers | sessions | the listener's operations |
/// |---|---|---|---|
/// | `pause_accepting` | no session, until `resume_accepting` | go on | go on |
/// | `cancel` | wait for the next operation | go on | `operation_aborted` |
/// | `stop` | no session | have ended; hand out what they have, may send | complete |
/// | `async_drain_for` | as `stop` | as `stop`, then as `close` | as `stop` |
/// | `close`, the destructor | no session | end at once | complete |
///
/// "Complete" means without an error. After `stop`, `accept` still returns the sessions that wait
/// for it, and then nothing. If the socket is closed, released or opened again, the listener
/// closes. `cancel` of the socket cancels the listener's operations. If the socket fails,
/// everything ends with that error.
///
/// **Limits** are those of `listener_config`. Each has a counter in `statistics`. None is shared
/// with another listener.
///
/// **Shards.** The listeners of a `shard_group` that keeps sessions never have the same key. So
/// `add_key` and `set_peer` also return false if another listener's session has the key. They
/// forward each other's datagrams; see `shard_group_config::keep_sessions`.
///
/// **Exceptions** that a function of the program throws leave `run()` of the context, after the
/// loop has finished what it was doing. The listener goes on. Some versions of Asio's `thread_pool`
/// end the program then.
///
/// Lifetimes: the socket, the listener and the sessions may be moved, and may be destroyed in any
/// order. All must be destroyed before the context.
///
/// Executor: that of the socket. All calls belong on it. If several threads run the context,
/// construct the socket with a strand. Functions of the program are called on it. Without `NDEBUG`,
/// a call beside the strand throws `std::logic_error`, as far as docs/servers.md says.
///
/// Allocation: the listener needs none for a datagram once the inboxes have grown. A new session
/// reuses the memory of an ended one. Frames of coroutines are Asio's: it keeps a few for reuse.
///
/// Thread safety: distinct objects are safe, if they have distinct sockets; one object is not.
///
/// A listener of an emitter is something else: a function that is called with events.
///
/// \code
/// dgram::listener listener{socket, {.idle_timeout = std::chrono::seconds(30)}};
/// co_await listener.serve([](dgram::udp::session session) -> asio::awaitable<void> {
///   while (auto datagram = co_await session.next())
///     co_await session.send(datagram->payload());
/// });
/// \endcode
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class listener {
  using core_type = detail::listener_core<Handle, Executor>;
  using use_awaitable = net::use_awaitable_t<Executor>;
  using default_token = default_token_t<SocketExecutor>;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = SocketExecutor;
  using handle_type = Handle;
  using clock_type = typename Handle::clock_type;
  using time_point = typename clock_type::time_point;
  using duration = typename clock_type::duration;
  using datagram_type = basic_datagram<Protocol>;
  using session_type = session<Protocol, SocketExecutor, Executor, Handle>;
  using session_ref_type = session_ref<Protocol, SocketExecutor, Executor, Handle>;
  using result_type = std::optional<session_type>;

  /// Returns the key of a datagram; see `session_map::key_function`.
  using key_function = std::function<session_key(const datagram_type&)>;

  /// Called with the datagram of a peer without a session. Returns whether it makes one.
  using stranger_function = std::function<bool(const datagram_type&, basic_stranger<Protocol>&)>;

  class session_range;

  /// Called with a session that has ended.
  using end_function = std::function<void(session_id, const endpoint_type&, session_end)>;

  /// Called with what the coroutine of a session has thrown.
  using failure_function = std::function<void(std::exception_ptr)>;

  /// The same, with the session, which has ended then.
  using session_failure_function = std::function<void(session_id, std::exception_ptr)>;

  /// Serves a socket, or another transport whose `handle()` is a `transport_handle`. It begins to
  /// receive with the first operation. Throws `system_error`:
  ///  - `error::out_of_range` for a limit outside its range, and the text names it;
  ///  - `already_connected` for a connected socket;
  ///  - `error::already_listening` if the socket has a listener that is not closed;
  ///  - `already_started` if the socket has a reader that is not stopped, or an exchanger.
  ///
  /// A `reader` of the socket is refused from now on, until the listener is closed. The socket's
  /// own receives are not, and would take datagrams from the sessions.
  template <transport_with_handle Transport>
    requires std::same_as<handle_of<Transport>, Handle>
  explicit listener(Transport& transport, const listener_config& config = {},
                    key_function key_of = {})
      : listener(transport.handle(), config, std::move(key_of))
  {
    error_code unknown;
    if constexpr (requires { transport.local_endpoint(unknown); })
      core_->local = transport.local_endpoint(unknown);
  }

  /// The same, with the handle itself.
  explicit listener(Handle handle, const listener_config& config = {}, key_function key_of = {})
      : core_(std::make_shared<core_type>(std::move(handle), config, std::move(key_of)))
  {
    core_->enroll();
  }

  listener(listener&&) noexcept = default;

  /// Closes this listener first.
  listener& operator=(listener&& other) noexcept
  {
    if (this != &other) {
      if (core_) core_->close();
      core_ = std::move(other.core_);
    }
    return *this;
  }

  /// Closes the listener.
  ~listener()
  {
    if (core_) core_->close();
  }

  executor_type get_executor() const noexcept { return core_->get_executor(); }

  // --- sessions with handles ---

  /// Returns the next new session, or nothing after `stop` or `close`. Suspends only if none waits.
  /// A cancelled `accept` takes no session. Throws `system_error`, as `async_accept`.
  net::awaitable<result_type, Executor> accept() { return async_accept(use_awaitable()); }

  /// The same, but waits at most until `deadline`. It returns nothing after the deadline, and after
  /// `stop` or `close`. `is_stopped` tells these apart.
  net::awaitable<result_type, Executor> accept_until(time_point deadline)
  {
    return accept_before(core_, deadline, nullptr);
  }

  /// The same. On error it returns nothing and sets `ec`, after the deadline to `timed_out`.
  net::awaitable<result_type, Executor> accept_until(time_point deadline, error_code& ec)
  {
    return accept_before(core_, deadline, &ec);
  }

  /// As `accept_until`, with the time to wait.
  net::awaitable<result_type, Executor> accept_for(duration timeout)
  {
    return accept_until(detail::deadline(clock_type::now(), timeout));
  }

  net::awaitable<result_type, Executor> accept_for(duration timeout, error_code& ec)
  {
    return accept_until(detail::deadline(clock_type::now(), timeout), ec);
  }

  /// The same, for any completion token.
  ///
  /// Completion: `void(error_code, std::optional<session_type>)`; empty without an error after
  /// `stop` or `close`. Errors: `operation_aborted`, `already_started`, `operation_not_supported`,
  /// `bad_descriptor` if the socket has never been open, and the error of a socket that has failed.
  /// Cancellation: terminal, partial and total. The handler must run on the socket's executor: the
  /// session belongs there.
  template <net::completion_token_for<void(error_code, result_type)> Token = default_token>
  auto async_accept(Token&& token = default_token())
  {
    return accept_by(core_, std::forward<Token>(token));
  }

  /// Runs a coroutine for each session, on the listener's executor: `function(session)` returns
  /// `awaitable<void, Executor>`. The session is passed by value. The function and its captures
  /// live until all its coroutines have finished.
  ///
  /// Returns when no more sessions come, by `stop` or `close`, and all coroutines have finished. So
  /// a coroutine that waits for something else than its session delays the end.
  ///
  /// If a coroutine throws, its session is closed, and `on_failure` gets the exception. Without
  /// `on_failure` the exception leaves `run()` of the context, so a server should set it. The error
  /// `error::session_ended` is no failure: calls on a session that has ended throw it.
  ///
  /// Throws `system_error`, as `async_serve`.
  template <class Function>
  net::awaitable<void, Executor> serve(Function function)
  {
    return async_serve(std::move(function), use_awaitable());
  }

  /// The same, for any completion token.
  ///
  /// Completion: `void(error_code)`. Errors: those of `async_accept`. Cancellation: terminal and
  /// partial. Both end the acceptance, and new sessions wait for the next operation. Terminal also
  /// ends the sessions, as `stop` does. Then the operation waits for its coroutines, and completes
  /// with `operation_aborted`.
  template <class Function, net::completion_token_for<void(error_code)> Token = default_token>
  auto async_serve(Function function, Token&& token = default_token())
  {
    static_assert(std::is_invocable_r_v<net::awaitable<void, Executor>, Function&, session_type>,
                  "the function of serve takes the session by value and returns "
                  "asio::awaitable<void>, with the listener's executor type");
    auto shared = std::make_shared<Function>(std::move(function));
    return core_->async_serve(
        [shared = std::move(shared)](core_type& core, session_type session) {
          run(core, shared, std::move(session));
        },
        std::forward<Token>(token));
  }

  /// Sets the function that gets what the coroutine of a session has thrown.
  void on_failure(failure_function function)
  {
    if (!function) return core_->on_failure({});
    core_->on_failure([function = std::move(function)](session_id, std::exception_ptr thrown) {
      function(std::move(thrown));
    });
  }

  /// The same, with the id of the session. The session has ended, so that `find` returns none.
  ///
  /// \code
  /// dgram::listener listener{socket};
  /// listener.on_failure([](dgram::session_id id, std::exception_ptr) {
  ///   fmt::print("session {} has thrown\n", id);
  /// });
  /// \endcode
  template <class Function>
    requires(std::constructible_from<session_failure_function, Function> &&
             !std::constructible_from<failure_function, Function>)
  void on_failure(Function function)
  {
    core_->on_failure(std::move(function));
  }

  // --- in place ---

  /// Calls `function(session, datagram)` with each datagram of each session, until `stop` or
  /// `close`. The session is a `session_ref`, and the datagram is valid during the call. Nothing is
  /// copied, and no session has a handle. What the calls of one batch send leaves together. This is
  /// the fastest form for callbacks.
  ///
  /// Completion: `void(error_code)`. Errors and cancellation: as `async_accept`. The function is
  /// destroyed before the handler is called.
  ///
  /// Exceptions of the function: as those of the class. The datagram counts as handed over.
  ///
  /// \code
  /// dgram::listener listener{socket};
  /// listener.async_for_each(
  ///     [](dgram::udp::session_ref session, const dgram::datagram& datagram) {
  ///       session.try_send(datagram.payload());
  ///     },
  ///     [](dgram::error_code) {});
  /// io.run();
  /// \endcode
  template <class Function, net::completion_token_for<void(error_code)> Token = default_token>
    requires std::invocable<Function&, const session_ref_type&, const datagram_type&>
  auto async_for_each(Function function, Token&& token = default_token())
  {
    static_assert(
        std::is_void_v<
            std::invoke_result_t<Function&, const session_ref_type&, const datagram_type&>>,
        "The function of async_for_each returns nothing: a result would be thrown away, and a "
        "coroutine never run.");
    auto shared = std::make_shared<Function>(std::move(function));
    return core_->async_for_each(
        [shared = std::move(shared)](core_type& core, session_id id,
                                     const datagram_type& received) {
          const session_ref_type from(core.shared_from_this(), id);
          std::invoke(*shared, from, received);
        },
        std::forward<Token>(token));
  }

  // --- all forms ---

  /// Returns the session with this id, of this peer or with this key; an empty reference if there
  /// is none.
  template <class Key>
    requires(std::same_as<Key, session_id> || std::same_as<Key, session_key> ||
             std::convertible_to<const Key&, endpoint_type>)
  session_ref_type find(const Key& key) const
  {
    detail::check_executor(*core_, "listener::find");
    const auto found = core_->sessions().find(key);
    return found ? session_ref_type(core_, found.id()) : session_ref_type();
  }

  /// All sessions, in no particular order, as a range of references. The loop may end any session,
  /// and may suspend. A session that is made during the loop may be left out.
  ///
  /// \code
  /// dgram::listener listener{socket};
  /// for (auto session : listener.sessions()) session.try_send("news");
  /// \endcode
  session_range sessions() const noexcept { return session_range(core_); }

  /// Sets the function that is asked before a datagram makes a session: true lets it. It may answer
  /// the datagram, with a cookie for example, and may say that the peer has proved its address. It
  /// is not asked if the listener takes no session anyway, except if there are `max_sessions`.
  ///
  /// \code
  /// dgram::listener listener{socket};
  /// listener.on_stranger([](const dgram::datagram& datagram, dgram::stranger& from) {
  ///   if (datagram.payload().text().ends_with("cookie")) {
  ///     from.mark_validated();
  ///     return true;
  ///   }
  ///   from.reply("cookie");
  ///   return false;
  /// });
  /// \endcode
  void on_stranger(stranger_function function) { core_->on_stranger(std::move(function)); }

  // --- the end ---

  /// New peers get no session until `resume_accepting`. Their datagrams are counted as
  /// `not_accepting`.
  void pause_accepting() noexcept { core_->pause(true); }
  void resume_accepting() noexcept { core_->pause(false); }
  bool is_paused() const noexcept { return core_->is_paused(); }

  /// Completes the pending operation with `operation_aborted`. Sessions go on.
  void cancel()
  {
    detail::check_executor(*core_, "listener::cancel");
    core_->cancel();
  }

  /// Ends the listening. Each session still hands out the datagrams that it has, and may send until
  /// its handle is destroyed.
  void stop()
  {
    detail::check_executor(*core_, "listener::stop");
    core_->stop();
  }

  /// Whether no more sessions come.
  bool is_stopped() const noexcept { return core_->is_stopped(); }

  /// Stops, waits until the handles of all sessions are destroyed, or at most so long, and closes.
  /// Returns how many handles were left. Throws `system_error`, as `async_drain_for`.
  net::awaitable<std::size_t, Executor> drain_for(duration limit)
  {
    return async_drain_for(limit, use_awaitable());
  }

  /// The same, for any completion token.
  ///
  /// Completion: `void(error_code, std::size_t)`. Errors: `already_started`, and
  /// `operation_aborted`, after which the listener is stopped and not closed. Cancellation:
  /// terminal, partial and total.
  template <net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_drain_for(duration limit, Token&& token = default_token())
  {
    return core_->async_drain("listener::async_drain_for", limit, std::forward<Token>(token));
  }

  /// Ends all sessions as `stopped`, and all operations. Queued sends leave as far as the kernel
  /// takes them at once.
  void close()
  {
    detail::check_executor(*core_, "listener::close");
    core_->close();
  }

  /// Sets the function that is called with each session that has ended, and why. It is called
  /// later, never inside the call that ends the session.
  void on_end(end_function function) { core_->on_end(std::move(function)); }

  /// Sets the function that is called with a datagram that could not be sent: the error, the peer
  /// and the size. See `writer::error_handler`.
  void on_error(typename core_type::writer_type::error_handler function)
  {
    core_->outgoing().on_error(std::move(function));
  }

  /// How many sessions there are.
  std::size_t size() const noexcept { return core_->sessions().size(); }

  listener_statistics statistics() const noexcept { return core_->statistics(); }

private:
  /// Ends the deadline however the coroutine leaves the wait.
  struct deadline_scope {
    core_type& core;
    typename Handle::timer_type timer;
    std::uint64_t number;

    deadline_scope(core_type& of, time_point deadline)
        : core(of), timer(of.get_executor(), deadline), number(of.set_accept_deadline(timer))
    {
    }
    deadline_scope(const deadline_scope&) = delete;
    deadline_scope& operator=(const deadline_scope&) = delete;
    ~deadline_scope() { core.forget_accept_deadline(number); }
  };

  /// The listener may be moved or destroyed meanwhile.
  static net::awaitable<result_type, Executor> accept_before(std::shared_ptr<core_type> core,
                                                             time_point deadline,
                                                             error_code* failure)
  {
    detail::check_executor(*core, "listener::accept");
    // If another operation is pending, this one fails, and must not touch the deadline of that one.
    std::optional<deadline_scope> scope;
    core->notice_socket();
    if (!core->is_listening()) scope.emplace(*core, deadline);
    error_code ec;
    result_type accepted = co_await accept_by(core, net::redirect_error(use_awaitable(), ec));
    if (failure != nullptr)
      *failure = ec;
    else if (ec != net::error::timed_out)
      detail::throw_if(ec, "accept");
    co_return accepted;
  }

  template <class Token>
  static auto accept_by(const std::shared_ptr<core_type>& core, Token&& token)
  {
    return core->template async_wait_session<detail::session_wait<core_type>>(
        "listener::async_accept", std::forward<Token>(token));
  }

  template <class Function>
  static void run(core_type& core, const std::shared_ptr<Function>& function, session_type session)
  {
    struct finished {
      std::shared_ptr<core_type> core;
      std::shared_ptr<Function> function;
      session_id id;

      void operator()(const std::exception_ptr& thrown)
      {
        const std::shared_ptr<core_type> kept = std::move(core);
        function.reset();
        kept->served();
        if (thrown) kept->session_failed(id, thrown);
      }
    };
    finished done{core.shared_from_this(), function, session.id()};
    try {
      net::co_spawn(core.awaitable_executor(), (*function)(std::move(session)), done);
    } catch (...) {
      done(std::current_exception());
    }
  }

  std::shared_ptr<core_type> core_;
};

/// The sessions of a listener; see `listener::sessions`.
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class listener<Protocol, SocketExecutor, Executor, Handle>::session_range {
public:
  class iterator {
  public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = session_ref_type;
    using difference_type = std::ptrdiff_t;

    iterator() noexcept = default;

    value_type operator*() const
    {
      const auto found = *at_;
      return found ? value_type(core_, found.id()) : value_type();
    }
    iterator& operator++() noexcept
    {
      ++at_;
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    friend bool operator==(const iterator& a, std::default_sentinel_t end) noexcept
    {
      return a.at_ == end;
    }

  private:
    friend session_range;
    explicit iterator(std::shared_ptr<core_type> core) noexcept
        : core_(std::move(core)), at_(core_->sessions().begin())
    {
    }

    std::shared_ptr<core_type> core_;
    typename core_type::map_type::iterator at_;
  };

  iterator begin() const noexcept { return iterator(core_); }
  std::default_sentinel_t end() const noexcept { return {}; }

private:
  friend listener;
  explicit session_range(std::shared_ptr<core_type> core) noexcept : core_(std::move(core)) {}

  std::shared_ptr<core_type> core_;
};

template <transport_with_handle Transport>
listener(Transport&, const listener_config& = {},
         std::function<
             session_key(const basic_datagram<typename handle_of<Transport>::protocol_type>&)> = {})
    -> listener<typename handle_of<Transport>::protocol_type,
                typename handle_of<Transport>::executor_type, net::any_io_executor,
                handle_of<Transport>>;

template <transport_handle Handle>
listener(Handle, const listener_config& = {},
         std::function<session_key(const basic_datagram<typename Handle::protocol_type>&)> = {})
    -> listener<typename Handle::protocol_type, typename Handle::executor_type,
                net::any_io_executor, Handle>;

DGRAM_NAMESPACE_END

#endif
