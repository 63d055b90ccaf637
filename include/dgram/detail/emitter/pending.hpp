// SPDX-License-Identifier: BSL-1.0
// Binds and connects, and keeps what has to wait for that or for a name.
#ifndef DGRAM_DETAIL_EMITTER_PENDING_HPP
#define DGRAM_DETAIL_EMITTER_PENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/completion.hpp>
#include <dgram/detail/emitter/waiting_operation.hpp>
#include <dgram/detail/names/name_lookups.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/option.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Owner` is the core: it has the socket and its family, events and turns, and is told
///   void expect_arrivals(endpoint_type);                      in front of the bind to this address
///   void bound();                                            and `listening` is emitted later
///   void send_now(const path_type*, payload_view, send_completion*);
///   void not_sent(send_completion_ptr, failure);
///   void close_now();
///   void close_if_closing();
///   bool is_paused(); void pause_if_due();                   and then `unpark_later` when it resumes
template <class Socket, class Owner>
class establishing {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Socket::executor_type;
  using path_type = basic_reply_path<protocol_type>;
  using target_type = target<protocol_type>;
  using operation = waiting_operation<protocol_type>;
  using phase = milestone::phase;

  explicit establishing(Owner& owner) noexcept : owner_(owner), lookups_(owner) {}
  establishing(const establishing&) = delete;
  establishing& operator=(const establishing&) = delete;

  phase bind_phase() const noexcept { return bind_.at; }
  phase connect_phase() const noexcept { return connect_.at; }

  // --- bind ---

  /// `done` may be null: then a failure is an 'error' event.
  void bind(target_type to, completion<>* done)
  {
    bind_.begin(done);
    find_endpoint({.kind = action::bind, .to = std::move(to), .number = bind_.number});
  }

  /// The callback is a listener for 'listening', and is forgotten where that is not to be.
  template <class Callback>
  void bind_with(target_type to, Callback&& callback)
  {
    bind_.listener =
        owner_.events.template once<event::listening>(std::forward<Callback>(callback));
    bind(std::move(to), nullptr);
  }

  void bind_now(const endpoint_type& local, error_code& ec)
  {
    if (!owner_.socket.is_open()) owner_.family.open(ec);
    if (ec) return;
    owner_.expect_arrivals(local);
    owner_.socket.bind(local, ec);
    if (!ec)
      bound();
    else if (connect_.at == phase::none)
      owner_.discard_descriptor();
  }

  void adopt(int descriptor, error_code& ec)
  {
    owner_.family.adopt(descriptor, ec);
    if (ec) return;
    if (owner_.handle.is_connected()) connect_.at = phase::done;
    bound();
  }

  /// For what needs a bound socket: sends and connects on IP.
  void bind_implicitly()
  {
    if (bind_.at != phase::none) return;
    implicit_ = true;
    bind(target_type::of(owner_.family.any_address()), nullptr);
  }

  void fail_bind(const failure& why)
  {
    bind_.give_up();
    owner_.events.off(std::exchange(bind_.listener, {}));
    auto waiting = std::exchange(parked_, {});
    const bool was_implicit = std::exchange(implicit_, false);
    // One 'error' event for all who are not told themselves, and first, since a close may be among them.
    const bool all_told = std::all_of(waiting.begin(), waiting.end(),
                                      [this](const auto& next) { return is_told(next); });
    if (bind_.done)
      owner_.fail(bind_.done.release(), why);
    else if (!(was_implicit && all_told) && why.code != net::error::operation_aborted)
      owner_.post_error(why);
    for (auto& next : waiting) {
      if (next.kind == action::close)
        owner_.post([this] { owner_.close_if_closing(); });
      else if (is_told(next))
        refuse(std::move(next), why);
      else if (next.kind == action::connect)
        refuse_told(drop_connect(), why);
    }
  }

  // --- connect ---

  void connect(target_type to, completion<>* done)
  {
    connect_.begin(done);
    operation next{.kind = action::connect, .to = std::move(to), .number = connect_.number};
    if (must_park())
      park(std::move(next));
    else
      find_endpoint(std::move(next));
  }

  template <class Callback>
  void connect_with(target_type to, Callback&& callback)
  {
    connect_.listener =
        owner_.events.template once<event::connect>(std::forward<Callback>(callback));
    connect(std::move(to), nullptr);
  }

  /// The peer is fixed at once; the event comes later.
  void connect_now(const endpoint_type& peer, error_code& ec)
  {
    ec = owner_.family.check_peer(peer);
    if (ec) return;
    if (owner_.is_paused())
      owner_.keep_peer(peer);
    else
      connect_descriptor(peer, ec);
    if (ec) return;
    connect_.at = phase::done;
    diagnose(diagnostic_channel::connect, &owner_);
  }

  /// The peer is no longer fixed, and what waits to be sent to it is not to reach the next one.
  void disconnected(const failure& why)
  {
    connect_.at = phase::none;
    for (auto& next : take_for_peer())
      refuse(std::move(next), why);
  }

  // --- what waits ---

  /// Whether a send to this place, null for the connected peer, can go now. Unix datagrams need no bind.
  bool can_send(const path_type* to) const noexcept
  {
    return !must_park() && (to != nullptr || connect_.at == phase::done);
  }

  /// A send that has to wait.
  void send(operation waiting)
  {
    if (must_park())
      park(std::move(waiting));
    else
      perform(std::move(waiting));
  }

  /// Puts a close behind what waits for a bind; false where nothing does.
  bool close_behind()
  {
    if (bind_.at != phase::pending || parked_.empty()) return false;
    parked_.push_back({.kind = action::close});
    return true;
  }

  /// Takes it back.
  void withdraw_close()
  {
    for (auto& each : parked_)
      if (each.kind == action::close) each = {};
  }

  /// Ends an operation that waits, as if it had not been begun. False where it does not wait here.
  bool cancel(const task* done)
  {
    if (bind_.done.get() == done) {
      fail_bind(failure_of("bind", net::error::operation_aborted));
    } else if (connect_.done.get() == done) {
      fail_connect(failure_of("connect", net::error::operation_aborted));
    } else {
      send_completion_ptr found = withdraw(done);
      if (found == nullptr) return false;
      owner_.not_sent(std::move(found), failure_of("send", net::error::operation_aborted));
    }
    return true;
  }

  /// The bind or the connect is done; on the next turn the listeners for it have been called.
  void unpark_later()
  {
    if (has_parked()) owner_.post([this] { unpark(); });
  }

  /// Everything that was started ends.
  void end()
  {
    abort_sends(std::exchange(parked_, {}));
    abort_sends(std::exchange(behind_connect_, {}));
    abort_sends(std::exchange(behind_name_, {}));
    lookups_.end();
    end_operation(bind_.done, "bind");
    end_operation(connect_.done, "connect");
  }

  /// Lets go everything that was started, and tells nobody.
  void discard() noexcept
  {
    lookups_.end();
    // Out of the members before it is destroyed, since what it owns may come back here.
    const auto parked = std::exchange(parked_, {});
    const auto behind_connect = std::exchange(behind_connect_, {});
    const auto behind_name = std::exchange(behind_name_, {});
    const auto ready = std::exchange(ready_, {});
    const auto bind = std::exchange(bind_.done, nullptr);
    const auto connect = std::exchange(connect_.done, nullptr);
  }

  /// A lookup has come to its end.
  void looked_up(const std::string& name, const net::ip::address& address)
  {
    for (auto& next : take_behind_name(name))
      perform_later(std::move(next), address);
  }

  void not_looked_up(const failure& why)
  {
    for (auto& next : take_behind_name(why.address))
      refuse(std::move(next), why);
  }

private:
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  send_completion_ptr withdraw(const task* done)
  {
    send_completion_ptr found = withdraw_send(parked_, done);
    if (found == nullptr) found = withdraw_send(behind_connect_, done);
    if (found == nullptr) found = withdraw_send(behind_name_, done);
    if (found == nullptr) found = withdraw_send(ready_, done);
    return found;
  }

  /// Whether an operation was cancelled, or came to nothing, while it waited.
  bool is_over(const operation& which) const noexcept
  {
    switch (which.kind) {
    case action::nothing: return true;
    case action::bind: return which.number != bind_.number;
    case action::connect: return which.number != connect_.number;
    default: return false;
    }
  }

  void look_up(operation waiting)
  {
    const std::string name = waiting.to.name;
    behind_name_.push_back(std::move(waiting));
    lookups_.start(name);
  }

  std::vector<operation> take_behind_name(const std::string& name)
  {
    std::vector<operation> taken;
    std::vector<operation> left;
    for (auto& each : std::exchange(behind_name_, {}))
      (each.to.name == name ? taken : left).push_back(std::move(each));
    behind_name_ = std::move(left);
    return taken;
  }

  /// Goes on with the endpoint on a later turn.
  void find_endpoint(operation waiting)
  {
    const std::string name = waiting.to.name;
    if (name.empty())
      perform_later(std::move(waiting));
    else if (const auto known = lookups_.find(name))
      perform_later(std::move(waiting), *known);
    else
      look_up(std::move(waiting));
  }

  void perform_later(operation next)
  {
    ready_.push(std::move(next));
    owner_.post([this] { perform_at(ready_.pop()); });
  }

  void perform_later(operation next, const net::ip::address& address)
  {
    set_endpoint(next, address);
    perform_later(std::move(next));
  }

  void set_endpoint(operation& next, const net::ip::address& address)
  {
    if constexpr (is_ip) next.to = target_type::of({address, next.to.port});
  }

  /// The endpoint is known.
  void perform_at(operation next)
  {
    if (is_over(next)) return;
    if (owner_.has_ended()) {
      abandon(std::move(next));
      return;
    }
    if (next.kind != action::bind && lacks_descriptor()) {
      park(std::move(next));
      return;
    }
    switch (next.kind) {
    // NOLINTBEGIN(bugprone-unchecked-optional-access): it is known by now
    case action::bind: finish_bind(next.to.path->peer); return;
    case action::connect: finish_connect(next.to.path->peer); return;
    // NOLINTEND(bugprone-unchecked-optional-access)
    default: send_now(std::move(next)); return;
    }
  }

  bool must_park() const noexcept
  {
    return bind_.at == phase::pending || has_parked() || lacks_descriptor();
  }

  /// Whether there is something in front of what is started now.
  bool has_parked() const noexcept
  {
    return !parked_.empty() || (connect_.at == phase::done && !behind_connect_.empty());
  }

  /// It is paused, or not bound, or not any more.
  bool lacks_descriptor() const noexcept
  {
    return owner_.is_paused() || (is_ip && bind_.at != phase::done);
  }

  void park(operation waiting)
  {
    parked_.push_back(std::move(waiting));
    if constexpr (is_ip) bind_implicitly();
  }

  /// Where it is paused that waits until it resumes.
  void unpark()
  {
    if (owner_.is_paused()) return;
    if (connect_.at == phase::done) perform_all(std::exchange(behind_connect_, {}));
    if (bind_.at != phase::pending) perform_all(std::exchange(parked_, {}));
  }

  void perform_all(std::vector<operation> waiting)
  {
    for (auto& next : waiting) {
      if (owner_.is_closed())
        abandon(std::move(next));
      else
        perform(std::move(next));
    }
  }

  /// Nothing is in front of it any more.
  void perform(operation next)
  {
    if (is_over(next)) return;
    const bool is_send = next.kind == action::send;
    if (next.kind == action::close)
      owner_.close_now();
    else if (is_send && next.to.is_peer() && connect_.at == phase::pending)
      behind_connect_.push_back(std::move(next));
    else if (is_send && (next.to.name.empty() || know_endpoint(next)))
      send_now(std::move(next));
    else
      find_endpoint(std::move(next));
  }

  /// Gives a send whose name is known its endpoint, so that none to the same address overtakes it. Not behind others that
  /// have theirs since a moment ago, which it would overtake.
  bool know_endpoint(operation& next)
  {
    if (!ready_.empty()) return false;
    const auto known = lookups_.find(next.to.name);
    if (known) set_endpoint(next, *known);
    return known.has_value();
  }

  void send_now(operation next)
  {
    const auto& to = next.to.path;
    owner_.send_now(to ? &*to : nullptr, next.send.payload, next.send.done.release());
  }

  void abandon(operation waiting)
  {
    failure why = failure_of(waiting.name(), net::error::operation_aborted);
    refuse(std::move(waiting), std::move(why));
  }

  void refuse(operation waiting, failure why)
  {
    if (is_over(waiting)) return;
    switch (waiting.kind) {
    case action::bind: fail_bind(why); return;
    case action::connect: fail_connect(std::move(why)); return;
    case action::close: owner_.close_now(); return;
    default: owner_.not_sent(std::move(waiting.send.done), std::move(why)); return;
    }
  }

  /// For those who hear of it in no other way.
  void refuse_told(std::vector<operation> waiting, const failure& why)
  {
    for (auto& next : waiting)
      if (is_told(next)) refuse(std::move(next), why);
  }

  bool is_told(const operation& which) const noexcept
  {
    if (which.kind == action::close || is_over(which)) return true;
    return which.kind == action::connect ? connect_.done != nullptr : which.send.done != nullptr;
  }

  void bound()
  {
    bind_.at = phase::done;
    implicit_ = false;
    owner_.bound();
    unpark_later();
    owner_.pause_if_due();
  }

  void finish_bind(const endpoint_type& local)
  {
    error_code ec;
    if (owner_.family.is_foreign(local))
      ec = net::error::invalid_argument;
    else
      bind_now(local, ec);
    if (ec) {
      fail_bind(failure_at("bind", ec, &local));
      return;
    }
    if (bind_.done) owner_.deliver(bind_.done.release());
    owner_.events.template emit<event::listening>();
  }

  void connect_descriptor(const endpoint_type& peer, error_code& ec)
  {
    if (!owner_.socket.is_open()) owner_.family.open(ec);
    if (ec) return;
    owner_.flush();
    owner_.socket.connect(peer, ec);
  }

  void finish_connect(const endpoint_type& peer)
  {
    error_code ec;
    connect_now(peer, ec);
    if (ec) {
      fail_connect(failure_at("connect", ec, &peer));
      return;
    }
    unpark_later();
    if (connect_.done) owner_.deliver(connect_.done.release());
    owner_.events.template emit<event::connect>();
  }

  void fail_connect(failure why)
  {
    for (auto& next : drop_connect())
      refuse(std::move(next), why);
    if (connect_.done)
      owner_.fail(connect_.done.release(), std::move(why));
    else if (why.code != net::error::operation_aborted)
      owner_.post_error(std::move(why));
  }

  /// Back to before the connect; gives the sends that waited for it.
  std::vector<operation> drop_connect()
  {
    connect_.give_up();
    owner_.events.off(std::exchange(connect_.listener, {}));
    return take_for_peer();
  }

  /// The sends that wait for a peer, which is not to be another one's.
  std::vector<operation> take_for_peer()
  {
    auto all = std::exchange(behind_connect_, {});
    for (auto& each : parked_)
      if (each.kind == action::send && each.to.is_peer()) all.push_back(std::exchange(each, {}));
    return all;
  }

  void abort_sends(std::vector<operation> waiting)
  {
    for (auto& next : waiting)
      if (next.kind == action::send) abandon(std::move(next));
  }

  void end_operation(completion_ptr<>& done, const char* name)
  {
    if (done) owner_.fail(done.release(), failure_of(name, net::error::operation_aborted));
  }

  Owner& owner_;
  name_lookups<Owner, executor_type> lookups_;
  milestone bind_;
  milestone connect_;
  std::vector<operation> parked_;          // in order, behind the bind
  std::vector<operation> behind_connect_;  // sends to the peer that there will be
  std::vector<operation> behind_name_;     // to be looked up
  operation_queue<operation> ready_;       // whose turn is posted
  bool implicit_ = false;                  // nobody asked for the bind
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
