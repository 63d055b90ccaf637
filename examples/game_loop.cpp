// SPDX-License-Identifier: BSL-1.0
// A game server: a state for each player, and a loop that tells every player the news at a fixed
// rate. The server itself is in game.hpp.
//
//   example_game_loop [--rate TICKS] [--idle MS] [--players N] [ADDRESS:PORT]
//
// It prints "listening on ADDRESS:PORT" and serves until SIGINT or SIGTERM. The default is any free
// port of loopback, 20 ticks a second, and at most 10,000 players. A player leaves after 5 seconds
// without a word. Try it with
//   example_client ADDRESS:PORT 'join ann'
// simulated_game.cpp lets 10,000 players play with the same server.

#include "command_line.hpp"
#include "game.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_game_loop [--rate TICKS] [--idle MS] [--players N] [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    auto local = dgram::parse_endpoint("127.0.0.1:0");
    int rate = 20;
    int idle = 5000;
    std::size_t players = 10'000;
    words.option("--rate", rate, 1, 1000);
    words.option("--idle", idle, 1, 3'600'000);
    words.option("--players", players, 1, 1'000'000);
    if (!words.empty()) local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    asio::io_context io;
    dgram::udp::socket socket(io, local);
    example::game server(
        socket, {.idle_timeout = std::chrono::milliseconds(idle), .max_sessions = players}, rate);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });
    server.start(io);
    io.run();
    server.report();
    return 0;
  });
}
