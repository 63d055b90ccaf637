// SPDX-License-Identifier: BSL-1.0
// What scripts/bench compiles: an echo server on the event emitter.
#include <dgram.hpp>

#include <asio/io_context.hpp>

int main()
{
  asio::io_context io;
  auto server = dgram::create_socket(io, dgram::udp4);
  server.on<dgram::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    server.send(message, from);
  });
  server.on<dgram::event::error>([&](const dgram::failure&) { server.close(); });
  server.bind(7);
  io.run();
}
