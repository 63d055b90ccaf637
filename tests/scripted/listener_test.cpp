// SPDX-License-Identifier: BSL-1.0
// A listener whose receives fail: which errors it survives, and which end it.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <asio/co_spawn.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using test::fail;
using test::script;
using strings = std::vector<std::string>;

struct serving : test::scripted {
  serving()
  {
    listener.on_end(
        [&](dgram::session_id, const auto&, dgram::session_end why) { ends.push_back(why); });
    listener.async_serve(
        [&](dgram::udp::session session) -> asio::awaitable<void> {
          while (auto datagram = co_await session.next())
            heard.emplace_back(datagram->payload().text());
        },
        [&](dgram::error_code ec) { served = ec; });
  }

  void send() { peer.send_numbers(1, socket.local_endpoint()); }

  /// Runs until so many datagrams were heard, or the listener has ended.
  void run_until_heard(std::size_t count)
  {
    io.restart();
    while (heard.size() < count && !served && io.run_one_for(test::seconds(10)) > 0) {}
  }

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::listener<dgram::udp, asio::any_io_executor> listener{socket};
  strings heard;
  std::vector<dgram::session_end> ends;
  std::optional<dgram::error_code> served;
};

}  // namespace

TEST_CASE_METHOD(serving, "an error that a peer can cause ends no session of a listener",
                 "[listener]")
{
  const int error = GENERATE(ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE, ENOMEM, ENOBUFS);
  const unsigned times = GENERATE(1U, 3U);
  send();
  run_until_heard(1);
  REQUIRE(heard.size() == 1);

  script.receive().push(fail(error), times);
  send();
  run_until_heard(2);
  CHECK(heard.size() == 2);
  CHECK(listener.size() == 1);
  CHECK(ends.empty());
  CHECK(listener.statistics().receive_errors == times);
  CHECK_FALSE(served);
}

TEST_CASE_METHOD(serving, "an error of the socket itself ends a listener and says which",
                 "[listener]")
{
  send();
  run_until_heard(1);
  script.receive().push(fail(ENOTCONN));
  send();
  io.restart();
  while (!served && io.run_one_for(test::seconds(10)) > 0) {}
  io.poll();
  REQUIRE(served);
  CHECK(*served == asio::error::not_connected);
  CHECK(ends == std::vector{dgram::session_end::socket_error});
  CHECK(listener.size() == 0);
}
