// SPDX-License-Identifier: BSL-1.0
// What scripts/bench compiles to compare with: an echo server on Asio alone.
#include <asio.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace {

asio::awaitable<void> echo(asio::ip::udp::socket socket)
{
  std::array<char, 2048> buffer;
  asio::ip::udp::endpoint sender;
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
  asio::ip::udp::socket socket(io, {asio::ip::udp::v4(), 7});
  asio::co_spawn(io, echo(std::move(socket)), asio::detached);
  io.run();
}
