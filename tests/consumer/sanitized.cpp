// SPDX-License-Identifier: BSL-1.0
// A user's build with sanitizers and warnings, in which GCC 12 takes copies of optionals for uninitialized.
#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <cstdio>

namespace {

asio::awaitable<void> report(dgram::udp::socket& socket)
{
  for (;;) {
    const auto error = co_await socket.async_receive_error(asio::use_awaitable);
    std::printf("%d\n", error.code.value());
    if (error.offender) std::puts(dgram::to_string(*error.offender).c_str());
  }
}

asio::awaitable<void> serve(dgram::udp::socket& socket)
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
  dgram::udp::socket socket(io, {dgram::udp::v4(), 0});
  socket.set_option(dgram::option::receive_error(true));
  asio::co_spawn(io, report(socket), asio::detached);
  asio::co_spawn(io, serve(socket), asio::detached);
  const auto left = socket.try_send_timestamp();
  dgram::send_batch batch(4);
  batch.push("x", socket.local_endpoint());
  socket.send_batch(batch);
  io.run();
  return left ? 1 : 0;
}
