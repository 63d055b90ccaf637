// SPDX-License-Identifier: BSL-1.0
// Binds and connects; keeps sends in order while they wait for a bind, a connect or a name.
#ifndef DGRAM_DETAIL_EMITTER_PENDING_HPP
#define DGRAM_DETAIL_EMITTER_PENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/emitter/backlog.hpp>
#include <dgram/detail/emitter/destination.hpp>
#include <dgram/detail/emitter/send_queue.hpp>
#include <dgram/detail/names/name_lookups.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <list>
#include <new>
#include <string>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

enum class action : unsigned char { bind, connect, send, close };

template <class Protocol>
struct operation {
  action kind;
  destination<Protocol> to = {};
  std::vector<std::byte> payload = {};  // of a send
  any_completion_ptr done = {};         // null if no caller waits for the end
  backlog_place place = {};             // of a send

  const char* name() const noexcept
  {
    switch (kind) {
    case action::bind: return "bind";
    case action::connect: return "connect";
    case action::close: return "close";
    default: return "send";
    }
  }
};

/// `Owner` is the core. It has the socket and its family, events and turns, and these functions:
/// - `void expect_arrivals(endpoint_type)` is called before the bind to this address.
/// - `void bound()` is called after the bind, and before 'listening' is emitted.
/// - `void send_now(const path_type*, payload, send_completion_ptr)` sends to a known endpoint.
/// - `void end_operation(any_completion_ptr, failure)` reports the end. Without a completion there
///   is an 'error' event.
/// - `void close_now()` closes. `void close_if_closing()` closes unless the close was taken back.
/// - `bool is_paused()` says whether the socket is paused. `void pause_if_due()` starts a pause
///   that waited for the bind. When the socket resumes, the owner calls `release_later`.
///
/// Every operation that waits is in one list, in the order of the calls, with what it waits for.
template <class Socket, class Owner>
class pending_operations {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Socket::executor_type;
  using path_type = basic_reply_path<protocol_type>;
  using destination_type = destination<protocol_type>;
  using operation_type = operation<protocol_type>;

  /// The progress of the bind, or of the connect.
  enum class phase : unsigned char { none, pending, done };

  explicit pending_operations(Owner& owner) noexcept : owner_(owner), lookups_(owner) {}
  pending_operations(const pending_operations&) = delete;
  pending_operations& operator=(const pending_operations&) = delete;

  phase bind_phase() const noexcept { return bind_.at; }
  phase connect_phase() const noexcept { return connect_.at; }

  // --- bind ---

  /// Binds. Without a completion, a failure is an 'error' event. `listener` listens for
  /// 'listening', and is removed if the bind fails.
  void bind(destination_type to, any_completion_ptr done, listener_id listener = {})
  {
    begin(bind_, {.kind = action::bind, .to = std::move(to), .done = std::move(done)}, listener);
  }

  /// If this throws, the socket is unbound.
  void bind_now(const endpoint_type& local, error_code& ec)
  {
    const bool was_open = owner_.socket.is_open();
    try {
      if (owner_.family.is_foreign(local)) ec = net::error::invalid_argument;
      if (!ec && !was_open) owner_.family.open(ec);
      if (ec) return;
      owner_.expect_arrivals(local);
      owner_.socket.bind(local, ec);
      if (!ec) bound();
    } catch (...) {
      unbind();
      throw;
    }
    if (ec && connect_.at == phase::none) owner_.discard_descriptor();
  }

  void adopt(int descriptor, error_code& ec)
  {
    owner_.family.adopt(descriptor, ec);
    if (ec) return;
    if (owner_.handle.is_connected()) connect_.at = phase::done;
    bound();
  }

  /// Binds for operations that need a bound socket: sends and connects on IP.
  void bind_implicitly()
  {
    if (bind_.at != phase::none) return;
    bind(owner_.family.any_address(), nullptr);
    implicit_ = true;
  }

  /// Returns to the state before the bind, whose completion is `done`.
  void fail_bind(const failure& why, any_completion_ptr done)
  {
    give_up(bind_);
    list_type waiting = take([](const entry& each) { return each.at == stage::descriptor; });
    const bool was_implicit = std::exchange(implicit_, false);
    // One report covers the bind and all operations without a completion: to `done`, or as an
    // 'error' event. It comes first, since the waiting operations may include a close.
    const bool all_told = std::all_of(waiting.begin(), waiting.end(), is_told);
    if (done || !was_implicit || !all_told) owner_.end_operation(std::move(done), why);
    for (auto& next : waiting) {
      if (next.what.kind == action::close)
        owner_.deliver_once(close_if_closing_);
      else if (next.what.kind == action::send && is_told(next))
        owner_.end_operation(std::move(next.what.done), why);
      else if (next.what.kind == action::connect)
        fail_connect_behind(why, std::move(next.what.done));
    }
  }

  // --- connect ---

  void connect(destination_type to, any_completion_ptr done, listener_id listener = {})
  {
    begin(connect_, {.kind = action::connect, .to = std::move(to), .done = std::move(done)},
          listener);
  }

  /// Fixes the peer at once; the event comes later.
  void connect_now(const endpoint_type& peer, error_code& ec)
  {
    ec = owner_.family.check_peer(peer);
    if (ec) return;
    owner_.flush();
    owner_.replaceable.connect(peer, ec);
    if (ec) return;
    connect_.at = phase::done;
    diagnose(diagnostic_channel::connect, &owner_);
  }

  /// Called when the peer is no longer fixed. A send that waits for this peer must not reach the
  /// next one.
  void disconnected(const failure& why)
  {
    connect_.at = phase::none;
    for (auto& next : take(is_for_peer))
      owner_.end_operation(std::move(next.what.done), why);
  }

  // --- what waits ---

  /// Whether a send to this destination can go now. Null stands for the connected peer. A Unix
  /// socket needs no bind.
  bool can_send(const path_type* to) const noexcept
  {
    return !must_wait() && (to != nullptr || connect_.at == phase::done);
  }

  /// Keeps a send that has to wait.
  void send(operation_type next)
  {
    const bool waits = must_wait();
    if constexpr (is_ip)
      if (waits) bind_implicitly();
    const auto added = add(std::move(next), waits ? stage::descriptor : stage::due);
    if (!waits) undo_if_thrown(added, [&] { advance(added); });
  }

  /// Puts a close behind the operations that wait for a bind. Returns false if none waits.
  bool close_behind()
  {
    if (bind_.at != phase::pending || count(stage::descriptor) == 0) return false;
    add({.kind = action::close}, stage::descriptor);
    return true;
  }

  /// Takes the close back.
  void withdraw_close()
  {
    take([](const entry& each) {
      return each.what.kind == action::close && each.at == stage::descriptor;
    });
  }

  /// Keeps the completion of a caller that waits for 'close'.
  void await_close(any_completion_ptr done)
  {
    add({.kind = action::close, .done = std::move(done)}, stage::end);
  }

  bool awaits_close() const noexcept { return count(stage::end) > 0; }

  /// Called when 'close' is about to be emitted.
  void closed()
  {
    for (auto& next : take([](const entry& each) { return each.at == stage::end; }))
      owner_.deliver(next.what.done.release());
  }

  /// Ends a waiting operation as if it had not begun. Returns false if it does not wait here, or no
  /// longer waits.
  bool cancel(const task* done)
  {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [done](const entry& each) {
      return each.what.done.get() == done;
    });
    if (found == entries_.end() || owner_.is_closed()) return false;
    operation_type ended = remove(found);
    const failure why = failure_of(ended.name(), net::error::operation_aborted);
    fail(std::move(ended), why);
    return true;
  }

  /// Called when the bind or the connect is done, or when there is a descriptor again. The
  /// operations go on in the next turn, since their listeners have been called by then.
  void release_later()
  {
    if (std::any_of(entries_.begin(), entries_.end(),
                    [this](const entry& each) { return may_go_on(each); }))
      owner_.deliver_once(release_);
  }

  /// Ends every operation that was started, except the waits for 'close'.
  void end()
  {
    lookups_.end();
    for (auto at = entries_.begin(); at != entries_.end();) {
      const auto which = at++;
      if (which->at == stage::end || which->at == stage::gone) continue;
      operation_type ended = remove(which);
      owner_.end_operation(std::move(ended.done),
                           failure_of(ended.name(), net::error::operation_aborted));
    }
  }

  /// Releases every operation that was started, and calls no handler.
  void discard() noexcept
  {
    lookups_.end();
    // Empties the member before the entries are destroyed, since an entry may own an object that
    // calls back.
    const auto released = std::exchange(entries_, {});
  }

  /// Called when a lookup has succeeded.
  void looked_up(const std::string& name, const net::ip::address& address)
  {
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (!waits_for_name(*at, name)) continue;
      at->what.to.resolve(address);
      await_turn(at);
    }
  }

  void not_looked_up(const failure& why)
  {
    for (auto& next : take([&](const entry& each) { return waits_for_name(each, why.address); }))
      fail(std::move(next.what), why);
  }

private:
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  /// What an operation waits for. A `due` operation goes on now. A `gone` operation has ended in
  /// another way, and its turn must find nothing to do.
  enum class stage : unsigned char { descriptor, peer, name, turn, due, end, gone };

  struct entry;
  using list_type = std::list<entry>;
  using iterator = typename list_type::iterator;

  /// The entry is also the task for the operation's turn, so that the turn takes no memory of its
  /// own.
  // NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): never deleted by its base
  struct entry final : task {
    entry(pending_operations& list, operation_type&& which, stage first)
        : of(list), what(std::move(which)), at(first)
    {
    }
    void run() override { of.take_turn(self); }
    void discard() noexcept override {}

    pending_operations& of;
    operation_type what;
    iterator self{};
    stage at;
  };

  struct milestone {
    phase at = phase::none;
    listener_id listener;
  };

  // --- the list ---

  std::size_t& count(stage which) noexcept { return counts_[static_cast<std::size_t>(which)]; }
  std::size_t count(stage which) const noexcept { return counts_[static_cast<std::size_t>(which)]; }

  void move_to(entry& which, stage next) noexcept
  {
    --count(which.at);
    ++count(next);
    which.at = next;
  }

  iterator add(operation_type what, stage at)
  {
    const auto added = entries_.emplace(entries_.end(), *this, std::move(what), at);
    added->self = added;
    ++count(at);
    return added;
  }

  void erase(iterator which) noexcept
  {
    --count(which->at);
    entries_.erase(which);
  }

  /// Takes an operation out of the list. If its turn is posted, the entry stays until that turn.
  operation_type remove(iterator which)
  {
    operation_type removed = std::move(which->what);
    if (which->at == stage::turn)
      move_to(*which, stage::gone);
    else
      erase(which);
    return removed;
  }

  /// Takes out all entries that match, in order. None of them may have a posted turn.
  template <class Predicate>
  list_type take(Predicate is_meant)
  {
    list_type taken;
    for (auto at = entries_.begin(); at != entries_.end();) {
      const auto which = at++;
      if (!is_meant(*which)) continue;
      --count(which->at);
      taken.splice(taken.end(), entries_, which);
    }
    return taken;
  }

  template <class Function>
  void undo_if_thrown(iterator added, Function function)
  {
    const entry* const address = &*added;
    try {
      function();
    } catch (...) {
      // The function may have ended the operation.
      if (const auto at = place_of(address); at != entries_.end()) remove(at);
      throw;
    }
  }

  /// Calls a function for an operation in a turn, where no caller could catch an exception. Without
  /// memory, the operation fails.
  template <class Function>
  void fail_without_memory(iterator which, Function function)
  {
    const entry* const address = &*which;
    try {
      function();
    } catch (const std::bad_alloc&) {
      const auto at = place_of(address);
      if (at == entries_.end()) return;
      operation_type ended = remove(at);
      const failure why = failure_of(ended.name(), net::error::no_memory);
      fail(std::move(ended), why);
    }
  }

  iterator place_of(const entry* which)
  {
    return std::find_if(entries_.begin(), entries_.end(),
                        [which](const entry& each) { return &each == which; });
  }

  void fail(operation_type ended, const failure& why)
  {
    if (ended.kind == action::bind)
      fail_bind(why, std::move(ended.done));
    else if (ended.kind == action::connect)
      fail_connect(why, std::move(ended.done));
    else
      owner_.end_operation(std::move(ended.done), why);
  }

  static bool is_told(const entry& which)
  {
    return which.what.kind == action::close || which.what.done != nullptr;
  }

  static bool is_for_peer(const entry& which)
  {
    return which.what.kind == action::send && which.what.to.is_peer();
  }

  static bool waits_for_name(const entry& which, const std::string& name)
  {
    return which.at == stage::name && which.what.to.name() == name;
  }

  // --- how operations go on ---

  void begin(milestone& which, operation_type next, listener_id listener)
  {
    const bool waits = next.kind == action::connect && must_wait();
    const auto added = add(std::move(next), waits ? stage::descriptor : stage::due);
    const milestone before = std::exchange(which, {phase::pending, listener});
    try {
      undo_if_thrown(added, [&] {
        if (!waits)
          find_endpoint(added);
        else if constexpr (is_ip)
          bind_implicitly();
      });
    } catch (...) {
      which = before;
      throw;
    }
  }

  /// Finds the endpoint, with which the operation goes on in a later turn.
  void find_endpoint(iterator next)
  {
    auto& to = next->what.to;
    if (to.is_name()) {
      const auto known = lookups_.find(to.name());
      if (!known) {
        move_to(*next, stage::name);
        const std::string name = to.name();  // the call may destroy the entry
        lookups_.start(name);
        return;
      }
      to.resolve(*known);
    }
    await_turn(next);
  }

  void await_turn(iterator next)
  {
    owner_.deliver(&*next);
    move_to(*next, stage::turn);
  }

  /// Called in the operation's turn, when its endpoint is known.
  void take_turn(iterator at)
  {
    const bool has_ended = owner_.has_ended();  // a requested stop closes the emitter here
    if (at->at == stage::gone || has_ended) {
      erase(at);
      return;
    }
    move_to(*at, stage::due);
    if (at->what.kind != action::bind && lacks_descriptor()) {
      move_to(*at, stage::descriptor);
      if constexpr (is_ip) fail_without_memory(at, [this] { bind_implicitly(); });
      return;
    }
    operation_type next = remove(at);
    switch (next.kind) {
    case action::bind: finish_bind(std::move(next)); return;
    case action::connect: finish_connect(std::move(next)); return;
    default: send_now(std::move(next)); return;
    }
  }

  bool must_wait() const noexcept
  {
    return bind_.at == phase::pending || count(stage::descriptor) + count(stage::due) > 0 ||
           (connect_.at == phase::done && count(stage::peer) > 0) || lacks_descriptor();
  }

  /// Whether the socket is paused, not bound yet, or no longer bound.
  bool lacks_descriptor() const noexcept
  {
    return owner_.is_paused() || (is_ip && bind_.at != phase::done);
  }

  bool may_go_on(const entry& which) const noexcept
  {
    switch (which.at) {
    case stage::descriptor: return bind_.at != phase::pending;
    case stage::peer: return connect_.at == phase::done;
    default: return which.at == stage::due;
    }
  }

  /// Lets operations go on. If the socket is paused, they wait until it resumes.
  void release()
  {
    if (owner_.is_paused()) return;
    // Moves the due operations to the front, in order, so that the next one is always found at
    // once.
    auto rest = entries_.begin();
    for (auto at = entries_.begin(); at != entries_.end();) {
      const auto which = at++;
      if (!may_go_on(*which)) continue;
      move_to(*which, stage::due);
      if (which == rest)
        ++rest;
      else
        entries_.splice(rest, entries_, which);
    }
    while (!entries_.empty() && entries_.front().at == stage::due) {
      const auto next = entries_.begin();
      entries_.splice(entries_.end(), entries_, next);
      fail_without_memory(next, [&] { advance(next); });
    }
    release_later();
  }

  /// Goes on with an operation that is first in the list.
  void advance(iterator next)
  {
    const auto& to = next->what.to;
    const bool is_send = next->what.kind == action::send;
    if (next->what.kind == action::close) {
      remove(next);
      owner_.close_now();
    } else if (is_send && to.is_peer() && connect_.at == phase::pending) {
      move_to(*next, stage::peer);
    } else if (is_send && (!to.is_name() || know_endpoint(next->what))) {
      send_now(remove(next));
    } else {
      find_endpoint(next);
    }
  }

  /// If the name of a send is already looked up, sets its endpoint now, and returns true. Without
  /// that, a later send to the same address would overtake it. If others got an endpoint just now
  /// and wait for their turn, returns false: the send must wait behind them.
  bool know_endpoint(operation_type& next)
  {
    if (count(stage::turn) > 0) return false;
    const auto known = lookups_.find(next.to.name());
    if (known) next.to.resolve(*known);
    return known.has_value();
  }

  void send_now(operation_type next)
  {
    owner_.send_now(next.to.path(), next.payload,
                    send_completion_ptr(static_cast<send_completion*>(next.done.release())));
  }

  void bound()
  {
    bind_.at = phase::done;
    implicit_ = false;
    owner_.bound();
    release_later();
    owner_.pause_if_due();
  }

  void unbind()
  {
    bind_.at = phase::none;
    connect_.at = phase::none;
    owner_.discard_descriptor();
  }

  /// Calls a function that has no caller to which it could throw.
  template <class Function>
  static error_code attempt(Function function)
  {
    error_code ec;
    try {
      function(ec);
    } catch (const std::bad_alloc&) {
      ec = net::error::no_memory;
    }
    return ec;
  }

  void finish_bind(operation_type next)
  {
    const endpoint_type local = next.to.endpoint();
    const error_code ec = attempt([&](error_code& failed) { bind_now(local, failed); });
    if (ec) {
      fail_bind(failure_at("bind", ec, &local), std::move(next.done));
      return;
    }
    if (next.done) owner_.deliver(next.done.release());
    owner_.events.template emit<event::listening>();
  }

  void finish_connect(operation_type next)
  {
    const endpoint_type peer = next.to.endpoint();
    const error_code ec = attempt([&](error_code& failed) { connect_now(peer, failed); });
    if (ec) {
      fail_connect(failure_at("connect", ec, &peer), std::move(next.done));
      return;
    }
    release_later();
    if (next.done) owner_.deliver(next.done.release());
    owner_.events.template emit<event::connect>();
  }

  /// Returns to the state before the connect, whose completion is `done`.
  void fail_connect(const failure& why, any_completion_ptr done)
  {
    give_up(connect_);
    for (auto& next : take(is_for_peer))
      owner_.end_operation(std::move(next.what.done), why);
    owner_.end_operation(std::move(done), why);
  }

  /// The same after a failed bind. The report of the bind covers the operations without a
  /// completion.
  void fail_connect_behind(const failure& why, any_completion_ptr done)
  {
    if (done) return fail_connect(why, std::move(done));
    give_up(connect_);
    for (auto& next : take(is_for_peer))
      if (is_told(next)) owner_.end_operation(std::move(next.what.done), why);
  }

  /// Removes the listener, so that the next bind or connect does not call it.
  void give_up(milestone& which) { owner_.events.off(std::exchange(which, {}).listener); }

  Owner& owner_;
  name_lookups<Owner, executor_type, typename Socket::handle_type::clock_type> lookups_;
  milestone bind_;
  milestone connect_;
  bool implicit_ = false;  // no caller asked for the bind
  std::array<std::size_t, 7> counts_{};
  member_task<pending_operations> release_{*this, &pending_operations::release};
  member_task<Owner> close_if_closing_{owner_, &Owner::close_if_closing};
  list_type entries_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
