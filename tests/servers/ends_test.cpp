// SPDX-License-Identifier: BSL-1.0
// What waits in a listener or a session when something ends, or nothing listens for a while.
#include "servers/world.hpp"

using namespace servers;

TEST_CASE("datagrams that come between two async_for_each come first in the next one", "[servers]")
{
  on_seeds(25, "between-two", [](std::uint64_t seed) {
    world w({.slots = 4}, {}, {.seed = seed, .keep_order = true});
    texts seen;
    const auto listen = [&] {
      w.listener->async_for_each(
          [&](const auto&, const dgram::datagram& received) {
            seen.emplace_back(received.payload().text());
          },
          [](error_code) {});
    };
    texts sent;
    const auto send = [&](std::size_t count) {
      for (; count > 0; --count) {
        sent.push_back(std::to_string(sent.size()));
        w.send(sent.back());
      }
    };
    for (int round = 0; round < 4; ++round) {
      listen();
      send(1 + seed % 7);
      w.run(10ms);
      require(seen == sent, "a datagram is missing, or out of order");
      w.listener->cancel();
      send(seed % 5);
      w.run(10ms);
      send(seed % 3);  // arrives after the next one has begun
    }
    require_balance(*w.listener);
  });
}

TEST_CASE(
    "a send that waits for room when the listener or socket closes says that the session ended",
    "[servers]")
{
  world w({.queue = {.datagrams = 1}});
  std::size_t blocked = 0;
  std::size_t failed = 0;
  bool served = false;
  w.listener->on_failure([&](const std::exception_ptr&) { ++failed; });
  w.spawn([](world& on, std::size_t& waiting, bool& ended) -> asio::awaitable<void> {
    co_await on.listener->serve([&](session own) -> asio::awaitable<void> {
      own.mark_validated();
      const auto datagram = co_await own.next();
      on.net.pause("10.0.0.1");  // nothing leaves
      ++waiting;
      for (int i = 0; i < 10; ++i)
        co_await own.send(datagram->payload());
      --waiting;
    });
    ended = true;
  }(w, blocked, served));
  w.run(1ms);
  for (std::size_t i = 0; i < 3; ++i)
    w.send("hello", i);
  w.run();
  CHECK(blocked == 3);
  SECTION("the listener is closed")
  {
    w.listener->close();
  }
  SECTION("the listener is destroyed")
  {
    w.listener.reset();
  }
  SECTION("the socket is closed")
  {
    w.server.close();
  }
  w.run();
  CHECK(failed == 0);
  CHECK(served);
}
