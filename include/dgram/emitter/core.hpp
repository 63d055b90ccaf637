// SPDX-License-Identifier: BSL-1.0
// The emitter behind an emitter socket: its state, its turns, and what it does in them.
#ifndef DGRAM_EMITTER_CORE_HPP
#define DGRAM_EMITTER_CORE_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/emitter/completion.hpp>
#include <dgram/emitter/context_service.hpp>
#include <dgram/emitter/events.hpp>
#include <dgram/emitter/handler_memory.hpp>
#include <dgram/emitter/name_table.hpp>
#include <dgram/emitter/options.hpp>
#include <dgram/emitter/payload.hpp>
#include <dgram/emitter/send_queue.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/failure.hpp>
#include <dgram/option.hpp>
#include <dgram/platform/names.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/resolve.hpp>
#include <dgram/udp.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Where something is to go: to an endpoint, or to the address that a name stands for, or to the connected peer.
template <class Endpoint>
struct target {
  std::optional<Endpoint> endpoint;
  std::string name;
  std::uint16_t port = 0;

  bool is_peer() const noexcept { return !endpoint && name.empty(); }
};

template <class Protocol>
struct incoming_buffers {
  // As many datagrams as a turn hands over; the slots of a train stay in the cache if they are few.
  static constexpr std::size_t slots = 32;
  basic_receive_batch<Protocol> batch{slots};
};

/// Held by the socket object and by everything that is pending. All of it runs on the socket's executor.
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
  using target_type = target<endpoint_type>;
  using incoming_type = incoming_buffers<protocol_type>;
  using outgoing_type = outgoing_buffers<protocol_type>;
  using service_type = context_service<incoming_type, outgoing_type, emitter_core>;

  enum class phase : unsigned char { none, pending, done };

  emitter_core(const executor_type& executor, net::io_context* io, socket_options given)
      : socket(executor),
        options(std::move(given)),
        io_(io),
        handle_(socket.handle()),
        queue_(*this, service_of(executor).outgoing)
  {
    auto& service = service_of(executor);
    incoming_source_ = service.incoming;
    members_ = service.members;
  }

  emitter_core(const emitter_core&) = delete;
  emitter_core& operator=(const emitter_core&) = delete;
  ~emitter_core() { members_->remove(*this); }

  Socket socket;
  emitter_type events;
  socket_options options;
  std::size_t place_in_roster = 0;

  executor_type get_executor() { return socket.get_executor(); }

  bool is_closed() const noexcept { return closed_; }
  bool is_running() const noexcept { return !closed_ && !options.signal.stop_requested(); }
  phase bind_phase() const noexcept { return bind_; }
  phase connect_phase() const noexcept { return connect_; }
  bool is_receiving() const noexcept { return receiving_ && bind_ == phase::done; }
  bool is_paused() const noexcept { return paused_ != nullptr; }
  bool is_closing() const noexcept { return closing_; }
  bool has_ref() const noexcept { return !unref_ && !closed_; }
  std::uint64_t path_errors() const noexcept { return path_errors_; }
  const send_queue<Socket, emitter_core>& sends() const noexcept { return queue_; }

  bool is_v6() const noexcept { return options.type == socket_type::udp6; }

  endpoint_type local_endpoint(error_code& ec) const
  {
    if (!paused_) return socket.local_endpoint(ec);
    ec.clear();
    return paused_->local;
  }

  endpoint_type remote_endpoint(error_code& ec) const
  {
    if (!paused_ || !paused_->peer) return socket.remote_endpoint(ec);
    ec.clear();
    return *paused_->peer;
  }

  /// After construction, when the object is shared.
  void start()
  {
    members_->add(this->shared_from_this());
    diagnose(diagnostic_channel::create, this);
    if (options.signal.stop_possible())
      on_stop_.emplace(options.signal, stopper{this->weak_from_this(), get_executor()});
    if (options.slot.is_connected())
      options.slot.assign([self = this->weak_from_this()](net::cancellation_type) {
        if (const auto core = self.lock()) core->close_if_running();
      });
  }

  // --- turns ---

  /// Does something on a later turn.
  template <class Function>
  void post(Function function)
  {
    deliver(make_task<function_task<Function>>(recycling(), std::move(function)));
  }

  void deliver(task* which)
  {
    outbox_.push(which);
    schedule();
  }

  template <class Event>
  void post_event()
  {
    post([this] {
      if (!has_ended()) events.template emit<Event>();
    });
  }

  void post_error(failure what)
  {
    post([this, what = std::move(what)] {
      if (!has_ended()) emit_error(what);
    });
  }

  /// Ends an operation: tells who waits for it, or else there is an 'error' event.
  template <class... Values>
  void fail(completion<Values...>* done, failure what)
  {
    if (done == nullptr) {
      post_error(std::move(what));
    } else {
      done->outcome = std::move(what);
      deliver(done);
    }
  }

  // --- bind ---

  /// `done` may be null: then a failure is an 'error' event.
  void bind(target_type to, completion<>* done)
  {
    bind_ = phase::pending;
    bind_done_.reset(done);
    start_lookup({.kind = action::bind, .to = std::move(to), .send = {}});
  }

  /// The callback is a listener for 'listening', and is forgotten where that is not to be.
  template <class Callback>
  void bind_with(target_type to, Callback&& callback)
  {
    bind_listener_ = events.template once<event::listening>(std::forward<Callback>(callback));
    bind(std::move(to), nullptr);
  }

  void bind_now(const endpoint_type& local, error_code& ec)
  {
    if (!socket.is_open()) open(ec);
    if (ec) return;
    socket.bind(local, ec);
    if (!ec)
      bound();
    else if (connect_ == phase::none)
      discard_descriptor();
  }

  void adopt(int descriptor, error_code& ec)
  {
    assign(descriptor, ec);
    if (ec) return;
    error_code ignored;
    if constexpr (is_ip) socket.set_option(option::reuse_address(true), ignored);
    set_buffer_sizes(ignored);
    if (handle_.is_connected()) connect_ = phase::done;
    bound();
  }

  /// For what needs a bound socket: sends and connects on IP.
  void bind_implicitly()
  {
    if (bind_ != phase::none) return;
    implicit_ = true;
    bind({any_address(), {}, 0}, nullptr);
  }

  endpoint_type any_address() const
  {
    if constexpr (!is_ip)
      return {};
    else if (is_v6())
      return {net::ip::address_v6::any(), 0};
    else
      return {net::ip::address_v4::any(), 0};
  }

  endpoint_type default_peer(std::uint16_t port) const
  {
    if (is_v6()) return {net::ip::address_v6::loopback(), port};
    return {net::ip::address_v4::loopback(), port};
  }

  // --- connect ---

  void connect(target_type to, completion<>* done)
  {
    connect_ = phase::pending;
    connect_done_.reset(done);
    operation next{.kind = action::connect, .to = std::move(to), .send = {}};
    if (must_park())
      park(std::move(next));
    else
      start_lookup(std::move(next));
  }

  template <class Callback>
  void connect_with(target_type to, Callback&& callback)
  {
    connect_listener_ = events.template once<event::connect>(std::forward<Callback>(callback));
    connect(std::move(to), nullptr);
  }

  /// Whether there is no speaking to this peer.
  error_code check_peer(const endpoint_type& peer) const
  {
    if (is_listed(options.send_block_list, peer)) return error::ip_blocked;
    if (is_of_other_family(peer)) return net::error::invalid_argument;
    return {};
  }

  /// The peer is fixed at once; the event comes later.
  void connect_now(const endpoint_type& peer, error_code& ec)
  {
    ec = check_peer(peer);
    if (!ec) open_unbound(ec);
    if (ec) return;
    flush();
    socket.connect(peer, ec);
    if (ec) return;
    connect_ = phase::done;
    diagnose(diagnostic_channel::connect, this);
  }

  void disconnect(error_code& ec)
  {
    flush();
    socket.disconnect(ec);
    if (!ec) connect_ = phase::none;
  }

  // --- send ---

  /// A send that its completion token launches: what was right at the call may be wrong by now.
  void send_later(const target_type& to, const payload_view& payload, send_completion* done)
  {
    error_code ec;
    if (!is_running())
      ec = error::not_running;
    else if (to.is_peer() && connect_ == phase::none)
      ec = net::error::not_connected;
    else if (!to.is_peer() && connect_ != phase::none)
      ec = net::error::already_connected;
    if (ec)
      fail(done, failure_of("send", ec));
    else
      send(to, payload, done);
  }

  /// False where the queue is full. The bytes are copied unless the kernel takes them at once.
  bool send(target_type to, const payload_view& payload, send_completion* done)
  {
    note_activity();
    diagnose(diagnostic_channel::send, this, payload.size());
    if (!must_park()) {
      if (to.endpoint) return enqueue(&*to.endpoint, payload, done);
      if (to.is_peer() && connect_ == phase::done) return enqueue(nullptr, payload, done);
    }
    operation waiting{.kind = action::send,
                      .to = std::move(to),
                      .send = {payload.copy(), std::nullopt, send_completion_ptr(done)}};
    if (must_park())
      park(std::move(waiting));
    else
      perform(std::move(waiting));
    return true;
  }

  // --- receive ---

  void start_receiving()
  {
    receiving_ = true;
    if (bind_ == phase::none) bind_implicitly();
    continue_receiving();
  }

  void stop_receiving()
  {
    receiving_ = false;
    // What waits to be sent is woken by this too, and waits again.
    error_code ignored;
    if (disarm()) socket.cancel(ignored);
  }

  // --- options ---

  /// Sets something that a pause is to outlast; `key` names what it replaces.
  template <class Apply>
  void set(std::string key, Apply apply, error_code& ec)
  {
    ec.clear();
    if (!paused_) apply(socket, ec);
    if (ec) return;
    unset(key);
    settings_.push_back({std::move(key), std::move(apply)});
  }

  void unset(const std::string& key)
  {
    std::erase_if(settings_, [&](const auto& each) { return each.key == key; });
  }

  // --- idle time ---

  void set_timeout(std::chrono::milliseconds duration)
  {
    if (duration.count() <= 0) {
      if (idle_) idle_->duration = {};
      if (idle_) idle_->timer.cancel();
      return;
    }
    if (!idle_) idle_ = std::make_unique<idle_time>(get_executor());
    idle_->duration = duration;
    idle_->timer.cancel();
    note_activity();
  }

  // --- pause and resume ---

  /// Gives the descriptor up, and keeps what is needed to get another like it.
  void pause()
  {
    if (closed_ || bind_ != phase::done || paused_) return;
    flush();
    error_code ignored;
    paused_ = std::make_unique<pause_state>();
    paused_->local = socket.local_endpoint(ignored);
    if (connect_ == phase::done) paused_->peer = socket.remote_endpoint(ignored);
    disarm();
    socket.close(ignored);
  }

  void resume()
  {
    if (closed_ || !paused_) return;
    const auto before = std::move(paused_);
    error_code ec;
    open(ec);
    if (!ec) socket.bind(before->local, ec);
    for (const auto& each : settings_)
      if (!ec) each.apply(socket, ec);
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): it is looked at
    if (!ec && before->peer) socket.connect(*before->peer, ec);
    if (ec) {
      discard_descriptor();
      connect_ = phase::none;
      fail_bind(failure_at("bind", ec, &before->local));
      return;
    }
    kernel_drops_ = 0;
    watch_arrivals();
    flush();
    continue_receiving();
    if (!parked_.empty()) post([this] { unpark(); });
  }

  // --- close ---

  void close()
  {
    if (bind_ == phase::pending && !parked_.empty()) {
      closing_ = true;
      parked_.push_back({.kind = action::close, .to = {}, .send = {}});
    } else {
      close_now();
    }
  }

  void close(completion<>* done)
  {
    await_close(done);
    if (!closed_ && !closing_) close();
  }

  /// Completes when 'close' has been emitted.
  void await_close(completion<>* done)
  {
    completion_ptr<> held(done);
    if (close_emitted_)
      deliver(held.release());
    else
      close_done_.push_back(std::move(held));
  }

  void close_if_running()
  {
    if (!closed_ && !closing_) close();
  }

  /// Closed; or about to be, by a stop that was requested, and then at once.
  bool has_ended()
  {
    if (!closed_ && options.signal.stop_requested()) close_if_running();
    return closed_;
  }

  /// The socket object is gone, and nobody is left to hear of it.
  void abandon()
  {
    events = emitter_type();  // which ends an emission that is on its way, too
    if (!closed_) close_now();
  }

  // --- ref and unref ---

  bool can_unref() const noexcept { return io_ != nullptr; }

  void unref()
  {
    if (closed_ || std::exchange(unref_, true)) return;
    take_work();
  }

  void ref()
  {
    unref_ = false;
    restore_work();
  }

  // --- what the send queue tells ---

  void sent(send_completion* done) { deliver(done); }

  void not_sent(send_completion_ptr done, const error_code& ec, const endpoint_type* peer)
  {
    if (done == nullptr && ec == net::error::operation_aborted) return;
    if (done != nullptr) std::get<0>(done->values) = 0;
    fail(done.release(), failure_at("send", ec, peer));
  }

  /// An ICMP message of an earlier datagram has come back.
  void path_error(const error_code& ec)
  {
    post([this, ec] {
      if (has_ended()) return;
      if (events.template listener_count<event::error>() == 0)
        ++path_errors_;
      else
        emit_error(failure_of("recvmsg", ec));
    });
  }

private:
  enum class action : unsigned char { bind, connect, send, close };

  /// Something that waits for a bind, a connect or a name.
  struct operation {
    action kind;
    target_type to;
    waiting_send<endpoint_type> send;
  };

  /// A name that is being looked up, and who waits for it.
  struct lookup {
    std::uint64_t number;
    std::string name;
    std::vector<operation> waiting;
    net::executor_work_guard<executor_type> work;  // a lookup of the user's own may be anywhere
  };

  struct setting {
    std::string key;
    std::function<void(Socket&, error_code&)> apply;
  };

  struct pause_state {
    endpoint_type local;
    std::optional<endpoint_type> peer;
  };

  using clock = std::chrono::steady_clock;
  using timer_type = net::basic_waitable_timer<clock, net::wait_traits<clock>, executor_type>;

  struct idle_time {
    explicit idle_time(const executor_type& executor) : timer(executor) {}
    timer_type timer;
    std::chrono::milliseconds duration{};
    clock::time_point last;
    bool waiting = false;
  };

  using resolver_type = net::ip::basic_resolver<net::ip::udp, executor_type>;

  /// Runs on whatever thread requests the stop.
  struct stopper {
    std::weak_ptr<emitter_core> core;
    executor_type executor;

    void operator()() const
    {
      net::post(executor, [core = core] {
        if (const auto self = core.lock()) self->close_if_running();
      });
    }
  };

  static service_type& service_of(const executor_type& executor)
  {
    return net::use_service<service_type>(
        net::query(executor, net::execution::context_as<net::execution_context&>));
  }

  static constexpr std::size_t messages_per_turn = 32;
  static constexpr std::size_t slots_for_trains = 8;
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  // --- turns ---

  void schedule()
  {
    if (std::exchange(scheduled_, true)) return;
    post_stored(turn_memory_, [](emitter_core& self) { self.run_turn(); });
  }

  template <class Function>
  auto stored(handler_memory& memory, Function function)
  {
    return stored_handler<std::shared_ptr<emitter_core>, Function>(this->shared_from_this(), memory,
                                                                   std::move(function));
  }

  /// A type-erased executor has no use for an allocator, so it is the context's that is posted to, where it is known.
  template <class Function>
  void post_stored(handler_memory& memory, Function function)
  {
    if (io_ != nullptr)
      net::post(io_->get_executor(), stored(memory, std::move(function)));
    else
      net::post(get_executor(), stored(memory, std::move(function)));
  }

  /// What was started before this turn ends in it; what its handlers start ends later.
  void run_turn()
  {
    scheduled_ = false;
    const turn_end guard{*this};
    flush();
    for (std::size_t left = outbox_.size(); left > 0 && !outbox_.empty(); --left) {
      task* const next = outbox_.pop();
      // The rest has its turn also where this one throws, or runs the context by itself.
      if (!outbox_.empty()) schedule();
      next->run();
    }
  }

  struct turn_end {
    emitter_core& core;
    ~turn_end() { core.flush(); }
  };

  void emit_error(const failure& what)
  {
    events.template emit<event::error_monitor>(what);
    if (!events.template emit<event::error>(what)) throw_failure(what);
  }

  // --- names ---

  /// Goes on with the endpoint on a later turn.
  void start_lookup(operation waiting)
  {
    if (waiting.to.name.empty()) {
      post([this, waiting = std::move(waiting)]() mutable { perform_at(std::move(waiting)); });
      return;
    }
    if (const auto known = names_.find(waiting.to.name)) {
      set_address(waiting.to, *known);
      post([this, waiting = std::move(waiting)]() mutable { perform_at(std::move(waiting)); });
      return;
    }
    for (auto& pending : lookups_)
      if (pending.name == waiting.to.name) {
        pending.waiting.push_back(std::move(waiting));
        return;
      }
    const std::string name = waiting.to.name;
    const auto number = ++last_lookup_;
    lookups_.push_back({number, name, {}, net::executor_work_guard<executor_type>(get_executor())});
    lookups_.back().waiting.push_back(std::move(waiting));
    ask(name, number);
  }

  void ask(const std::string& name, std::uint64_t number)
  {
    if (options.lookup) {
      // It may report on any thread, at once, or twice.
      options.lookup(name, options.type,
                     [self = this->weak_from_this(), executor = get_executor(), number](
                         error_code ec, const net::ip::address& address) {
                       net::post(executor, [self, number, ec, address] {
                         if (const auto core = self.lock()) core->looked_up(number, ec, address);
                       });
                     });
      return;
    }
    if constexpr (is_ip) resolve(name, number);
  }

  /// Asio's resolver has a thread of its own.
  void resolve(const std::string& name, std::uint64_t number)
  {
    if (!resolver_) resolver_.emplace(get_executor());
    const auto family = is_v6() ? net::ip::udp::v6() : net::ip::udp::v4();
    resolver_->async_resolve(
        family, name, "",
        [self = this->shared_from_this(), number](
            error_code ec, const typename resolver_type::results_type& results) {
          if (!ec && results.begin() == results.end()) ec = net::error::host_not_found;
          self->looked_up(number, ec,
                          ec ? net::ip::address() : results.begin()->endpoint().address());
        });
  }

  void looked_up(std::uint64_t number, const error_code& ec, const net::ip::address& address)
  {
    const auto found = std::find_if(lookups_.begin(), lookups_.end(),
                                    [number](const auto& each) { return each.number == number; });
    if (found == lookups_.end()) return;  // closed meanwhile, or reported twice
    auto done = std::move(*found);
    lookups_.erase(found);
    const turn_end guard{*this};
    if (!ec) names_.remember(done.name, address, options.lookup_lifetime);
    for (auto& waiting : done.waiting) {
      if (ec) {
        refuse(std::move(waiting),
               {.code = ec, .operation = "getaddrinfo", .address = done.name, .port = 0});
      } else {
        set_address(waiting.to, address);
        post([this, waiting = std::move(waiting)]() mutable { perform_at(std::move(waiting)); });
      }
    }
  }

  static void set_address(target_type& to, const net::ip::address& address)
  {
    if constexpr (is_ip) to.endpoint = endpoint_type(address, to.port);
  }

  // --- operations that waited ---

  /// Unix datagrams can be sent without a bind.
  bool must_park() const noexcept
  {
    return bind_ == phase::pending || (is_ip && bind_ == phase::none) || !parked_.empty() ||
           paused_;
  }

  void park(operation waiting)
  {
    parked_.push_back(std::move(waiting));
    bind_implicitly();
  }

  /// The bind is done, and the listeners for it have been called.
  void unpark()
  {
    auto ready = std::exchange(parked_, {});
    for (auto& next : ready) {
      if (closed_)
        abandon(std::move(next));
      else
        perform(std::move(next));
    }
  }

  void perform(operation next)
  {
    switch (next.kind) {
    case action::close: close_now(); return;
    case action::send:
      if (next.to.is_peer() && connect_ == phase::pending) {
        behind_connect_.push_back(std::move(next));
        return;
      }
      if (!next.to.name.empty()) break;
      send_parked(std::move(next));
      return;
    default: break;
    }
    start_lookup(std::move(next));
  }

  /// The endpoint is known.
  void perform_at(operation next)
  {
    if (has_ended()) {
      abandon(std::move(next));
      return;
    }
    switch (next.kind) {
    // NOLINTBEGIN(bugprone-unchecked-optional-access): it is known by now
    case action::bind: finish_bind(*next.to.endpoint); return;
    case action::connect: finish_connect(*next.to.endpoint); return;
    // NOLINTEND(bugprone-unchecked-optional-access)
    default: send_parked(std::move(next)); return;
    }
  }

  void send_parked(operation next)
  {
    const auto& peer = next.to.endpoint;
    const payload_view payload(next.send.payload);
    enqueue(peer ? &*peer : nullptr, payload, next.send.done.release());
  }

  void abandon(operation waiting)
  {
    failure why = aborted(waiting);
    refuse(std::move(waiting), std::move(why));
  }

  void refuse(operation waiting, failure why)
  {
    switch (waiting.kind) {
    case action::bind: fail_bind(why); return;
    case action::connect: fail_connect(std::move(why)); return;
    case action::close: close_now(); return;
    case action::send:
      if (waiting.send.done == nullptr && why.code == net::error::operation_aborted) return;
      if (waiting.send.done != nullptr) std::get<0>(waiting.send.done->values) = 0;
      fail(waiting.send.done.release(), std::move(why));
    }
  }

  static failure aborted(const operation& which)
  {
    const char* const name = which.kind == action::bind      ? "bind"
                             : which.kind == action::connect ? "connect"
                                                             : "send";
    return failure_of(name, net::error::operation_aborted);
  }

  // --- bind ---

  void open(error_code& ec)
  {
    socket.open(protocol(),
                {.reuse_address = options.reuse_addr,
                 .reuse_port = options.reuse_port,
                 .v6_only = options.ipv6_only},
                ec);
    if (!ec) set_buffer_sizes(ec);
    if (ec) return;
    error_code not_here;
    handle_.set_coalescing(true, not_here);
  }

  protocol_type protocol() const
  {
    if constexpr (is_ip)
      return is_v6() ? protocol_type::v6() : protocol_type::v4();
    else
      return {};
  }

  /// For what needs a descriptor and no address: sends and connects of Unix datagrams.
  void open_unbound(error_code& ec)
  {
    ec.clear();
    if (!socket.is_open()) open(ec);
  }

  void discard_descriptor()
  {
    error_code ignored;
    socket.close(ignored);
  }

  /// What the descriptor is decides, not the declared type.
  void assign(int descriptor, error_code& ec)
  {
    if constexpr (is_ip) {
      socket.assign(protocol_type::v4(), descriptor, ec);
      if (ec == error::wrong_descriptor) socket.assign(protocol_type::v6(), descriptor, ec);
    } else {
      socket.assign(protocol_type(), descriptor, ec);
    }
  }

  void set_buffer_sizes(error_code& ec)
  {
    if (options.recv_buffer_size > 0)
      socket.receive_buffer_size(static_cast<int>(options.recv_buffer_size), ec);
    if (!ec && options.send_buffer_size > 0)
      socket.send_buffer_size(static_cast<int>(options.send_buffer_size), ec);
  }

  void bound()
  {
    bind_ = phase::done;
    implicit_ = false;
    diagnose(diagnostic_channel::bind, this);
    watch_arrivals();
    if (can_receive()) arm();
    if (!parked_.empty()) post([this] { unpark(); });
  }

  void finish_bind(const endpoint_type& local)
  {
    error_code ec;
    if (is_of_other_family(local))
      ec = net::error::invalid_argument;
    else
      bind_now(local, ec);
    if (ec) {
      fail_bind(failure_at("bind", ec, &local));
      return;
    }
    if (bind_done_) deliver(bind_done_.release());
    events.template emit<event::listening>();
  }

  bool is_of_other_family(const endpoint_type& endpoint) const
  {
    if constexpr (is_ip)
      return endpoint.address().is_v6() != is_v6();
    else
      return false;
  }

  void fail_bind(const failure& why)
  {
    bind_ = phase::none;
    events.off(std::exchange(bind_listener_, {}));
    auto waiting = std::exchange(parked_, {});
    const bool was_implicit = std::exchange(implicit_, false);
    // One 'error' event for all who are not told themselves, and first, since a close may be among them.
    const bool all_told = std::all_of(waiting.begin(), waiting.end(),
                                      [this](const auto& next) { return is_told(next); });
    if (bind_done_)
      fail(bind_done_.release(), why);
    else if (!(was_implicit && all_told) && why.code != net::error::operation_aborted)
      post_error(why);
    for (auto& next : waiting) {
      if (next.kind == action::close)
        post([this] { close_now(); });
      else if (is_told(next))
        refuse(std::move(next), why);
      else if (next.kind == action::connect)
        drop_connect();
    }
  }

  bool is_told(const operation& which) const noexcept
  {
    if (which.kind == action::close) return true;
    return which.kind == action::connect ? connect_done_ != nullptr : which.send.done != nullptr;
  }

  // --- connect ---

  static bool is_listed(const std::shared_ptr<const block_list>& list, const endpoint_type& who)
  {
    if constexpr (is_ip)
      return list && list->check(who.address());
    else
      return false;
  }

  void finish_connect(const endpoint_type& peer)
  {
    error_code ec;
    connect_now(peer, ec);
    if (ec) {
      fail_connect(failure_at("connect", ec, &peer));
      return;
    }
    if (!behind_connect_.empty())
      post([this] {
        for (auto& next : std::exchange(behind_connect_, {})) {
          if (closed_)
            abandon(std::move(next));
          else
            perform(std::move(next));
        }
      });
    if (connect_done_) deliver(connect_done_.release());
    events.template emit<event::connect>();
  }

  void fail_connect(failure why)
  {
    for (auto& next : drop_connect())
      refuse(std::move(next), why);
    if (connect_done_)
      fail(connect_done_.release(), std::move(why));
    else if (why.code != net::error::operation_aborted)
      post_error(std::move(why));
  }

  /// Back to before the connect; gives the sends that waited for it.
  std::vector<operation> drop_connect()
  {
    connect_ = phase::none;
    events.off(std::exchange(connect_listener_, {}));
    return std::exchange(behind_connect_, {});
  }

  // --- send ---

  bool enqueue(const endpoint_type* peer, const payload_view& payload, send_completion* done)
  {
    send_completion_ptr completion(done);
    if (!is_ip && !socket.is_open()) {
      error_code ec;
      open(ec);
      if (ec) {
        not_sent(std::move(completion), ec, peer);
        return true;
      }
    }
    if (done != nullptr) std::get<0>(done->values) = payload.size();
    if (peer != nullptr) {
      if (const auto ec = check_peer(*peer)) {
        not_sent(std::move(completion), ec, peer);
        return true;
      }
    }
    if ((payload.pieces() > 1 || payload.size() > queue_.most_bytes) &&
        send_directly(peer, payload, completion))
      return true;
    if (!queue_.has_room(payload.size())) flush();
    if (queue_.is_held_back() && is_full(payload.size())) {
      full_ = true;
      if (options.when_full == full_policy::drop_newest) {
        drop(std::move(completion));
        return false;
      }
    }
    if (queue_.has_room(payload.size()))
      queue_.push(payload, peer, std::move(completion));
    else
      queue_.push_overflow({payload.copy(), peer != nullptr ? std::optional(*peer) : std::nullopt,
                            std::move(completion)});
    if (queue_.is_urgent()) flush();
    if (!queue_.is_held_back()) schedule();
    return !full_;
  }

  /// From where the bytes are, if nothing is queued in front; false where the kernel cannot take it now.
  bool send_directly(const endpoint_type* peer, const payload_view& payload,
                     send_completion_ptr& done)
  {
    flush();
    if (!queue_.empty()) return false;
    error_code ec;
    const auto attempt = [&] {
      if (peer != nullptr)
        socket.try_send_to(payload, *peer, ec);
      else
        socket.try_send(payload, ec);
    };
    attempt();
    if (ec == net::error::connection_refused) {
      path_error(ec);
      attempt();
    }
    if (ec == net::error::would_block || handle_.is_congested(ec)) {
      if (payload.size() <= queue_.most_bytes) return false;
      ec = net::error::no_buffer_space;  // larger than any datagram that the queue copies
    }
    if (ec)
      not_sent(std::move(done), ec, peer);
    else if (done != nullptr)
      sent(done.release());
    return true;
  }

  bool is_full(std::size_t size) const noexcept
  {
    return queue_.count() >= options.queue_datagrams || queue_.bytes() + size > options.queue_bytes;
  }

  void drop(send_completion_ptr done)
  {
    if (done != nullptr) {
      not_sent(std::move(done), net::error::no_buffer_space, nullptr);
      return;
    }
    count_dropped(drop_reason::queue_full);
  }

  void count_dropped(drop_reason reason, std::size_t more = 1)
  {
    auto& count = dropped_[static_cast<std::size_t>(reason)];
    const bool posted = count > 0;
    count += more;
    if (posted) return;
    post([this, reason, &count] {
      const drop_info info{reason, std::exchange(count, 0)};
      if (!closed_) events.template emit<event::drop>(info);
    });
  }

  void flush()
  {
    if (queue_.empty() || waiting_writable_ || flushing_ || paused_) return;
    flushing_ = true;
    const auto ec = queue_.flush(socket);
    flushing_ = false;
    if (queue_.is_held_back()) {
      wait_writable(handle_.is_congested(ec));
    } else if (std::exchange(full_, false)) {
      post_event<event::drain>();
    }
  }

  void wait_writable(bool congested)
  {
    waiting_writable_ = true;
    auto retry = [self = this->shared_from_this()](error_code) {
      // Cancelled or not: what is queued and has not been lost by a close can be tried again.
      self->waiting_writable_ = false;
      self->flush();
    };
    if (congested)
      handle_.async_wait_congestion(std::move(retry));
    else
      handle_.async_wait(net::socket_base::wait_write, std::move(retry));
  }

  // --- receive ---

  bool can_receive() { return receiving_ && !has_ended() && !paused_ && bind_ == phase::done; }

  /// Sees to it that the next turn of receiving comes, once.
  void continue_receiving()
  {
    if (!can_receive() || armed_ || receive_posted_) return;
    if (rest_ > 0 || !handle_.is_drained())
      post_receive();
    else
      arm();
  }

  void post_receive()
  {
    if (std::exchange(receive_posted_, true)) return;
    post_stored(receive_memory_, [](emitter_core& self) {
      self.receive_posted_ = false;
      if (!self.armed_) self.receive_turn();
    });
  }

  void arm()
  {
    armed_ = true;
    handle_.async_wait(net::socket_base::wait_read,
                       stored(wait_memory_, [number = ++last_wait_](emitter_core& self) {
                         // Another number: the wait was given up, and its work restored, already.
                         if (number == self.last_wait_ && self.disarm()) self.receive_turn();
                       }));
    take_work();
  }

  bool disarm()
  {
    const bool was_armed = std::exchange(armed_, false);
    restore_work();
    return was_armed;
  }

  /// While a listener looks at a message, its buffers stay, although it may run the context by itself.
  struct receive_scope {
    emitter_core& core;
    explicit receive_scope(emitter_core& of) : core(of) { ++core.depth_; }
    receive_scope(const receive_scope&) = delete;
    receive_scope& operator=(const receive_scope&) = delete;
    ~receive_scope()
    {
      if (--core.depth_ == 0) core.release_buffers();
      core.flush();
      core.continue_receiving();
    }
  };

  void release_buffers()
  {
    in_use_.clear();
    if (rest_ == 0) incoming_ = {};
  }

  void receive_turn()
  {
    if (!can_receive()) return;
    const receive_scope scope(*this);
    if (rest_ == 0 && !receive()) return;
    // A listener may throw, or run the context by itself: the rest is to be had then.
    if (rest_ > 1 || !handle_.is_drained()) post_receive();
    note_activity();
    hand_over();
  }

  /// False where nothing is queued.
  bool receive()
  {
    if (depth_ > 1) in_use_.push_back(std::move(incoming_));
    incoming_ = lease<incoming_type>(incoming_source_);
    auto& batch = incoming_->batch;
    batch.offer(trains_ ? slots_for_trains : incoming_type::slots);
    watch_drops();
    error_code ec;
    socket.try_receive_batch(batch, ec);
    report_drops();
    at_ = batch.begin();
    rest_ = batch.size();
    if (rest_ > 0) trains_ = rest_ > batch.used_slots();
    if (ec == net::error::would_block) {
      arm();
      return false;
    }
    if (ec) receive_failed(ec);
    return true;
  }

  void receive_failed(const error_code& ec)
  {
    if (platform::is_path_error(ec))
      path_error(ec);
    else
      post_error(failure_of("recvmsg", ec));
  }

  void hand_over()
  {
    for (std::size_t budget = messages_per_turn; budget > 0 && rest_ > 0; --budget) {
      const auto datagram = *at_++;
      --rest_;
      if (options.receive_block_list && is_listed(options.receive_block_list, datagram.sender())) {
        count_dropped(drop_reason::blocked);
        continue;
      }
      diagnose(diagnostic_channel::message, this, datagram.payload().size());
      events.template emit<message_event>(datagram.payload(), remote_info_of(datagram));
      if (!can_receive()) return;
    }
  }

  basic_remote_info<protocol_type> remote_info_of(
      const basic_datagram<protocol_type>& datagram) const
  {
    if constexpr (is_ip)
      return {datagram, bound_address_};
    else
      return basic_remote_info<protocol_type>(datagram);
  }

  /// A wildcard address says nothing of where a datagram arrives; the kernel is asked to.
  void watch_arrivals()
  {
    if constexpr (is_ip) {
      error_code ec;
      bound_address_ = socket.local_endpoint(ec).address();
      if (options.packet_info || bound_address_.is_unspecified())
        socket.set_option(option::packet_info(true), ec);
      watches_drops_ = false;
    }
  }

  /// The kernel counts its losses from the first look of a listener for 'drop' on.
  void watch_drops()
  {
    if constexpr (is_ip) {
      if (watches_drops_ || events.template listener_count<event::drop>() == 0) return;
      watches_drops_ = true;
      error_code not_here;
      socket.set_option(option::receive_drop_count(true), not_here);
    }
  }

  void report_drops()
  {
    if (!watches_drops_) return;
    const auto dropped = socket.statistics().dropped;
    if (dropped > kernel_drops_)
      count_dropped(drop_reason::receive_queue_full,
                    static_cast<std::size_t>(dropped - kernel_drops_));
    kernel_drops_ = dropped;
  }

  // --- ref and unref ---
  //
  // A pending wait is a unit of the context's work. It is taken back while the socket is not to keep the context
  // running: from within a handler, since the last unit that goes outside of one stops the context for good.

  int work_to_take() const noexcept
  {
    return unref_ ? (armed_ ? 1 : 0) + (idle_ && idle_->waiting ? 1 : 0) : 0;
  }

  void take_work()
  {
    if (work_taken_ >= work_to_take()) return;
    post([this] {
      for (; work_taken_ < work_to_take(); ++work_taken_)
        io_->get_executor().on_work_finished();
    });
  }

  void restore_work()
  {
    for (; work_taken_ > work_to_take(); --work_taken_)
      io_->get_executor().on_work_started();
  }

  // --- idle time ---

  void note_activity()
  {
    if (!idle_ || idle_->duration.count() == 0 || closed_) return;
    idle_->last = clock::now();
    if (!idle_->waiting) wait_idle();
  }

  /// Activity does not set the timer anew; it finds out when it runs out.
  void wait_idle()
  {
    idle_->waiting = true;
    idle_->timer.expires_at(idle_->last + idle_->duration);
    idle_->timer.async_wait([self = this->shared_from_this()](error_code) {
      self->idle_->waiting = false;
      self->restore_work();
      self->check_idle();
    });
    take_work();
  }

  void check_idle()
  {
    if (closed_ || idle_->duration.count() == 0) return;
    if (clock::now() < idle_->last + idle_->duration)
      wait_idle();
    else
      events.template emit<event::timeout>();
  }

  // --- close ---

  void close_now()
  {
    if (closed_) return;
    flush();
    closed_ = true;
    rest_ = 0;
    disarm();
    if (depth_ == 0) release_buffers();
    on_stop_.reset();
    if (options.slot.is_connected()) options.slot.clear();
    if (idle_) idle_->timer.cancel();
    end_operations();
    resolver_.reset();
    discard_descriptor();
    diagnose(diagnostic_channel::close, this);
    post([this] { emit_close(); });
  }

  void emit_close()
  {
    close_emitted_ = true;
    for (auto& done : std::exchange(close_done_, {}))
      deliver(done.release());
    // No event comes after this, so what the listeners hold on to is let go.
    events.template emit<event::close>();
    events.remove_all();
  }

  /// Everything that was started ends.
  void end_operations()
  {
    queue_.fail(net::error::operation_aborted);
    for (auto* waiting : {&parked_, &behind_connect_})
      abort_sends(std::exchange(*waiting, {}));
    for (auto& pending : std::exchange(lookups_, {}))
      abort_sends(std::move(pending.waiting));
    end_operation(bind_done_, "bind");
    end_operation(connect_done_, "connect");
  }

  void abort_sends(std::vector<operation> waiting)
  {
    for (auto& next : waiting)
      if (next.kind == action::send) abandon(std::move(next));
  }

  void end_operation(completion_ptr<>& done, const char* name)
  {
    if (done) fail(done.release(), failure_of(name, net::error::operation_aborted));
  }

  net::io_context* io_;
  typename Socket::handle_type handle_;
  std::shared_ptr<spares<incoming_type>> incoming_source_;
  std::shared_ptr<roster<emitter_core>> members_;
  std::optional<std::stop_callback<stopper>> on_stop_;

  handler_memory turn_memory_;
  handler_memory receive_memory_;
  handler_memory wait_memory_;

  task_queue outbox_;
  send_queue<Socket, emitter_core> queue_;
  std::vector<operation> parked_;          // in order, behind the bind
  std::vector<operation> behind_connect_;  // sends to the peer that there will be
  std::list<lookup> lookups_;
  name_table names_;
  std::optional<resolver_type> resolver_;
  std::uint64_t last_lookup_ = 0;

  completion_ptr<> bind_done_;
  completion_ptr<> connect_done_;
  std::vector<completion_ptr<>> close_done_;
  listener_id bind_listener_;
  listener_id connect_listener_;

  lease<incoming_type> incoming_;
  std::vector<lease<incoming_type>> in_use_;  // those of listeners that run the context
  typename basic_receive_batch<protocol_type>::const_iterator at_;
  std::size_t rest_ = 0;  // datagrams that were received and not handed over
  std::uint64_t last_wait_ = 0;
  std::uint64_t path_errors_ = 0;
  std::size_t dropped_[3] = {};
  std::uint64_t kernel_drops_ = 0;
  net::ip::address bound_address_;
  bool watches_drops_ = false;
  std::vector<setting> settings_;
  std::unique_ptr<idle_time> idle_;
  std::unique_ptr<pause_state> paused_;
  int depth_ = 0;       // turns of receiving, one inside the other
  int work_taken_ = 0;  // units

  phase bind_ = phase::none;
  phase connect_ = phase::none;
  bool implicit_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool close_emitted_ = false;
  bool scheduled_ = false;
  bool flushing_ = false;
  bool waiting_writable_ = false;
  bool full_ = false;
  bool receiving_ = true;
  bool armed_ = false;
  bool receive_posted_ = false;
  bool trains_ = false;
  bool unref_ = false;
};

/// Calls a function with every emitter on this socket type that belongs to the context.
template <class Socket, class Function>
void for_each_emitter(net::execution_context& context, Function function)
{
  using service_type = typename emitter_core<Socket>::service_type;
  for (const auto& core : net::use_service<service_type>(context).members->all())
    function(*core);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
