// SPDX-License-Identifier: BSL-1.0
// The emitter behind an emitter socket: its state from bind to close, and its parts.
#ifndef DGRAM_DETAIL_EMITTER_CORE_HPP
#define DGRAM_DETAIL_EMITTER_CORE_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/at_end.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/idle_timer.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/async/roster.hpp>
#include <dgram/detail/async/spares.hpp>
#include <dgram/detail/async/turns.hpp>
#include <dgram/detail/async/work_account.hpp>
#include <dgram/detail/emitter/arguments.hpp>
#include <dgram/detail/emitter/family.hpp>
#include <dgram/detail/emitter/operation.hpp>
#include <dgram/detail/emitter/pending.hpp>
#include <dgram/detail/emitter/receiving.hpp>
#include <dgram/detail/emitter/replaceable_socket.hpp>
#include <dgram/detail/emitter/send_queue.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/option.hpp>
#include <dgram/payload.hpp>
#include <dgram/socket_options.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#if DGRAM_HAS_STOP_TOKEN
#include <functional>
#include <optional>
#include <stop_token>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What the emitters of a context share: the list of all, and spare buffers. A handler that dies
/// with the context may destroy a socket, so what the sockets share outlives this service.
template <class Protocol, class Member>
class context_service : public roster_service<Member> {
public:
  inline static net::execution_context::id id;

  explicit context_service(net::execution_context& context) : roster_service<Member>(context) {}

  incoming_buffers<Protocol> incoming = make_incoming_buffers<Protocol>(0, 0);
  std::shared_ptr<spares<outgoing_buffers<Protocol>>> outgoing =
      std::make_shared<spares<outgoing_buffers<Protocol>>>();
};

/// The socket object and every pending operation hold it. All of it runs on the socket's executor.
template <class Socket>
class emitter_core : public std::enable_shared_from_this<emitter_core<Socket>> {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Socket::executor_type;
  using message_event = event::message::of<protocol_type>;
  using emitter_type =
      event_emitter<event::listening, message_event, event::connect, event::close, event::error,
                    event::error_monitor, event::timeout, event::drain, event::drop>;
  using path_type = basic_reply_path<protocol_type>;
  using destination_type = destination<protocol_type>;
  using pending_type = pending_operations<Socket, emitter_core>;
  using phase = typename pending_type::phase;
  using service_type = context_service<protocol_type, emitter_core>;

  emitter_core(const executor_type& executor, net::io_context* io, socket_options given,
               const service_type& service)
      : socket(executor),
        handle(socket.handle()),
        options(std::move(given)),
        family(options),
        replaceable(socket, options, family),
        members_(service.members),
        turns(*this, io),
        sends(*this, service.outgoing),
        receiving_(*this, buffers_for(options, service.incoming))
  {
  }

  emitter_core(const emitter_core&) = delete;
  emitter_core& operator=(const emitter_core&) = delete;
  ~emitter_core() { members_->remove(*this); }

  Socket socket;
  typename Socket::handle_type handle;
  emitter_type events;
  socket_options options;
  detail::family<protocol_type> family;
  replaceable_socket<Socket> replaceable;
  std::size_t place_in_roster = 0;

  executor_type get_executor() { return socket.get_executor(); }

  /// A requested stop counts once it has closed the socket, whichever thread requested it.
  bool is_closed() const noexcept { return closed_; }
  phase bind_phase() const noexcept { return pending.bind_phase(); }
  phase connect_phase() const noexcept { return pending.connect_phase(); }

  /// Whether a send to this endpoint may start. Before the bind is done, the send waits for it.
  bool may_send_to(const endpoint_type& to) const noexcept
  {
    return to.port() != 0 && connect_phase() == phase::none && !closed_;
  }

  bool is_receiving() const noexcept { return receiving_.is_wanted() && is_bound(); }
  bool is_paused() const noexcept { return replaceable.is_paused(); }
  bool is_pause_due() const noexcept { return pause_is_due_; }
  bool is_bound() const noexcept { return bind_phase() == phase::done; }

  /// To what it is bound, for the text of an error.
  DGRAM_COLD std::string bound_text() const
  {
    if (!is_bound()) return "a bind is pending";
    error_code ignored;
    const endpoint_type local = replaceable.local_endpoint(ignored);
    return "bound to " + to_string(basic_address_info<protocol_type>(local));
  }
  bool has_emitted_close() const noexcept { return close_emitted_; }
  bool is_closing() const noexcept { return closing_; }
  std::uint64_t path_errors() const noexcept { return path_errors_; }

  /// Call this after construction, when a shared pointer owns the object.
  void start()
  {
    members_->add(*this);
    diagnose(diagnostic_channel::create, this);
    if (is_stop_requested()) return close();
    const std::weak_ptr<emitter_core> watched = this->weak_from_this();
#if DGRAM_HAS_STOP_TOKEN
    // Runs on the thread that requests the stop. Closes at once if that thread runs the executor.
    const auto stop = [watched, executor = get_executor()] {
      const auto kept = executor;  // NOLINT(*-unnecessary-copy-*): close destroys this function
      net::dispatch(kept, [watched = watched] {
        if (const auto alive = watched.lock()) alive->close();
      });
    };
    if (options.signal.stop_possible()) on_stop_.emplace(options.signal, stop);
#endif
    if (options.slot.is_connected())
      on_cancellation(options.slot, watched, [](emitter_core& alive, auto) { alive.close(); });
  }

  /// Makes an event that is delivered later. Make it before what it reports has any effect.
  template <class Event>
  task_ptr make_event()
  {
    return turns.make([this] {
      if (!has_ended()) events.template emit<Event>();
    });
  }

  template <class Event>
  void post_event()
  {
    turns.deliver(make_event<Event>().release());
  }

  /// Without memory for the event, emits one that has no address.
  void post_error(failure what)
  {
    const failure in_short = failure_of(what.operation, what.code);
    try {
      turns.post([this, what = std::move(what)] {
        if (!has_ended()) emit_error(what);
      });
    } catch (const std::bad_alloc&) {
      if (!untold_) untold_ = in_short;
      turns.deliver_once(tell_);
    }
  }

  /// Ends an operation with an error. The completion receives it; without one there is an 'error'
  /// event, but not for a cancel or a close.
  void end_operation(any_completion_ptr done, failure why)
  {
    if (done != nullptr) {
      done->outcome = std::move(why);
      turns.deliver(done.release());
    } else if (why.code != net::error::operation_aborted) {
      post_error(std::move(why));
    }
  }

  /// Lets a slot cancel an operation while the operation waits.
  void let_cancel(any_completion* done, const net::cancellation_slot& slot)
  {
    done->let_cancel(slot, this->weak_from_this(),
                     [done](emitter_core& core, net::cancellation_type) { core.cancel(done); });
  }

  void cancel(const task* done)
  {
    if (sends.cancel(done) || !pending.cancel(done)) return;
    // If this operation was the last that asked for the close, the close is taken back.
    if (!closing_ || close_is_final_ || pending.awaits_close()) return;
    closing_ = false;
    pending.withdraw_close();
  }

  /// Why an operation cannot start in this state. Connected sockets send to their peer alone.
  error_code check(action which, const destination_type& to) const
  {
    const bool is_connected = connect_phase() != phase::none;
    if (closed_ || (which == action::close && closing_)) return error::not_running;
    if (which == action::bind && bind_phase() != phase::none) return error::already_bound;
    if (which == action::send && to.is_peer() && !is_connected) return net::error::not_connected;
    if (is_connected && (which == action::connect || (which == action::send && !to.is_peer())))
      return net::error::already_connected;
    return {};
  }

  /// Binds (`event::listening`) or connects (`event::connect`) within the call, and emits later.
  template <class Event>
  void start_now(const endpoint_type& where, error_code& ec)
  {
    auto later = make_event<Event>();
    if constexpr (std::is_same_v<Event, event::listening>)
      pending.bind_now(where, ec);
    else
      pending.connect_now(where, ec);
    if (!ec) turns.deliver(later.release());
  }

  void disconnect(error_code& ec)
  {
    flush();
    replaceable.disconnect(ec);
    if (ec) return;
    sends.fail(net::error::not_connected);
    pending.disconnected(failure_of("send", net::error::not_connected));
  }

  /// Returns false if the queue is full. Copies the bytes unless the kernel takes them at once.
  bool send(const destination_type& to, const payload_view& payload, send_completion* done)
  {
    begin_send(payload);
    if (!to.is_name() && pending.can_send(to.path())) [[likely]]
      return sends.send(to.path(), payload, done);
    return wait_and_send(to, payload, done);
  }

  /// The same without a completion, if the socket is not connected.
  bool send(const endpoint_type& to, const payload_view& payload)
  {
    begin_send(payload);
    return sends.follow(sends.nothing_asked, payload, to) ||
           send_back(path_type{to}, payload, sends.nothing_asked);
  }

  /// The same to the sender of a message.
  bool send(const basic_remote_info<protocol_type>& to, const payload_view& payload)
  {
    begin_send(payload);
    if constexpr (is_ip) {
      const std::uint64_t asked = receiving_.number_of(to);
      if (sends.follow(asked, payload)) return true;
      if (const path_type* const known = to.known_path()) return send_back(*known, payload, asked);
    }
    return send_back(to.reply_path(), payload, 0);
  }

  /// Also called by destructors. Without memory, the datagrams in the queue fail.
  void flush()
  {
    unless_no_memory([&] { sends.flush(); }, [&] { sends.fail(net::error::no_memory); });
  }

  void start_receiving()
  {
    receiving_.want(true);
    pending.bind_implicitly();
    receiving_.go_on();
  }

  void stop_receiving()
  {
    receiving_.want(false);
    // The cancel also wakes sends that wait for the kernel, and they wait again.
    error_code ignored;
    if (receiving_.disarm()) socket.cancel(ignored);
  }

  /// Closes the descriptor, and keeps what is needed to open another one like it. If a bind is
  /// pending, the pause follows the bind.
  void pause()
  {
    if (closed_ || closing_ || is_paused()) return;
    pause_is_due_ = bind_phase() == phase::pending;
    if (!is_bound()) return;
    flush();
    replaceable.pause(connect_phase() == phase::done);
    receiving_.disarm();
  }

  void resume()
  {
    pause_is_due_ = false;
    if (closed_ || !is_paused()) return;
    error_code ec;
    const endpoint_type local =
        replaceable.resume([this](const endpoint_type& where) { expect_arrivals(where); }, ec);
    if (ec) {
      discard_descriptor();
      sends.fail(ec);
      const failure why = failure_at("bind", ec, &local);
      pending.fail_bind(why, nullptr);
      if (connect_phase() == phase::done) pending.disconnected(why);
      return;
    }
    watch_arrivals();
    flush();
    receiving_.go_on();
    pending.release_later();
  }

  /// `done` completes when 'close' has been emitted. Without it, no cancellation takes this back.
  void close(any_completion_ptr done = nullptr)
  {
    if (done != nullptr && close_emitted_) {
      turns.deliver(done.release());
      return;
    }
    if (done != nullptr)
      pending.await_close(std::move(done));
    else
      close_is_final_ = true;
    if (closed_ || closing_) return;
    closing_ = pending.close_behind();
    if (!closing_) close_now();
  }

  /// Whether the emitter is closed. If a stop was requested, closes it first.
  bool has_ended()
  {
    if (!closed_ && is_stop_requested()) close();
    return closed_;
  }

  void close_now()
  {
    if (closed_) return;
    flush();
    closed_ = true;
    receiving_.end();
    end_watch();
    idle.cancel();
    sends.fail(net::error::operation_aborted);
    pending.end();
    discard_descriptor();
    diagnose(diagnostic_channel::close, this);
    turns.deliver_once(closed_task_);
  }

  void discard_descriptor()
  {
    receiving_.disarm();
    error_code ignored;
    socket.close(ignored);
  }

  /// Called when the socket object is gone, so that no listener may be called any more.
  void abandon()
  {
    events.end();
    close_now();
  }

  /// From now on the emitter starts nothing.
  void silence() noexcept
  {
    closed_ = true;
    turns.end();
    end_watch();
  }

  /// Releases the operations that wait, which may own the socket. Calls no handler.
  void discard() noexcept
  {
    turns.discard();
    pending.discard();
    sends.discard();
    events.end();
  }

  bool may_receive() const noexcept { return !closed_ && !is_paused() && is_bound(); }

  void note_activity()
  {
    if (!idle.is_in_use()) [[likely]]
      return;
    unless_no_memory([&] { idle.note_activity(); },
                     [&] { post_error(failure_of("timeout", net::error::no_memory)); });
  }

  void timed_out() { events.template emit<event::timeout>(); }

  /// Asks the kernel to report where each datagram arrives, since a wildcard address does not say
  /// so. Called before the bind, because a datagram that is queued earlier has no interface.
  void expect_arrivals(const endpoint_type& local)
  {
    if constexpr (is_ip) {
      error_code not_here;
      if (options.packet_info)
        socket.set_option(option::packet_info(true), not_here);
      else if (local.address().is_unspecified())
        handle.provide_reply_source();
    }
  }

  void bound()
  {
    diagnose(diagnostic_channel::bind, this);
    watch_arrivals();
    receiving_.arm_if_wanted();
  }

  /// Called when an ICMP message about an earlier datagram has come back.
  void path_error(const error_code& ec)
  {
    turns.post([this, ec] {
      if (has_ended()) return;
      if (events.template listener_count<event::error>() == 0)
        ++path_errors_;
      else
        emit_error(failure_of("recvmsg", ec));
    });
  }

  void receive_failed(const error_code& ec)
  {
    if (platform::is_path_error(ec))
      path_error(ec);
    else
      post_error(failure_of("recvmsg", ec));
  }

private:
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  bool is_stop_requested() const noexcept
  {
#if DGRAM_HAS_STOP_TOKEN
    return options.signal.stop_requested();
#else
    return false;
#endif
  }

  /// Does not touch the slot: it may belong to another socket by now, and its signal may be gone.
  void end_watch() noexcept
  {
#if DGRAM_HAS_STOP_TOKEN
    on_stop_.reset();
#endif
  }

  void begin_send(const payload_view& payload)
  {
    note_activity();
    diagnose(diagnostic_channel::send, this, payload.size());
  }

  /// `asked` is the number of the message that is answered, see `receiving::number_of`.
  bool send_back(const path_type& to, const payload_view& payload, std::uint64_t asked)
  {
    if (pending.can_send(&to)) [[likely]]
      return sends.send(&to, payload, nullptr, asked);
    return wait_and_send(to, payload, nullptr);
  }

  /// `to` is a destination, or a path.
  template <class Destination>
  DGRAM_COLD bool wait_and_send(const Destination& to, const payload_view& payload,
                                send_completion* done)
  {
    send_completion_ptr held(done);
    if (!sends.admit(payload.size(), nullptr, held)) return false;
    pending.start({.kind = action::send,
                   .to = destination_type(to),
                   .payload = payload.copy(),
                   .done = std::move(held)});
    return !sends.is_full();
  }

  void tell_untold()
  {
    const failure what = std::exchange(untold_, {});
    if (!has_ended()) emit_error(what);
  }

  void emit_error(const failure& what)
  {
    events.template emit<event::error_monitor>(what);
    if (!events.template emit<event::error>(what)) throw_failure(what);
  }

  /// Asks the kernel again after the bind, since the address may be known only now.
  void watch_arrivals()
  {
    if constexpr (is_ip) {
      error_code ignored;
      handle.provide_reply_source();
      receiving_.begin(socket.local_endpoint(ignored).address());
    }
  }

  void emit_close()
  {
    close_emitted_ = true;
    pending.closed();
    // No event follows this one, so the listeners are removed, even if one of them throws.
    const at_end was_last([this] { events.remove_all(); });
    events.template emit<event::close>();
  }

  // Declared before the queue of tasks, which they may be in.
  member_task<emitter_core> closed_task_{*this, &emitter_core::emit_close};
  member_task<emitter_core> tell_{*this, &emitter_core::tell_untold};
  failure untold_;  // an error whose event found no memory

  std::shared_ptr<roster<emitter_core>> members_;
#if DGRAM_HAS_STOP_TOKEN
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
#endif

public:
  detail::turns<emitter_core> turns;
  work_account<emitter_core> work{turns};
  idle_timer<emitter_core, typename Socket::handle_type> idle{*this, work};
  drop_counts<emitter_core> drops{*this};

  send_queue<Socket, emitter_core> sends;

private:
  receiving<Socket, emitter_core> receiving_;

public:
  pending_type pending{*this};

private:
  std::uint64_t path_errors_ = 0;
  bool closing_ = false;
  bool close_is_final_ = false;  // a caller that does not wait for the close asked for it
  bool closed_ = false;
  bool pause_is_due_ = false;  // pauses when the bind is done
  bool close_emitted_ = false;
};

/// Calls a function with every emitter on this socket type that belongs to the context.
template <class Socket, class Function>
void for_each_emitter(net::execution_context& context, Function function)
{
  using service_type = typename emitter_core<Socket>::service_type;
  for (const auto& core : net::use_service<service_type>(context).members->all())
    function(*core);
}

// What a socket object calls. An `extern template` of a function costs nothing in a unit without an
// emitter. An `extern template` of the class would instantiate the class.

template <class Socket>
std::shared_ptr<emitter_core<Socket>> make_emitter(const typename Socket::executor_type& executor,
                                                   net::io_context* io, socket_options options)
{
  using core_type = emitter_core<Socket>;
  constexpr bool is_ip = ip_protocol<typename Socket::protocol_type>;
  auto& context = net::query(executor, net::execution::context_as<net::execution_context&>);
  const auto made =
      std::make_shared<core_type>(executor, io, checked_options(std::move(options), is_ip),
                                  net::use_service<typename core_type::service_type>(context));
  made->start();
  return made;
}

template <class Socket>
void abandon_emitter(emitter_core<Socket>& core)
{
  core.abandon();
}

/// Starts an operation. `payload` is that of a send. Without a completion, a failure is an 'error'
/// event, and no cancellation takes a close back. `listener` is removed if the operation fails.
template <class Socket>
void start_operation(emitter_core<Socket>& core, action which,
                     const destination<typename Socket::protocol_type>& to,
                     const payload_view& payload, any_completion_ptr done, listener_id listener)
{
  if (which == action::send)
    core.send(to, payload, as_send(std::move(done)).release());
  else if (which == action::close)
    core.close(std::move(done));
  else if (to.is_descriptor())
    core.pending.adopt(to.descriptor(), std::move(done));
  else
    core.pending.start({.kind = which, .to = to, .done = std::move(done)}, listener);
}

/// To a destination, with a completion or null; or without one, to the sender of a message, or to
/// an endpoint that `may_send_to` allows.
template <class Socket, class To, std::same_as<completion<std::size_t>*>... Done>
bool start_send(emitter_core<Socket>& core, const To& to, const payload_view& payload, Done... done)
{
  return core.send(to, payload, done...);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
