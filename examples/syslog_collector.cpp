// SPDX-License-Identifier: BSL-1.0
// Collects syslog over UDP (RFC 5426) on any number of addresses, from any client of that protocol.
//
//   example_syslog_collector [--count N] [--timeout S] ENDPOINT...
//
// Each line is shown with its sender, its facility and its severity. The collector ends after N
// lines; S seconds after its start, with exit code 1 if fewer than N came; or with SIGINT. Try it
// with the logger(1) of util-linux:
//   example_syslog_collector 127.0.0.1:5140 [::1]:5140 &
//   logger --udp --server ::1 --port 5140 --priority mail.warning "the queue is long"

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <array>
#include <chrono>
#include <csignal>

namespace {

// RFC 5424, section 6.2.1; the names are those that syslog.conf(5) has for them.
constexpr std::array<std::string_view, 24> facilities{
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};
constexpr std::array<std::string_view, 8> severities{"emerg",   "alert",  "crit", "err",
                                                     "warning", "notice", "info", "debug"};

/// "<34>rest" as "auth.crit  rest". A line without a well-formed priority is shown as it is.
std::string decode(std::string_view line)
{
  line = line.substr(0, line.find_last_not_of(std::string_view("\n\0", 2)) + 1);
  unsigned priority = 8 * facilities.size();
  if (line.starts_with('<')) std::from_chars(line.data() + 1, line.data() + line.size(), priority);
  // Compared as text, since "<034>" and "<34" are numbers too, but no priorities.
  const auto prefix = fmt::format("<{}>", priority);
  if (priority >= 8 * facilities.size() || !line.starts_with(prefix))
    return fmt::format("(no priority)  {}", example::printable(line));
  return fmt::format("{}.{}  {}", facilities[priority / 8], severities[priority % 8],
                     example::printable(line.substr(prefix.size())));
}

asio::awaitable<void> collect(asio::io_context& io, dgram::udp::socket& socket, int& heard,
                              int count)
{
  dgram::receive_batch lines{32};
  for (;;) {
    co_await socket.async_receive_batch(lines);
    for (const dgram::datagram& line : lines) {
      fmt::print("{}  {}\n", line.sender(), decode(line.payload().text()));
      ++heard;
    }
    if (count > 0 && heard >= count) io.stop();
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_syslog_collector [--count N] [--timeout S] ENDPOINT...";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    int count = 0;
    int timeout = 0;
    std::vector<asio::ip::udp::endpoint> endpoints;
    while (endpoints.empty() || !words.empty()) {
      if (!words.option("--count", count, 1, 1'000'000) &&
          !words.option("--timeout", timeout, 1, 86400))
        endpoints.push_back(dgram::parse_endpoint(words.operand("ENDPOINT")));
    }

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](dgram::error_code, int) { io.stop(); });
    int heard = 0;
    std::vector<dgram::udp::socket> sockets;
    for (const auto& endpoint : endpoints) {
      // IPv6 only, so that 0.0.0.0:514 and [::]:514 can be served side by side.
      sockets.emplace_back(io, endpoint,
                           dgram::socket_config{.v6_only = endpoint.address().is_v6()});
      fmt::print("listening on {}\n", sockets.back().local_endpoint());
    }
    for (auto& socket : sockets)
      asio::co_spawn(io, collect(io, socket, heard, count), example::rethrow);
    if (timeout > 0)
      io.run_for(std::chrono::seconds(timeout));
    else
      io.run();
    fmt::print("received {} lines\n", heard);
    return heard < count ? 1 : 0;
  });
}
