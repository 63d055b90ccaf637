// SPDX-License-Identifier: BSL-1.0
// An echo server on port 41234 that prints who sent what.

#include <dgram.hpp>
#include <dgram/format.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <exception>
#include <utility>

namespace {

asio::awaitable<void> echo(dgram::udp::socket socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagram = co_await reader.next()) {
    fmt::print("{} bytes from {}\n", datagram->payload().size(), datagram->sender());
    co_await writer.send(datagram->payload(), datagram->reply_path());
  }
}

}  // namespace

int main()
{
  asio::io_context io;
  dgram::udp::socket socket{io, {dgram::udp::v6(), 41234}, {.dual_stack = true}};
  asio::co_spawn(io, echo(std::move(socket)), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  io.run();
}
