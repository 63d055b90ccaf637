// SPDX-License-Identifier: BSL-1.0
// Bursts of one peer that have more datagrams than its inbox takes.
#include <dgram/listener.hpp>

#include "support/asio.hpp"
#include "support/listener_account.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace listener_burst_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

namespace {

using texts = std::vector<std::string>;
using listener_type = decltype(dgram::listener(std::declval<sim::socket&>()));
using session = listener_type::session_type;

/// A server whose batches have room for a whole burst.
struct burst_scene {
  explicit burst_scene(const dgram::listener_config& config) : listener(server, config) {}
  burst_scene(const burst_scene&) = delete;
  burst_scene& operator=(const burst_scene&) = delete;
  ~burst_scene() { test::check_account(listener); }

  void burst(const std::string& name)
  {
    for (int i = 0; i < 40; ++i)
      send(name + std::to_string(i), client);
  }

  void send(const std::string& text, sim::socket& from)
  {
    from.send_to(asio::buffer(text), server.local_endpoint());
  }

  void run() { net.run_for(1s); }

  texts heard_of(const std::string& name) const
  {
    texts result;
    for (const std::string& one : heard)
      if (one.starts_with(name)) result.push_back(one);
    return result;
  }

  asio::io_context io{1};
  sim::network net{io, {.seed = 1, .delay = 1ms}};
  sim::socket server{net, {"10.0.0.1", 7000}};
  sim::socket client{net, {"10.0.0.2", 0}};
  sim::socket other{net, {"10.0.0.3", 0}};
  listener_type listener;
  texts heard;
};

texts names(const std::string& name)
{
  texts result;
  for (int i = 0; i < 40; ++i)
    result.push_back(name + std::to_string(i));
  return result;
}

asio::awaitable<void> listen(burst_scene& s, session peer)
{
  while (const auto datagram = co_await peer.next())
    s.heard.emplace_back(datagram->payload().text());
}

asio::awaitable<void> accept_all(burst_scene& s)
{
  while (auto accepted = co_await s.listener.accept())
    asio::co_spawn(s.io, listen(s, std::move(*accepted)), asio::detached);
}

asio::awaitable<void> serve_all(burst_scene& s)
{
  co_await s.listener.serve([&s](session peer) { return listen(s, std::move(peer)); });
}

}  // namespace

TEST_CASE("a session that waits loses nothing of a burst that is larger than its inbox")
{
  auto config = GENERATE(dgram::listener_config{.inbox_datagrams = 4},
                         dgram::listener_config{.inbox_bytes = 9});
  config.inbox_when_full = GENERATE(dgram::inbox_full::drop_oldest, dgram::inbox_full::drop_newest);
  const bool by_serve = GENERATE(true, false);
  burst_scene s(config);
  asio::co_spawn(s.io, by_serve ? serve_all(s) : accept_all(s), asio::detached);
  s.burst("a");  // makes the session
  s.run();
  CHECK(s.heard_of("a") == names("a"));
  s.send("x", s.other);
  s.burst("b");
  s.send("y", s.other);
  s.run();
  CHECK(s.heard_of("b") == names("b"));
  CHECK(s.heard_of("x") == texts{"x"});
  CHECK(s.heard_of("y") == texts{"y"});
  CHECK(s.listener.statistics().inbox_full == 0);
}

TEST_CASE("a session that does not wait loses what its inbox has no room for")
{
  burst_scene s({.inbox_datagrams = 4});
  s.listener.async_accept([](dgram::error_code, auto) {});  // its handle is destroyed
  s.send("hello", s.client);
  s.run();
  std::optional<session> kept;
  s.listener.async_accept([&](dgram::error_code, auto accepted) { kept = std::move(accepted); });
  s.burst("a");
  s.run();
  REQUIRE(kept);
  CHECK(kept->statistics().queued == 4);
  CHECK(s.listener.statistics().inbox_full == 36);
}

TEST_CASE("a session may end in the middle of a burst, and the rest is a new session's or unread")
{
  burst_scene s({.inbox_datagrams = 4});
  const bool closes_listener = GENERATE(false, true);
  std::size_t sessions = 0;
  s.listener.async_serve(
      [&](session peer) -> asio::awaitable<void> {
        ++sessions;
        for (int i = 0; i < 6; ++i)
          if (const auto datagram = co_await peer.next())
            s.heard.emplace_back(datagram->payload().text());
        if (closes_listener) s.listener.close();
      },
      [](dgram::error_code) {});
  s.burst("a");
  s.run();
  const auto counts = s.listener.statistics();
  CHECK(counts.received == 40);
  CHECK(counts.handed_over + counts.unread == 40);
  CHECK(counts.handed_over == s.heard.size());
  if (closes_listener)
    CHECK(sessions == 1);
  else
    CHECK(sessions > 1);
}

}  // namespace listener_burst_test
