// SPDX-License-Identifier: BSL-1.0
// Sends lines to the system's logger over a Unix socket, in the form that syslog(3) sends them in.
//
//   example_syslog_sender [--path PATH] [--priority FACILITY.SEVERITY] [--tag TAG] TEXT...
//
// The defaults are /dev/log, user.notice and "dgram". Each TEXT is one line. No line is lost: if the logger's
// queue is full, the sender waits. Exit code 1 if no socket listens on the path. Try it with
//   example_syslog_collector /tmp/log.sock &
//   example_syslog_sender --path /tmp/log.sock --priority mail.warning "the queue is long"

#include "command_line.hpp"
#include "syslog.hpp"

#include <asio/io_context.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <unistd.h>

#include <ctime>

using dgram::unix_dgram;

namespace {

/// What syslog(3) sends to the local logger: no host name, since it is this host, and no year (RFC 3164).
std::string format_line(int priority, std::string_view tag, std::string_view text)
{
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &local);
  return fmt::format("<{}>{} {}[{}]: {}", priority, stamp, tag, ::getpid(), text);
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_syslog_sender [--path PATH] [--priority FACILITY.SEVERITY] [--tag TAG] TEXT...";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    std::string path = "/dev/log";
    std::string priority = "user.notice";
    std::string tag = "dgram";
    std::vector<std::string> lines;
    while (lines.empty() || !words.empty())
      if (!words.option("--path", path) && !words.option("--priority", priority) &&
          !words.option("--tag", tag))
        lines.emplace_back(words.operand("TEXT"));
    const int number = example::parse_priority(priority);
    const auto logger = dgram::parse_unix_endpoint(path);

    asio::io_context io;
    unix_dgram::socket socket(io, unix_dgram{});
    unix_dgram::send_batch batch({.datagrams = lines.size(), .copy = true});
    for (const auto& line : lines)
      batch.push(format_line(number, tag, line), logger);

    const dgram::send_result result = socket.send_batch(batch);  // blocks; sleeps while it is full
    if (result.error) throw dgram::system_error(result.error, fmt::format("send to {}", logger));
    fmt::print("sent {} lines to {}\n", result.sent, logger);
    return 0;
  });
}
