// SPDX-License-Identifier: BSL-1.0
// Operations with a slot that are pending when signal, objects and context go, in each order.
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/emitter_socket.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace destruction_test {

namespace {

namespace event = dgram::event;
using dgram::udp;
using dgram::unix_dgram;

/// Never answers.
struct silent_resolver {
  template <class Handler>
  void async_resolve(const std::string&, const std::string&, Handler handler)
  {
    asked.push_back(std::make_shared<Handler>(std::move(handler)));
  }

  std::vector<std::shared_ptr<void>> asked;
};

dgram::socket_options with_silent_lookup()
{
  dgram::socket_options options{.type = dgram::udp4};
  options.lookup = [](const std::string&, dgram::socket_type, const auto&) {};
  return options;
}

/// All that the operations refer to. The socket at `path` does not read, and its queue is full.
struct objects {
  explicit objects(asio::io_context& context) : io(context)
  {
    reports.set_option(dgram::option::receive_error(true));
    connected.connect(test::loopback_v4(9));
    crowded.connect(path);
    while (crowded.try_send(asio::buffer(text))) {}
    addressed.push(text, path);
    unaddressed.push(text);
    bound.bind_sync();
    while (writer.try_send(text)) {}
  }

  asio::io_context& io;
  test::temporary_directory directory;
  std::string text = std::string(1000, 'x');
  std::array<char, 16> storage{};
  test::endpoint sender;
  unix_dgram::endpoint unix_sender;
  dgram::datagram_info info;
  dgram::error_code ec;
  silent_resolver resolver;

  udp::socket plain{io, test::loopback_v4()};
  udp::socket dual{io, test::has_ipv6() ? udp::dual() : udp::v4()};
  udp::socket unbound{io, udp::v4()};
  udp::socket connected{io, udp::v4()};
  udp::socket reports{io, test::loopback_v4()};
  udp::socket read{io, test::loopback_v4()};
  dgram::receive_batch in{4};
  dgram::reader<udp, asio::any_io_executor> reader{read};
  udp::socket served{io, test::loopback_v4()};
  udp::listener listener{served};

  const unix_dgram::endpoint path{directory / "silent"};
  unix_dgram::socket silent{io, path};
  unix_dgram::socket crowded{io, unix_dgram()};
  unix_dgram::socket lonely{io, unix_dgram()};
  unix_dgram::socket peer{io, unix_dgram::endpoint(directory / "peer")};
  unix_dgram::receive_batch unix_in{4};
  unix_dgram::send_batch addressed{4};
  unix_dgram::send_batch unaddressed{4};
  dgram::reader<unix_dgram, asio::any_io_executor> crowded_reader{crowded};
  dgram::writer<unix_dgram, asio::any_io_executor> writer{crowded_reader, {.datagrams = 2}};

  dgram::emitter_socket named = dgram::create_socket(io, with_silent_lookup());
  dgram::emitter_socket bound = dgram::create_socket(io, with_silent_lookup());
  dgram::unix_emitter_socket unix_emitter = dgram::create_unix_socket(io);
  decltype(bound.stream<event::message>()) messages = bound.stream<event::message>();
  std::optional<dgram::emitter_socket> made;
};

/// Counts its calls. It may own what the operation refers to, or a coroutine that it resumes.
struct handler {
  std::shared_ptr<int> calls;
  std::shared_ptr<objects> owned;
  std::function<void()> resume;

  template <class... Values>
  void operator()(const Values&...) const
  {
    ++*calls;
    if (resume) resume();
  }
};

using slot_token = asio::cancellation_slot_binder<handler, asio::cancellation_slot>;

/// Whether an operation waits where nothing more happens, or completes on the next turn.
enum class until { forever, next_turn };

struct operation {
  const char* name;
  until waits;
  void (*call)(objects& o, slot_token token);
  asio::awaitable<void> (*await)(objects& o);  ///< where it is a coroutine; else null
};

#define DGRAM_CALL(waits, ...) \
  {#__VA_ARGS__, waits, [](objects& o, slot_token token) { __VA_ARGS__; }, nullptr}
#define DGRAM_AWAIT(waits, ...)  \
  {#__VA_ARGS__, waits, nullptr, \
   [](objects& o) -> asio::awaitable<void> { co_await (__VA_ARGS__); }}

asio::awaitable<void> serve_one(udp::session session)
{
  co_await session.next();
}

/// Every operation that takes a token: `o` are the objects, `token` is the token.
const operation operations[] = {
    // a socket's: Asio's own, and those that are dgram's
    DGRAM_CALL(until::forever, o.plain.async_wait(asio::socket_base::wait_read, token)),
    DGRAM_CALL(until::forever, o.plain.async_wait(asio::socket_base::wait_error, token)),
    DGRAM_CALL(until::forever, o.crowded.async_wait(asio::socket_base::wait_write, token)),
    DGRAM_CALL(until::next_turn, o.plain.async_connect(test::loopback_v4(9), token)),
    DGRAM_CALL(until::next_turn, o.connected.async_send(asio::buffer(o.text), token)),
    DGRAM_CALL(
        until::next_turn,
        o.connected.async_send(asio::buffer(o.text), dgram::send_options{.hop_limit = 1}, token)),
    DGRAM_CALL(until::next_turn,
               o.plain.async_send_to(asio::buffer(o.text), test::loopback_v4(9), token)),
    DGRAM_CALL(until::next_turn, o.plain.async_send_to(asio::buffer(o.text), test::loopback_v4(9),
                                                       dgram::send_options{.hop_limit = 1}, token)),
    DGRAM_CALL(until::forever, o.crowded.async_send(asio::buffer(o.text), token)),
    DGRAM_CALL(until::forever, o.lonely.async_send_to(asio::buffer(o.text), o.path, token)),
    DGRAM_CALL(until::forever, o.lonely.async_send_batch(o.addressed, token)),
    DGRAM_CALL(until::forever, o.crowded.async_send_batch(o.unaddressed, token)),
    DGRAM_CALL(until::forever, o.lonely.async_send_segments(o.text, 400, o.path, token)),
    DGRAM_CALL(until::forever, o.plain.async_receive(asio::buffer(o.storage), token)),
    DGRAM_CALL(until::forever,
               o.plain.async_receive_from(asio::buffer(o.storage), o.sender, token)),
    DGRAM_CALL(until::forever, o.plain.async_receive_from(asio::buffer(o.storage), o.info, token)),
    DGRAM_CALL(until::forever, o.plain.async_receive_batch(o.in, token)),
    DGRAM_CALL(until::forever, o.dual.async_receive(asio::buffer(o.storage), token)),
    DGRAM_CALL(until::forever, o.dual.async_receive_from(asio::buffer(o.storage), o.sender, token)),
    DGRAM_CALL(until::forever, o.reports.async_receive(asio::buffer(o.storage), token)),
    DGRAM_CALL(until::forever, o.reports.async_receive_error(token)),
    DGRAM_CALL(until::forever, o.reports.async_send_timestamp(token)),
    DGRAM_CALL(until::forever, o.peer.async_receive(asio::buffer(o.storage), token)),
    DGRAM_CALL(until::forever,
               o.peer.async_receive_from(asio::buffer(o.storage), o.unix_sender, token)),
    DGRAM_CALL(until::forever, o.peer.async_receive_batch(o.unix_in, token)),

    // by name
    DGRAM_CALL(until::forever, dgram::async_bind(o.unbound, "name", "9", o.resolver, token)),
    DGRAM_CALL(until::forever, dgram::async_connect(o.plain, "name", "9", o.resolver, token)),
    DGRAM_CALL(until::forever,
               dgram::async_send_to(o.plain, asio::buffer(o.text), "name", "9", o.resolver, token)),
    DGRAM_CALL(until::next_turn, dgram::async_connect(o.plain, "127.0.0.1", "9", token)),
    DGRAM_CALL(until::next_turn, dgram::async_connect(o.plain, "localhost", "9", token)),

    // a reader's and a writer's
    DGRAM_AWAIT(until::forever, o.reader.next()),
    DGRAM_AWAIT(until::forever, o.reader.next(o.ec)),
    DGRAM_AWAIT(until::forever, o.reader.next_for(std::chrono::hours(1))),
    DGRAM_AWAIT(until::forever, o.reader.next_for(std::chrono::hours(1), o.ec)),
    DGRAM_AWAIT(until::forever, o.reader.next_batch()),
    DGRAM_CALL(until::forever, o.reader.async_for_each([](const dgram::datagram&) {}, token)),
    DGRAM_AWAIT(until::forever, o.reader.next_batch_until(std::chrono::steady_clock::now() +
                                                          std::chrono::hours(1))),
    DGRAM_AWAIT(until::forever, o.writer.send(o.text)),
    DGRAM_AWAIT(until::forever, o.writer.flush()),
    DGRAM_CALL(until::forever, o.writer.async_flush(token)),

    // a listener's
    DGRAM_CALL(until::forever, o.listener.async_accept(token)),
    DGRAM_CALL(until::forever, o.listener.async_for_each(
                                   [](const udp::session_ref&, const dgram::datagram&) {}, token)),
    DGRAM_CALL(until::forever, o.listener.async_serve(serve_one, token)),

    // between processes
    DGRAM_CALL(until::forever, dgram::async_hand_over(o.plain, o.directory / "offer", token)),
    DGRAM_CALL(until::next_turn, dgram::async_take_over(o.io, o.directory / "no offer", token)),

    // an emitter's
    DGRAM_CALL(until::forever, o.named.bind(0, "name", token)),
    DGRAM_CALL(until::next_turn, o.named.bind(0, "127.0.0.1", token)),
    DGRAM_CALL(until::forever, o.bound.connect(9, "name", token)),
    DGRAM_CALL(until::next_turn, o.bound.connect(9, "127.0.0.1", token)),
    DGRAM_CALL(until::forever, o.bound.send(o.text, 9, "name", token)),
    DGRAM_CALL(until::next_turn, o.bound.send(o.text, 9, "127.0.0.1", token)),
    DGRAM_CALL(until::forever, o.named.bind(0, "name").send(o.text, 9, "127.0.0.1", asio::detached),
               o.named.send(o.text, 9, "127.0.0.1", token)),
    DGRAM_CALL(until::forever, o.bound.connect(9, "name"), o.bound.send(o.text, token)),
    DGRAM_CALL(until::forever, o.unix_emitter.send(o.text, o.path.path(), token)),
    DGRAM_CALL(until::forever, o.named.bind(0, "name"), o.named.send(o.text, 9, "127.0.0.1"),
               o.named.close(token)),
    DGRAM_CALL(until::forever, o.named.bind(0, "name"), o.named.send(o.text, 9, "127.0.0.1"),
               o.named.dispose(token)),
    DGRAM_CALL(until::next_turn, o.bound.close(token)),
    DGRAM_CALL(until::next_turn, o.bound.dispose(token)),
    DGRAM_CALL(until::forever, o.bound.once<event::message>(token)),
    DGRAM_CALL(until::forever, o.bound.once<event::close>(token)),
    DGRAM_CALL(until::forever, o.messages.next(token)),
    DGRAM_CALL(until::next_turn,
               dgram::send_once(o.io, dgram::udp4, o.text, 9, "localhost", token)),
    DGRAM_CALL(until::forever,
               o.made.emplace(dgram::create_socket(
                   o.io, {.type = dgram::udp4, .slot = token.get_cancellation_slot()})),
               o.made->bind_sync(), o.made->on<event::close>(token.get())),
};

/// One thing that goes or happens, by its letter.
constexpr char signal_goes = 'S';
constexpr char objects_go = 'O';
constexpr char context_goes = 'C';
constexpr char emission = 'E';
constexpr char turns = 'T';

/// What goes, and in which order. The test has the objects.
const std::string_view orders[] = {"SOC",  "OSC",    "OCS",   "ESOC",  "OESC",  "OECS", "EOCS",
                                   "OCES", "ETOESC", "OTESC", "OTECS", "OTCES", "OTSC"};

/// The same. The operation has the objects, which go with the context.
const std::string_view owned_orders[] = {"SC", "CS", "CES", "ESC", "ECS", "ECES"};

class scene {
public:
  explicit scene(bool owned) : owned_(owned) {}

  void call(const operation& which)
  {
    const auto mark = std::make_shared<int>(0);
    watched_ = mark;
    which.call(*objects_,
               asio::bind_cancellation_slot(signal_->slot(),
                                            handler{mark, owned_ ? objects_ : nullptr, nullptr}));
    begin();
  }

  void await(const operation& which)
  {
    const auto mark = std::make_shared<int>(0);
    watched_ = mark;
    asio::co_spawn(*context_, run(which, *this, owned_ ? objects_ : nullptr, mark),
                   asio::bind_cancellation_slot(signal_->slot(), asio::detached));
    while (!started_)
      context_->poll_one();
    begin();
  }

  /// Whether it still waits, and only that.
  bool is_pending() const
  {
    const auto calls = watched_.lock();
    return calls != nullptr && *calls == 0;
  }

  bool is_gone() const { return watched_.expired() && watched_objects_.expired(); }

  void take_turns()
  {
    context_->restart();
    while (context_->poll() > 0) {}
  }

  void happen(char what)
  {
    switch (what) {
    case signal_goes: signal_.reset(); return;
    case objects_go: objects_.reset(); return;
    case context_goes: context_.reset(); return;
    case turns: take_turns(); return;
    default: signal_->emit(asio::cancellation_type::terminal);
    }
  }

private:
  static asio::awaitable<void> run(const operation& which, scene& here, std::shared_ptr<objects>,
                                   std::shared_ptr<int> calls)
  {
    here.started_ = true;
    if (which.await != nullptr)
      co_await which.await(*here.objects_);
    else
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
          [&which, &all = *here.objects_](auto&& rest) { call(which, all, rest); },
          asio::use_awaitable);
    ++*calls;
  }

  /// With the coroutine's slot, and a handler of the one type, which has the coroutine.
  template <class Rest>
  static void call(const operation& which, objects& all, Rest& rest)
  {
    const asio::cancellation_slot slot = asio::get_associated_cancellation_slot(rest);
    const auto kept = std::make_shared<Rest>(std::move(rest));
    which.call(all, asio::bind_cancellation_slot(slot, handler{std::make_shared<int>(0), nullptr,
                                                               [kept] { std::move (*kept)(); }}));
  }

  void begin()
  {
    if (owned_) objects_.reset();
  }

  bool owned_;
  bool started_ = false;
  std::optional<asio::io_context> context_{std::in_place};
  std::shared_ptr<objects> objects_ = std::make_shared<objects>(*context_);
  std::weak_ptr<objects> watched_objects_ = objects_;
  std::optional<asio::cancellation_signal> signal_{std::in_place};
  std::weak_ptr<int> watched_;
};

/// Asio sends what a coroutine is told through its executor, which goes with the context.
bool emits_after_context(std::string_view order)
{
  const auto end = order.find(context_goes);
  return order.find(emission, end) != std::string_view::npos;
}

template <class Start>
void go_through(const operation& which, std::string_view order, bool owned, bool waits, Start start)
{
  INFO(which.name << ", " << order << (owned ? ", owned" : "") << (waits ? ", waiting" : ""));
  scene s(owned);
  start(s);
  if (waits) {
    s.take_turns();
    REQUIRE(s.is_pending());
  }
  for (const char next : order)
    s.happen(next);
  CHECK(s.is_gone());
}

template <class Start>
void go_through_all(const operation& which, bool coroutine, Start start)
{
  for (const bool waits : {false, true}) {
    if (waits && which.waits == until::next_turn) continue;
    for (const auto order : orders)
      if (!coroutine || !emits_after_context(order)) go_through(which, order, false, waits, start);
    for (const auto order : owned_orders)
      if (!coroutine || !emits_after_context(order)) go_through(which, order, true, waits, start);
  }
}

}  // namespace

TEST_CASE("no destructor touches the slot of a handler, and what is left there does no harm",
          "[F2]")
{
  for (const operation& which : operations)
    if (which.call != nullptr) go_through_all(which, false, [&](scene& s) { s.call(which); });
}

TEST_CASE("no destructor touches the slot of a coroutine, and what is left there does no harm",
          "[F2]")
{
  for (const operation& which : operations)
    go_through_all(which, true, [&](scene& s) { s.await(which); });
}

}  // namespace destruction_test
