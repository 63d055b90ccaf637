// SPDX-License-Identifier: BSL-1.0
// A game server on any socket: a state for each player, and a loop that tells every player the news
// at a fixed rate. A player sends "join NAME", then "move X Y" and at the end "leave".
#ifndef DGRAM_EXAMPLES_GAME_HPP
#define DGRAM_EXAMPLES_GAME_HPP

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace example {

inline constexpr std::string_view join = "join ";

/// Made by the first datagram of a player, in the memory where it stays.
struct player {
  explicit player(const dgram::datagram& first)
      : way(first.reply_path()), name(first.payload().text().substr(join.size()))
  {
  }

  void hear(std::string_view text)
  {
    if (text.starts_with("move ")) std::sscanf(std::string(text).c_str(), "move %d %d", &x, &y);
  }

  dgram::reply_path way;
  std::string name;
  bool is_new = true;
  int x = 0;
  int y = 0;
};

/// `Socket` may be a simulated one. Then the timer and the players have simulated time, too.
template <class Socket>
class game {
public:
  game(Socket& socket, const dgram::session_map_config& limits, int rate)
      : reader_(socket),
        writer_(reader_),
        timer_(socket.get_executor()),
        period_(std::chrono::nanoseconds(std::chrono::seconds(1)) / rate),
        players_(limits)
  {
    // If a new peer does not join, the server keeps no state for it.
    players_.on_stranger(
        [](const dgram::datagram& first) { return first.payload().text().starts_with(join); });
    players_.on_end([this](auto player, dgram::session_end why) {
      if (!talks_) return;
      const bool is_idle = why == dgram::session_end::idle;
      fmt::print("{} left{}\n", printable(player->name), is_idle ? " without a word" : "");
    });
  }

  /// Prints no names.
  void be_quiet() { talks_ = false; }

  void start(asio::io_context& io)
  {
    asio::co_spawn(io, hear(), rethrow);
    asio::co_spawn(io, tick(), rethrow);
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
  using handle_type = dgram::handle_of<Socket>;
  using reader_type = decltype(dgram::reader(std::declval<Socket&>()));

  asio::awaitable<void> hear()
  {
    while (auto datagrams = co_await reader_.next_batch())
      for (auto [player, datagram] : players_.route(datagrams)) {
        if (std::exchange(player->is_new, false) && talks_)
          fmt::print("{} joined from {}\n", printable(player->name), player->way.peer);
        player->hear(datagram.payload().text());
        if (datagram.payload().text() == "leave") players_.erase(player);
      }
    timer_.cancel();
  }

  asio::awaitable<void> tick()
  {
    timer_.expires_at(handle_type::clock_type::now());
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

  reader_type reader_;
  decltype(dgram::writer(std::declval<reader_type&>())) writer_;
  typename handle_type::timer_type timer_;
  std::chrono::nanoseconds period_;
  dgram::session_map<player, dgram::udp, typename handle_type::clock_type> players_;
  bool talks_ = true;
  int ticks_ = 0;
};

}  // namespace example

#endif
