// SPDX-License-Identifier: BSL-1.0
// What scripts/bench compiles: the same echo server on dgram.
#include <dgram.hpp>
#include <dgram/reader.hpp>
#include <dgram/writer.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <utility>

namespace {

asio::awaitable<void> echo(dgram::udp::socket socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagram = co_await reader.next())
    co_await writer.send(datagram->payload(), datagram->reply_path());
}

}  // namespace

int main()
{
  asio::io_context io;
  dgram::udp::socket socket(io, {dgram::udp::v4(), 7});
  asio::co_spawn(io, echo(std::move(socket)), asio::detached);
  io.run();
}
