// SPDX-License-Identifier: BSL-1.0
// A Unix datagram server that echoes back all messages it receives, to the path of their sender.
//
//   example_dgram_unix_server [--path PATH]      the default is /tmp/dgram_server_sock
//
// Try it with example_dgram_unix_client.

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

int unix_server(example::command_line& words)
{
  std::string server_path = "/tmp/dgram_server_sock";
  words.option("--path", server_path);
  words.finish();

  asio::io_context io;
  auto server = dgram::create_unix_socket(io);

  server.on<dgram::event::message>([&](dgram::bytes_view msg, const auto& rinfo) {
    fmt::print("got: {} from {}\n", example::printable(msg.text()), rinfo);
    if (!rinfo.address.empty()) server.send(msg, rinfo);  // else the sender has no path
  });

  // A client that is gone is none of the server's errors.
  server.on<dgram::event::error>(
      [&](const dgram::failure& failure) { fmt::print(stderr, "{}\n", failure); });

  server.on<dgram::event::listening>(
      [&] { fmt::print("server listening {}\n", server.address().address); });

  server.bind_sync(server_path);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_unix_server [--path PATH]", unix_server);
}
