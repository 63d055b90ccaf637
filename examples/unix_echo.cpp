// SPDX-License-Identifier: BSL-1.0
// Echo over Unix datagrams, both sides: a server on a path, and a client that asks it.
//
//   example_unix_echo PATH                              the server, until SIGINT or SIGTERM
//   example_unix_echo PATH TEXT... [--timeout MS]       the client: one reply for each TEXT
//
// "@name" is a name in Linux' abstract namespace, for which there is no file. The client lets the kernel choose such a
// name for itself: an unbound socket has no address that a reply could go to. It ends with exit code 1 where
// a reply does not come within MS milliseconds (1000). Try it with
//   example_unix_echo /tmp/echo.sock &
//   example_unix_echo /tmp/echo.sock hello "and again"

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>

using dgram::unix_dgram;

namespace {

asio::awaitable<void> serve(unix_dgram::socket& socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  writer.on_error([](dgram::error_code ec, const auto& peer, std::size_t) {
    fmt::print(stderr, "no reply to {}: {}\n", peer, ec.message());
  });
  while (auto datagram = co_await reader.next()) {
    if (dgram::is_unnamed(datagram->sender()))
      fmt::print(stderr, "a datagram from nobody, who cannot be replied to\n");
    else
      co_await writer.send(datagram->payload(), datagram->sender());
  }
}

asio::awaitable<void> ask(unix_dgram::socket& socket, const std::vector<std::string_view>& texts,
                          std::chrono::milliseconds timeout, std::size_t& answered)
{
  dgram::reader reader{socket};
  for (const auto text : texts) {
    co_await socket.async_send(asio::buffer(text), asio::use_awaitable);
    const auto reply = co_await reader.next_for(timeout);
    if (!reply) co_return;
    fmt::print("{}\n", example::printable(reply->payload().text()));
    ++answered;
  }
}

int run_server(asio::io_context& io, const asio::local::datagram_protocol::endpoint& path)
{
  // The file is made here, also in place of a stale one, and is gone when the socket is closed.
  unix_dgram::socket socket(io, path);
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](dgram::error_code, int) { socket.close(); });
  fmt::print("listening on {}\n", socket.local_endpoint());
  asio::co_spawn(io, serve(socket), example::rethrow);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_unix_echo PATH [TEXT... [--timeout MS]]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto path = dgram::parse_unix_endpoint(words.operand("PATH"));
    int timeout = 1000;
    std::vector<std::string_view> texts;
    while (!words.empty())
      if (!words.option("--timeout", timeout, 1, 3'600'000)) texts.push_back(words.operand("TEXT"));

    asio::io_context io;
    if (texts.empty()) return run_server(io, path);
    unix_dgram::socket socket(io, unix_dgram::socket::endpoint_type());  // the kernel chooses
    socket.connect(path);
    std::size_t answered = 0;
    asio::co_spawn(io, ask(socket, texts, std::chrono::milliseconds(timeout), answered),
                   example::rethrow);
    io.run();
    if (answered < texts.size()) fmt::print(stderr, "no reply from {}\n", path);
    return answered < texts.size() ? 1 : 0;
  });
}
