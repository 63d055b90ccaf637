// SPDX-License-Identifier: BSL-1.0
// Joins a multicast group as soon as the socket is bound, and leaves it with the first message.
//
//   example_dgram_membership [--port N] [--interface ADDRESS]      the default port is 1234

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

int membership(example::command_line& words)
{
  const auto* multicast_address = "224.0.0.114";
  std::string interface;
  int port = 1234;
  while (words.option("--port", port, 0, 65535) || words.option("--interface", interface)) {}
  words.finish();

  asio::io_context io;
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});

  socket.bind(port, [&] {
    // Without an interface the system takes the one that its routes name.
    socket.add_membership(multicast_address, interface);
    fmt::print("joined {} on port {}\n", multicast_address, socket.address().port);
  });

  socket.on<dgram::event::message>([&](dgram::bytes_view msg, const dgram::remote_info& rinfo) {
    fmt::print("Received {} bytes from {}:{}\n", msg.size(), rinfo.address, rinfo.port);
    socket.drop_membership(multicast_address, interface);
    socket.close();
  });

  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_membership [--port N] [--interface ADDRESS]",
                      membership);
}
