// SPDX-License-Identifier: BSL-1.0
// The simulation row: how long a hundred gossiping nodes take for ten thousand virtual seconds.
#include "rows.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

namespace {

namespace sim = dgram::sim;
using namespace std::chrono_literals;

constexpr std::size_t nodes = 100;
constexpr auto simulated = 10'000s;
constexpr const char* ours = "dgram sim";

/// Every 800 ms on average it sends its state to another node, which answers: 2.5 million datagrams.
class node {
public:
  node(sim::network& net, std::size_t number)
      : net_(net), socket_(net, {"10.0.0." + std::to_string(number + 1), 7000})
  {
  }

  asio::ip::udp::endpoint endpoint() const { return socket_.local_endpoint(); }
  std::uint64_t heard() const noexcept { return heard_; }

  asio::awaitable<void> gossip(const std::vector<asio::ip::udp::endpoint>& all)
  {
    sim::timer timer(net_.get_executor());
    for (;;) {
      timer.expires_after(std::chrono::nanoseconds(600'000'000 + net_.random().below(400'000'000)));
      co_await timer.async_wait(asio::use_awaitable);
      const char state = 'g';
      socket_.send_to(asio::buffer(&state, 1), all[net_.random().below(all.size())]);
    }
  }

  asio::awaitable<void> listen()
  {
    dgram::reader reader{socket_, {.slots = 8, .slot_size = 2048}};
    dgram::writer writer{reader, {.datagrams = 8, .bytes = 2048}};
    while (auto datagram = co_await reader.next()) {
      ++heard_;
      if (datagram->payload().text() == "g") co_await writer.send("a", datagram->reply_path());
    }
  }

private:
  sim::network& net_;
  sim::socket socket_;
  std::uint64_t heard_ = 0;
};

/// Returns nanoseconds of processor time.
double run_nodes()
{
  const std::clock_t start = std::clock();
  asio::io_context io{1};
  sim::network net{io, {.seed = 1, .delay = 20ms, .jitter = 5ms, .loss = 0.01, .mtu = 1400}};
  std::vector<std::unique_ptr<node>> all;
  std::vector<asio::ip::udp::endpoint> endpoints;
  for (std::size_t i = 0; i < nodes; ++i) {
    all.push_back(std::make_unique<node>(net, i));
    endpoints.push_back(all.back()->endpoint());
  }
  for (auto& each : all) {
    asio::co_spawn(io, each->gossip(endpoints), asio::detached);
    asio::co_spawn(io, each->listen(), asio::detached);
  }
  net.run_for(simulated);
  const auto total = net.counters();
  if (!total.is_balanced() || total.sent < 2'400'000)
    throw std::runtime_error("the nodes did not gossip");
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC * 1e9;
}

row measure_s12(const run_config& how)
{
  row simulation("S12", "100 gossiping nodes for 10,000 simulated seconds", unit::seconds);
  simulation.add({ours, [] { return sample{.ns = run_nodes()}; }});
  simulation.expect({ours, relation::figure_at_most, 4});
  simulation.run(how.rounds);
  return simulation;
}

}  // namespace

void add_sim_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S12", measure_s12});
}

}  // namespace bench
