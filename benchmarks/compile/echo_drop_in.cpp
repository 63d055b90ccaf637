// SPDX-License-Identifier: BSL-1.0
// What scripts/bench compiles: the echo server of Asio, on the socket that stands in for Asio's.
#include <dgram/udp.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace {

asio::awaitable<void> echo(dgram::udp::socket socket)
{
  std::array<char, 2048> buffer;
  dgram::udp::endpoint sender;
  for (;;) {
    const std::size_t size =
        co_await socket.async_receive_from(asio::buffer(buffer), sender, asio::use_awaitable);
    co_await socket.async_send_to(asio::buffer(buffer, size), sender, asio::use_awaitable);
  }
}

}  // namespace

int main()
{
  asio::io_context io;
  dgram::udp::socket socket(io, {dgram::udp::v4(), 7});
  asio::co_spawn(io, echo(std::move(socket)), asio::detached);
  io.run();
}
