// SPDX-License-Identifier: BSL-1.0
// Says something to example_dgram_unix_server, and shows the answer. Only a socket that is bound to a
// path of its own can be answered.
//
//   example_dgram_unix_client [--path PATH] [--server PATH]

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>

namespace {

int unix_client(example::command_line& words)
{
  std::string client_path = "/tmp/dgram_client_sock";
  std::string server_path = "/tmp/dgram_server_sock";
  while (words.option("--path", client_path) || words.option("--server", server_path)) {}
  words.finish();

  asio::io_context io;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto message =
      fmt::format("A message at {}", std::chrono::duration_cast<std::chrono::seconds>(now).count());
  auto client = dgram::create_unix_socket(io);

  client.on<dgram::event::message>([&](dgram::bytes_view msg, const auto& rinfo) {
    fmt::print("got: {} from {}\n", example::printable(msg.text()), rinfo.address);
    client.close();
  });

  client.on<dgram::event::listening>([&] {
    fmt::print("client listening {}\n", client.address().address);
    client.send(message, 0, message.size(), server_path);
  });

  client.bind(client_path);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_unix_client [--path PATH] [--server PATH]",
                      unix_client);
}
