// SPDX-License-Identifier: BSL-1.0
// The operations that are not a socket's own, in one table, and the handler that they are tried
// with. Its parts are type-erased, so that each operation is compiled once for all checks.
#ifndef DGRAM_TESTS_CONFORMANCE_CONTRACT_HPP
#define DGRAM_TESTS_CONFORMANCE_CONTRACT_HPP

#include "conformance/contract_forms.hpp"
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/recording_allocator.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/connect.hpp>
#include <dgram/emitter_socket.hpp>
#include <dgram/exchanger.hpp>
#include <dgram/hand_over.hpp>
#include <dgram/listener.hpp>
#include <dgram/resolve.hpp>
#include <dgram/shard_group.hpp>
#include <dgram/sim_socket.hpp>
#include <dgram/sim_timer.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/execution.hpp>
#include <asio/executor_work_guard.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace contract {

/// Any executor that can call a function. More than that it does not promise, as the smallest
/// executor that Asio takes for a handler.
using any_executor = asio::execution::any_executor<
    asio::execution::prefer_only<asio::execution::outstanding_work_t::tracked_t>,
    asio::execution::prefer_only<asio::execution::outstanding_work_t::untracked_t>>;

/// What became of one operation.
struct record {
  explicit record(asio::io_context& io)
      : executor(io.get_executor()),
        immediate(asio::require(io.get_executor(), asio::execution::blocking.never))
  {
  }

  any_executor executor;   ///< of the handler
  any_executor immediate;  ///< of the handler, for what completes at once
  asio::cancellation_slot slot;
  std::function<void()> on_call;  ///< called by the handler
  test::allocation_record memory;
  std::atomic<int> calls = 0;
  bool is_inside = false;      ///< the call that starts the operation has not returned
  bool called_inside = false;  ///< the handler was called before it had
  std::size_t live_at_call = 0;
  dgram::error_code ec;
  std::weak_ptr<int> handler;  ///< expires with the handler

  bool is_aborted() const { return calls == 1 && ec == asio::error::operation_aborted; }
  bool is_gone() const { return handler.expired(); }
};

/// A handler with everything that may be associated with one. It can be moved only, and called only
/// on its way out.
class handler {
public:
  using executor_type = any_executor;
  using allocator_type = test::recording_allocator<>;
  using cancellation_slot_type = asio::cancellation_slot;
  using immediate_executor_type = any_executor;

  explicit handler(record& of) : of_(&of) { of.handler = alive_; }
  handler(handler&&) noexcept = default;
  handler& operator=(handler&&) noexcept = default;

  executor_type get_executor() const noexcept { return of_->executor; }
  allocator_type get_allocator() const noexcept { return allocator_type(of_->memory); }
  cancellation_slot_type get_cancellation_slot() const noexcept { return of_->slot; }
  immediate_executor_type get_immediate_executor() const noexcept { return of_->immediate; }

  template <class... Values>
  void operator()(const dgram::error_code& ec, const Values&...) &&
  {
    of_->ec = ec;
    of_->live_at_call = of_->memory.live;
    of_->called_inside = of_->called_inside || of_->is_inside;
    const auto on_call = of_->on_call;
    ++of_->calls;
    if (on_call) on_call();
  }

  void operator()() && { std::move (*this)(dgram::error_code()); }

  template <class... Values>
  void operator()(std::tuple<dgram::error_code, Values...> all) &&
  {
    std::move (*this)(std::get<0>(all));
  }

private:
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  record* of_;
};

/// The completion token that makes such a handler.
struct token {
  record* of;
};

/// The handler of a program that keeps it and gives a reference: it may be neither copied nor
/// moved. If it could be called without arguments, an emitter would take it for a listener.
class kept_handler {
public:
  using executor_type = any_executor;
  using allocator_type = test::recording_allocator<>;

  explicit kept_handler(record& of) : of_(&of) {}
  kept_handler(const kept_handler&) = delete;
  kept_handler& operator=(const kept_handler&) = delete;

  executor_type get_executor() const noexcept { return of_->executor; }
  allocator_type get_allocator() const noexcept { return allocator_type(of_->memory); }

  template <class... Values>
  void operator()(const dgram::error_code& ec, const Values&...)
  {
    handler once(*of_);
    std::move(once)(ec);
  }

private:
  record* of_;
};

/// How an operation differs from the others by design.
enum word : unsigned {
  at_once = 1U << 0U,      ///< completes without a supply
  by_itself = 1U << 1U,    ///< needs no supply, but time
  fails = 1U << 2U,        ///< completes with an error that is no cancellation
  posts = 1U << 3U,        ///< has a turn of its object in place of the immediate executor
  keeps_total = 1U << 4U,  ///< does not heed total, because something may have happened
  not_cancellable = 1U << 5U,
  foreign_memory = 1U << 6U,  ///< belongs to an object that others share
  by_socket = 1U << 7U,       ///< `cancel` of the socket ends it
  again = 1U << 8U,           ///< may be started again when it has ended
  exclusive = 1U << 9U,       ///< may not be started again before it has ended
  on_object = 1U << 10U,      ///< a deferred one needs its object when it is launched
  two_steps = 1U << 11U,      ///< waits, and then starts what may complete at once
  stays = 1U << 12U,          ///< what it waits for stays there for the next one if it is cancelled
};

/// A resolver that answers when it is told to.
struct held_resolver {
  template <class Handler>
  void async_resolve(const std::string&, const std::string&, Handler done)
  {
    const auto kept = std::make_shared<Handler>(std::move(done));
    answer = [kept] {
      const std::array<test::endpoint, 1> found{test::loopback_v4(9)};
      std::move (*kept)(dgram::error_code(), found);
    };
  }

  std::function<void()> answer;
};

/// An object that can be moved to another address. The one that was moved from stays where it was.
template <class T>
class movable {
public:
  template <class... Args>
  T& emplace(Args&&... args)
  {
    at_ = std::make_unique<T>(std::forward<Args>(args)...);
    return *at_;
  }

  movable& operator=(std::optional<T>&& value)
  {
    if (value)
      emplace(std::move(*value));
    else
      reset();
    return *this;
  }

  void reset() noexcept
  {
    at_.reset();
    former_.reset();
  }

  void move()
  {
    if (!at_) return;
    auto moved = std::make_unique<T>(std::move(*at_));
    former_ = std::exchange(at_, std::move(moved));
  }

  bool has_value() const noexcept { return at_ != nullptr; }
  T* operator->() const noexcept { return at_.get(); }
  T& operator*() const noexcept { return *at_; }

private:
  std::unique_ptr<T> at_;
  std::unique_ptr<T> former_;
};

/// The objects that an operation is tried on. The row of the operation makes what it needs.
class world {
public:
  world();
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  asio::any_io_executor executor() { return io->get_executor(); }

  // What rows make.
  void make_socket();
  void make_unbound();
  void make_reports();
  void make_timestamps();
  void make_reader();
  void make_crowded();
  void make_listener();
  void make_other_form();
  void make_session();
  void make_exchanger();
  void make_member();
  void make_group();
  void make_closed_member();
  void offer();
  void listen_in_silence();
  void make_emitter();
  void make_bound();
  void make_blocked();
  void make_net();

  // What operations wait for.
  void nothing() {}
  void cause_report();
  void send_own();
  void answer();
  void deliver();
  void drain_silent();
  void stop_listener() { listener->stop(); }
  void drop_session() { session.reset(); }
  void close_session() { session->close(); }
  void take();
  void end_silence() { listening.reset(); }
  void look_up();
  void deliver_to_emitter();
  void send_far();

  /// Runs what is due on the context of the objects.
  void poll();

  /// Runs the context until the condition holds; fails the test if that takes too long.
  void run_until(const std::function<bool()>& condition);

  void destroy_objects();

  /// Moves each object that can be moved to another address.
  void move_objects();

  std::optional<asio::io_context> io{std::in_place};
  asio::io_context peer_context;
  asio::ip::udp::socket peer{peer_context, test::loopback_v4()};
  test::temporary_directory directory;
  std::string text = "hello";
  std::array<char, 2000> storage{};
  test::endpoint sender;
  test::endpoint to_peer = peer.local_endpoint();
  std::vector<test::endpoint> peers{to_peer};
  dgram::receive_batch in{4, 64};
  held_resolver resolver;
  std::function<void()> lookup;

  movable<dgram::udp::socket> socket, given;
  movable<dgram::reader<dgram::udp, asio::any_io_executor>> reader;
  movable<dgram::unix_dgram::socket> silent, crowded;
  movable<dgram::reader<dgram::unix_dgram, asio::any_io_executor>> crowded_reader;
  movable<dgram::writer<dgram::unix_dgram, asio::any_io_executor>> writer;
  movable<dgram::udp::listener> listener;
  movable<dgram::udp::session> session;
  movable<dgram::unix_dgram::listener> host;
  movable<dgram::unix_dgram::session> guest;
  movable<dgram::udp::exchanger> exchanger;
  movable<dgram::shard_group> group;
  movable<dgram::udp::socket> first, last;
  movable<dgram::emitter_socket> emitter;
  movable<decltype(emitter->stream<dgram::event::message>())> messages;
  std::optional<dgram::sim::network> net;
  movable<dgram::sim::socket> near_socket, far_socket;
  movable<dgram::sim::timer> near_timer;
  test::endpoint far;
  std::optional<dgram::owned_descriptor> listening;

  std::string path() { return directory / "hand-over"; }
};

/// Launches a deferred operation, as an lvalue that may be launched again.
using launcher = std::function<void(const token&)>;

template <class Deferred>
launcher launcher_of(Deferred deferred)
{
  return [deferred](const token& with) mutable { deferred(with); };
}

struct operation {
  const char* name;
  unsigned words;
  void (world::*make)();
  void (world::*supply)();  ///< brings what it waits for
  void (*start)(world&, const token&);
  launcher (*later)(world&);  ///< with `deferred`
  void (*in_group)(world&, race&);
  asio::awaitable<void> (*await)(world&, dgram::error_code&);
  settled (*by_future)(world&);
  void (*by_reference)(world&, kept_handler&);

  bool is(unsigned any) const noexcept { return (words & any) != 0; }
  bool waits() const noexcept { return !is(at_once); }
};

/// The types of cancellation, and whether the operation ends by them.
inline constexpr asio::cancellation_type types[] = {asio::cancellation_type::terminal,
                                                    asio::cancellation_type::partial,
                                                    asio::cancellation_type::total};

inline bool heeds(const operation& which, asio::cancellation_type type)
{
  if (which.is(not_cancellable)) return false;
  return !which.is(keeps_total) || type != asio::cancellation_type::total;
}

/// The table. A new operation is one line in one of these.
std::vector<operation> socket_operations();
std::vector<operation> server_operations();

/// Every operation of the table.
inline const std::vector<operation>& operations()
{
  static const std::vector<operation> all = [] {
    auto joined = socket_operations();
    for (const operation& each : server_operations())
      joined.push_back(each);
    return joined;
  }();
  return all;
}

/// The objects of one operation.
class trial {
public:
  explicit trial(const operation& which) : which_(&which) { (w.*which.make)(); }

  void start(record& of)
  {
    of.is_inside = true;
    which_->start(w, token{&of});
    of.is_inside = false;
  }

  /// Brings what the operation waits for, when it waits.
  void supply()
  {
    if (which_->is(at_once | by_itself)) return;
    w.poll();
    (w.*which_->supply)();
  }

  void finish(const record& of)
  {
    w.run_until([&] { return of.calls > 0; });
    w.poll();
    w.poll();
  }

  void check_success(const record& of) const
  {
    CHECK(of.calls == 1);
    check_success(of.ec);
  }

  void check_success(const dgram::error_code& ec) const
  {
    CHECK(static_cast<bool>(ec) == which_->is(fails));
    CHECK(ec != asio::error::operation_aborted);
  }

  world w;

private:
  const operation* which_;
};

}  // namespace contract

template <class... Args>
class asio::async_result<contract::token, void(Args...)> {
public:
  template <class Initiation, class... Init>
  static void initiate(Initiation&& initiation, const contract::token& with, Init&&... init)
  {
    std::forward<Initiation>(initiation)(contract::handler(*with.of), std::forward<Init>(init)...);
  }
};

/// A row of the table: what is special, what makes the objects, what the operation waits for, and
/// its call. `w` are the objects and `h` is the token.
#define DGRAM_OPERATION(words, make, supply, ...)                     \
  {#__VA_ARGS__,                                                      \
   words,                                                             \
   &contract::world::make,                                            \
   &contract::world::supply,                                          \
   [](contract::world& w, const contract::token& h) { __VA_ARGS__; }, \
   [](contract::world& w) {                                           \
     const auto h = test::deferred;                                   \
     return contract::launcher_of(__VA_ARGS__);                       \
   },                                                                 \
   [](contract::world& w, contract::race& in) {                       \
     const auto h = test::deferred;                                   \
     contract::start_in_group(in, __VA_ARGS__);                       \
   },                                                                 \
   [](contract::world& w, dgram::error_code& ec) {                    \
     const auto h = asio::use_awaitable;                              \
     return contract::noted(__VA_ARGS__, ec);                         \
   },                                                                 \
   [](contract::world& w) {                                           \
     const auto h = asio::use_future;                                 \
     return contract::settled_of(__VA_ARGS__);                        \
   },                                                                 \
   [](contract::world& w, contract::kept_handler& kept) {             \
     const auto h = std::ref(kept);                                   \
     __VA_ARGS__;                                                     \
   }}

/// Tries each operation of the table in a section of its own, which names it.
#define DGRAM_FOR_EACH_OPERATION(each)                           \
  for (const contract::operation& each : contract::operations()) \
  DYNAMIC_SECTION(each.name)

#endif
