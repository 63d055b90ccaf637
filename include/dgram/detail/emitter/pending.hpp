// SPDX-License-Identifier: BSL-1.0
// Binds and connects; keeps in order what waits for a bind, a connect, a name or room to send.
#ifndef DGRAM_DETAIL_EMITTER_PENDING_HPP
#define DGRAM_DETAIL_EMITTER_PENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/at_end.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/emitter/operation.hpp>
#include <dgram/detail/names/name_lookups.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Owner` is the core.
///
/// Every operation that waits is in one list, in the order of the calls, with what it waits for.
template <class Socket, class Owner>
class pending_operations {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using path_type = basic_reply_path<protocol_type>;
  using operation_type = operation<protocol_type>;

  /// The progress of the bind, or of the connect.
  enum class phase : unsigned char { none, pending, done };

  explicit pending_operations(Owner& owner) noexcept : owner_(owner), lookups_(owner) {}

  phase bind_phase() const noexcept { return bind_.at; }
  phase connect_phase() const noexcept { return connect_.at; }

  // --- bind and connect ---

  /// Starts a bind or a connect, or keeps a send that has to wait. Without a completion, a failure
  /// is an 'error' event. `listener` listens for the event, and is removed if the operation fails.
  void start(operation_type next, listener_id listener = {})
  {
    const bool binds = next.kind == action::bind;
    const bool waits = !binds && must_wait();
    milestone* const which = binds ? &bind_ : next.kind == action::connect ? &connect_ : nullptr;
    const auto added = add(std::move(next), waits ? stage::descriptor : stage::due);
    const entry* const address = &*added;
    const milestone before = which != nullptr ? *which : milestone();
    if (which != nullptr) *which = {phase::pending, listener};
    try {
      waits ? bind_implicitly() : advance(added);
    } catch (...) {
      if (which != nullptr) *which = before;
      // It may have ended before.
      if (const auto at = place_of(address); at != entries_.end()) remove(at);
      throw;
    }
  }

  /// If this throws, the socket is unbound.
  void bind_now(const endpoint_type& local, error_code& ec)
  {
    const bool was_open = owner_.socket.is_open();
    try {
      if (owner_.family.is_foreign(local)) ec = net::error::invalid_argument;
      if (!ec && !was_open) owner_.replaceable.open(ec);
      if (ec) return;
      owner_.expect_arrivals(local);
      owner_.socket.bind(local, ec);
      if (!ec) bound();
    } catch (...) {
      bind_.at = connect_.at = phase::none;
      owner_.discard_descriptor();
      throw;
    }
    if (ec && connect_.at == phase::none) owner_.discard_descriptor();
  }

  void adopt(int descriptor, any_completion_ptr done)
  {
    error_code ec;
    owner_.replaceable.adopt(descriptor, ec);
    if (ec && !done) refuse("open", ec, "descriptor " + std::to_string(descriptor));
    if (!ec) {
      if (owner_.handle.is_connected()) connect_.at = phase::done;
      bound();
      owner_.template post_event<event::listening>();
    }
    if (done) owner_.end_operation(std::move(done), failure_of("open", ec));
  }

  /// Binds for operations that need a bound socket: sends and connects on IP.
  void bind_implicitly()
  {
    if constexpr (is_ip) {
      if (bind_.at != phase::none) return;
      start({.kind = action::bind, .to = owner_.family.any_address()});
      implicit_ = true;
    }
  }

  /// Returns to the state before the bind, whose completion is `done`.
  void fail_bind(const failure& why, any_completion_ptr done)
  {
    give_up(bind_);
    list_type waiting = take([](const entry& each) { return each.at == stage::descriptor; });
    const bool was_implicit = std::exchange(implicit_, false);
    // One report covers the bind and all operations without a completion: to `done`, or as an
    // 'error' event. It comes first, since the waiting operations may include a close.
    const bool all_told = std::all_of(waiting.begin(), waiting.end(), std::mem_fn(&entry::is_told));
    if (done || !was_implicit || !all_told) owner_.end_operation(std::move(done), why);
    for (auto& next : waiting) {
      if (next.what.kind == action::close)
        owner_.turns.deliver_once(close_if_closing_);
      else if (next.what.kind == action::connect)
        fail_connect(why, std::move(next.what.done), true);
      else if (next.is_told())
        owner_.end_operation(std::move(next.what.done), why);
    }
  }

  void connect_now(const endpoint_type& peer, error_code& ec)
  {
    ec = owner_.family.check_peer(peer);
    if (ec) return;
    owner_.flush();
    owner_.replaceable.connect(peer, ec);
    if (ec) return;
    connect_.at = phase::done;
    diagnose(diagnostic_channel::connect, &owner_);
    release_later();
  }

  /// The peer is no longer fixed. A send that waits for it must not reach the next one.
  void disconnected(const failure& why)
  {
    connect_.at = phase::none;
    for (auto& next : take(std::mem_fn(&entry::is_for_peer)))
      owner_.end_operation(std::move(next.what.done), why);
  }

  // --- what waits ---

  const amount& sends() const noexcept { return sends_; }

  /// Whether a send to this destination can go now. Null stands for the connected peer. A Unix
  /// socket needs no bind.
  bool can_send(const path_type* to) const noexcept
  {
    return (to != nullptr || connect_.at == phase::done) && can_send_to_sender();
  }
  bool can_send_to_sender() const noexcept
  {
    // Most often nothing waits, so there is nothing to count.
    return entries_.empty() ? !lacks_descriptor() && bind_.at != phase::pending : !must_wait();
  }

  /// Puts a close behind the operations that wait for a bind. Returns false if none waits.
  bool close_behind()
  {
    if (bind_.at != phase::pending || count(stage::descriptor) == 0) return false;
    add({.kind = action::close}, stage::descriptor);
    return true;
  }

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
      owner_.turns.deliver(next.what.done.release());
  }

  /// Ends a waiting operation as if it had not begun. Returns false if it does not wait here.
  bool cancel(const task* done)
  {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [done](const entry& each) {
      return each.what.done.get() == done;
    });
    if (found == entries_.end() || owner_.is_closed()) return false;
    fail(found, net::error::operation_aborted);
    return true;
  }

  /// Called when the bind or the connect is done, or when there is a descriptor again. The
  /// operations go on in the next turn, since their listeners have been called by then.
  void release_later()
  {
    if (std::any_of(entries_.begin(), entries_.end(),
                    [this](const entry& each) { return may_go_on(each); }))
      owner_.turns.deliver_once(release_);
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
                           failure_of(name_of(ended.kind), net::error::operation_aborted));
    }
  }

  /// Releases every operation that was started, and calls no handler.
  void discard() noexcept
  {
    lookups_.end();
    // Empties the member first, since an entry may own an object that calls back.
    const auto released = std::exchange(entries_, {});
  }

  void looked_up(const std::string& name, const net::ip::address& address)
  {
    const at_end passes_on([this] { owner_.flush(); });
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (!at->waits_for(name)) continue;
      at->what.to.resolve(address);
      await_turn(at);
    }
  }

  void not_looked_up(const failure& why)
  {
    for (auto& next : take([&](const entry& each) { return each.waits_for(why.address); }))
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

    amount weight() const
    {
      return what.kind == action::send ? amount{1, what.payload.size()} : amount{};
    }
    bool is_told() const { return what.kind == action::close || what.done != nullptr; }
    bool is_for_peer() const { return what.kind == action::send && what.to.is_peer(); }
    bool waits_for(const std::string& name) const
    {
      return at == stage::name && what.to.name() == name;
    }

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

  iterator add(operation_type&& what, stage at)
  {
    const auto added = entries_.emplace(entries_.end(), *this, std::move(what), at);
    added->self = added;
    ++count(at);
    sends_ = sends_ + added->weight();
    return added;
  }

  void forget(const entry& which) noexcept
  {
    --count(which.at);
    sends_ = sends_ - which.weight();
  }

  /// Takes an operation out of the list. If its turn is posted, the entry stays until that turn.
  operation_type remove(iterator which)
  {
    forget(*which);
    operation_type removed = std::move(which->what);
    if (std::exchange(which->at, stage::gone) != stage::turn) entries_.erase(which);
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
      forget(*which);
      taken.splice(taken.end(), entries_, which);
    }
    return taken;
  }

  /// Calls a function for an operation in a turn, where no caller could catch an exception. Without
  /// memory, the operation fails.
  template <class Function>
  void fail_without_memory(iterator which, Function function)
  {
    const entry* const address = &*which;
    unless_no_memory(function, [&] {
      const auto at = place_of(address);
      if (at != entries_.end()) fail(at, net::error::no_memory);
    });
  }

  iterator place_of(const entry* which)
  {
    return std::find_if(entries_.begin(), entries_.end(),
                        [which](const entry& each) { return &each == which; });
  }

  // --- how operations go on ---

  void await_turn(iterator next)
  {
    owner_.turns.deliver(&*next);
    move_to(*next, stage::turn);
  }

  /// Called in the operation's turn, when its endpoint is known.
  void take_turn(iterator at)
  {
    owner_.has_ended();  // a requested stop closes the emitter here, which ends the operation
    if (at->at == stage::gone) {
      entries_.erase(at);
      return;
    }
    if (at->what.kind != action::bind && lacks_descriptor()) {
      move_to(*at, stage::descriptor);
      fail_without_memory(at, [this] { bind_implicitly(); });
      return;
    }
    move_to(*at, stage::due);
    operation_type next = remove(at);
    if (next.kind == action::send)
      owner_.sends.send_late(std::move(next));
    else
      finish(std::move(next));
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
    // The due operations come first, so that the next one is always found at once.
    list_type due = take([this](const entry& each) { return may_go_on(each); });
    for (auto& each : due) {
      ++count(each.at = stage::due);
      sends_ = sends_ + each.weight();
    }
    entries_.splice(entries_.begin(), due);
    while (!entries_.empty() && entries_.front().at == stage::due) {
      const auto next = entries_.begin();
      entries_.splice(entries_.end(), entries_, next);
      fail_without_memory(next, [&] { advance(next); });
    }
    release_later();
  }

  /// Goes on with an operation. A send goes now, since a later send to the same address would
  /// overtake it, unless others got an endpoint just now and wait for their turn.
  void advance(iterator next)
  {
    auto& to = next->what.to;
    const bool is_send = next->what.kind == action::send;
    const bool has_name = to.is_name();
    if (next->what.kind == action::close) {
      remove(next);
      owner_.close_now();
      return;
    }
    if (is_send && to.is_peer() && connect_.at == phase::pending)
      return move_to(*next, stage::peer);
    if (has_name) {
      const auto known = lookups_.find(to.name());
      if (!known) {
        move_to(*next, stage::name);
        const std::string name = to.name();  // the call may destroy the entry
        return lookups_.start(name);
      }
      to.resolve(*known);
    }
    if (is_send && (!has_name || count(stage::turn) == 0))
      owner_.sends.send_late(remove(next));
    else
      await_turn(next);
  }

  void bound()
  {
    bind_.at = phase::done;
    implicit_ = false;
    owner_.bound();
    release_later();
    if (owner_.is_pause_due()) owner_.pause();
  }

  /// Binds or connects. There is no caller to which this could throw.
  void finish(operation_type next)
  {
    const bool binds = next.kind == action::bind;
    const endpoint_type where = next.to.endpoint();
    error_code ec;
    unless_no_memory([&] { binds ? bind_now(where, ec) : connect_now(where, ec); },
                     [&] { ec = net::error::no_memory; });
    if (ec) {
      failure why = failure_at(name_of(next.kind), ec, &where);
      if (ec == net::error::invalid_argument) why.detail = owner_.family.fault_of(where);
      fail(std::move(next), why);
      return;
    }
    if (next.done) owner_.turns.deliver(next.done.release());
    if (binds)
      owner_.events.template emit<event::listening>();
    else
      owner_.events.template emit<event::connect>();
  }

  void fail(iterator which, const error_code& ec)
  {
    operation_type ended = remove(which);
    const failure why = failure_of(name_of(ended.kind), ec);
    fail(std::move(ended), why);
  }

  void fail(operation_type ended, const failure& why)
  {
    if (ended.kind == action::bind)
      fail_bind(why, std::move(ended.done));
    else if (ended.kind == action::connect)
      fail_connect(why, std::move(ended.done), false);
    else
      owner_.end_operation(std::move(ended.done), why);
  }

  /// Returns to the state before the connect, whose completion is `done`. With `is_reported`, the
  /// report of a failed bind covers the operations without a completion, if `done` is none either.
  void fail_connect(const failure& why, any_completion_ptr done, bool is_reported)
  {
    give_up(connect_);
    const bool all = done || !is_reported;
    for (auto& next : take(std::mem_fn(&entry::is_for_peer)))
      if (all || next.is_told()) owner_.end_operation(std::move(next.what.done), why);
    if (all) owner_.end_operation(std::move(done), why);
  }

  /// A close waited for a bind that has failed.
  void close_if_closing()
  {
    if (owner_.is_closing()) owner_.close_now();
  }

  /// Removes the listener, so that the next bind or connect does not call it.
  void give_up(milestone& which) { owner_.events.off(std::exchange(which, {}).listener); }

  Owner& owner_;
  name_lookups<Owner, typename Socket::executor_type, typename Socket::handle_type::clock_type>
      lookups_;
  milestone bind_;
  milestone connect_;
  bool implicit_ = false;                // no caller asked for the bind
  std::array<std::size_t, 6> counts_{};  // by stage, without those that are gone
  amount sends_;
  member_task<pending_operations> release_{*this, &pending_operations::release};
  member_task<pending_operations> close_if_closing_{*this, &pending_operations::close_if_closing};
  list_type entries_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
