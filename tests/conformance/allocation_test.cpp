// SPDX-License-Identifier: BSL-1.0
// In steady state no operation allocates memory.
#include "support/allocations.hpp"

#include "conformance/program_functions.hpp"
#include "support/handlers.hpp"
#include "support/temporary_directory.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <dgram/exchanger.hpp>
#include <dgram/listener.hpp>
#include <dgram/session_map.hpp>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
#include <utility>

namespace allocation_test {

namespace {

using test::bench;

/// The first rounds fill the caches of the thread, the reactor and the kernel's side of the socket.
constexpr int warm_up = 8;
constexpr int rounds = 64;

/// Counts what is allocated from the launch of an operation to its completion, after the first
/// rounds.
class meter {
public:
  void begin() { before_ = test::allocations(); }

  /// Returns whether there is another round to be done.
  bool end()
  {
    const std::size_t made = test::allocations() - before_;
    if (round_ >= warm_up) counted_ += made;
    return ++round_ < warm_up + rounds;
  }

  void verify() const
  {
    REQUIRE(round_ == warm_up + rounds);
    REQUIRE(counted_ == 0);
  }

private:
  std::size_t before_ = 0;
  std::size_t counted_ = 0;
  int round_ = 0;
};

/// Runs a context in one go, under a watchdog: a thread's cache lives as long as one call of `run`
/// does.
class session {
public:
  explicit session(asio::io_context& io) : io_(io), watchdog_(io, test::seconds(10)) {}

  void run()
  {
    watchdog_.async_wait([this](const dgram::error_code& ec) {
      if (!ec) io_.stop();
    });
    io_.restart();
    io_.run();
    REQUIRE(finished_);
  }

  void finish()
  {
    finished_ = true;
    watchdog_.cancel();
  }

  asio::io_context::executor_type get_executor() { return io_.get_executor(); }

private:
  asio::io_context& io_;
  asio::steady_timer watchdog_;
  bool finished_ = false;
};

/// Whether an operation finds its datagram when it is launched, or has to wait for it.
enum class when { at_once, later };

/// Gets the operation what it needs, now or by a function that runs when the operation has begun to
/// wait.
template <class Operation, class Executor>
void supply(session& s, bench<Executor>& b, when ready)
{
  if (ready == when::at_once)
    Operation::ready(b);
  else
    asio::post(s.get_executor(), [&b] { b.deliver(); });
}

/// Runs rounds of an operation by callbacks, each launched by the one before.
template <class Operation, class Executor, class Launch>
class chain {
public:
  chain(session& s, bench<Executor>& b, when ready, Launch launch)
      : session_(s), bench_(b), ready_(ready), launch_(launch)
  {
  }

  void next()
  {
    supply<Operation>(session_, bench_, ready_);
    meter_.begin();
    launch_([this](const dgram::error_code& ec, const auto&... values) {
      const bool more = meter_.end();
      REQUIRE_FALSE(ec);
      REQUIRE(test::moved(values...) == Operation::moves);
      Operation::verify(bench_);
      if (more)
        next();
      else
        session_.finish();
    });
  }

  void verify() const { meter_.verify(); }

private:
  session& session_;
  bench<Executor>& bench_;
  when ready_;
  Launch launch_;
  meter meter_;
};

template <class Operation, class Executor>
void measure_callbacks(asio::io_context& io, bench<Executor>& b, when ready)
{
  const auto measure = [&](auto launch) {
    session s(io);
    chain<Operation, Executor, decltype(launch)> all(s, b, ready, launch);
    // Launched by the context's own thread, which is the one that has a cache.
    asio::post(io, [&] { all.next(); });
    s.run();
    all.verify();
  };

  SECTION("plain")
  {
    measure([&](auto handler) { Operation::start(b, std::move(handler)); });
  }

  SECTION("with a slot")
  {
    asio::cancellation_signal signal;
    measure([&](auto handler) {
      Operation::start(b, asio::bind_cancellation_slot(signal.slot(), std::move(handler)));
    });
  }

  SECTION("on a strand of the handler's")
  {
    auto strand = asio::make_strand(io.get_executor());
    measure([&](auto handler) {
      Operation::start(b, asio::bind_executor(strand, std::move(handler)));
    });
  }
}

template <class Operation, class Executor>
asio::awaitable<void> use(session& s, bench<Executor>& b, when ready, meter& measured)
{
  bool more = true;
  while (more) {
    supply<Operation>(s, b, ready);
    measured.begin();
    co_await Operation::start(b, asio::use_awaitable);
    more = measured.end();
    Operation::verify(b);
  }
  s.finish();
}

template <class Operation, class Executor>
void measure_coroutine(asio::io_context& io, bench<Executor>& b, when ready)
{
  session s(io);
  meter measured;
  auto done = asio::co_spawn(io, use<Operation>(s, b, ready, measured), asio::use_future);
  s.run();
  done.get();
  measured.verify();
}

template <class Operation>
void measure_all(when ready)
{
  asio::io_context io;

  SECTION("callback")
  {
    bench<asio::io_context::executor_type> b(io.get_executor(), test::protocol_for<Operation>);
    measure_callbacks<Operation>(io, b, ready);
  }

  SECTION("callback, any_io_executor")
  {
    bench<asio::any_io_executor> b(io.get_executor(), test::protocol_for<Operation>);
    measure_callbacks<Operation>(io, b, ready);
  }

  SECTION("coroutine")
  {
    bench<asio::any_io_executor> b(io.get_executor(), test::protocol_for<Operation>);
    measure_coroutine<Operation>(io, b, ready);
  }
}

}  // namespace

TEST_CASE("allocations are counted")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  std::size_t before = test::allocations();
  const auto counted = [&] {
    const std::size_t now = test::allocations();
    return now - std::exchange(before, now);
  };
  // Through volatile pointers, or the compiler leaves the pairs out.
  void* volatile memory = ::operator new(1);
  CHECK(counted() == 1);
  ::operator delete(memory);
  memory = ::operator new(128, std::align_val_t(128));
  CHECK(counted() == 1);
  ::operator delete(memory, std::align_val_t(128));
  memory = std::malloc(1);
  CHECK(counted() == 1);
  std::free(memory);
  memory = std::aligned_alloc(64, 64);
  CHECK(counted() == 1);
  std::free(memory);

  std::size_t released = test::releases();
  memory = std::malloc(1);
  std::free(memory);
  CHECK(test::releases() == released + 1);
  memory = ::operator new(128, std::align_val_t(128));
  ::operator delete(memory, std::align_val_t(128));
  CHECK(test::releases() == released + 2);

  asio::io_context io;
  counted();
  asio::post(io, [] {});
  CHECK(counted() > 0);
}

TEMPLATE_TEST_CASE("an operation that completes at once allocates nothing", "",
                   DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  measure_all<TestType>(when::at_once);
}

TEMPLATE_TEST_CASE("an operation that has to wait allocates nothing", "", test::wait_readable,
                   DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  measure_all<TestType>(when::later);
}

TEST_CASE("Unix datagrams allocate nothing, with paths too long for a small string")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  test::temporary_directory folder;
  asio::io_context io;
  dgram::unix_dgram::socket server(io, folder / "a name that is not short");
  dgram::unix_dgram::socket client(io, folder / "another that is not short");
  const auto to = server.local_endpoint();
  session s(io);
  meter measured;
  const auto work = [&]() -> asio::awaitable<void> {
    dgram::reader reader{server};
    dgram::writer writer{reader};
    dgram::unix_dgram::send_batch out(2);
    std::array<char, 16> storage;
    dgram::unix_dgram::endpoint sender;
    for (bool more = true; more; more = measured.end()) {
      measured.begin();
      co_await client.async_send_to(asio::buffer("single", 6), to, asio::use_awaitable);
      out.push("batch", to);
      co_await client.async_send_batch(out, asio::use_awaitable);
      co_await client.async_send_segments("segments", 4, to, dgram::send_options{},
                                          asio::use_awaitable);
      for (int i = 0; i < 4; ++i) {
        const auto datagram = co_await reader.next();
        if (dgram::is_unnamed(datagram->sender()) || dgram::is_abstract(datagram->sender()))
          co_return;
        co_await writer.send(datagram->payload(), datagram->sender());
      }
      co_await writer.flush();
      for (int i = 0; i < 4; ++i)
        co_await client.async_receive_from(asio::buffer(storage), sender, asio::use_awaitable);
    }
    s.finish();
  };
  auto done = asio::co_spawn(io, work, asio::use_future);
  s.run();
  done.get();
  measured.verify();
}

TEMPLATE_TEST_CASE("a reader's for_each allocates nothing, with a writer inside it", "",
                   asio::io_context::executor_type, asio::any_io_executor)
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  const bool with_slot = GENERATE(false, true);
  constexpr int requests = 5;
  asio::io_context io;
  session s(io);
  meter measured;
  dgram::basic_socket<dgram::udp, TestType> server(io.get_executor(), test::loopback_v4());
  dgram::udp::socket client(io, test::loopback_v4());
  const auto to = server.local_endpoint();
  dgram::reader reader{server};
  dgram::writer writer{reader};
  dgram::receive_batch answers(8);
  asio::cancellation_signal signal;
  int received = 0;
  const auto begin_round = [&] {
    for (int i = 0; i < requests; ++i)
      client.send_to(asio::buffer("request", 7), to);
    measured.begin();
  };
  const auto answer = [&](const dgram::datagram& datagram) {
    writer.try_send(datagram.payload(), datagram.sender());
    if (++received % requests != 0) return;
    const bool more = measured.end();
    dgram::error_code ec;
    client.try_receive_batch(answers, ec);
    if (more)
      begin_round();
    else
      reader.stop();
  };
  asio::post(io, [&] {
    begin_round();
    reader.async_for_each(
        answer, asio::bind_cancellation_slot(with_slot ? signal.slot() : asio::cancellation_slot(),
                                             [&](const dgram::error_code&) { s.finish(); }));
  });
  s.run();
  measured.verify();
}

TEST_CASE("packets that are written into a writer's queue allocate nothing, with numbers and ECN")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  asio::io_context io;
  session s(io);
  meter measured;
  dgram::udp::socket server(io, test::loopback_v4());
  dgram::udp::socket client(io, test::loopback_v4());
  const auto to = client.local_endpoint();
  dgram::writer writer{server};
  dgram::receive_batch answers(64);
  std::uint64_t number = 0;
  const std::function<void()> round = [&] {
    measured.begin();
    for (int i = 0; i < 20; ++i) {
      const auto room = writer.reserve(100);
      room[0] = std::byte{1};
      writer.commit(100, to, {.ecn = dgram::ecn_codepoint::ect_0, .number = ++number});
    }
    asio::post(io, [&] {
      const bool more = measured.end();
      dgram::error_code ec;
      client.try_receive_batch(answers, ec);
      if (more)
        round();
      else
        s.finish();
    });
  };
  asio::post(io, round);
  s.run();
  measured.verify();
  CHECK(writer.statistics().sent == number);
}

TEST_CASE("reports allocate nothing")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  if (!dgram::platform::has_error_queue) SKIP("this system has no error queue");
  asio::io_context io;
  session s(io);
  meter measured;
  dgram::udp::socket socket(io, test::loopback_v4());
  socket.set_option(dgram::option::receive_error(true));
  const auto dead = test::dead_endpoint();
  const auto work = [&]() -> asio::awaitable<void> {
    for (bool more = true; more; more = measured.end()) {
      measured.begin();
      // More than a block of memory would hold in most queues.
      for (int i = 0; i < 8; ++i) {
        dgram::error_code ec;
        socket.try_send_to(asio::buffer("lost", 4), dead, ec);
        co_await socket.async_receive_error(asio::use_awaitable);
      }
    }
    s.finish();
  };
  auto done = asio::co_spawn(io, work, asio::use_future);
  s.run();
  done.get();
  measured.verify();
}

TEST_CASE("datagrams that say and ask for all there is allocate nothing")
{
  namespace option = dgram::option;
  asio::io_context io;
  session s(io);
  meter measured;
  dgram::udp::socket server(io, {dgram::udp::v4(), 0});
  server.set_option(option::receive_ecn(true));
  server.set_option(option::receive_hop_limit(true));
  server.set_option(option::receive_timestamp(true));
  dgram::udp::socket client(io, test::loopback_v4());
  const auto to = test::loopback_v4(server.local_endpoint().port());
  const auto work = [&]() -> asio::awaitable<void> {
    dgram::reader reader{server};
    dgram::writer writer{reader};
    dgram::send_batch out(4);
    std::array<char, 16> storage;
    dgram::datagram_info info;
    const dgram::send_options options{.ecn = dgram::ecn_codepoint::ect_0, .hop_limit = 9};
    for (bool more = true; more; more = measured.end()) {
      measured.begin();
      co_await client.async_send_to(asio::buffer("single", 6), to, options, asio::use_awaitable);
      out.push("batch", to, options);
      out.push("other", to, {.dscp = 1});
      co_await client.async_send_batch(out, asio::use_awaitable);
      co_await client.async_send_segments("segments", 4, to, options, asio::use_awaitable);
      for (int i = 0; i < 5; ++i) {
        const auto datagram = co_await reader.next();
        co_await writer.send(datagram->payload(), datagram->reply_path());
      }
      co_await writer.flush();
      for (int i = 0; i < 5; ++i)
        co_await client.async_receive_from(asio::buffer(storage), info, asio::use_awaitable);
    }
    s.finish();
  };
  auto done = asio::co_spawn(io, work, asio::use_future);
  s.run();
  done.get();
  measured.verify();
}

TEMPLATE_TEST_CASE("memory that was taken for a cancelled operation is given back", "",
                   DGRAM_RECEIVE_OPERATIONS, test::wait_readable)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<asio::io_context::executor_type> b(io.get_executor(), test::protocol_for<TestType>);
  test::allocation_record memory;
  std::size_t live = 1;
  TestType::start(b, asio::bind_allocator(test::recording_allocator<>(memory),
                                          [&](const dgram::error_code& ec, const auto&...) {
                                            REQUIRE(ec == asio::error::operation_aborted);
                                            live = memory.live;
                                          }));
  io.poll();
  REQUIRE(memory.live > 0);
  b.socket->cancel();
  test::run(io);
  REQUIRE(live == 0);
  REQUIRE(memory.live == 0);
}

TEMPLATE_TEST_CASE("a socket that its handler destroys is gone, memory and all", "",
                   DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<asio::io_context::executor_type> b(io.get_executor(), test::protocol_for<TestType>);
  std::size_t released = 0;
  const auto start = [&] {
    TestType::start(b, [&](const dgram::error_code&, const auto&...) {
      const std::size_t before = test::releases();
      b.socket.reset();
      released = test::releases() - before;
    });
  };

  SECTION("when it completed at once")
  {
    TestType::ready(b);
    start();
  }

  SECTION("when it had to wait")
  {
    start();
    io.poll();
    if (b.socket) TestType::ready(b);
  }

  test::run(io);
  REQUIRE_FALSE(b.socket);
  REQUIRE(released > 0);
}

namespace {

/// The sessions of a server that is used, with a batch of each kind of datagram.
struct session_user {
  static constexpr std::uint32_t peers = 3000;

  static asio::ip::udp::endpoint peer(std::uint32_t number)
  {
    return {asio::ip::address_v4(0x0A000000U + number), 4000};
  }

  session_user()
  {
    for (std::uint32_t i = 0; i < 64; ++i)
      batch.store("payload", peer(i * 37 % peers));
  }

  void make_all()
  {
    for (std::uint32_t i = 0; i < peers; ++i)
      static_cast<void>(sessions.route(peer(i)));
  }

  dgram::receive_batch batch{64, 64};
  dgram::session_map<std::uint64_t> sessions{
      {.max_sessions = peers, .when_full = dgram::sessions_full::evict_idlest}};
};

}  // namespace

TEST_CASE("a listener's for_each allocates nothing to receive and to answer", "[sessions]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  asio::io_context io;
  dgram::udp::socket server(io, test::loopback_v4());
  dgram::udp::socket client(io, test::loopback_v4());
  client.connect(server.local_endpoint());
  dgram::listener listener{server, {.coalesce = false}};
  listener.async_for_each(
      [](const dgram::udp::session_ref& from, const dgram::datagram& datagram) {
        from.try_send(datagram.payload());
      },
      [](dgram::error_code) {});
  session s(io);
  meter measured;
  int answers = 2;
  std::function<void()> step = [&] {
    std::array<char, 16> storage;
    while (client.try_receive(asio::buffer(storage)))
      ++answers;
    if (answers == 2) {
      if (!measured.end()) {
        listener.close();
        s.finish();
        return;
      }
      answers = 0;
      measured.begin();
      client.send(asio::buffer("hello", 5));
      client.send(asio::buffer("hello", 5));
    }
    asio::post(io, std::ref(step));
  };
  measured.begin();
  asio::post(io, std::ref(step));
  s.run();
  measured.verify();
}

TEST_CASE("an exchange allocates nothing: its request, a repetition, its answer, and a stray one",
          "[exchanger]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  asio::io_context io;
  dgram::udp::socket server(io, test::loopback_v4());
  dgram::udp::socket socket(io, test::loopback_v4());
  const auto to = server.local_endpoint();
  dgram::exchanger client{
      socket, dgram::same_bytes{0, 2}, {.max_remembered = 4, .coalesce = false}};
  session s(io);
  meter measured;
  int requests = 0;
  int repeated = 0;  // on a busy machine a late repetition takes the place of a lost request
  std::array<char, 16> storage;
  dgram::udp::endpoint sender;
  // Asio keeps two pieces of memory for reuse, and these are for the exchange.
  const auto post = [&](std::function<void()>& step) {
    asio::post(io, asio::bind_allocator(dgram::detail::thread_allocator<>(), std::ref(step)));
  };
  std::function<void()> ask;
  std::function<void()> serve = [&] {
    while (server.try_receive_from(asio::buffer(storage), sender)) {
      if (++requests % 2 != 0) continue;  // the first one is lost
      server.send_to(asio::buffer("stray", 5), sender);
      server.send_to(asio::buffer(storage, 2), sender);
    }
    if (client.outstanding() > 0) post(serve);
  };
  ask = [&] {
    measured.begin();
    client.async_exchange("id", to, {.first_wait = std::chrono::milliseconds(1)},
                          [&](const dgram::error_code& ec, const dgram::answer& answer) {
                            const bool more = measured.end();
                            REQUIRE_FALSE(ec);
                            if (answer.tries() >= 2) ++repeated;
                            if (more)
                              post(ask);
                            else
                              s.finish();
                          });
    post(serve);
  };
  post(ask);
  s.run();
  measured.verify();
  REQUIRE(repeated > 0);
}

/// How many allocations the calls of a function of so many bytes come with.
template <class World, std::size_t Size>
std::size_t allocations_of_calls()
{
  World world;
  int calls = 0;
  world.set([&calls, state = std::array<unsigned char, Size>{}]() mutable {
    ++state.back();
    ++calls;
  });
  const auto call = [&] {
    const int before = calls;
    world.cause([&] { return calls > before; });
  };
  for (int i = 0; i < warm_up; ++i)
    call();
  const std::size_t before = test::allocations();
  for (int i = 0; i < rounds; ++i)
    call();
  return test::allocations() - before;
}

TEMPLATE_TEST_CASE("a call of a function of the program allocates nothing, however large it is",
                   "[functions]", DGRAM_PROGRAM_FUNCTIONS)
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  // What calls the function may allocate, an exception for example, but not for its captures.
  CHECK(allocations_of_calls<TestType, 64>() == allocations_of_calls<TestType, 1>());
}

TEST_CASE("sessions allocate nothing: datagrams, further keys, and sessions that come and go",
          "[sessions]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  session_user user;
  user.make_all();
  bool has_key = true;
  const auto use = [&] {
    for (auto [count, datagram] : user.sessions.route(user.batch))
      *count += datagram.payload().size();
    // One too many evicts another, and the next round the other way round.
    static_cast<void>(user.sessions.route(session_user::peer(session_user::peers)));
    const auto one = user.sessions.find(session_user::peer(session_user::peers));
    has_key = has_key && user.sessions.add_key(one, dgram::session_key("a further key"));
    user.sessions.erase(one);
    user.sessions.expire();
  };
  use();
  const std::size_t before = test::allocations();
  for (int i = 0; i < rounds; ++i)
    use();
  const std::size_t after = test::allocations();
  CHECK(after == before);
  CHECK(has_key);
}

TEST_CASE("sessions of which an allocation fails are whole, and can be made later", "[sessions]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  std::size_t failed = 0;
  for (std::size_t n = 1;; ++n) {
    session_user user;
    std::size_t refused = 0;
    bool was_reached = false;
    {
      const test::failing_allocation failing(n);
      for (std::uint32_t i = 0; i < session_user::peers; ++i) {
        try {
          const auto made = user.sessions.route(session_user::peer(i));
          *made = i;
          if (i % 50 == 0) user.sessions.add_key(made, session_user::peer(100'000 + i));
        } catch (const std::bad_alloc&) {
          ++refused;
        }
      }
      was_reached = failing.has_failed();
    }
    REQUIRE(refused == (was_reached ? 1 : 0));
    const auto counts = user.sessions.statistics();
    // An allocation of a further key costs the key, any other one a session.
    REQUIRE(user.sessions.size() == session_user::peers - counts.failed);
    for (auto session : user.sessions)
      REQUIRE(user.sessions.find(session_user::peer(static_cast<std::uint32_t>(*session))) ==
              session);
    user.make_all();
    REQUIRE(user.sessions.size() == session_user::peers);
    failed += refused;
    if (!was_reached) break;
  }
  CHECK(failed > 10);
}

TEST_CASE("a session's send that finds no memory gives back what the peer may get",
          "[sessions][F3]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  const bool has_options = GENERATE(false, true);
  CAPTURE(has_options);
  std::size_t thrown = 0;
  for (std::size_t n = 1;; ++n) {
    asio::io_context io;
    dgram::udp::socket server{io, test::loopback_v4()};
    dgram::udp::socket client{io, test::loopback_v4()};
    dgram::listener listener{server};
    std::optional<dgram::udp::session> session;
    listener.async_accept([&](dgram::error_code, auto accepted) { session = std::move(accepted); });
    client.send_to(asio::buffer("hello", 5), server.local_endpoint());
    while (!session)
      io.run_one();
    bool was_reached = false;
    bool has_thrown = false;
    {
      const test::failing_allocation failing(n);
      try {
        if (has_options)
          session->try_send("1234567", {.hop_limit = 7});
        else
          session->try_send("1234567");
      } catch (const std::bad_alloc&) {
        has_thrown = true;
      }
      was_reached = failing.has_failed();
    }
    if (!was_reached) break;
    if (!has_thrown) continue;
    ++thrown;
    dgram::error_code ec;
    CHECK_FALSE(session->try_send("1234567890123456", ec));
    CHECK(ec == dgram::error::not_validated);
    CHECK(session->try_send("123456789012345"));
    listener.close();
  }
  CHECK((thrown > 0) == has_options);
}

}  // namespace allocation_test
