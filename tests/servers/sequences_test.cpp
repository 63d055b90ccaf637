// SPDX-License-Identifier: BSL-1.0
// Random orders of everything that a program may do with a listener, its sessions and its socket,
// also inside of handlers. A model knows what each datagram and each handler may become.
#include "support/sanitizers.hpp"

#include "servers/world.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>

namespace sequences_test {

using namespace servers;

namespace {

#if defined(DGRAM_TESTS_SANITIZED_HEAP)
constexpr std::uint64_t seeds_of_sequences = 60;
#else
constexpr std::uint64_t seeds_of_sequences = 600;
#endif

/// What a handler of the game throws.
struct planned {};

/// What the function for keys throws. It may be asked twice about a datagram.
struct no_key {};

struct ticket {
  std::string what;
  int calls = 0;
  int copies = 0;
  bool starting = true;
  bool is_over = false;
  asio::cancellation_signal cancel;
};
using ticket_ptr = std::shared_ptr<ticket>;

/// What a game leaves behind.
struct record {
  std::vector<ticket_ptr> tickets;
  std::size_t coroutines = 0;

  void check() const
  {
    for (const auto& each : tickets)
      require(each->copies == 0, "the handler of " + each->what + " was not destroyed");
    require(coroutines == 0, "a coroutine was not destroyed");
  }
};

struct held_session {
  session handle;
  int takes = 0;  // calls that end the validity of an earlier view
  ticket_ptr waiting;
};

/// A handler that may be called once, after the call that starts its operation.
template <class Function>
class once {
public:
  using cancellation_slot_type = asio::cancellation_slot;

  once(ticket_ptr of, Function function) : of_(std::move(of)), function_(std::move(function))
  {
    ++of_->copies;
  }
  once(const once& other) : of_(other.of_), function_(other.function_) { ++of_->copies; }
  once& operator=(const once&) = delete;
  ~once() { --of_->copies; }

  cancellation_slot_type get_cancellation_slot() const noexcept { return of_->cancel.slot(); }

  template <class... Args>
  void operator()(const error_code& ec, Args&&... args) const
  {
    const auto ticket = of_;  // what is called may destroy this
    const auto function = function_;
    ++ticket->calls;
    ticket->is_over = true;
    require(!ticket->starting, ticket->what + " completed inside its call");
    require(ticket->calls == 1, ticket->what + " completed twice");
    function(ec, std::forward<Args>(args)...);
  }

private:
  ticket_ptr of_;
  Function function_;
};

class game {
public:
  game(std::uint64_t seed, record& kept)
      : record_(kept),
        net_(io_, {.seed = seed, .duplicate = 0.02, .keep_order = true}),
        dice_(net_.random())
  {
    for (std::size_t i = 0; i < client_count; ++i) {
      clients_.emplace_back(net_, sim::location{"10.0.0.2", 0});
      numbers_of_.emplace(clients_.back().local_endpoint(), i);
    }
    open_socket();
    make_listener();
  }

  game(const game&) = delete;
  game& operator=(const game&) = delete;

  void play(int steps)
  {
    for (int i = 0; i < steps; ++i) {
      guarded([&] { act(); });
      look();
      if (one_in(3)) settle();
    }
  }

  /// Destroys everything, and runs until all has completed.
  void end_in_order()
  {
    settle();
    guarded([&] { sessions_.clear(); });
    settle();
    guarded([&] { listener_.reset(); });
    settle();
    require_equal(caught_, thrown_, "exceptions that left the context");
    for (const auto& each : record_.tickets)
      require(each->calls == 1, each->what + " did not complete");
  }

  /// Leaves everything to a handler that waits, which the context destroys.
  void end_in_a_handler()
  {
    auto all = std::make_shared<std::pair<decltype(listener_), decltype(sessions_)>>(
        std::exchange(listener_, std::nullopt), std::exchange(sessions_, {}));
    if (!all->first) return;
    auto& listener = *all->first;
    if (one_in(2))
      listener.async_accept([all](error_code, const std::optional<session>&) {});
    else if (!all->second.empty())
      all->second.begin()->second->handle.async_wait(asio::socket_base::wait_read,
                                                     [all](error_code) {});
    depth_ = most_depth;  // nothing else begins
    if (one_in(2)) guarded([&] { net_.run_for(1ms); });
  }

private:
  static constexpr std::size_t client_count = 5;
  static constexpr std::size_t most_depth = 3;

  // --- the objects ---

  void open_socket() { server_.emplace(net_, sim::location{"10.0.0.1", 7000}); }

  void make_listener()
  {
    if (listener_ || !server_ || !server_->is_open()) return;
    const dgram::listener_config config{
        .idle_timeout = one_in(2) ? 60s : 50ms,
        .max_sessions = 1 + below(6),
        .when_full = one_in(2) ? dgram::sessions_full::refuse : dgram::sessions_full::evict_idlest,
        .max_unaccepted = 1 + below(4),
        .inbox_datagrams = 1 + below(6),
        .inbox_bytes = one_in(3) ? std::size_t{20} : std::size_t{65536},
        .inbox_when_full =
            one_in(2) ? dgram::inbox_full::drop_oldest : dgram::inbox_full::drop_newest,
        .all_inboxes_bytes = one_in(4) ? std::size_t{2000} : std::size_t{1} << 20U,
        .amplification = one_in(3) ? std::size_t{0} : std::size_t{3},
        .slots = 1 + below(8),
        .yield_after = 1 + below(10),
        .queue = {.datagrams = 1 + below(4)}};
    ++listeners_;
    listener_.emplace(*server_, config, key_of());
    if (one_in(3)) ask_about_strangers();
    is_in_place_ = one_in(4);
    listener_->on_end([this, number = listeners_](dgram::session_id id, const auto&, session_end) {
      note("ended");
      require(ended_.insert({number, id}).second, "on_end was called twice for a session");
      maybe_act();
    });
    listener_->on_failure([](const std::exception_ptr& failed) { std::rethrow_exception(failed); });
  }

  listener_type::key_function key_of()
  {
    if (one_in(2)) return {};
    return [](const dgram::datagram& received) {
      if (received.payload().text().ends_with("33")) throw no_key();
      if (received.payload().text().ends_with("7")) return dgram::session_key();
      return dgram::session_key::at(received.payload(), 0, 1);
    };
  }

  void ask_about_strangers()
  {
    listener_->on_stranger([this](const dgram::datagram& received, dgram::stranger& from) {
      note("stranger");
      if (one_in(3)) from.reply(received.payload());
      if (one_in(5)) from.mark_validated();
      maybe_act();
      return !one_in(3);
    });
  }

  // --- what happens ---

  std::size_t below(std::size_t count) { return static_cast<std::size_t>(dice_() % count); }
  bool one_in(std::size_t count) { return below(count) == 0; }

  void note(std::string_view what) { net_.note(std::string(2 * depth_, ' ') + std::string(what)); }

  [[noreturn]] void fail()
  {
    note("throws");
    ++thrown_;
    throw planned();
  }

  template <class Function>
  bool guarded(Function function)
  {
    try {
      function();
    } catch (const planned&) {
      note("caught");
      caught_ = thrown_;
      return true;
    } catch (const no_key&) {
      note("no key");
      caught_ = thrown_;  // Asio may have merged another one with it
      return true;
    }
    return false;
  }

  /// Runs what is due, with what leaves the context.
  void settle()
  {
    note("settle");
    const auto until = net_.now() + (one_in(8) ? 100ms : 5ms);
    while (guarded([&] { net_.run_until(until); }))
      note("again");
    look();
    look_settled();
  }

  /// Holds after each step.
  void look()
  {
    if (listener_) require_balance(*listener_);
  }

  /// Holds when no handler is ready.
  void look_settled()
  {
    std::size_t open = 0;
    for (const auto& [id, each] : sessions_) {
      open += each->handle.is_open() ? 1U : 0U;
      require(!each->waiting || each->waiting->is_over || each->handle.statistics().queued == 0,
              each->waiting ? each->waiting->what + " waits although there is a datagram" : "");
      require(!each->waiting || each->waiting->is_over || each->handle.is_open(),
              "a session has ended, and something waits in it");
    }
    if (!listener_) return;
    const bool takes_sessions = (accepting_ && !accepting_->is_over);
    if (takes_sessions)
      require_equal(listener_->size(), open + served_, "sessions although accept waits");
    require(!takes_sessions || !listener_->is_stopped(), "accept waits after stop");
  }

  void maybe_act()
  {
    // One at a time: Asio merges what several inner handlers of one handler throw.
    if (thrown_ == caught_ && one_in(30)) fail();
    if (depth_ >= most_depth || !one_in(3)) return;
    ++depth_;
    struct scope {
      std::size_t& depth;
      ~scope() { --depth; }
    } const left{depth_};
    act();
  }

  ticket_ptr begin(std::string_view what)
  {
    note(what);
    auto made = std::make_shared<ticket>();
    made->what = what;
    record_.tickets.push_back(made);
    return made;
  }

  /// Starts an operation: `launch(handler)`.
  template <class Function, class Launch>
  ticket_ptr start(std::string_view what, Function function, Launch launch)
  {
    auto made = begin(what);
    try {
      launch(once(made, [this, what = std::string(what), function](error_code ec, auto&&... args) {
        note(what + " completes: " + (ec ? ec.message() : "no error"));
        function(ec, std::forward<decltype(args)>(args)...);
        maybe_act();
      }));
    } catch (...) {
      made->calls = 1;
      made->is_over = true;
      throw;
    }
    made->starting = false;
    return made;
  }

  held_session* any_session()
  {
    if (sessions_.empty()) return nullptr;
    return std::next(sessions_.begin(), static_cast<std::ptrdiff_t>(below(sessions_.size())))
        ->second.get();
  }

  void keep(session taken)
  {
    const auto id = std::pair(listeners_of_handles_, taken.id());
    auto made = std::make_unique<held_session>();
    made->handle = std::move(taken);
    sessions_[id] = std::move(made);
  }

  /// Each datagram is handed over at most once for each copy that the network has made, and in
  /// order.
  void check(std::pair<std::uint64_t, dgram::session_id> id, const dgram::datagram& received)
  {
    const std::string text(received.payload().text());
    require(text.size() >= 3 && text[1] == '.', "not what was sent: \"" + text + "\"");
    const auto sender = numbers_of_.find(received.sender());
    require(
        sender != numbers_of_.end() && static_cast<std::size_t>(text[0] - 'a') == sender->second,
        "a datagram of another client: " + text);
    const std::uint64_t number = std::stoull(text.substr(2));
    auto& last = last_of_[{id, text[0]}];
    require(number >= last, "out of order: " + text + " after " + std::to_string(last));
    last = number;
  }

  void send_some()
  {
    const std::size_t from = below(client_count);
    for (std::size_t left = 1 + below(4); left > 0; --left) {
      const std::string text =
          std::string(1, static_cast<char>('a' + from)) + '.' + std::to_string(++sent_);
      error_code ignored;
      clients_[from].try_send_to(asio::buffer(text), {world::server_address, 7000}, ignored);
    }
  }

  void act()
  {
    static constexpr std::array moves{
        &game::send_some,     &game::send_some,   &game::send_some,   &game::send_some,
        &game::accept,        &game::accept,      &game::accept,      &game::serve,
        &game::next,          &game::next,        &game::next,        &game::receive,
        &game::wait,          &game::try_next,    &game::try_next,    &game::answer,
        &game::answer,        &game::answer_soon, &game::cancel_some, &game::cancel_some,
        &game::cancel_wait,   &game::end_session, &game::end_session, &game::move_session,
        &game::move_listener, &game::pause,       &game::poll,        &game::poll,
        &game::end,           &game::validate,    &game::add_key};
    (this->*moves[below(moves.size())])();
  }

  void for_each()
  {
    start(
        "for_each", [](error_code) {},
        [&](auto handler) {
          listener_->async_for_each(
              [this, mine = listeners_](listener_type::session_ref_type from,
                                        const dgram::datagram& received) {
                note("datagram in place");
                check({mine, from.id()}, received);
                if (one_in(4)) from.try_send(received.payload());
                if (one_in(10)) from.close();
                maybe_act();
              },
              std::move(handler));
        });
  }

  void accept()
  {
    if (!listener_) return make_listener();
    if (is_in_place_ && !one_in(10)) return for_each();
    const auto mine = listeners_;
    auto made = start(
        "accept",
        [this, mine](error_code ec, std::optional<session> taken) {
          require(!ec || !taken, "accept failed and returned a session");
          if (!taken) return;
          listeners_of_handles_ = mine;
          keep(std::move(*taken));
        },
        [&](auto handler) { listener_->async_accept(std::move(handler)); });
    if (!accepting_ || accepting_->is_over) accepting_ = made;
  }

  struct counted {
    std::size_t& count;
    explicit counted(std::size_t& of) : count(of) { ++count; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --count; }
  };

  asio::awaitable<void> run_session(session own, std::uint64_t listener)
  {
    const counted frame(record_.coroutines);
    const counted served(served_);
    const auto id = std::pair(listener, own.id());
    while (const auto datagram = co_await own.next()) {
      check(id, *datagram);
      error_code ignored;
      own.try_send(datagram->payload(), ignored);
      if (one_in(10)) co_return;
      maybe_act();
    }
  }

  void serve()
  {
    if (!listener_ || !one_in(3)) return;
    auto made = start(
        "serve", [](error_code) {},
        [&](auto handler) {
          listener_->async_serve(
              [this, mine = listeners_](session own) { return run_session(std::move(own), mine); },
              std::move(handler));
        });
  }

  void next()
  {
    held_session* const on = any_session();
    if (on == nullptr || !on->handle.is_open()) return;
    const auto id = id_of(*on);
    const int takes = ++on->takes;
    waits(*on, start(
                   "next",
                   [this, id, takes](error_code ec, std::optional<dgram::datagram> datagram) {
                     require(!ec || !datagram, "next failed and returned a datagram");
                     const auto found = sessions_.find(id);
                     if (!datagram || found == sessions_.end()) return;
                     if (found->second->takes == takes) check(id, *datagram);
                   },
                   [&](auto handler) { on->handle.async_next(std::move(handler)); }));
  }

  void receive()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    ++on->takes;
    auto buffer = std::make_shared<std::array<char, 64>>();
    waits(*on, start(
                   "receive",
                   [buffer](error_code ec, std::size_t size) {
                     require(!ec || size == 0, "receive failed and returned bytes");
                   },
                   [&](auto handler) {
                     on->handle.async_receive(asio::buffer(*buffer), std::move(handler));
                   }));
  }

  void wait()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    waits(*on, start(
                   "wait", [](error_code) {},
                   [&](auto handler) {
                     on->handle.async_wait(asio::socket_base::wait_read, std::move(handler));
                   }));
  }

  void waits(held_session& on, ticket_ptr what)
  {
    if (!on.waiting || on.waiting->is_over) on.waiting = std::move(what);
  }

  void try_next()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    note("try_next");
    ++on->takes;
    if (const auto datagram = on->handle.try_next()) check(id_of(*on), *datagram);
  }

  void answer()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    note("try_send");
    error_code ec;
    const bool is_queued = on->handle.try_send("answer", ec);
    require(is_queued == !ec, "try_send and its error disagree");
  }

  void answer_soon()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    auto text = std::make_shared<std::string>("answer");
    start(
        "send",
        [text](error_code ec, std::size_t size) {
          require(size == (ec ? 0 : text->size()), "send completed with a wrong size");
        },
        [&](auto handler) { on->handle.async_send(asio::buffer(*text), std::move(handler)); });
  }

  void validate()
  {
    if (held_session* const on = any_session()) on->handle.mark_validated();
  }

  void add_key()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    note("add_key");
    on->handle.add_key(dgram::session_key(std::string(1, static_cast<char>('a' + below(9)))));
  }

  void cancel_some()
  {
    static constexpr std::array types{asio::cancellation_type::terminal,
                                      asio::cancellation_type::partial,
                                      asio::cancellation_type::total};
    std::vector<ticket_ptr> pending;
    for (const auto& each : record_.tickets)
      if (!each->is_over) pending.push_back(each);
    if (pending.empty()) return;
    const auto chosen = pending[below(pending.size())];
    note("cancel " + chosen->what);
    chosen->cancel.emit(types[below(types.size())]);
  }

  void cancel_wait()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    note("session cancel");
    on->handle.cancel();
  }

  void end_session()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    if (one_in(3)) {
      note("session close");
      on->handle.close();
      return;
    }
    note("session destroyed");
    const auto removed = sessions_.extract(id_of(*on));
  }

  void move_session()
  {
    held_session* const on = any_session();
    if (on == nullptr) return;
    note("session moved");
    session elsewhere = std::move(on->handle);
    on->handle = std::move(elsewhere);
  }

  void move_listener()
  {
    if (!listener_) return;
    note("listener moved");
    listener_type elsewhere = std::move(*listener_);
    listener_.emplace(std::move(elsewhere));
    if (!server_) return;
    sim::socket there = std::move(*server_);
    server_.emplace(std::move(there));
  }

  void pause()
  {
    if (!listener_) return;
    note("pause or resume");
    one_in(2) ? listener_->pause_accepting() : listener_->resume_accepting();
  }

  /// In a handler this is a nested one.
  void poll()
  {
    note("poll");
    io_.poll_one();
  }

  void end()
  {
    switch (below(24)) {
    case 0:
      note("listener stop");
      if (listener_) listener_->stop();
      return;
    case 1:
      note("listener close");
      if (listener_) listener_->close();
      return;
    case 2: {
      note("listener destroyed");
      const auto last = std::exchange(listener_, std::nullopt);
      return;
    }
    case 3:
      if (listener_)
        start(
            "drain", [](error_code, std::size_t) {},
            [&](auto handler) { listener_->async_drain_for(10ms, std::move(handler)); });
      return;
    case 4: {
      note("socket closed");
      error_code ignored;
      if (server_) server_->close(ignored);
      return;
    }
    case 5: {
      note("socket destroyed");
      server_.reset();
      return;
    }
    case 6:
    case 7:
      note("listener cancel");
      if (listener_) listener_->cancel();
      return;
    case 8:
    case 9: {
      note("socket cancel");
      error_code ignored;
      if (server_) server_->cancel(ignored);
      return;
    }
    default:
      if (!server_ || !server_->is_open()) {
        note("socket opened");
        server_.reset();
        open_socket();
      }
      if (listener_ && listener_->is_stopped()) {
        note("listener destroyed after its end");
        const auto last = std::exchange(listener_, std::nullopt);
      }
      make_listener();
    }
  }

  std::pair<std::uint64_t, dgram::session_id> id_of(const held_session& of) const
  {
    for (const auto& [id, each] : sessions_)
      if (each.get() == &of) return id;
    throw std::logic_error("no such session");
  }

  record& record_;
  asio::io_context io_{1};
  sim::network net_;
  sim::random& dice_;
  std::optional<sim::socket> server_;
  std::deque<sim::socket> clients_;
  std::map<sim::socket::endpoint_type, std::size_t> numbers_of_;
  std::optional<listener_type> listener_;
  std::map<std::pair<std::uint64_t, dgram::session_id>, std::unique_ptr<held_session>> sessions_;
  std::map<std::pair<std::pair<std::uint64_t, dgram::session_id>, char>, std::uint64_t> last_of_;
  std::set<std::pair<std::uint64_t, dgram::session_id>> ended_;
  ticket_ptr accepting_;
  std::uint64_t listeners_ = 0;
  std::uint64_t listeners_of_handles_ = 0;
  std::uint64_t sent_ = 0;
  std::size_t served_ = 0;
  std::size_t thrown_ = 0;
  std::size_t caught_ = 0;
  std::size_t depth_ = 0;
  bool is_in_place_ = false;
};

}  // namespace

TEST_CASE(
    "random orders of everything that a program may do with a listener lose no datagram, no "
    "wake-up "
    "and no handler",
    "[servers]")
{
  on_seeds(seeds_of_sequences, "listener-sequences", [](std::uint64_t seed) {
    record left;
    {
      game g(seed, left);
      g.play(120);
      g.end_in_order();
    }
    left.check();
  });
}

TEST_CASE(
    "a context that is destroyed at any time releases all that waits in a listener and its "
    "sessions",
    "[servers]")
{
  on_seeds(seeds_of_sequences, "listener-context", [](std::uint64_t seed) {
    record left;
    {
      game g(seed, left);
      g.play(40);
      if (seed % 2 == 0) g.end_in_a_handler();
    }
    left.check();
  });
}

}  // namespace sequences_test
