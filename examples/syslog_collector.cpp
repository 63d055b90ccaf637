// SPDX-License-Identifier: BSL-1.0
// Collects syslog over UDP (RFC 5426) and over Unix sockets, from any client of either.
//
//   example_syslog_collector [--count N] [--timeout S] ENDPOINT|PATH...
//
// What has a slash is the path of a Unix socket, and "@name" is one in Linux' abstract namespace.
// Each line is shown with its sender, its facility and its severity. The collector ends after N
// lines; S seconds after its start, with exit code 1 if fewer than N came; or with SIGINT. Try it
// with the logger(1) of util-linux:
//   example_syslog_collector 127.0.0.1:5140 [::1]:5140 &
//   logger --udp --server ::1 --port 5140 --priority mail.warning "the queue is long"
// or, where it listens on /tmp/log.sock, with
//   logger --socket /tmp/log.sock --priority mail.warning "the queue is long"

#include "command_line.hpp"
#include "syslog.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <deque>

namespace {

struct count {
  int wanted = 0;  // 0: any number
  int heard = 0;
};

template <class Protocol>
asio::awaitable<void> collect(asio::io_context& io, dgram::basic_socket<Protocol>& socket,
                              count& lines)
{
  dgram::basic_receive_batch<Protocol> batch{32};
  for (;;) {
    co_await socket.async_receive_batch(batch);
    for (const auto& line : batch) {
      fmt::print("{}  {}\n", line.sender(), example::decode_syslog(line.payload().text()));
      ++lines.heard;
    }
    if (lines.wanted > 0 && lines.heard >= lines.wanted) io.stop();
  }
}

template <class Protocol>
void listen(asio::io_context& io, dgram::basic_socket<Protocol>& socket, count& lines)
{
  fmt::print("listening on {}\n", socket.local_endpoint());
  asio::co_spawn(io, collect(io, socket, lines), example::rethrow);
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_syslog_collector [--count N] [--timeout S] ENDPOINT|PATH...";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    count lines;
    int timeout = 0;
    std::vector<asio::ip::udp::endpoint> endpoints;
    std::vector<asio::local::datagram_protocol::endpoint> paths;
    while ((endpoints.empty() && paths.empty()) || !words.empty()) {
      if (words.option("--count", lines.wanted, 1, 1'000'000) ||
          words.option("--timeout", timeout, 1, 86400))
        continue;
      const auto where = words.operand("ENDPOINT");
      if (where.find('/') != std::string_view::npos || where.starts_with('@'))
        paths.push_back(dgram::parse_unix_endpoint(where));
      else
        endpoints.push_back(dgram::parse_endpoint(where));
    }

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](dgram::error_code, int) { io.stop(); });
    std::deque<dgram::udp::socket> udp_sockets;  // a deque leaves them where they are
    for (const auto& endpoint : endpoints)
      // IPv6 only, so that 0.0.0.0:514 and [::]:514 can be served side by side.
      listen(io,
             udp_sockets.emplace_back(io, endpoint,
                                      dgram::socket_config{.v6_only = endpoint.address().is_v6()}),
             lines);
    std::deque<dgram::unix_dgram::socket> unix_sockets;  // their files are gone at the end
    for (const auto& path : paths)
      listen(io, unix_sockets.emplace_back(io, path), lines);
    if (timeout > 0)
      io.run_for(std::chrono::seconds(timeout));
    else
      io.run();
    fmt::print("received {} lines\n", lines.heard);
    return lines.heard < lines.wanted ? 1 : 0;
  });
}
