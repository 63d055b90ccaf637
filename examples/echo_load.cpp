// SPDX-License-Identifier: BSL-1.0
// Puts an echo server under load: each answer that comes is followed by the next datagram.
//
//   example_echo_load ADDRESS:PORT [--window N] [--size BYTES] [--seconds S]
//
// Keeps N (64) datagrams of BYTES (64) on their way for S seconds (2). Prints how many a second
// were answered, and how many were lost: no answer with the same bytes within a second. A lost one
// leaves its place in the window empty. Ends with exit code 1 if any was lost.

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>

using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

/// A place of the window. The bytes begin with a number that no other datagram has.
struct place {
  std::vector<std::byte> bytes;
  std::size_t number = 0;
  bool pending = false;
  steady_clock::time_point sent{};
};

struct totals {
  std::size_t answered = 0, lost = 0, pending = 0;
};

asio::awaitable<void> load(dgram::udp::socket& socket, std::size_t window, std::size_t size,
                           steady_clock::time_point end, totals& total)
{
  std::vector<place> places(window);
  dgram::send_batch out{window};
  dgram::receive_batch in{window};
  const auto ask = [&](place& next, steady_clock::time_point now) {
    next.number += window;  // so that the remainder tells the place
    std::memcpy(next.bytes.data(), &next.number, sizeof next.number);
    next.pending = true;
    next.sent = now;
    out.push(next.bytes);
    ++total.pending;
  };
  for (std::size_t i = 0; i < window; ++i)
    places[i] = {std::vector<std::byte>(size), i};
  for (place& first : places)
    ask(first, steady_clock::now());
  while (total.pending > 0) {
    while (!out.empty())
      co_await socket.async_send_batch(out);
    co_await socket.async_receive_batch(in);
    const auto now = steady_clock::now();
    for (const dgram::datagram& echo : in) {
      std::size_t number = 0;
      std::memcpy(&number, echo.payload().data(), std::min(sizeof number, echo.payload().size()));
      place& origin = places[number % window];
      if (!origin.pending || !std::ranges::equal(echo.payload(), origin.bytes)) continue;
      origin.pending = false;
      --total.pending;
      ++(now - origin.sent < seconds(1) ? total.answered : total.lost);
      if (now < end) ask(origin, now);
    }
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_echo_load ADDRESS:PORT [--window N] [--size BYTES] [--seconds S]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto server = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    std::size_t window = 64, size = 64, duration = 2;
    while (words.option("--window", window, 1, 1024) || words.option("--size", size, 8, 65507) ||
           words.option("--seconds", duration, 1, 3600)) {}
    words.finish();
    asio::io_context io;
    dgram::udp::socket socket(io);
    socket.connect(server);
    fmt::print("{} datagrams of {} bytes on their way to {}\n", window, size, server);
    const auto end = steady_clock::now() + seconds(duration);
    totals total;
    asio::co_spawn(io, load(socket, window, size, end, total), example::rethrow);
    io.run_until(end + seconds(1));
    // What has no answer by now is overdue.
    total.lost += total.pending;
    fmt::print("{} datagrams/s, lost {}\n", total.answered / duration, total.lost);
    return total.lost == 0 ? 0 : 1;
  });
}
