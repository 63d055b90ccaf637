// SPDX-License-Identifier: BSL-1.0
// What a listener, its sessions and their operations share: the table, the loop that receives, and
// the waits.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_CORE_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_CORE_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/executor_check.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/async/roster.hpp>
#include <dgram/detail/async/task.hpp>
#include <dgram/detail/async/turns.hpp>
#include <dgram/detail/batch/receive_loop.hpp>
#include <dgram/detail/sessions/inbox.hpp>
#include <dgram/detail/sessions/listener_limits.hpp>
#include <dgram/detail/sessions/session_state.hpp>
#include <dgram/detail/sessions/shard_forwarding.hpp>
#include <dgram/detail/socket/receivers.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/fwd.hpp>
#include <dgram/listener_config.hpp>
#include <dgram/reader.hpp>
#include <dgram/send_options.hpp>
#include <dgram/session_map.hpp>
#include <dgram/stranger.hpp>
#include <dgram/writer.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One loop receives for all sessions. It runs from the first operation of the listener until the
/// listener is stopped.
///
/// A batch is dealt out first: into the inboxes, or to the function for datagrams. Then the waits
/// that it has ended are resumed, directly. A large batch is dealt out in portions, whose copies
/// are still in the processor's cache when they are read. Only what waits for a full inbox is
/// resumed at once. What ends a wait outside of the loop posts instead.
///
/// `Handle` is a `transport_handle`, and `Executor` that of the awaitables.
template <class Handle, class Executor>
class listener_core : public std::enable_shared_from_this<listener_core<Handle, Executor>> {
public:
  using protocol_type = typename Handle::protocol_type;
  using executor_type = typename Handle::executor_type;
  using clock_type = typename Handle::clock_type;
  using endpoint_type = typename protocol_type::endpoint;
  using datagram_type = basic_datagram<protocol_type>;
  using session_type = session<protocol_type, executor_type, Executor, Handle>;
  using reader_type = reader<protocol_type, executor_type, Executor, Handle>;
  using writer_type = dgram::writer<protocol_type, executor_type, Executor, Handle>;
  using writer_state_type = writer_state<Handle>;
  using state_type = session_state<session_type, protocol_type>;
  using map_type = session_map<state_type, protocol_type, clock_type>;
  using place_type = typename map_type::session;
  using node_type = inbox_datagram<protocol_type>;
  using inbox_type = inbox<protocol_type>;
  using outlet_type = session_outlet<protocol_type>;
  using reply_path_type = basic_reply_path<protocol_type>;
  using remains_type = session_remains<session_type, protocol_type>;
  using key_function = typename map_type::key_function;
  using routed_type = typename map_type::routed_datagrams;

  listener_core(Handle handle, const listener_config& config, key_function key_of)
      : config_(checked(config)),
        socket_(unserved(std::move(handle))),
        reader_(socket_, {.slots = config.slots,
                          .slot_size = config.slot_size,
                          .yield_after = config.yield_after,
                          .coalesce = config.coalesce}),
        writer_(reader_, config.queue),
        loop_(*this, state()),
        later_(*this, find_io_context(socket_.get_executor())),
        map_({.idle_timeout = config.idle_timeout,
              .max_sessions = config.max_sessions,
              .when_full = config.when_full,
              .max_keys = config.max_keys,
              .ignore_for = config.ignore_for},
             std::move(key_of)),
        pool_(config.all_inboxes_bytes),
        awaitable_executor_(socket_.get_executor()),
        timer_(std::in_place, socket_.get_executor()),
        roster_(service_of(socket_.get_executor()).members)
  {
    map_.on_stranger([this](const datagram_type& received) { return welcomes(received); });
    map_.on_end([this](place_type ended, session_end why) { on_ended(ended, why); });
  }

  listener_core(const listener_core&) = delete;
  listener_core& operator=(const listener_core&) = delete;

  ~listener_core() { roster_->remove(*this); }

  /// From now on the socket has a listener, until `close`. Call this once.
  void enroll()
  {
    start_forwarding();
    roster_->add(*this);
    state().entry.remove();
    set_owner(socket_, socket_owner::listener);
  }

  executor_type get_executor() const noexcept { return socket_.get_executor(); }

  /// The address of the socket when the listener was made.
  endpoint_type local;

  /// The same executor, in the type that coroutines have.
  const Executor& awaitable_executor() const noexcept { return awaitable_executor_; }

  const listener_config& config() const noexcept { return config_; }
  writer_type& outgoing() noexcept { return writer_; }
  map_type& sessions() noexcept { return map_; }
  const map_type& sessions() const noexcept { return map_; }
  bool is_over() const noexcept { return closed_ || !socket_.is_open(); }
  bool is_stopped() const noexcept { return stopped_ || is_over(); }

  place_type find(session_id id) const noexcept { return map_.find(id); }

  /// Returns the handle of a session that may still have datagrams, wherever the handle is. Null if
  /// there is none.
  session_type* handle_of(session_id id) const noexcept;

  // --- the waits ---

  /// Waits until the session has a datagram. Errors: `session_ended`, `already_started`, and
  /// `operation_aborted` if it was cancelled. `Wait` is `waiter`, or takes the datagram as `how`
  /// says.
  template <class Wait, class Token, class... How>
  auto async_wait_datagram(const char* call, session_id id, Token&& token, const How&... how)
  {
    return start_wait<Wait>(
        call,
        [id, how...](listener_core& core, Wait* added) {
          if constexpr (sizeof...(How) > 0)
            added->begin(core, id, how...);
          else
            core.wait_datagram(id, added);
        },
        [id](listener_core& core, const Wait* which, net::cancellation_type) {
          const place_type found = core.find(id);
          if (found && found->waiting == which) return core.cancel_wait(found);
          // One that takes nothing may as well succeed.
          if (!std::same_as<Wait, waiter>) core.cancel_late(which);
        },
        std::forward<Token>(token));
  }

  void wait_datagram(session_id id, waiter* added);

  /// Ends the wait for a datagram that is about to begin with `timed_out`, when it is time. Returns
  /// the number for `forget_deadline`.
  template <class Timer>
  std::uint32_t set_deadline(place_type of, Timer& timer);

  /// A later deadline is another one's.
  void forget_deadline(session_id of, std::uint32_t number) noexcept
  {
    const place_type found = find(of);
    if (found && found->wait_number == number) ++found->wait_number;
  }

  /// Waits until the session ends. The handle writes to `ended` when it does, for a later launch.
  template <class Token>
  auto async_wait_end(session_id id, std::shared_ptr<const std::optional<session_end>> ended,
                      Token&& token)
  {
    using completion_type = plain_completion<session_end>;
    return start_wait<completion_type>(
        "session::async_ended",
        [id, ended = std::move(ended)](listener_core& core, completion_type* added) {
          const place_type found = core.find(id);
          if (!found) {
            std::get<0>(added->values) = ended->value_or(session_end::closed);
            return core.end_wait(added, {});
          }
          if (found->waiting_for_end != nullptr)
            return core.end_wait(added, net::error::already_started);
          found->waiting_for_end = added;
        },
        [id](listener_core& core, const completion_type* which, net::cancellation_type) {
          const place_type found = core.find(id);
          if (found && found->waiting_for_end == which)
            core.end_member(found->waiting_for_end, aborted());
        },
        std::forward<Token>(token));
  }

  /// Waits until there is a session to accept, or until there will be none. Errors: those of
  /// `cannot_listen`, and `operation_aborted`. `Wait` takes the session.
  template <class Wait, class Token>
  auto async_wait_session(const char* call, Token&& token)
  {
    return start_wait<Wait>(
        call, [](listener_core& core, Wait* added) { added->begin(core); },
        [](listener_core& core, const Wait* which, net::cancellation_type) {
          if (core.accepting_ == which) return core.end_member(core.accepting_, aborted());
          core.cancel_late(which);
        },
        std::forward<Token>(token));
  }

  void wait_session(waiter* added);

  /// Ends what a `cancel` or a close of the socket ends, before something else begins.
  void notice_socket()
  {
    if (!silenced_ && loop_.is_running()) loop_.notice_epoch();
  }

  /// Whether an operation of the listener is pending.
  bool is_listening() const noexcept
  {
    return accepting_ != nullptr || serving_ != nullptr || passing_ != nullptr;
  }

  /// Ends the wait for a session that is about to begin with `timed_out`, when it is time.
  template <class Timer>
  std::uint64_t set_accept_deadline(Timer& timer);

  void forget_accept_deadline(std::uint64_t number) noexcept
  {
    if (accept_number_ == number) ++accept_number_;
  }

  using serve_function = std::function<void(listener_core&, session_type)>;
  using each_function = std::function<void(listener_core&, session_id, const datagram_type&)>;

  /// Calls a function with every new session. The function calls `served` when the session's
  /// coroutine has finished. Completes when no more sessions come and all have finished.
  template <class Token>
  auto async_serve(serve_function function, Token&& token)
  {
    return start_wait<waiter>(
        "listener::async_serve",
        [function = std::make_shared<serve_function>(std::move(function))](listener_core& core,
                                                                           waiter* added) {
          if (const error_code ec = core.cannot_listen(form::handles))
            return core.end_wait(added, ec);
          if (core.is_stopped() && !core.has_unaccepted()) return core.end_wait(added, {});
          core.start_listening(added);
          core.serving_ = added;
          core.serve_ = function;
        },
        [](listener_core& core, const waiter* which, net::cancellation_type type) {
          // Total promises that nothing has happened, and sessions may have been served.
          constexpr auto wanted =
              net::cancellation_type::terminal | net::cancellation_type::partial;
          if (core.serving_ != which || (type & wanted) == net::cancellation_type::none) return;
          if ((type & net::cancellation_type::terminal) != net::cancellation_type::none)
            core.end_sessions(session_end::stopped);
          core.end_serving(aborted());
        },
        std::forward<Token>(token));
  }

  /// Call this when the coroutine of a session that `async_serve` gave has finished.
  void served()
  {
    --being_served_;
    finish_serving();
  }

  /// Calls a function with every datagram of every session. Completion: `void(error_code)`.
  template <class Token>
  auto async_for_each(each_function function, Token&& token)
  {
    return start_wait<waiter>(
        "listener::async_for_each",
        [function = std::make_shared<each_function>(std::move(function))](listener_core& core,
                                                                          waiter* added) {
          if (const error_code ec = core.cannot_listen(form::in_place))
            return core.end_wait(added, ec);
          if (core.is_stopped()) return core.end_wait(added, {});
          core.start_listening(added);
          core.passing_ = added;
          core.each_ = function;
        },
        [](listener_core& core, const waiter* which, net::cancellation_type) {
          if (core.passing_ == which) core.end_passing(aborted());
        },
        std::forward<Token>(token));
  }

  /// A drain completes with the number of handles that were left.
  using drain_completion = plain_completion<std::size_t>;

  /// Stops, and waits until no handle of a session is left, or until the time is over. Then closes.
  /// Errors: `already_started`, `operation_aborted`.
  template <class Token>
  auto async_drain(const char* call, typename clock_type::duration limit, Token&& token)
  {
    return start_wait<drain_completion>(
        call, [limit](listener_core& core, drain_completion* added) { core.drain(limit, added); },
        [](listener_core& core, const drain_completion* which, net::cancellation_type) {
          if (core.draining_ == which) core.end_draining(aborted());
        },
        std::forward<Token>(token));
  }

  void drain(typename clock_type::duration limit, drain_completion* added);

  /// Returns whether the wait was cancelled late, and forgets that.
  bool forget_late(const waiter* which) noexcept
  {
    return !cancelled_late_.empty() && cancelled_late_.erase(which) > 0;
  }

  /// Completes with `ec` and nothing else.
  template <class Handler>
  void complete_later(const error_code& ec, Handler&& handler)
  {
    auto* const added = make_wait<waiter>(std::forward<Handler>(handler));
    if (silenced_) return added->discard();
    end_wait(added, ec);
  }

  // --- sessions ---

  /// Takes the oldest datagram of an inbox; null if there is none.
  node_type* take(inbox_type& from) noexcept
  {
    if (from.empty()) return nullptr;
    --in_inboxes_;
    ++handed_over_;
    return from.pop();
  }

  void release(node_type* which) noexcept { which->release(pool_); }

  void discard(inbox_type& unread) noexcept
  {
    while (!unread.empty()) {
      unread.pop()->release(pool_);
      --in_inboxes_;
      ++unread_;
    }
  }

  /// Call this when the handle of a session does not need what is left.
  void drop_remains(session_id of) noexcept;

  /// Returns the oldest session that waits for `accept`, or none.
  place_type next_unaccepted() noexcept
  {
    while (!backlog_.empty()) {
      if (const place_type found = map_.find(backlog_.front()); found && !found->is_accepted)
        return found;
      backlog_.pop();
    }
    return {};
  }

  bool has_unaccepted() noexcept { return static_cast<bool>(next_unaccepted()); }

  /// Returns the same as a handle, which the caller owns; an empty handle if there is none.
  session_type accept_one()
  {
    const place_type found = next_unaccepted();
    if (!found) return {};
    backlog_.pop();
    accept(found);
    session_type handle(this->shared_from_this(), found);
    // After `stop` a session only hands out what it has.
    if (stopped_) end(found, session_end::stopped);
    return handle;
  }

  void add_handle() noexcept { ++handles_; }

  void remove_handle()
  {
    if (--handles_ == 0 && draining_ != nullptr) close();
  }

  std::size_t handles() const noexcept { return handles_; }

  void end(place_type which, session_end why) { map_.end(which, why); }

  void touch(place_type which) noexcept { map_.touch(which); }

  void set_idle_timeout(place_type which, std::chrono::nanoseconds timeout);

  /// Completes what waits for a datagram of the session.
  void cancel_wait(place_type of)
  {
    if (of->waiting != nullptr) end_member(of->waiting, aborted());
  }

  void mark_validated(place_type which) noexcept
  {
    which->out.budget = outlet_type::unlimited;
    map_.mark_validated(which);
  }

  session_statistics statistics_of(place_type which) const noexcept
  {
    session_statistics result;
    if (which) {
      result.received = which->received;
      result.dropped = which->out.dropped;
      result.queued = which->unread.size();
      result.refused = which->out.refused;
    }
    return result;
  }

  // --- sending ---

  /// Whether so many bytes may be sent to the peer. If they may, they are subtracted.
  bool may_send(outlet_type& to, std::size_t size) const noexcept
  {
    return config_.amplification == 0 || to.spend(size);
  }

  /// The same before a wait for room. Returns the way to the peer. `ec` says why not.
  reply_path_type reserve(session_id of, std::size_t size, error_code& ec);

  /// Call this when a send that has reserved so many bytes has failed.
  void return_unspent(session_id of, std::size_t size) noexcept;

  /// Queues a datagram, or drops it if the policy says so. Returns whether it has to wait for room.
  /// Otherwise `ec` says why it can never be queued. Flushes only the first time, because a flush
  /// wakes all others that wait.
  bool must_wait(session_id of, bytes_view payload, const reply_path_type& to, bool is_first,
                 error_code& ec);

  /// Waits until there may be room. Completion: `void(error_code)`.
  template <class Token>
  void async_wait_room(Token&& token)
  {
    writer_.state_->async_wait_room(std::forward<Token>(token));
  }

  /// Waits for room, and queues the datagram. If the listener or the socket is closed meanwhile,
  /// the error is `session_ended`, and not that of the queue. `options` belong to the caller, which
  /// waits.
  template <class... Options>
  static net::awaitable<void, Executor> send_in_room(std::shared_ptr<listener_core> core,
                                                     session_id to, bytes_view payload,
                                                     const Options*... options);

  bool set_peer(place_type of, const basic_reply_path<protocol_type>& path)
  {
    if (!map_.set_peer(of, path.peer)) return false;
    of->out.path = path;
    return true;
  }

  /// Queues a datagram if that is possible now.
  template <class... Options>
  bool try_send(session_id of, outlet_type& to, bytes_view payload, error_code& ec,
                const Options&... options);

  /// If `ec` is set, throws it as an error of a send of so many bytes.
  template <class... Options>
  void throw_if_refused(const error_code& ec, std::size_t size, const Options&... options) const
  {
    writer_.state_->throw_if_refused(ec, "send", size,
                                     writer_state_type::places_of(size, options...));
  }

  /// A datagram that was not queued will wait, so it is not refused.
  void will_wait(session_id of) noexcept;

  // --- the listener ---

  void pause(bool paused) noexcept { paused_ = paused; }
  bool is_paused() const noexcept { return paused_; }

  /// No more sessions, and no more datagrams. Each session hands out what it has.
  void stop();

  /// Ends everything.
  void close(session_end why = session_end::stopped, const error_code& ec = {});

  /// Ends the operations of the listener, and nothing else.
  void cancel();

  using stranger_type = basic_stranger<protocol_type>;
  using stranger_function = std::function<bool(const datagram_type&, stranger_type&)>;

  void on_stranger(stranger_function function) { on_stranger_ = std::move(function); }

  using end_function = std::function<void(session_id, const endpoint_type&, session_end)>;

  void on_end(end_function function) { on_end_ = std::move(function); }

  using failure_function = std::function<void(session_id, std::exception_ptr)>;

  void on_failure(failure_function function) { on_failure_ = std::move(function); }

  /// What a session's function has thrown. What calls of an ended session throw is no failure.
  void session_failed(session_id of, const std::exception_ptr& thrown);

  listener_statistics statistics() const noexcept;

  // --- called by the loop ---

  using loop_type = receive_loop<listener_core, Handle>;

  turns<listener_core>& later() noexcept { return later_; }

  bool needs(const loop_type&) const noexcept { return !silenced_ && !is_stopped(); }

  void deal(loop_type& loop);

  void interrupted(loop_type& loop);

  void about_to_wait(loop_type&) { arm_timer(); }

  void looked(loop_type&) noexcept {}

  void failed(loop_type&, const error_code& ec) { close(session_end::socket_error, ec); }

  // --- called by `turns` and the context's service ---

  void flush() noexcept {}

  /// From now on nothing is started.
  void silence() noexcept
  {
    silenced_ = true;
    later_.end();
    stop_forwarding();
  }

  /// Releases the operations that wait, which may own the sessions. Calls no handler.
  void discard() noexcept;

  std::size_t place_in_roster = 0;

private:
  enum class form : unsigned char { none, handles, in_place };

  using service_type = roster_service<listener_core>;
  using timer_type = typename Handle::timer_type;

  static service_type& service_of(const executor_type& executor)
  {
    return net::use_service<service_type>(
        net::query(executor, net::execution::context_as<net::execution_context&>));
  }

  /// Refuses a socket that is connected, or from which something receives already.
  static Handle unserved(Handle socket)
  {
    if (socket.is_connected())
      refuse("listener", net::error::already_connected,
             "the socket is connected, and a listener serves many peers");
    refuse_if_received("listener", socket);
    return socket;
  }

  // --- waits ---

  static error_code aborted() { return net::error::operation_aborted; }

  template <class Completion, class Handler>
  Completion* make_wait(Handler&& handler) const
  {
    // A coroutine's executor may have another type than the socket's, and be the same.
    using associated = net::associated_executor_t<std::decay_t<Handler>, executor_type>;
    if constexpr (std::same_as<associated, Executor>)
      return make_completion_for<Completion>(std::forward<Handler>(handler), awaitable_executor_);
    else
      return make_completion_for<Completion>(std::forward<Handler>(handler), get_executor());
  }

  /// `add(core, Completion*)` takes over a wait, and discards it if it throws.
  /// `withdraw(core, Completion*, type)` cancels it.
  /// `call` is the program's call whose executor is checked; null if it was checked before.
  template <class Completion, class Add, class Withdraw, class Token>
  auto start_wait(const char* call, Add add, Withdraw withdraw, Token&& token)
  {
    return initiate<typename Completion::signature>(
        shared_target(this->shared_from_this()),
        [call, add = std::move(add), withdraw](listener_core& core, auto&& handler) {
          if (call != nullptr) check_executor(core, call);
          net::cancellation_slot slot = net::get_associated_cancellation_slot(handler);
          auto* const added = core.make_wait<Completion>(std::forward<decltype(handler)>(handler));
          if (core.silenced_) return added->discard();
          try {
            core.notice_socket();
            added->let_cancel(slot, core.weak_from_this(),
                              [withdraw, added](listener_core& self, net::cancellation_type type) {
                                withdraw(self, added, type);
                              });
          } catch (...) {
            added->discard();
            throw;
          }
          add(core, added);
        },
        std::forward<Token>(token));
  }

  /// Notes that a wait was cancelled that has ended, and whose turn is to come. It may be gone, if
  /// there was no memory for its turn.
  void cancel_late(const waiter* which) noexcept
  {
    if (silenced_) return;
    try {
      cancelled_late_.insert(which);
    } catch (const std::bad_alloc&) {
      return;
    }
  }

  /// Why nothing more can be listened for. Fixes the form of the listener.
  error_code cannot_listen(form wanted) noexcept
  {
    if (ended_with_) return ended_with_;
    if (!closed_ && !stopped_ && reader_.state_->is_unopened()) return net::error::bad_descriptor;
    if (form_ != form::none && form_ != wanted) return net::error::operation_not_supported;
    if (is_listening()) return net::error::already_started;
    if (socket_.is_open() && socket_.is_connected()) return net::error::already_connected;
    form_ = wanted;
    return {};
  }

  template <class Completion>
  void end_wait(Completion* which, const error_code& ec)
  {
    which->outcome = ec;
    later_.deliver(which);
  }

  template <class Completion>
  void end_member(Completion*& which, const error_code& ec)
  {
    end_wait(std::exchange(which, nullptr), ec);
  }

  /// The function for sessions gets no more of them. The operation ends when all have finished.
  void end_serving(const error_code& ec);

  void finish_serving();

  void end_passing(const error_code& ec)
  {
    if (passing_ == nullptr) return;
    // Its destructor may call the listener, so it comes last.
    const auto function = std::exchange(each_, nullptr);
    end_member(passing_, ec);
  }

  void start_draining(typename clock_type::duration limit);

  void end_draining(const error_code& ec);

  /// Ends the sessions that the program has. What waits for `accept` stays.
  void end_sessions(session_end why)
  {
    for (const place_type each : map_)
      if (each->is_accepted) end(each, why);
  }

  /// Call this before the wait is kept. If this throws, the wait is discarded.
  void start_listening(waiter* added)
  {
    try {
      start_receiving();
      // What came before is handed over like what comes now.
      if (has_unaccepted() || in_inboxes_ > 0) later_.post([this] { meet_waiting(); });
    } catch (...) {
      added->discard();
      throw;
    }
  }

  void start_receiving()
  {
    if (loop_.is_running() || is_stopped()) return;
    loop_.notice_epoch();
    descriptor_ = socket_.descriptor_number();
    loop_.start();
  }

  /// Ends the waits of the loop and of the timer, so that the context can end.
  void rest()
  {
    if (silenced_) return;
    timer_->cancel();
    loop_.wake();
  }

  // --- sending ---

  /// The queue may call the handler for errors, which may end the session and the listener, and may
  /// destroy the path that the caller has.
  template <class... Options>
  bool try_send_with_room(session_id of, reply_path_type path, bytes_view payload, error_code& ec,
                          const Options&... options);

  /// Whether the queue is more than half full.
  bool is_crowded() const noexcept
  {
    return !writer_.state_->batch.has_room(half_of_bytes_, half_of_datagrams_);
  }

  /// A part of the queue, which a session claims for a datagram.
  class share_claim;

  auto& state() noexcept { return *reader_.state_; }

  // --- a batch ---

  struct dealing_scope {
    bool& on;
    const bool before;  // a function of the program may run the context
    explicit dealing_scope(bool& of) noexcept : on(of), before(std::exchange(of, true)) {}
    dealing_scope(const dealing_scope&) = delete;
    dealing_scope& operator=(const dealing_scope&) = delete;
    ~dealing_scope() { on = before; }
  };

  /// Received datagrams that the table has not routed yet.
  std::uint64_t undealt() const noexcept
  {
    const session_map_statistics table = map_.statistics();
    return received_ - abandoned_ - table.routed - table.refused - table.rejected - table.ignored -
           table.unkeyed - table.failed;
  }

  /// Gives neighbours in a train as well, and returns the bytes of all. After `ahead` bytes the
  /// sessions are resumed.
  std::size_t give(place_type to, const datagram_type& received, routed_type* rest,
                   std::size_t ahead);

  /// Puts the datagram and neighbours into the inbox, as far as there is room. Returns the bytes of
  /// the neighbours; 0: nothing was done.
  std::size_t give_train(state_type& session, const datagram_type& received, routed_type& rest,
                         std::size_t ahead);

  // --- a group of shards that keeps sessions ---

  using forwarding_type = shard_forwarding<protocol_type>;

  /// If the socket is a member of such a group, the listeners of the group share their keys.
  void start_forwarding();

  void stop_forwarding() noexcept
  {
    if (forwarding_) abandoned_ += take_over(forwarding_->leave());
  }

  /// Counts datagrams that other listeners have forwarded.
  std::size_t take_over(std::size_t count) noexcept
  {
    received_ += count;
    taken_over_ += count;
    return count;
  }

  /// Deals out what other listeners have forwarded.
  void deal_forwarded();

  void deal(parcel<protocol_type>& forwarded, typename clock_type::time_point now);

  /// After a batch: passes on what is for others, and takes what came from them meanwhile.
  void finish_dealing();

  bool fits(const state_type& session, std::size_t size) const noexcept
  {
    return session.unread.empty() || (session.unread.size() < config_.inbox_datagrams &&
                                      session.unread.bytes() + size <= config_.inbox_bytes);
  }

  /// Lets a program that waits take a full inbox now, because a batch may have more datagrams of
  /// one peer than its inbox has room for. Returns whether the session is still there.
  bool let_take(place_type to);

  /// Returns whether the datagram may go into the inbox.
  bool make_room(state_type& session, std::size_t size) noexcept;

  /// Calls the function for datagrams.
  void hand_over(session_id to, const datagram_type& received)
  {
    ++handed_over_;
    const auto function = each_;  // the function may stop the listener
    later_.call([&] { (*function)(*this, to, received); });
  }

  void meet(place_type fresh);

  void accept(place_type which) noexcept
  {
    if (std::exchange(which->is_accepted, true)) return;
    --unaccepted_;
  }

  /// Sessions that the program has not accepted may have ended.
  void forget_ended();

  bool welcomes(const datagram_type& received);

  static auto writer_reply() noexcept
  {
    return [](void* self, const basic_reply_path<protocol_type>& path, bytes_view payload) {
      return static_cast<listener_core*>(self)->writer_.try_send(payload, path);
    };
  }

  /// Resumes what the batch has something for. Each wait is looked at again before it is resumed,
  /// because what was resumed before may have ended it.
  void resume_all();

  /// Fetches what the next ones of `ready_` need. All are fetched at once, because the processor
  /// then looks up the addresses of several pages at the same time.
  void fetch_waits(std::size_t first) const noexcept;

  void resume_listening();

  void resume(waiter*& which)
  {
    waiter* const resumed = std::exchange(which, nullptr);
    resumed->outcome.clear();
    later_.call([resumed] { resumed->run(); });
  }

  /// What came while nothing listened.
  void meet_waiting();

  void hand_over_waiting(session_id of);

  // --- ends ---

  void on_ended(place_type which, session_end why);

  /// Keeps what the handle of an ended session may still use; null without memory.
  remains_type* keep_remains(session_id of, state_type& ended) noexcept;

  /// What a session needs to send; null if the session has ended and left nothing.
  outlet_type* outlet_of(session_id id) noexcept;

  /// How a wait for a datagram of an ended session completes.
  error_code left_for(session_id id) const noexcept;

  /// Destructors call this, so without memory the function is not called.
  void tell_end(session_id id, const endpoint_type& peer, session_end why) noexcept;

  /// Looks at idle sessions when the first of them may be due. While nothing waits, no time counts.
  void arm_timer();

  void look_for_idle();

  static constexpr std::size_t shares_of_queue = 16;
  static constexpr std::size_t fetched_at_once = 16;
  static constexpr std::size_t looked_at_per_turn = 256;
  static constexpr std::size_t dealt_at_once = 12288;  // bytes of payload
  static constexpr std::size_t most_forgotten = std::size_t{1} << 20U;

  const listener_config config_;
  Handle socket_;
  reader_type reader_;
  writer_type writer_;
  loop_type loop_;
  const std::size_t half_of_datagrams_ = (writer_.state_->batch.capacity() + 1) / 2;
  const std::size_t half_of_bytes_ = (writer_.state_->batch.max_bytes() + 1) / 2;
  turns<listener_core> later_;
  map_type map_;
  std::unordered_map<session_id, remains_type> remains_;
  piece_pool pool_;
  Executor awaitable_executor_;
  std::optional<timer_type> timer_;
  std::optional<typename clock_type::time_point> due_;  // when the timer wakes, if it is armed
  std::optional<timer_type> drain_timer_;
  std::shared_ptr<roster<listener_core>> roster_;

  // Shared, because the function that is called may end its operation, and a copy would allocate.
  std::shared_ptr<serve_function> serve_;
  std::shared_ptr<each_function> each_;
  replaceable_function<stranger_function> on_stranger_;
  replaceable_function<end_function> on_end_;
  replaceable_function<failure_function> on_failure_;
  error_code ended_with_;

  std::unordered_set<const waiter*> cancelled_late_;
  waiter* accepting_ = nullptr;
  waiter* serving_ = nullptr;
  waiter* passing_ = nullptr;  // what `each_` belongs to
  drain_completion* draining_ = nullptr;
  std::uint64_t accept_number_ = 0;  // of the last `accept` with a deadline
  std::size_t being_served_ = 0;
  std::size_t handles_ = 0;
  std::unique_ptr<forwarding_type> forwarding_;          // if the group keeps sessions
  typename forwarding_type::parcels forwarded_to_this_;  // while they are dealt out
  operation_queue<session_id> backlog_;
  std::vector<session_id> ready_;
  std::size_t unaccepted_ = 0;
  std::uint64_t descriptor_ = 0;

  std::uint64_t received_ = 0;
  std::uint64_t handed_over_ = 0;
  std::uint64_t in_inboxes_ = 0;
  std::uint64_t unread_ = 0;
  std::uint64_t abandoned_ = 0;
  std::uint64_t inbox_full_ = 0;
  std::uint64_t inboxes_full_ = 0;
  std::uint64_t unaccepted_full_ = 0;
  std::uint64_t not_accepting_ = 0;
  std::uint64_t stopped_sessions_ = 0;
  std::uint64_t failed_sessions_ = 0;
  std::uint64_t not_validated_ = 0;
  std::uint64_t share_full_ = 0;
  std::uint64_t replies_refused_ = 0;
  std::uint64_t taken_over_ = 0;

  form form_ = form::none;
  bool stopped_ = false;
  bool closed_ = false;
  bool silenced_ = false;
  bool paused_ = false;
  bool dealing_ = false;
  bool has_forwarded_ = false;      // to this listener, which dealt out another batch then
  bool next_is_validated_ = false;  // the session that is about to be made
  bool some_have_own_timeouts_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
