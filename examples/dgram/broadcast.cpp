// SPDX-License-Identifier: BSL-1.0
// Sets the options that say how far a datagram reaches, and sends one to all hosts.
//
//   example_dgram_broadcast [--port N] [--to ADDRESS]      the defaults are 41237 and 255.255.255.255

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

int broadcast(example::command_line& words)
{
  std::string broadcast_address = "255.255.255.255";
  int port = 41237;
  while (words.option("--port", port, 1, 65535) || words.option("--to", broadcast_address)) {}
  words.finish();

  asio::io_context io;
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});

  socket.bind([&] {
    socket.set_broadcast(true);
    socket.set_ttl(64);
    socket.set_multicast_ttl(1);
    socket.set_multicast_loopback(true);
    socket.send("Hello, everybody", port, broadcast_address,
                [&](const dgram::failure& failure, std::size_t bytes) {
                  if (failure)
                    fmt::print("{}\n", failure);
                  else
                    fmt::print("sent {} bytes\n", bytes);
                  socket.close();
                });
  });

  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_broadcast [--port N] [--to ADDRESS]", broadcast);
}
