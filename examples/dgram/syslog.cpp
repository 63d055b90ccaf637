// SPDX-License-Identifier: BSL-1.0
// Sends one message to the syslog daemon's Unix socket.
//
//   example_dgram_syslog [--path PATH]      the default is /dev/log; macOS has /var/run/syslog

#include "../command_line.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

namespace {

int syslog(example::command_line& words)
{
  std::string path = "/dev/log";
  words.option("--path", path);
  words.finish();

  asio::io_context io;
  const std::string_view message = "A message to log.";
  auto client = dgram::create_unix_socket(io);
  client.send(message, 0, message.size(), path,
              [](const dgram::failure& failure, std::size_t bytes) {
                if (failure) throw dgram::system_error(failure.code, failure.text());
                fmt::print("Wrote {} bytes to socket.\n", bytes);
              });
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_syslog [--path PATH]", syslog);
}
