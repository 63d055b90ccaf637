// SPDX-License-Identifier: BSL-1.0
// A game server: a state for each player, and a loop that tells every player the news at a fixed
// rate.
//
//   example_game_loop [--rate TICKS] [--idle MS] [--players N] [ADDRESS:PORT]
//
// It prints "listening on ADDRESS:PORT" and serves until SIGINT or SIGTERM. The default is any free
// port of loopback, 20 ticks a second, and at most 10,000 players. A player leaves after 5 seconds
// without a word. A player sends "join NAME", then "move X Y" and at the end "leave". Try it with
//   example_client ADDRESS:PORT 'join ann'

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view join = "join ";

/// Made by the first datagram of a player, in the memory where it stays.
struct player {
  explicit player(const dgram::datagram& first)
      : way(first.reply_path()), name(first.payload().text().substr(join.size()))
  {
    fmt::print("{} joined from {}\n", example::printable(name), way.peer);
  }

  void hear(std::string_view text)
  {
    if (text.starts_with("move ")) std::sscanf(std::string(text).c_str(), "move %d %d", &x, &y);
  }

  dgram::reply_path way;
  std::string name;
  int x = 0;
  int y = 0;
};

class game {
public:
  game(dgram::udp::socket& socket, const dgram::session_map_config& limits, int rate)
      : reader_(socket),
        writer_(reader_),
        timer_(socket.get_executor()),
        period_(std::chrono::nanoseconds(std::chrono::seconds(1)) / rate),
        players_(limits)
  {
    // If a new peer does not join, the server keeps no state for it.
    players_.on_stranger(
        [](const dgram::datagram& first) { return first.payload().text().starts_with(join); });
    players_.on_end([](auto player, dgram::session_end why) {
      const bool is_idle = why == dgram::session_end::idle;
      fmt::print("{} left{}\n", example::printable(player->name), is_idle ? " without a word" : "");
    });
  }

  asio::awaitable<void> hear()
  {
    while (auto datagrams = co_await reader_.next_batch())
      for (auto [player, datagram] : players_.route(datagrams)) {
        player->hear(datagram.payload().text());
        if (datagram.payload().text() == "leave") players_.erase(player);
      }
    timer_.cancel();
  }

  asio::awaitable<void> tick()
  {
    timer_.expires_at(asio::steady_timer::clock_type::now());
    for (dgram::error_code ec; !reader_.is_stopped();) {
      timer_.expires_at(timer_.expiry() + period_);
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      if (ec) co_return;
      ++ticks_;
      players_.expire();
      for (auto player : players_) {
        const auto news = fmt::format("tick {}: {} of {} players at {} {}\n", ticks_, player->name,
                                      players_.size(), player->x, player->y);
        // While this waits, players may leave: the loop goes on with the next one.
        if (!writer_.push(news, player->way)) co_await writer_.flush();
      }
    }
  }

  void report() const
  {
    const auto counts = players_.statistics();
    fmt::print(
        "{} players joined, {} left, {} without a word; {} datagrams of strangers, {} of "
        "players too many\n",
        counts.created, counts.closed, counts.idle, counts.rejected, counts.refused);
  }

private:
  dgram::udp::reader reader_;
  dgram::udp::writer writer_;
  asio::steady_timer timer_;
  std::chrono::nanoseconds period_;
  dgram::session_map<player> players_;
  int ticks_ = 0;
};

}  // namespace

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
    game server(socket, {.idle_timeout = std::chrono::milliseconds(idle), .max_sessions = players},
                rate);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });
    asio::co_spawn(io, server.hear(), example::rethrow);
    asio::co_spawn(io, server.tick(), example::rethrow);
    io.run();
    server.report();
    return 0;
  });
}
