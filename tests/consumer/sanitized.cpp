// SPDX-License-Identifier: BSL-1.0
// A user's build with sanitizers and warnings. GCC 12 then takes copies of optionals for uninitialized.
#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <cstdio>

namespace {

asio::awaitable<void> report(dgram::udp::socket& socket)
{
  for (;;) {
    const auto error = co_await socket.async_receive_error(asio::use_awaitable);
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

void send(dgram::udp::socket& socket, const dgram::send_options& options)
{
  const auto peer = socket.local_endpoint();
  socket.send_to(asio::buffer("x", 1), peer, options);
  socket.async_send_to(asio::buffer("x", 1), peer, options, [](auto&&...) {});
  dgram::send_batch batch(4);
  batch.push("x", peer, options);
  batch.push("x", dgram::reply_path{peer});
  socket.send_batch(batch);
  dgram::receive_batch received(4);
  socket.try_receive_batch(received);
  for (const auto& datagram : received)
    socket.send_to(asio::buffer("x", 1), datagram.reply_path());
  while (const auto error = socket.try_receive_error())
    if (error->offender) std::puts(dgram::to_string(*error->offender).c_str());
  if (const auto left = socket.try_send_timestamp()) std::printf("%u\n", left->id);
}

}  // namespace

int main()
{
  asio::io_context io;
  dgram::udp::socket socket(io, {dgram::udp::v4(), 0});
  socket.set_option(dgram::option::receive_error(true));
  asio::co_spawn(io, report(socket), asio::detached);
  asio::co_spawn(io, serve(socket), asio::detached);
  send(socket, {.source = dgram::parse_address("127.0.0.1"), .ecn = dgram::ecn_codepoint::ect_0});
  io.run();
}
