// SPDX-License-Identifier: BSL-1.0
// The server of game.hpp with many players, on a simulated network that loses datagrams.
//
//   example_simulated_game [--rate TICKS] [--idle MS] [--players N]
//
// The default is 10,000 players. They join, move for two seconds of their time, and then half of
// them leave. The others fall silent, and the server notices that after the idle time of 2 seconds.
// Every run with the same arguments is the same.

#include "command_line.hpp"
#include "game.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string_view>
#include <utility>

namespace {

/// Many players, each with a socket of its own.
class crowd {
public:
  /// A round is the time between two acts of a player.
  static constexpr std::chrono::milliseconds round{500};

  crowd(dgram::sim::network& net, const dgram::udp::endpoint& server, std::size_t players)
      : timer_(net.context())
  {
    for (std::size_t i = 0; i < players; ++i) {
      const auto host = fmt::format("10.1.{}.{}", i / 1000 / 250, i / 1000 % 250 + 1);
      player& added = players_.emplace_back(dgram::sim::socket(net, {host, 0}));
      added.socket.connect(server);
      listen(added);
    }
  }

  /// In each round every player acts once, a tenth of them at a time.
  asio::awaitable<void> play(std::size_t rounds)
  {
    for (std::size_t step = 0; step < 10 * rounds; ++step) {
      timer_.expires_after(round / 10);
      co_await timer_.async_wait(asio::use_awaitable);
      for (std::size_t i = step % 10; i < players_.size(); i += 10)
        act(players_[i], i, step >= 10 * (rounds - 1));
    }
  }

private:
  struct player {
    explicit player(dgram::sim::socket own) : socket(std::move(own)) {}

    dgram::sim::socket socket;
    std::array<char, 128> news{};
    bool is_in = false;  // has heard from the server
  };

  /// Datagrams may be lost, so a player asks until it hears from the server.
  static void act(player& by, std::size_t number, bool is_last)
  {
    if (!by.is_in)
      say(by, fmt::format("join p{}", number));
    else if (!is_last)
      say(by, fmt::format("move {} {}", number, number % 7));
    else if (number % 2 == 0)
      say(by, "leave");
  }

  static void say(player& by, std::string_view words) { by.socket.try_send(asio::buffer(words)); }

  static void listen(player& by)
  {
    by.socket.async_receive(asio::buffer(by.news), [&by](dgram::error_code ec, std::size_t) {
      if (ec) return;
      by.is_in = true;
      listen(by);
    });
  }

  dgram::sim::timer timer_;
  std::deque<player> players_;
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_simulated_game [--rate TICKS] [--idle MS] [--players N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    int rate = 10;
    int idle = 2000;
    std::size_t players = 10'000;
    words.option("--rate", rate, 1, 1000);
    words.option("--idle", idle, 1, 3'600'000);
    words.option("--players", players, 1, 1'000'000);
    words.finish();

    constexpr std::size_t rounds = 4;
    const auto idle_time = std::chrono::milliseconds(idle);
    asio::io_context io{1};
    dgram::sim::network net{io,
                            {.delay = std::chrono::milliseconds(30),
                             .jitter = std::chrono::milliseconds(20),  // not all at a time
                             .loss = 0.01}};
    dgram::sim::socket socket{net, {"10.0.0.1", 7000}};
    example::game server(socket, {.idle_timeout = idle_time, .max_sessions = players}, rate);
    server.be_quiet();
    crowd all(net, socket.local_endpoint(), players);
    server.start(io);
    asio::co_spawn(io, all.play(rounds), example::rethrow);
    net.run_for(rounds * all.round + 2 * idle_time);
    socket.close();
    net.run();
    server.report();
    const auto carried = net.counters();
    fmt::print("{} datagrams were sent, {} were lost\n", carried.sent, carried.dropped());
    return 0;
  });
}
