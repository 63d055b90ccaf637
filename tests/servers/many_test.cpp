// SPDX-License-Identifier: BSL-1.0
// As many sessions with coroutines as a busy server has: they come and go, and all end at once.
#include "servers/world.hpp"

#include <cstring>

namespace many_test {

using namespace servers;

namespace {

constexpr std::uint32_t usual_count = 100'000;

/// DGRAM_SERVER_SESSIONS sets another number, for a run by hand.
std::uint32_t session_count()
{
  return static_cast<std::uint32_t>(number_of_environment("DGRAM_SERVER_SESSIONS", usual_count));
}

/// One client has all the sessions, by the number in its datagrams.
struct crowd : world {
  explicit crowd(std::uint32_t number)
      : world({.idle_timeout = 60s,
               .max_sessions = number,
               .max_unaccepted = number,
               .slots = 256,
               .yield_after = 1024},
              [](const dgram::datagram& received) {
                return dgram::session_key::at(received.payload(), 0, 4);
              }),
        count(number)
  {
    listener->on_end([this](dgram::session_id, const auto&, session_end) { ++ended; });
    spawn([](crowd& on) -> asio::awaitable<void> {
      co_await on.listener->serve(
          [&on](session own) -> asio::awaitable<void> { return on.live(std::move(own)); });
      on.is_served = true;
    }(*this));
    run(1ms);
  }

  /// Goes when its datagram says so, and else stays until the session ends.
  asio::awaitable<void> live(session own)
  {
    struct alive {
      std::uint32_t& number;
      explicit alive(std::uint32_t& of) : number(of) { ++number; }
      alive(const alive&) = delete;
      alive& operator=(const alive&) = delete;
      ~alive() { --number; }
    } const here(living);
    while (const auto datagram = co_await own.next()) {
      ++heard;
      if (datagram->payload().size() > 4) co_return;
    }
  }

  void send_as(std::uint32_t number, bool is_last)
  {
    char text[5] = {};
    std::memcpy(text, &number, 4);
    send({text, is_last ? 5U : 4U}, 0);
    if (++sent % 200 == 0) run(2ms);
  }

  std::uint32_t count;
  std::uint32_t living = 0;
  std::uint64_t heard = 0;
  std::uint64_t sent = 0;
  std::uint64_t ended = 0;
  bool is_served = false;
};

}  // namespace

TEST_CASE("100,000 sessions with coroutines come and go, and end as idle at once", "[servers]")
{
  const std::uint32_t count = session_count();
  crowd all(count);
  for (std::uint32_t i = 0; i < count; ++i)
    all.send_as(i, false);
  all.run(5ms);
  CHECK(all.living == count);

  // Every other one goes, and comes again as a new session.
  for (const bool is_last : {true, false})
    for (std::uint32_t i = 0; i < count; i += 2)
      all.send_as(i, is_last);
  all.run(5ms);
  CHECK(all.living == count);
  CHECK(all.heard == all.sent);
  CHECK(all.listener->statistics().created == count + (count + 1) / 2);
  require_balance(*all.listener);

  all.run(200s);
  CHECK(all.living == 0);
  CHECK(all.listener->size() == 0);
  CHECK(all.ended == all.listener->statistics().created);
  CHECK(all.listener->statistics().idle == count);
  CHECK_FALSE(all.is_served);
  all.listener->stop();
  all.run();
  CHECK(all.is_served);
  require_balance(*all.listener);
}

TEST_CASE("a close ends a crowd of sessions that wait, each once", "[servers]")
{
  const std::uint32_t count = session_count() / 10;
  crowd all(count);
  for (std::uint32_t i = 0; i < count; ++i)
    all.send_as(i, false);
  all.run(5ms);
  CHECK(all.living == count);
  SECTION("close")
  {
    all.listener->close();
  }
  SECTION("stop")
  {
    all.listener->stop();
  }
  SECTION("the end of the socket")
  {
    all.server.close();
  }
  all.run();
  CHECK(all.living == 0);
  CHECK(all.ended == count);
  CHECK(all.is_served);
  CHECK(all.listener->statistics().stopped == count);
  require_balance(*all.listener);
}

TEST_CASE("a context that is destroyed releases a crowd of coroutines that wait", "[servers]")
{
  std::optional<crowd> all(session_count() / 10);
  for (std::uint32_t i = 0; i < all->count; ++i)
    all->send_as(i, false);
  all->run(5ms);
  CHECK(all->living == all->count);
  // Under a sanitizer, what is left would be reported as a leak.
  all.reset();
}

}  // namespace many_test
