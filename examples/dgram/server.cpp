// SPDX-License-Identifier: BSL-1.0
// The server that opens the documentation of Node's dgram, and of those who followed it.
//
//   example_dgram_server [--port N]      the default is 41234
//
// Try it with example_dgram_client.

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

int server(example::command_line& words)
{
  int port = 41234;
  words.option("--port", port, 0, 65535);
  words.finish();

  asio::io_context io;
  auto server = dgram::create_socket(io, dgram::udp4);

  server.on<dgram::event::error>([&](const dgram::failure& failure) {
    fmt::print("server error: {}\n", failure);
    server.close();
  });

  server.on<dgram::event::message>([&](dgram::bytes_view msg, const dgram::remote_info& rinfo) {
    fmt::print("server got: {} from {}:{}\n", example::printable(msg.text()), rinfo.address,
               rinfo.port);
  });

  server.on<dgram::event::listening>([&] {
    const auto address = server.address();
    fmt::print("server listening {}:{}\n", address.address, address.port);
  });

  server.bind(port);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_server [--port N]", server);
}
