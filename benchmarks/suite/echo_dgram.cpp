// SPDX-License-Identifier: BSL-1.0
// Echo servers on dgram.
#include "echo.hpp"
#include "raw.hpp"

#include <dgram.hpp>
#include <dgram/listener.hpp>
#include <dgram/reader.hpp>
#include <dgram/writer.hpp>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>

#include <cstdlib>
#include <thread>
#include <utility>

namespace bench::echo {

namespace {

template <class Socket>
asio::awaitable<void> echo(Socket socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagram = co_await reader.next())
    co_await writer.send(datagram->payload(), datagram->reply_path());
}

asio::awaitable<void> echo_batches(dgram::udp::socket socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagrams = co_await reader.next_batch())
    for (const dgram::datagram& datagram : datagrams)
      if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
}

asio::awaitable<void> echo_in_place(dgram::udp::socket socket, std::size_t slots)
{
  socket.set_option(dgram::option::coalescing(true));
  dgram::receive_batch in{slots};
  dgram::send_batch out{in};
  for (;;) {
    co_await socket.async_receive_batch(in, asio::use_awaitable);
    out.push_replies(in);
    co_await socket.async_send_batch(out, asio::use_awaitable);
  }
}

}  // namespace

void serve_dgram(int fd)
{
  asio::io_context io(1);
  asio::co_spawn(io, echo(dgram::udp::socket(io, dgram::udp::v4(), fd)), asio::detached);
  io.run();
}

void serve_dgram_on_strand(int fd)
{
  asio::io_context io(2);
  const auto strand = asio::make_strand(io);
  asio::co_spawn(strand, echo(dgram::udp::socket(strand, dgram::udp::v4(), fd)), asio::detached);
  std::thread second([&io] { io.run(); });
  io.run();
  second.join();
}

void serve_dgram_batch_loop(int fd)
{
  asio::io_context io(1);
  asio::co_spawn(io, echo_batches(dgram::udp::socket(io, dgram::udp::v4(), fd)), asio::detached);
  io.run();
}

void serve_dgram_emitter(int fd)
{
  asio::io_context io(1);
  // An emitter lets datagrams coalesce on a socket that it opens itself. This one is given.
  raw::set_coalescing(fd, true);
  auto server = dgram::create_socket(io, dgram::udp4);
  server.on<dgram::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    server.send(message, from);
  });
  server.bind({.fd = fd});
  io.run();
}

void serve_dgram_listener(int fd)
{
  asio::io_context io(1);
  dgram::udp::socket socket(io, dgram::udp::v4(), fd);
  using listener = dgram::listener<dgram::udp, dgram::udp::socket::executor_type>;
  listener server(socket);
  server.async_serve(
      [](listener::session_type peer) -> asio::awaitable<void> {
        while (const auto datagram = co_await peer.next())
          co_await peer.send(datagram->payload());
      },
      [](const dgram::error_code& ec) { std::exit(ec ? 1 : 0); });
  io.run();
}

void serve_dgram_in_place(int fd, std::size_t slots)
{
  asio::io_context io(1);
  asio::co_spawn(io, echo_in_place(dgram::udp::socket(io, dgram::udp::v4(), fd), slots),
                 asio::detached);
  io.run();
}

}  // namespace bench::echo
