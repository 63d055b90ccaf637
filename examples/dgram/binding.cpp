// SPDX-License-Identifier: BSL-1.0
// The forms of bind: with options, with a port and a callback, and with nothing but a listener.
//
//   example_dgram_binding [--exclusive-port N] [--port N]      the defaults are 8000 and 12345

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

int binding(example::command_line& words)
{
  int exclusive_port = 8000;
  int port = 12345;
  while (words.option("--exclusive-port", exclusive_port, 0, 65535) ||
         words.option("--port", port, 0, 65535)) {}
  words.finish();

  asio::io_context io;
  auto first = dgram::create_socket(io, dgram::udp4);
  first.on<dgram::event::listening>([&] {
    const auto address = first.address();
    fmt::print("Addr: {} port: {}\n", address.address, address.port);
    first.close([] { fmt::print("Socket is closed\n"); });
    fmt::print("Close!\n");
  });
  first.bind({.port = exclusive_port, .address = "localhost", .exclusive = true});

  auto second = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});
  second.bind(port, [&] {
    fmt::print("Listening for packets\n");
    second.close();
  });

  auto third = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});
  third.bind({.port = port}, [&] {
    fmt::print("Listening for packets too\n");
    third.close();
  });

  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_binding [--exclusive-port N] [--port N]", binding);
}
