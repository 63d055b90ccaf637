// SPDX-License-Identifier: BSL-1.0
// A listener and its sessions: accept, serve, next, send, the ends, and the account of loss.
#include <dgram/listener.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a listener serves an echo to several peers")
{
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::listener listener{socket};
  bool served = false;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        co_await listener.serve([](dgram::udp::session session) -> asio::awaitable<void> {
          while (auto datagram = co_await session.next())
            co_await session.send(datagram->payload());
        });
        served = true;
      },
      asio::detached);
  dgram::udp::socket one{io, test::loopback_v4()};
  dgram::udp::socket two{io, test::loopback_v4()};
  one.connect(socket.local_endpoint());
  two.connect(socket.local_endpoint());
  texts seen;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 3; ++i)
          for (auto* peer : {&one, &two}) {
            char data[100];
            const std::string text = std::to_string(i);
            co_await peer->async_send(asio::buffer(text), asio::use_awaitable);
            const std::size_t size =
                co_await peer->async_receive(asio::buffer(data), asio::use_awaitable);
            seen.emplace_back(data, size);
          }
        CHECK(listener.size() == 2);
        listener.stop();
      },
      asio::detached);
  test::run(io);
  CHECK(seen == texts{"0", "0", "1", "1", "2", "2"});
  CHECK(served);
}
