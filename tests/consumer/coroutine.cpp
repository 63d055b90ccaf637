// SPDX-License-Identifier: BSL-1.0
// A program that includes Asio before dgram, and has a coroutine.

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <dgram/udp.hpp>

namespace {

asio::awaitable<void> open(dgram::udp::socket& socket)
{
  socket.open(dgram::udp::v4());
  co_return;
}

}  // namespace

int main()
{
  asio::io_context io;
  dgram::udp::socket socket{io};
  asio::co_spawn(io, open(socket), asio::detached);
  io.run();
  return socket.is_open() ? 0 : 1;
}
