// SPDX-License-Identifier: BSL-1.0
// Emitters on a simulated network, and names of the network in place of endpoints.
#include <dgram/sim_resolve.hpp>

#include "support/asio.hpp"

#include <dgram.hpp>
#include <dgram/sim_network.hpp>
#include <dgram/sim_socket.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sim_emitter_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;
using dgram::error_code;
using strings = std::vector<std::string>;

namespace {

using emitter = dgram::basic_emitter_socket<sim::socket>;

static_assert(dgram::name_resolver<sim::resolver>);

struct scene {
  asio::io_context io;
  sim::network net{io, {.delay = 10ms}};
  sim::resolver names{net, 40ms};
  std::array<char, 100> room{};

  scene()
  {
    net.add_host("server", {"10.0.0.1", "2001:db8::1"});
    net.add_host("client", {"10.0.0.2"});
  }

  emitter make(dgram::socket_options options = {})
  {
    return emitter(io.get_executor(), &io, std::move(options));
  }
};

/// Counts the lookups that it passes on.
struct counting {
  sim::resolver& names;
  int& count;

  template <class Handler>
  void async_resolve(const std::string& host, const std::string& service, Handler&& handler)
  {
    ++count;
    names.async_resolve(host, service, std::forward<Handler>(handler));
  }
};

std::chrono::milliseconds elapsed()
{
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      sim::clock::now().time_since_epoch());
}

}  // namespace

TEST_CASE("an emitter echoes on a simulated network")
{
  scene s;
  s.net.set_default_host("client");
  auto server = s.make({.type = dgram::udp4});
  auto client = s.make({.type = dgram::udp4});
  strings events;
  server.on<dgram::event::message>([&](dgram::bytes_view text, const dgram::remote_info& from) {
    events.push_back("server: " + std::string(text));
    server.send(text, from);
  });
  client.on<dgram::event::message>([&](dgram::bytes_view text, const dgram::remote_info& from) {
    events.push_back("client: " + std::string(text) + " from " + dgram::to_string(from.address) +
                     " at " + std::to_string(elapsed().count()));
    client.close();
    server.close();
  });
  server.on<dgram::event::close>([&] { events.push_back("closed"); });
  server.bind(7, "10.0.0.1", [&] { client.send("hello", 7, "10.0.0.1"); });
  s.net.run();
  CHECK(events == strings{"server: hello", "client: hello from 10.0.0.1 at 20", "closed"});
}

TEST_CASE("an emitter looks names of the network up, and keeps them by the virtual clock")
{
  scene s;
  s.net.set_default_host("client");
  sim::socket server{s.net, {"server", 7}};
  int lookups = 0;
  counting counted{s.names, lookups};
  auto client = s.make({.type = dgram::udp4, .lookup = std::ref(counted), .lookup_lifetime = 10s});
  const auto send = [&] {
    client.send("x", 7, "server");
    s.net.run();
  };
  send();
  CHECK(lookups == 1);
  CHECK(elapsed() == 50ms);
  s.net.run_for(9s);
  send();
  CHECK(lookups == 1);
  s.net.run_for(2s);
  send();
  CHECK(lookups == 2);
  CHECK(server.statistics().received == 0);
  CHECK(s.net.counters().delivered == 3);
  std::string failure;
  client.on<dgram::event::error>([&](const dgram::failure& why) { failure = why.code.message(); });
  client.send("x", 7, "nobody");
  s.net.run();
  CHECK(failure == error_code(asio::error::host_not_found).message());
  client.close();
  s.net.run();
}

TEST_CASE("an emitter that need not keep the context running waits on a simulated network")
{
  scene s;
  auto server = s.make({.type = dgram::udp4});
  int seen = 0;
  server.on<dgram::event::message>([&](dgram::bytes_view, const dgram::remote_info&) { ++seen; });
  server.bind(7, "10.0.0.1");
  s.net.run();
#if DGRAM_HAS_UNREF
  server.unref();
#endif
  sim::socket client{s.net, {"client", 0}};
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("10.0.0.1"), 7});
  s.net.run();
  CHECK(seen == 1);
#if DGRAM_HAS_UNREF
  server.ref();
#endif
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("10.0.0.1"), 7});
  s.net.run();
  CHECK(seen == 2);
  server.close();
  s.net.run();
}

TEST_CASE("an emitter joins groups of a simulated network and emits path errors")
{
  scene s;
  auto member = s.make({.type = dgram::udp4});
  s.net.set_default_host("server");
  int seen = 0;
  member.on<dgram::event::message>([&](dgram::bytes_view, const dgram::remote_info&) { ++seen; });
  member.bind(5, [&] { member.add_membership("239.1.2.3"); });
  s.net.run();
  sim::socket client{s.net, {"client", 0}};
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("239.1.2.3"), 5});
  s.net.run();
  CHECK(seen == 1);
  member.drop_membership("239.1.2.3");
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("239.1.2.3"), 5});
  s.net.run();
  CHECK(seen == 1);
  member.close();
  auto connected = s.make({.type = dgram::udp4});
  strings errors;
  connected.on<dgram::event::error>(
      [&](const dgram::failure& why) { errors.push_back(why.code.message()); });
  connected.connect(99, "10.0.0.2", [&] { connected.send("x"); });
  s.net.run();
  CHECK(errors == strings{error_code(asio::error::connection_refused).message()});
  connected.close();
  s.net.run();
}

TEST_CASE("operations by name find hosts of the simulated network")
{
  scene s;
  sim::socket server{s.net};
  sim::socket client{s.net, "client"};
  asio::co_spawn(
      s.io,
      [](scene& in, sim::socket& at, sim::socket& from) -> asio::awaitable<void> {
        at.open(dgram::udp::v4());
        co_await dgram::async_bind(at, "server", "7", asio::use_awaitable);
        CHECK(dgram::to_string(at.local_endpoint()) == "10.0.0.1:7");
        CHECK(elapsed() == 0ms);
        co_await dgram::async_connect(from, "server", "7", in.names, asio::use_awaitable);
        CHECK(elapsed() == 40ms);
        CHECK(from.remote_endpoint() == at.local_endpoint());
        co_await dgram::async_send_to(at, asio::buffer("to", 2), "client",
                                      std::to_string(from.local_endpoint().port()), in.names,
                                      asio::use_awaitable);
        CHECK(elapsed() == 80ms);
        const std::size_t size =
            co_await from.async_receive(asio::buffer(in.room), asio::use_awaitable);
        CHECK(size == 2);
        error_code ec;
        co_await dgram::async_send_to(at, asio::buffer("x", 1), "nobody", "7",
                                      asio::redirect_error(asio::use_awaitable, ec));
        CHECK(ec == asio::error::host_not_found);
        co_await dgram::async_send_to(at, asio::buffer("x", 1), "client", "domain",
                                      asio::redirect_error(asio::use_awaitable, ec));
        CHECK(ec == asio::error::service_not_found);
      }(s, server, client),
      [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
      });
  s.net.run();
  CHECK(elapsed() == 90ms);
  std::vector<dgram::udp::endpoint> found;
  s.names.async_resolve("10.9.9.9", "7", [&](error_code ec, const auto& results) {
    CHECK_FALSE(ec);
    found.assign(results.begin(), results.end());
  });
  s.net.run();
  REQUIRE(found.size() == 1);
  CHECK(dgram::to_string(found.front()) == "10.9.9.9:7");
  error_code ended;
  dgram::async_connect(client, "server", "7", s.names, [&](error_code ec) { ended = ec; });
  client.close();
  s.net.run();
  CHECK(ended == asio::error::operation_aborted);
}

TEST_CASE("an emitter's idle time is that of the virtual clock")
{
  scene s;
  auto server = s.make({.type = dgram::udp4});
  std::vector<std::chrono::milliseconds> timeouts;
  server.on<dgram::event::timeout>([&] {
    timeouts.push_back(elapsed());
    server.close();
  });
  server.bind(7, "10.0.0.1");
  server.set_timeout(1h);
  sim::socket client{s.net, {"client", 0}};
  s.net.run_for(30min);
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("10.0.0.1"), 7});
  server.on<dgram::event::message>([](dgram::bytes_view, const dgram::remote_info&) {});
  s.net.run();
  CHECK(timeouts == std::vector<std::chrono::milliseconds>{90min + 10ms});
}

TEST_CASE("a message does not start an idle time that was switched off")
{
  scene s;
  auto server = s.make({.type = dgram::udp4});
  int timeouts = 0;
  int messages = 0;
  server.on<dgram::event::timeout>([&] { ++timeouts; });
  server.on<dgram::event::message>([&] { ++messages; });
  server.bind(7, "10.0.0.1");
  server.set_timeout(1h);
  server.set_timeout(0ms);
  sim::socket client{s.net, {"client", 0}};
  s.net.run_for(1min);
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("10.0.0.1"), 7});
  s.net.run_for(3h);
  CHECK(messages == 1);
  CHECK(timeouts == 0);
  server.set_timeout(1h);
  s.net.run_for(2h);
  CHECK(timeouts > 0);
}

}  // namespace sim_emitter_test
