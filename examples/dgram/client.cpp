// SPDX-License-Identifier: BSL-1.0
// Two ways to send one datagram and be done: closing at once, and closing when it has left.
//
//   example_dgram_client [--port N]      the default is 41234, where example_dgram_server listens

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

void close_at_once(dgram::emitter_socket& client, int port)
{
  const std::string_view message = "Some bytes";
  // An address, since closing gives up what still waits for a name to be looked up.
  client.send(message, 0, message.size(), port, "127.0.0.1");
  client.close();
}

void close_when_sent(dgram::emitter_socket& client, int port)
{
  client.send("Some more bytes", port, "localhost", [&](const dgram::failure& failure) {
    if (failure) fmt::print("not sent: {}\n", failure);
    client.close();
  });
}

int client(example::command_line& words)
{
  int port = 41234;
  words.option("--port", port, 1, 65535);
  words.finish();

  asio::io_context io;
  auto first = dgram::create_socket(io, dgram::udp4);
  auto second = dgram::create_socket(io, dgram::udp4);
  close_at_once(first, port);
  close_when_sent(second, port);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_client [--port N]", client);
}
