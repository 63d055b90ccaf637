// SPDX-License-Identifier: BSL-1.0
// A listener on sockets of the system: executors, threads, families, Unix names, exceptions.
#include <dgram/listener.hpp>

#include "support/asio.hpp"
#include "support/listener_account.hpp"
#include "support/loopback.hpp"
#include "support/system_sockets.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace listener_test {

namespace {

using texts = std::vector<std::string>;
using dgram::error_code;

/// Written for a connected socket.
template <class Socket>
asio::awaitable<void> answer_twice(Socket socket)
{
  std::array<char, 1500> data{};
  for (int i = 0; i < 2; ++i) {
    const std::size_t size = co_await socket.async_receive(asio::buffer(data), asio::use_awaitable);
    co_await socket.async_send(asio::buffer(data, size), asio::use_awaitable);
  }
}

/// A blocking client: sends, and returns the answer.
class client {
public:
  explicit client(const test::endpoint& to, bool v6 = false)
      : socket_(io_, v6 ? test::loopback_v6() : test::loopback_v4())
  {
    socket_.connect(to);
  }

  void send(const std::string& text) { socket_.send(asio::buffer(text)); }

  std::string receive()
  {
    if (!test::await_raw_readable(socket_.native_handle()))
      throw std::runtime_error("no answer came in time");
    std::array<char, 1500> data{};
    const std::size_t size = socket_.receive(asio::buffer(data));
    return {data.data(), size};
  }

  std::string ask(const std::string& text)
  {
    send(text);
    return receive();
  }

  test::endpoint local() const { return socket_.local_endpoint(); }

private:
  asio::io_context io_;
  asio::ip::udp::socket socket_;
};

template <class Session>
asio::awaitable<void> echo(Session peer)
{
  while (auto datagram = co_await peer.next()) {
    if (datagram->payload().text() == "throw") throw std::runtime_error("thrown");
    co_await peer.send(datagram->payload());
  }
}

/// An echo server on an executor, and clients on another thread. Each third client makes its
/// session throw.
template <class Executor, class Run>
void serve_on(const Executor& executor, const Run& run)
{
  constexpr int clients = 9;
  dgram::basic_socket<dgram::udp, Executor> socket(executor, test::loopback_v4());
  dgram::listener listener{socket};
  using session = typename decltype(listener)::session_type;
  std::atomic<int> failures = 0;
  std::atomic<int> answers = 0;
  std::promise<error_code> served;
  auto result = served.get_future();
  listener.on_failure([&](const std::exception_ptr&) { ++failures; });
  listener.async_serve(&echo<session>,
                       asio::bind_executor(executor, [&](error_code ec) { served.set_value(ec); }));
  std::thread others([&, to = socket.local_endpoint()] {
    std::vector<std::unique_ptr<client>> all;
    for (int i = 0; i < clients; ++i)
      all.push_back(std::make_unique<client>(to));
    for (int round = 0; round < 3; ++round)
      for (int i = 0; i < clients; ++i)
        if (i % 3 == 2)
          all[static_cast<std::size_t>(i)]->send("throw");
        else if (all[static_cast<std::size_t>(i)]->ask(std::to_string(i)) == std::to_string(i))
          ++answers;
    asio::post(executor, [&] { listener.stop(); });
  });
  run(result);
  others.join();
  REQUIRE(result.wait_for(test::seconds(10)) == std::future_status::ready);
  CHECK_FALSE(result.get());
  CHECK(answers == 18);
  CHECK(failures > 0);
  test::check_account(listener);
}

void run_until(asio::io_context& io, std::future<error_code>& done)
{
  while (done.wait_for(test::milliseconds(0)) != std::future_status::ready && io.run_one() > 0) {}
}

}  // namespace

TEST_CASE("a listener serves on each executor, and exceptions of sessions end those alone")
{
  asio::io_context io;
  SECTION("any executor of a context")
  {
    serve_on(asio::any_io_executor(io.get_executor()), [&](auto& done) { run_until(io, done); });
  }
  SECTION("a context's own executor")
  {
    serve_on(io.get_executor(), [&](auto& done) { run_until(io, done); });
  }
  SECTION("a strand, with two threads")
  {
    serve_on(asio::make_strand(io), [&](auto& done) {
      std::thread second([&] { run_until(io, done); });
      run_until(io, done);
      io.stop();
      second.join();
    });
  }
  SECTION("an erased strand, with two threads")
  {
    serve_on(asio::any_io_executor(asio::make_strand(io)), [&](auto& done) {
      std::thread second([&] { run_until(io, done); });
      run_until(io, done);
      io.stop();
      second.join();
    });
  }
  SECTION("a strand of a thread pool")
  {
    asio::thread_pool pool(2);
    serve_on(asio::any_io_executor(asio::make_strand(pool)), [&](auto& done) { done.wait(); });
    pool.join();
  }
}

TEST_CASE("an exception of a session's handler leaves the context, and the listener goes on")
{
  asio::io_context io;
  auto strand = asio::make_strand(io);
  const bool on_strand = GENERATE(false, true);
  dgram::udp::socket socket(
      on_strand ? asio::any_io_executor(strand) : asio::any_io_executor(io.get_executor()),
      test::loopback_v4());
  dgram::listener listener{socket};
  std::vector<std::unique_ptr<dgram::udp::session>> sessions;
  int heard = 0;
  std::function<void(error_code, std::optional<dgram::udp::session>)> accept =
      [&](error_code, std::optional<dgram::udp::session> accepted) {
        if (!accepted) return;
        sessions.push_back(std::make_unique<dgram::udp::session>(std::move(*accepted)));
        auto& own = *sessions.back();
        own.async_next([&](error_code, const std::optional<dgram::datagram>& datagram) {
          if (datagram && datagram->payload().text() == "throw") throw std::runtime_error("thrown");
          if (datagram) ++heard;
        });
        listener.async_accept(accept);
      };
  listener.async_accept(accept);
  std::vector<std::unique_ptr<client>> clients;
  for (int i = 0; i < 7; ++i) {
    clients.push_back(std::make_unique<client>(socket.local_endpoint()));
    clients.back()->send(i % 3 == 1 ? "throw" : "fine");
  }
  int thrown = 0;
  while (thrown + heard < 7) {
    try {
      io.restart();
      // Outside of a macro, which would catch the exception.
      const std::size_t ran = io.run_one_for(test::seconds(10));
      REQUIRE(ran == 1);
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  CHECK(thrown == 2);
  CHECK(heard == 5);
  CHECK(sessions.size() == 7);
  test::check_account(listener);
  listener.close();
  test::run(io);
}

TEST_CASE("handlers with another executor run there, and what they got is handed over")
{
  asio::io_context io;
  asio::io_context elsewhere;
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::listener listener{socket};
  client peer(socket.local_endpoint());
  std::optional<dgram::udp::session> session;
  bool in_elsewhere = false;
  listener.async_accept([&](error_code, std::optional<dgram::udp::session> accepted) {
    session = std::move(accepted);
    // Twice, so that one has its datagram at once, and the other has to wait.
    session->try_next();
    session->async_next(
        asio::bind_executor(elsewhere.get_executor(),
                            [&](error_code ec, const std::optional<dgram::datagram>& datagram) {
                              CHECK_FALSE(ec);
                              in_elsewhere = datagram && datagram->payload().text() == "second";
                            }));
  });
  peer.send("first");
  while (!session)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  peer.send("second");
  while (listener.statistics().handed_over + listener.statistics().queued < 2)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  io.poll();
  CHECK_FALSE(in_elsewhere);
  CHECK(elsewhere.poll() > 0);
  CHECK(in_elsewhere);
  test::check_account(listener);
}

TEST_CASE("the context returns when the listener has been stopped and its sessions have ended")
{
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::listener listener{socket};
  SECTION("nothing was ever started")
  {
    test::run(io);
  }
  SECTION("stopped while accept waits")
  {
    listener.async_accept([](error_code, const auto&) {});
    io.poll();
    asio::post(io, [&] { listener.stop(); });
    test::run(io);
  }
  SECTION("closed with a session")
  {
    client peer(socket.local_endpoint());
    std::optional<dgram::udp::session> session;
    listener.async_accept([&](error_code, auto accepted) {
      session = std::move(accepted);
      listener.close();
    });
    peer.send("hello");
    test::run(io);
    CHECK(session->ended() == dgram::session_end::stopped);
  }
}

TEST_CASE(
    "a dual-stack listener tells peers of both families apart, and answers from where it was asked")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  dgram::udp::socket socket{io, dgram::udp::any(0)};
  dgram::listener listener{socket};
  const std::uint16_t port = socket.local_endpoint().port();
  listener.async_serve(&echo<dgram::udp::session>, [](error_code) {});
  client v4(test::loopback_v4(port));
  client v6(test::loopback_v6(port), true);
  // Connected sockets only take answers from the address that they have asked.
  client other(test::endpoint(asio::ip::make_address("127.0.0.2"), port));
  v4.send("four");
  v6.send("six");
  other.send("two");
  while (listener.statistics().sending.sent < 3)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  CHECK(v4.receive() == "four");
  CHECK(v6.receive() == "six");
  CHECK(other.receive() == "two");
  CHECK(listener.size() == 3);
  CHECK(listener.find(v4.local()));
  CHECK(listener.find(v6.local()));
  test::check_account(listener);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("Unix peers with names have sessions, and others are unkeyed")
{
  const test::temporary_directory directory;
  asio::io_context io;
  dgram::unix_dgram::socket socket{io, directory / "server"};
  dgram::listener listener{socket};
  listener.async_serve(&echo<dgram::unix_dgram::session>, [](error_code) {});
  dgram::unix_dgram::socket named{io, directory / "client"};
  dgram::unix_dgram::socket unnamed{io, dgram::unix_dgram{}};
  named.connect(socket.local_endpoint());
  unnamed.connect(socket.local_endpoint());
  unnamed.send(asio::buffer("nobody", 6));
  named.send(asio::buffer("hello", 5));
  while (listener.statistics().sending.sent < 1)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  std::array<char, 99> data{};
  CHECK(named.receive(asio::buffer(data)) == 5);
  CHECK(listener.statistics().unkeyed == 1);
  CHECK(listener.size() == 1);
  test::check_account(listener);
}

TEST_CASE("a send to a full Unix peer waits for room, and a cancelled one sends nothing")
{
  const test::temporary_directory directory;
  asio::io_context io;
  dgram::unix_dgram::socket socket{io, directory / "server"};
  dgram::listener listener{
      socket,
      {.amplification = 0, .queue = {.datagrams = 2, .when_peer_full = dgram::full_policy::wait}}};
  dgram::unix_dgram::socket peer{io, directory / "client"};
  peer.connect(socket.local_endpoint());
  peer.send(asio::buffer("hello", 5));
  std::optional<dgram::unix_dgram::session> session;
  listener.async_accept([&](error_code, auto accepted) { session = std::move(accepted); });
  while (!session)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  error_code ec;
  std::size_t queued = 0;
  for (; session->try_send(std::to_string(queued), ec); ++queued)
    io.poll();
  CHECK(ec == asio::error::would_block);
  CHECK(session->statistics().refused == 1);
  int sent = 0;
  int cancelled = 0;
  asio::cancellation_signal signal;
  session->async_send(asio::buffer("waits", 5), [&](error_code why, std::size_t size) {
    CHECK_FALSE(why);
    CHECK(size == 5);
    ++sent;
  });
  session->async_send(asio::buffer("never", 5),
                      asio::bind_cancellation_slot(signal.slot(), [&](error_code why, std::size_t) {
                        CHECK(why == asio::error::operation_aborted);
                        ++cancelled;
                      }));
  io.poll();
  CHECK(sent == 0);
  signal.emit(asio::cancellation_type::total);
  while (cancelled == 0)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  texts arrived;
  dgram::unix_dgram::receive_batch batch{64};
  while (arrived.size() <= queued) {
    while (peer.try_receive_batch(batch))
      for (const dgram::unix_dgram::datagram& datagram : batch)
        arrived.emplace_back(datagram.payload().text());
    io.run_one_for(test::milliseconds(50));
  }
  CHECK(sent == 1);
  CHECK(arrived.back() == "waits");
}

#endif

TEST_CASE(
    "one protocol template runs on sockets of Asio, of the library, of the simulation and on "
    "sessions")
{
  asio::io_context io;
  bool done = false;
  const auto spawn = [&](asio::awaitable<void> protocol) {
    asio::co_spawn(io, std::move(protocol), [&](const std::exception_ptr& thrown) {
      CHECK_FALSE(thrown);
      done = true;
    });
  };
  const auto ask = [](auto& from) {
    from.send(asio::buffer("one", 3));
    from.send(asio::buffer("two", 3));
  };
  SECTION("asio::ip::udp::socket")
  {
    asio::ip::udp::socket one(io, test::loopback_v4());
    asio::ip::udp::socket two(io, test::loopback_v4());
    one.connect(two.local_endpoint());
    two.connect(one.local_endpoint());
    ask(two);
    spawn(answer_twice(std::move(one)));
    test::run(io);
  }
  SECTION("dgram::udp::socket")
  {
    dgram::udp::socket one(io, test::loopback_v4());
    dgram::udp::socket two(io, test::loopback_v4());
    one.connect(two.local_endpoint());
    two.connect(one.local_endpoint());
    ask(two);
    spawn(answer_twice(std::move(one)));
    test::run(io);
  }
  SECTION("dgram::sim::socket")
  {
    dgram::sim::network net(io);
    dgram::sim::socket one(net, {"10.0.0.1", 1});
    dgram::sim::socket two(net, {"10.0.0.2", 2});
    one.connect(two.local_endpoint());
    two.connect(one.local_endpoint());
    ask(two);
    spawn(answer_twice(std::move(one)));
    net.run();
  }
  SECTION("a session")
  {
    dgram::udp::socket one(io, test::loopback_v4());
    dgram::udp::socket two(io, test::loopback_v4());
    two.connect(one.local_endpoint());
    ask(two);
    dgram::listener listener{one};
    listener.async_accept([&](error_code, std::optional<dgram::udp::session> accepted) {
      spawn(answer_twice(std::move(*accepted)));
      listener.async_accept([](error_code, const auto&) {});
    });
    while (!done)
      REQUIRE(io.run_one_for(test::seconds(10)) == 1);
    std::array<char, 9> data{};
    CHECK(two.receive(asio::buffer(data)) == 3);
    CHECK(two.receive(asio::buffer(data)) == 3);
  }
  CHECK(done);
}

}  // namespace listener_test
