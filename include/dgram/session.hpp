// SPDX-License-Identifier: BSL-1.0
// A session of a listener: one peer of a server, with the interface of a connected socket.
#ifndef DGRAM_SESSION_HPP
#define DGRAM_SESSION_HPP

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
#include <dgram/send_options.hpp>
#include <dgram/session_key.hpp>
#include <dgram/session_map.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// The handle of a session that a `listener` has accepted: what one peer sends, and the way back to
/// it. Code that is written for a connected socket, with `async_receive` and `async_send`, runs on
/// it unchanged. The handle can only be moved, and its destructor closes the session.
///
/// **The end.** A session ends in one of the ways of `session_end`, and `ended` says which:
///  - `idle`: no datagram came for `idle_timeout`
///  - `closed`: `close`, or the destructor
///  - `evicted`: it made room for another one
///  - `stopped`: the listener, or its socket, was stopped, closed or destroyed
///  - `socket_error`: the listener's socket failed; `end_error` has the code
///
/// After the end, `next` returns nothing, and all other operations report `error::session_ended`.
/// There is one exception: after `idle`, and after `stop` of the listener, `next` first returns the
/// datagrams that have arrived before, and the handle may send until it is destroyed.
///
/// **Datagrams** that `next`, `try_next` and `async_next` return are valid until the next of these
/// calls or `async_receive`, and no longer than the handle. The handle may be moved meanwhile, and
/// the session, the listener and the socket may end. `to_owned()` keeps a datagram. The first
/// datagram of a peer, which made the session, is the first that is returned.
///
/// One call that waits for a datagram may be pending at a time: another one fails with
/// `already_started`. Any number of sends may be pending.
///
/// **Sends** go through the listener's queue (`listener_config::queue`). The answers to one
/// received batch leave together. A peer that has not proved its address gets at most
/// `listener_config::amplification` times the bytes that it has sent: a send beyond that fails with
/// `error::not_validated`. A send that fails or is cancelled does not count. Call `mark_validated`
/// if the peer has proved its address.
///
/// Completion: never inside the call that starts the operation. A deferred operation looks at the
/// session when it is launched, and each launch takes or sends one datagram.
///
/// Cancellation: terminal, partial and total. A cancelled receive takes no datagram, and a
/// cancelled send queues none. Cancellation of a send matters only while it waits for room. Do not
/// race `next` against a timer with `||`: if both are ready, Asio's operator discards the datagram.
///
/// Executor: that of the listener. All calls and the destructor belong on it: if several threads
/// run the context, use the strand that the socket was constructed with. Without `NDEBUG`, a call
/// beside the strand throws `std::logic_error`, as far as docs/servers.md says. A handler with the
/// same executor is called directly when its datagram has been received. Other handlers are
/// dispatched.
///
/// The words differ from those of the table: `session_map::session` is a reference that owns
/// nothing.
///
/// \code
/// dgram::listener listener{socket};
/// while (auto session = co_await listener.accept())
///   while (auto datagram = co_await session->next())
///     co_await session->send(datagram->payload());
/// \endcode
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class session {
  using core_type = detail::listener_core<Handle, Executor>;
  using place_type = typename core_type::place_type;
  using node_type = typename core_type::node_type;
  using inbox_type = typename core_type::inbox_type;
  using outlet_type = typename core_type::outlet_type;
  using remains_type = typename core_type::remains_type;
  using use_awaitable = net::use_awaitable_t<Executor>;
  using default_token = default_token_t<SocketExecutor>;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = SocketExecutor;
  using datagram_type = basic_datagram<Protocol>;
  using result_type = std::optional<datagram_type>;
  using reply_path_type = basic_reply_path<Protocol>;
  using clock_type = typename Handle::clock_type;
  using time_point = typename clock_type::time_point;
  using duration = typename clock_type::duration;
  using wait_type = net::socket_base::wait_type;
  using message_flags = net::socket_base::message_flags;

  /// No session. Only assignment, destruction and `is_open` are allowed, as after a move.
  session() noexcept = default;

  session(session&& other) noexcept { take_over(other); }

  /// Closes this session first.
  session& operator=(session&& other) noexcept
  {
    if (this != &other) {
      leave();
      take_over(other);
    }
    return *this;
  }

  /// Closes the session.
  ~session() { leave(); }

  executor_type get_executor() const noexcept { return core_->get_executor(); }

  /// The name of the session, which no other session of the listener ever has.
  session_id id() const noexcept { return id_; }

  /// Whether the session has not ended.
  bool is_open() const noexcept { return static_cast<bool>(place_); }

  /// Why the session has ended, or nothing.
  std::optional<session_end> ended() const noexcept { return ended_; }

  /// The error of the socket that has ended the session; clear in all other cases.
  error_code end_error() const noexcept { return end_error_; }

  /// The peer. Error: `session_ended`.
  endpoint_type remote_endpoint(error_code& ec) const
  {
    const outlet_type* const out = outlet();
    ec = out != nullptr ? error_code() : error_code(error::session_ended);
    return out != nullptr ? out->path.peer : endpoint_type();
  }

  endpoint_type remote_endpoint() const
  {
    error_code ec;
    auto peer = remote_endpoint(ec);
    detail::throw_if(ec, "remote_endpoint");
    return peer;
  }

  /// The address that the peer has sent to, as far as it is known: on a wildcard socket the address
  /// of the first datagram. Error: `session_ended`.
  endpoint_type local_endpoint(error_code& ec) const
  {
    const outlet_type* const out = outlet();
    ec = out != nullptr ? error_code() : error_code(error::session_ended);
    if (out == nullptr) return {};
    if constexpr (detail::ip_protocol<Protocol>)
      if (!out->path.source.is_unspecified()) return {out->path.source, core_->local.port()};
    return core_->local;
  }

  endpoint_type local_endpoint() const
  {
    error_code ec;
    auto local = local_endpoint(ec);
    detail::throw_if(ec, "local_endpoint");
    return local;
  }

  session_statistics statistics() const noexcept
  {
    auto result = core_->statistics_of(place_);
    if (const inbox_type* const unread = source()) result.queued = unread->size();
    if (const outlet_type* const out = outlet()) result.refused = out->refused;
    return result;
  }

  // --- receiving ---

  /// Returns the next datagram, or nothing if the session has ended. Suspends only if no datagram
  /// is there. Throws `system_error`: `operation_aborted` if it was cancelled, `already_started` if
  /// another call waits.
  net::awaitable<result_type, Executor> next() { return advance(this, nullptr); }

  /// The same. On error it returns nothing and sets `ec`.
  net::awaitable<result_type, Executor> next(error_code& ec) { return advance(this, &ec); }

  /// The same, but waits at most until `deadline`. After that it returns nothing and sets `ec` to
  /// `timed_out`.
  net::awaitable<result_type, Executor> next_until(time_point deadline, error_code& ec)
  {
    return advance(this, &ec, deadline);
  }

  /// The same. It returns nothing after the deadline and after the end. `ended` tells these apart.
  net::awaitable<result_type, Executor> next_until(time_point deadline)
  {
    return advance(this, nullptr, deadline);
  }

  /// As `next_until`, with the time to wait.
  net::awaitable<result_type, Executor> next_for(duration timeout)
  {
    return next_until(detail::deadline(clock_type::now(), timeout));
  }

  net::awaitable<result_type, Executor> next_for(duration timeout, error_code& ec)
  {
    return next_until(detail::deadline(clock_type::now(), timeout), ec);
  }

  /// Returns the next datagram if one is there.
  result_type try_next()
  {
    check("session::try_next");
    release_held();
    return hold(take());
  }

  /// As `next`, for any completion token.
  ///
  /// Completion: `void(error_code, std::optional<datagram_type>)`; empty without an error if the
  /// session has ended. Errors: as `next`. The handler is called by another trip through the
  /// scheduler if a datagram is there already.
  template <net::completion_token_for<void(error_code, result_type)> Token = default_token>
  auto async_next(Token&& token = default_token())
  {
    return take_by<take_view>("session::async_next", {}, std::forward<Token>(token));
  }

  /// As `async_receive` of a connected socket: copies the next datagram into the buffers. What does
  /// not fit is lost. 0 bytes are an empty datagram, not the end.
  ///
  /// Completion: `void(error_code, std::size_t)`. Errors: `session_ended`, `operation_aborted`,
  /// `already_started`. The buffers must stay until then.
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
    requires net::is_mutable_buffer_sequence<MutableBuffers>::value
  auto async_receive(const MutableBuffers& buffers, Token&& token = default_token())
  {
    return take_by<detail::take_copy<MutableBuffers>>("session::async_receive", {buffers},
                                                      std::forward<Token>(token));
  }

  /// Waits until a datagram is there (`wait_read`); `wait_write` completes at once, because sends
  /// wait by themselves.
  ///
  /// Completion: `void(error_code)`. Errors: as `async_receive`, and `operation_not_supported` for
  /// `wait_error`.
  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_wait(wait_type what, Token&& token = default_token())
  {
    return detail::initiate<void(error_code)>(
        detail::shared_target(core_),
        [what, id = id_](core_type& core, auto&& handler) {
          detail::check_executor(core, "session::async_wait");
          if (what == net::socket_base::wait_read)
            core.template async_wait_datagram<detail::waiter>(
                nullptr, id, std::forward<decltype(handler)>(handler));
          else
            core.complete_later(what == net::socket_base::wait_error
                                    ? error_code(net::error::operation_not_supported)
                                    : error_code(),
                                std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token));
  }

  // --- sending ---

  /// Sends a datagram to the peer. Returns when it is queued, and waits if there is no room
  /// (`writer_config::when_full`). The bytes must stay until then.
  ///
  /// Throws `system_error`: `session_ended`, `not_validated`, and those of `writer::send`.
  net::awaitable<void, Executor> send(bytes_view payload) { return push(this, payload); }

  /// The same, with options.
  net::awaitable<void, Executor> send(bytes_view payload, send_options options)
  {
    return push(this, payload, std::move(options));
  }

  /// Queues a datagram if that is possible now, and returns whether it was queued. If not, the
  /// session counts it.
  bool try_send(bytes_view payload)
  {
    error_code ignored;
    return try_send(payload, ignored);
  }

  bool try_send(bytes_view payload, const send_options& options)
  {
    error_code ignored;
    return try_send(payload, options, ignored);
  }

  /// The same, and `ec` says why not: `session_ended`, `not_validated`, `would_block`, and others
  /// of `writer::try_send`.
  bool try_send(bytes_view payload, error_code& ec)
  {
    check("session::try_send");
    if (outlet_type* const out = outlet()) return core_->try_send(id_, *out, payload, ec);
    ec = error::session_ended;
    return false;
  }

  bool try_send(bytes_view payload, const send_options& options, error_code& ec)
  {
    check("session::try_send");
    if (outlet_type* const out = outlet()) return core_->try_send(id_, *out, payload, ec, options);
    ec = error::session_ended;
    return false;
  }

  /// As `async_send` of a connected socket. Completes when the datagram is queued: what the kernel
  /// says of it goes to `listener::on_error`.
  ///
  /// Completion: `void(error_code, std::size_t)`. Errors: as `send`. The buffers must stay until
  /// then.
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
    requires net::is_const_buffer_sequence<ConstBuffers>::value
  auto async_send(const ConstBuffers& buffers, Token&& token = default_token())
  {
    return detail::initiate_composed<void(error_code, std::size_t)>(
        core_,
        [id = id_, buffers](core_type& core) {
          detail::check_executor(core, "session::async_send");
          return detail::session_send_op<core_type, ConstBuffers>(core.shared_from_this(), id,
                                                                  buffers);
        },
        std::forward<Token>(token));
  }

  /// The peer has proved its address, by a secret in a datagram for example. From now on
  /// `amplification` does not limit what is sent, and the session is never evicted.
  void mark_validated() noexcept
  {
    if (place_)
      core_->mark_validated(place_);
    else if (remains_)
      remains_->out.budget = outlet_type::unlimited;
  }

  // --- keys ---

  /// Gives the session one more peer or key; see `session_map::add_key`. False after the end.
  template <class Key>
    requires(std::same_as<Key, session_key> || std::convertible_to<const Key&, endpoint_type>)
  bool add_key(const Key& key)
  {
    check("session::add_key");
    return place_ && core_->sessions().add_key(place_, key);
  }

  /// Takes a peer or a key from the session. False if the session has no such key, or no other.
  template <class Key>
    requires(std::same_as<Key, session_key> || std::convertible_to<const Key&, endpoint_type>)
  bool remove_key(const Key& key) noexcept
  {
    return place_ && core_->sessions().find(key) == place_ && core_->sessions().remove_key(key);
  }

  /// Moves the session to another peer: what it sends goes there from now on, and a session that is
  /// keyed by its peer is found there. The program must know that it is the same peer. Returns
  /// false, and changes nothing, if another session has this peer. Throws as
  /// `session_map::set_peer`.
  bool set_peer(const reply_path_type& path)
  {
    check("session::set_peer");
    return place_ && core_->set_peer(place_, path);
  }

  // --- the end ---

  /// Puts off the idle end of the session, as a datagram does. Without effect after the end.
  void touch() noexcept
  {
    if (place_) core_->touch(place_);
  }

  /// Gives the session an idle timeout of its own; see `session_map::set_idle_timeout`. Without
  /// effect after the end. Throws `system_error`, `error::out_of_range`, if it is not positive.
  void set_idle_timeout(std::chrono::nanoseconds timeout)
  {
    if (core_)
      core_->set_idle_timeout(place_, timeout);
    else if (timeout.count() <= 0)
      detail::refuse("set_idle_timeout", error::out_of_range, "the timeout must be positive");
  }

  /// Waits until the session ends, whatever else is pending. One such wait may be pending.
  ///
  /// Completion: `void(error_code, session_end)`. Errors: `operation_aborted`, `already_started`. A
  /// deferred operation may be launched after the end, and after the handle is destroyed.
  template <net::completion_token_for<void(error_code, session_end)> Token = default_token>
  auto async_ended(Token&& token = default_token())
  {
    // A deferred operation may be launched when the handle is elsewhere, or gone.
    if (!told_) told_ = std::make_shared<std::optional<session_end>>(ended_);
    return core_->async_wait_end(id_, told_, std::forward<Token>(token));
  }

  /// Completes the pending receive and wait with `operation_aborted`. Sends are not cancelled.
  void cancel()
  {
    check("session::cancel");
    if (place_) core_->cancel_wait(place_);
  }

  /// Ends the session as `closed`. Datagrams in its inbox are lost and counted as `unread`. Queued
  /// sends still leave. A later datagram of the peer makes a new session, but not during
  /// `listener_config::ignore_for`.
  void close()
  {
    check("session::close");
    if (place_) core_->end(place_, session_end::closed);
    drop_remains();
  }

private:
  friend core_type;
  template <class, class>
  friend class detail::datagram_wait;
  template <class>
  friend class detail::session_wait;
  template <class>
  friend struct detail::take_view;

  using take_view = detail::take_view<datagram_type>;

  session(std::shared_ptr<core_type> core, place_type place)
      : core_(std::move(core)), place_(place), id_(place.id())
  {
    place_->handle = this;
    core_->add_handle();
  }

  bool is_attached() const noexcept { return core_ != nullptr; }

  void check(const char* call) const
  {
    if (core_) detail::check_executor(*core_, call);
  }

  void take_over(session& other) noexcept
  {
    core_ = std::move(other.core_);
    place_ = std::exchange(other.place_, place_type());
    id_ = other.id_;
    held_ = std::exchange(other.held_, nullptr);
    remains_ = std::exchange(other.remains_, nullptr);
    ended_ = other.ended_;
    end_error_ = other.end_error_;
    told_ = std::move(other.told_);
    if (place_) place_->handle = this;
    if (remains_ != nullptr) remains_->handle = this;
  }

  void leave() noexcept
  {
    if (!core_) return;
    if (place_) {
      place_->handle = nullptr;
      if (told_) *told_ = session_end::closed;
      core_->end(std::exchange(place_, place_type()), session_end::closed);
    }
    told_.reset();
    drop_remains();
    release_held();
    const std::shared_ptr<core_type> core = std::move(core_);
    core->remove_handle();
  }

  /// Called by the core when the session leaves the table.
  void note_end(session_end why, const error_code& ec, remains_type* remains) noexcept
  {
    place_ = place_type();
    ended_ = why;
    if (told_) *told_ = why;
    end_error_ = ec;
    remains_ = remains;
  }

  outlet_type* outlet() const noexcept
  {
    if (place_) return &place_->out;
    return remains_ != nullptr ? &remains_->out : nullptr;
  }

  inbox_type* source() const noexcept
  {
    if (place_) return &place_->unread;
    return remains_ != nullptr ? &remains_->unread : nullptr;
  }

  node_type* take() noexcept
  {
    inbox_type* const unread = source();
    return unread != nullptr ? core_->take(*unread) : nullptr;
  }

  /// Keeps the datagram until the next receive.
  result_type hold(node_type* taken) noexcept
  {
    release_held();
    if (taken == nullptr) return std::nullopt;
    held_ = taken;
    return taken->view();
  }

  void release_held() noexcept
  {
    if (held_ != nullptr) core_->release(std::exchange(held_, nullptr));
  }

  void drop_remains() noexcept
  {
    if (std::exchange(remains_, nullptr) != nullptr) core_->drop_remains(id_);
  }

  /// Ends the deadline however the coroutine leaves the wait.
  struct deadline_scope {
    core_type& core;
    session_id id;
    typename Handle::timer_type timer;
    std::uint32_t number;

    deadline_scope(core_type& of, session_id which, time_point deadline)
        : core(of),
          id(which),
          timer(of.get_executor(), deadline),
          number(of.set_deadline(of.find(which), timer))
    {
    }
    deadline_scope(const deadline_scope&) = delete;
    deadline_scope& operator=(const deadline_scope&) = delete;
    ~deadline_scope() { core.forget_deadline(id, number); }
  };

  /// The handle may be moved while this waits, and the session may end. Calls without a deadline do
  /// not compile the timer's code.
  template <class... Deadline>
  static net::awaitable<result_type, Executor> advance(session* self, error_code* failure,
                                                       Deadline... deadline)
  {
    self->check("session::next");
    if (failure != nullptr) failure->clear();
    self->release_held();
    if (node_type* const there = self->take()) co_return self->hold(there);
    if (!self->place_) co_return std::nullopt;
    const std::shared_ptr<core_type> core = self->core_;
    const session_id id = self->id_;
    [[maybe_unused]] std::conditional_t<sizeof...(Deadline) == 0, int,
                                        std::optional<deadline_scope>> scope{};
    // If another call waits, this one fails, and must not touch the deadline of that one.
    if constexpr (sizeof...(Deadline) > 0)
      if (self->place_->waiting == nullptr) (scope.emplace(*core, id, deadline), ...);
    error_code ec;
    for (;;) {
      co_await core->template async_wait_datagram<detail::waiter>(
          nullptr, id, net::redirect_error(use_awaitable(), ec));
      if (ec) break;
      session* const handle = core->handle_of(id);
      if (handle == nullptr) break;
      if (node_type* const there = handle->take()) co_return handle->hold(there);
    }
    if (ec == error::session_ended) ec.clear();
    if (failure != nullptr)
      *failure = ec;
    else if (ec != net::error::timed_out)
      detail::throw_if(ec, "next");
    co_return std::nullopt;
  }

  /// Small, because Asio 1.22 keeps the memory of two frames for reuse, of those that fit.
  template <class... Options>
  static net::awaitable<void, Executor> push(session* self, bytes_view payload, Options... options)
  {
    self->check("session::send");
    error_code ec = error::session_ended;
    outlet_type* const out = self->outlet();
    // The handler for errors may destroy the handle.
    std::shared_ptr<core_type> core = self->core_;
    const session_id id = self->id_;
    if (out != nullptr && core->try_send(id, *out, payload, ec, options...)) co_return;
    if (ec != net::error::would_block) core->throw_if_refused(ec, payload.size(), options...);
    core->will_wait(id);
    co_await core_type::send_in_room(std::move(core), id, payload, &options...);
  }

  template <class Take, class Token>
  auto take_by(const char* call, const Take& take, Token&& token)
  {
    return core_->template async_wait_datagram<detail::datagram_wait<core_type, Take>>(
        call, id_, std::forward<Token>(token), take);
  }

  std::shared_ptr<core_type> core_;
  place_type place_;
  session_id id_{};
  node_type* held_ = nullptr;        // what the program may look at
  remains_type* remains_ = nullptr;  // the core's
  std::optional<session_end> ended_;
  error_code end_error_;
  std::shared_ptr<std::optional<session_end>> told_;  // for the waits for the end, if there are any
};

/// A reference to a session of a listener, by its id. It may be kept: if the session has ended, it
/// is contextually false, and its calls report `error::session_ended` or return false. It has
/// everything of the handle except receiving and ownership.
///
/// It keeps the memory of the listener alive, and nothing running. Its calls belong on the
/// listener's executor.
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class session_ref {
  using core_type = detail::listener_core<Handle, Executor>;
  using place_type = typename core_type::place_type;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = SocketExecutor;
  using reply_path_type = basic_reply_path<Protocol>;

  /// A reference to no session.
  session_ref() noexcept = default;

  /// Whether the session has not ended.
  explicit operator bool() const noexcept { return static_cast<bool>(find()); }

  session_id id() const noexcept { return id_; }

  friend bool operator==(const session_ref& a, const session_ref& b) noexcept
  {
    return a.core_ == b.core_ && a.id_ == b.id_;
  }

  /// As those of `session`.
  endpoint_type remote_endpoint(error_code& ec) const
  {
    const place_type found = find();
    ec = found ? error_code() : error_code(error::session_ended);
    return found ? found->out.path.peer : endpoint_type();
  }
  endpoint_type remote_endpoint() const
  {
    error_code ec;
    auto peer = remote_endpoint(ec);
    detail::throw_if(ec, "remote_endpoint");
    return peer;
  }

  session_statistics statistics() const noexcept
  {
    return core_ ? core_->statistics_of(find()) : session_statistics();
  }

  net::awaitable<void, Executor> send(bytes_view payload) const { return push(*this, payload); }
  net::awaitable<void, Executor> send(bytes_view payload, send_options options) const
  {
    return push(*this, payload, std::move(options));
  }

  bool try_send(bytes_view payload) const
  {
    error_code ignored;
    return try_send(payload, ignored);
  }
  bool try_send(bytes_view payload, const send_options& options) const
  {
    error_code ignored;
    return try_send(payload, options, ignored);
  }
  bool try_send(bytes_view payload, error_code& ec) const
  {
    check("session_ref::try_send");
    if (const place_type found = find()) return core_->try_send(id_, found->out, payload, ec);
    ec = error::session_ended;
    return false;
  }
  bool try_send(bytes_view payload, const send_options& options, error_code& ec) const
  {
    check("session_ref::try_send");
    if (const place_type found = find())
      return core_->try_send(id_, found->out, payload, ec, options);
    ec = error::session_ended;
    return false;
  }

  void mark_validated() const noexcept
  {
    if (const place_type found = find()) core_->mark_validated(found);
  }

  template <class Key>
    requires(std::same_as<Key, session_key> || std::convertible_to<const Key&, endpoint_type>)
  bool add_key(const Key& key) const
  {
    check("session_ref::add_key");
    const place_type found = find();
    return found && core_->sessions().add_key(found, key);
  }

  template <class Key>
    requires(std::same_as<Key, session_key> || std::convertible_to<const Key&, endpoint_type>)
  bool remove_key(const Key& key) const noexcept
  {
    const place_type found = find();
    return found && core_->sessions().find(key) == found && core_->sessions().remove_key(key);
  }

  bool set_peer(const reply_path_type& path) const
  {
    check("session_ref::set_peer");
    const place_type found = find();
    return found && core_->set_peer(found, path);
  }

  void touch() const noexcept
  {
    if (const place_type found = find()) core_->touch(found);
  }
  void set_idle_timeout(std::chrono::nanoseconds timeout) const
  {
    if (const place_type found = find()) core_->set_idle_timeout(found, timeout);
  }

  /// Ends the session as `closed`.
  void close() const
  {
    check("session_ref::close");
    if (const place_type found = find()) core_->end(found, session_end::closed);
  }

private:
  template <class, class, class, class>
  friend class listener;

  session_ref(std::shared_ptr<core_type> core, session_id id) noexcept
      : core_(std::move(core)), id_(id)
  {
  }

  void check(const char* call) const
  {
    if (core_) detail::check_executor(*core_, call);
  }

  place_type find() const noexcept { return core_ ? core_->find(id_) : place_type(); }

  template <class... Options>
  static net::awaitable<void, Executor> push(session_ref self, bytes_view payload,
                                             Options... options)
  {
    self.check("session_ref::send");
    error_code ec = error::session_ended;
    const place_type found = self.find();
    if (!found) detail::throw_if(ec, "send");
    if (self.core_->try_send(self.id_, found->out, payload, ec, options...)) co_return;
    if (ec != net::error::would_block) self.core_->throw_if_refused(ec, payload.size(), options...);
    self.core_->will_wait(self.id_);
    co_await core_type::send_in_room(self.core_, self.id_, payload, &options...);
  }

  std::shared_ptr<core_type> core_;
  session_id id_{};
};

DGRAM_NAMESPACE_END

#endif
