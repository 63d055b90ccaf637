// SPDX-License-Identifier: BSL-1.0
// Listeners on strands of contexts and pools that several threads run.
#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <asio/bind_executor.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <poll.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace listener_test {

namespace {

constexpr int thread_count = 4;
constexpr int client_count = 6;
constexpr int question_count = 50;

using listener_type = decltype(dgram::listener(std::declval<dgram::udp::socket&>()));

asio::awaitable<void> echo(dgram::udp::session session)
{
  while (const auto datagram = co_await session.next())
    co_await session.send(datagram->payload());
}

/// A client that repeats its question until an answer comes. It has its own strand.
asio::awaitable<void> ask(dgram::udp::socket socket, dgram::udp::endpoint server,
                          std::atomic<int>& answers)
{
  dgram::reader reader{socket};
  for (int i = 0; i < question_count; ++i) {
    const std::string question = std::to_string(i);
    for (bool is_answered = false; !is_answered;) {
      co_await socket.async_send_to(asio::buffer(question), server, asio::use_awaitable);
      dgram::error_code ec;
      const auto answer = co_await reader.next_for(test::seconds(1), ec);
      is_answered = answer && answer->payload().text() == question;
    }
    ++answers;
  }
}

/// A server on a strand, on which it has to be destroyed.
struct server {
  template <class Context>
  explicit server(Context& context)
      : strand(asio::make_strand(context)), socket(strand, test::loopback_v4()), listener(socket)
  {
    asio::co_spawn(
        strand,
        [](server& self) -> asio::awaitable<void> { co_await self.listener.serve(&echo); }(*this),
        [this](const std::exception_ptr& thrown) { ended.set_value(thrown == nullptr); });
  }

  asio::any_io_executor strand;
  dgram::udp::socket socket;
  listener_type listener;
  std::promise<bool> ended;
};

template <class Context>
void ask_from_many(Context& context)
{
  auto echo_server = std::make_unique<server>(context);
  const auto strand = echo_server->strand;
  const auto to = echo_server->socket.local_endpoint();
  std::atomic<int> answers{0};
  std::vector<std::future<void>> clients;
  for (int i = 0; i < client_count; ++i) {
    const asio::any_io_executor own = asio::make_strand(context);
    clients.push_back(asio::co_spawn(
        own, ask(dgram::udp::socket(own, test::loopback_v4()), to, answers), asio::use_future));
  }
  for (auto& each : clients) {
    REQUIRE(each.wait_for(test::seconds(30)) == std::future_status::ready);
    each.get();
  }
  CHECK(answers == client_count * question_count);

  auto ended = echo_server->ended.get_future();
  std::size_t sessions = 0;
  asio::post(strand, [&] {
    sessions = echo_server->listener.size();
    echo_server->listener.stop();
  });
  REQUIRE(ended.wait_for(test::seconds(30)) == std::future_status::ready);
  CHECK(ended.get());
  CHECK(sessions == client_count);
  std::promise<void> destroyed;
  asio::post(strand, [&] {
    echo_server.reset();
    destroyed.set_value();
  });
  destroyed.get_future().wait();
}

struct running_context {
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::vector<std::thread> threads;

  running_context()
  {
    for (int i = 0; i < thread_count; ++i)
      threads.emplace_back([this] { io.run(); });
  }
  running_context(const running_context&) = delete;
  running_context& operator=(const running_context&) = delete;
  ~running_context() { join(); }

  void join()
  {
    work.reset();
    for (auto& each : threads)
      if (each.joinable()) each.join();
  }
};

}  // namespace

TEST_CASE("a listener on a strand serves peers while several threads run the context",
          "[threads][servers]")
{
  running_context context;
  ask_from_many(context.io);
}

TEST_CASE("a listener on a strand of a thread pool serves peers", "[threads][servers]")
{
  asio::thread_pool pool(thread_count);
  ask_from_many(pool);
  pool.join();
}

TEST_CASE(
    "a handler with another executor is called there, and its session is touched by the listener's "
    "alone",
    "[threads][servers]")
{
  constexpr int rounds = 300;
  asio::io_context io;
  asio::thread_pool pool(1);
  dgram::udp::socket socket(io, test::loopback_v4());
  // Room for one answer, so that each other send waits for room.
  dgram::listener_config config;
  config.queue.bytes = 100;
  listener_type listener(socket, config);
  std::optional<dgram::udp::session> session;
  const std::string answer(60, 'a');
  std::atomic<int> received{0};
  std::atomic<int> sent{0};
  std::function<void()> take = [&] {
    for (int i = 0; i < 3; ++i)
      session->async_send(asio::buffer(answer),
                          asio::bind_executor(pool, [&](dgram::error_code ec, std::size_t size) {
                            if (!ec && size == answer.size()) ++sent;
                          }));
    session->async_next(asio::bind_executor(
        pool, [&](dgram::error_code ec, const std::optional<dgram::datagram>& datagram) {
          if (ec || !datagram) return;
          const bool is_last = datagram->payload().text() == "end";
          ++received;
          asio::post(io, [&, is_last] {
            if (!is_last) return take();
            session.reset();
            listener.stop();
          });
        }));
  };
  listener.async_accept([&](dgram::error_code, std::optional<dgram::udp::session> accepted) {
    session = std::move(accepted);
    session->mark_validated();
    take();
  });
  asio::io_context own;
  asio::ip::udp::socket client(own, test::loopback_v4());
  client.connect(socket.local_endpoint());
  std::thread server([&] { io.run_for(test::seconds(60)); });
  std::thread hearing([&] {
    std::string heard(100, 0);
    for (int i = 0; i < 3 * rounds; ++i) {
      pollfd ready{client.native_handle(), POLLIN, 0};
      if (::poll(&ready, 1, 30'000) != 1) return;
      client.receive(asio::buffer(heard));
    }
  });
  const auto wait_for = [&](int datagrams, int answers) {
    const auto limit = std::chrono::steady_clock::now() + test::seconds(30);
    while ((received < datagrams || sent < answers) && std::chrono::steady_clock::now() < limit)
      std::this_thread::yield();
  };
  for (int i = 1; i < rounds; ++i) {
    client.send(asio::buffer("hello", 5));
    wait_for(i - 16, 0);  // more come while the handler runs
  }
  wait_for(rounds - 1, 3 * rounds);
  client.send(asio::buffer("end", 3));
  server.join();
  session.reset();
  pool.join();
  hearing.join();
  CHECK(received == rounds);
  CHECK(sent == 3 * rounds);
}

TEST_CASE("what functions of a listener throw leaves run, and the listener serves the others",
          "[threads][servers]")
{
  struct planned {};
  asio::io_context io;
  const bool on_strand = GENERATE(false, true);
  const asio::any_io_executor executor =
      on_strand ? asio::any_io_executor(asio::make_strand(io)) : io.get_executor();
  dgram::udp::socket socket(executor, test::loopback_v4());
  listener_type listener(socket);
  constexpr std::size_t peers = 7;
  std::size_t calls = 0;
  std::size_t caught = 0;
  std::vector<asio::ip::udp::socket> clients;
  for (std::size_t i = 0; i < peers; ++i) {
    clients.emplace_back(io, test::loopback_v4());
    clients.back().send_to(asio::buffer("hello", 5), socket.local_endpoint());
  }
  const auto hear = [&](std::size_t peer) {
    if (++calls == peers) listener.stop();
    if (peer % 2 == 0) throw planned();
  };
  SECTION("a function that is called with each datagram")
  {
    listener.async_for_each([&](const auto&, const dgram::datagram&) { hear(calls); },
                            [](dgram::error_code) {});
  }
  SECTION("coroutines of sessions")
  {
    listener.async_serve(
        [&](dgram::udp::session session) -> asio::awaitable<void> {
          co_await session.next();
          hear(calls);
        },
        [](dgram::error_code) {});
  }
  SECTION("coroutines of sessions, with a function for that")
  {
    listener.on_failure([&](const std::exception_ptr&) { ++caught; });
    listener.async_serve(
        [&](dgram::udp::session session) -> asio::awaitable<void> {
          co_await session.next();
          hear(calls);
        },
        [](dgram::error_code) {});
  }
  for (bool again = true; again;) {
    again = false;
    try {
      test::run(io);
    } catch (const planned&) {
      ++caught;
      again = true;
    }
  }
  CHECK(calls == peers);
  CHECK(caught == 4);
}

TEST_CASE("listeners on strands of one context may be made and destroyed at the same time",
          "[threads][servers]")
{
  running_context context;
  std::vector<std::future<void>> all;
  for (int i = 0; i < 4; ++i)
    all.push_back(asio::co_spawn(
        asio::make_strand(context.io),
        []() -> asio::awaitable<void> {
          const auto own = co_await asio::this_coro::executor;
          for (int left = 50; left > 0; --left) {
            dgram::udp::socket socket(own, test::loopback_v4());
            listener_type listener(socket);
            listener.async_accept([](dgram::error_code, const auto&) {});
            co_await asio::post(own, asio::use_awaitable);
            listener.close();
            co_await asio::post(own, asio::use_awaitable);
          }
        },
        asio::use_future));
  for (auto& each : all)
    each.get();
}

}  // namespace listener_test
