// SPDX-License-Identifier: BSL-1.0
// A reliable request protocol with a planted bug that only a rare seed shows.
//
//   example_simulated_counter [--fixed] [SEEDS]     the default is 20000 seeds
//
// Clients add to a counter on a server. Each request has a number, is repeated until it is answered, and
// must be executed once. The server remembers the last number of each client, and so executes no request
// twice, it seems. It runs on a simulated network, one seed after the other. For the first seed that fails
// it writes the trace, prints what went wrong, and exits with 1. `--fixed` runs the protocol without the bug.

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>
#include <dgram/sim.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
namespace sim = dgram::sim;

namespace {

using number = std::uint32_t;
constexpr number requests = 8;
constexpr int clients = 2;

struct server {
  sim::socket socket;
  bool is_fixed;
  int counter = 0;
  std::map<asio::ip::udp::endpoint, number> last = {};

  asio::awaitable<void> serve()
  {
    dgram::reader reader{socket};
    dgram::writer writer{reader};
    while (auto datagram = co_await reader.next()) {
      number asked = 0;
      if (datagram->payload().size() != sizeof asked) continue;
      std::memcpy(&asked, datagram->payload().data(), sizeof asked);
      number& done = last[datagram->sender()];
      // The bug: an old repetition that arrives late is not the last request, and is executed again.
      const bool is_new = is_fixed ? asked > done : asked != done;
      if (is_new) {
        ++counter;
        done = asked;
      }
      co_await writer.send(datagram->payload(), datagram->reply_path());
    }
  }
};

template <class Socket>
asio::awaitable<void> add(Socket& socket, asio::ip::udp::endpoint to, int& finished)
{
  dgram::reader reader{socket};
  dgram::writer writer{socket};
  for (number request = 1; request <= requests; ++request) {
    for (bool is_answered = false; !is_answered;) {
      co_await writer.send(dgram::bytes_view(&request, sizeof request), to);
      const auto deadline = Socket::clock_type::now() + 100ms;
      while (auto answer = co_await reader.next_until(deadline)) {
        number answered = 0;
        if (answer->payload().size() == sizeof answered)
          std::memcpy(&answered, answer->payload().data(), sizeof answered);
        if (answered == request) {
          is_answered = true;
          break;
        }
      }
    }
  }
  ++finished;
}

void run(std::uint64_t seed, bool is_fixed)
{
  asio::io_context io{1};
  // A datagram that is held back for long, and repeated meanwhile, is as rare as on a good network.
  sim::network net{io,
                   {.seed = seed,
                    .delay = 20ms,
                    .jitter = 5ms,
                    .loss = 0.002,
                    .reorder = 0.0001,
                    .reorder_delay = 140ms}};
  server counting{.socket = {net, {"10.0.0.1", 7000}}, .is_fixed = is_fixed};
  asio::co_spawn(io, counting.serve(), asio::detached);
  std::vector<sim::socket> sockets;
  int finished = 0;
  for (int i = 0; i < clients; ++i)
    sockets.emplace_back(net, sim::location{"10.0.0.2", 0});
  for (auto& each : sockets)
    asio::co_spawn(io, add(each, counting.socket.local_endpoint(), finished), asio::detached);
  net.run_for(60s);
  if (finished != clients) throw std::runtime_error("a client has not finished");
  if (counting.counter != clients * static_cast<int>(requests))
    throw std::runtime_error("the counter is " + std::to_string(counting.counter) + " after " +
                             std::to_string(clients * requests) + " requests");
}

}  // namespace

int main(int argc, char** argv)
{
  bool is_fixed = false;
  std::uint64_t seeds = 20000;
  for (const std::string_view argument : std::vector<std::string_view>(argv + 1, argv + argc)) {
    const char* const end = argument.data() + argument.size();
    if (argument == "--fixed") {
      is_fixed = true;
    } else if (const auto [stop, ec] = std::from_chars(argument.data(), end, seeds);
               ec != std::errc() || stop != end) {
      fmt::print(stderr, "error: \"{}\" is neither --fixed nor a number of seeds\n", argument);
      return 2;
    }
  }
  const auto result = sim::for_each_seed(1, seeds, [&](std::uint64_t seed) { run(seed, is_fixed); },
                                         {.name = "counter"});
  fmt::print("{} seeds passed\n", result.passed);
  return result ? 0 : 1;
}
