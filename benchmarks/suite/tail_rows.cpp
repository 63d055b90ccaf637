// SPDX-License-Identifier: BSL-1.0
// The rows of fixed rates: latencies and processor time of echo servers that are not saturated, and
// what they do at rest.
#include "echo.hpp"
#include "echo_server.hpp"
#include "load.hpp"
#include "open_loop.hpp"
#include "progress.hpp"
#include "rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t payload_size = 64;
constexpr std::size_t flows = 16;
constexpr std::size_t window = 256;

// So few datagrams are queued at these rates that the number of slots hardly matters.
constexpr std::size_t control_slots = 32;

constexpr std::chrono::milliseconds warm_up{50};
constexpr std::chrono::seconds patience{5};

/// Longer than the turns of other rows, because one in a thousand datagrams makes a percentile.
std::chrono::milliseconds turn_time(const run_config& how)
{
  return how.echo_time * 5 / 2;
}

constexpr const char* our_listener = "dgram listener, 1 session";

std::vector<candidate> all_servers()
{
  std::vector<candidate> all{
      {names::raw_one_by_one, echo::serve_raw_one_by_one},
      {names::raw_coalesce, [](int fd) { echo::serve_raw_coalesce(fd, control_slots); }},
      {names::our_echo, echo::serve_dgram, names::raw_coalesce},
      {names::our_emitter_echo, echo::serve_dgram_emitter, names::raw_coalesce}};
  for (candidate& one : peers(names::raw_coalesce))
    all.push_back(std::move(one));
  return all;
}

/// A server that gets datagrams at a rate, and the most that it answers when it gets them as fast as it
/// answers.
class paced_server {
public:
  paced_server(const candidate& which, const run_config& how)
      : server_(which.serve),
        client_(server_.address(), payload_size, flows),
        duration_(turn_time(how))
  {
    load closed(server_.address(),
                {.payload = payload_size, .flows = flows, .window = window, .sliding = true});
    if (!closed.wait_for_server(patience))
      throw std::runtime_error(fmt::format("the server '{}' does not answer", which.name));
    closed.run(4 * warm_up);
    std::vector<double> rates;
    for (int i = 0; i < 3; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto answers = static_cast<double>(closed.run(how.echo_time / 2));
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      rates.push_back(answers / taken.count());
    }
    lost_ = closed.finish();
    limit_ = median(std::move(rates));
  }

  /// In datagrams per second.
  double limit() const noexcept { return limit_; }

  void set_rate(double datagrams_per_second) noexcept { rate_ = datagrams_per_second; }

  /// The median over the turns of how late 1 of 100 datagrams left, or later.
  double late_ns() const { return median(late_); }

  sample take_turn()
  {
    std::uint64_t lost = client_.run(rate_, warm_up).lost + std::exchange(lost_, 0);
    const double cpu = server_.process().cpu_ns();
    const std::uint64_t allocated = server_.process().allocations();
    const auto outcome = client_.run(rate_, duration_);
    const auto answers = static_cast<double>(outcome.answered);
    late_.push_back(outcome.late_ns);
    lost += outcome.lost;
    sample result;
    result.tail = outcome.tail;
    result.ns = outcome.tail.p99;
    result.cpu_ns = (server_.process().cpu_ns() - cpu) / answers;
    result.allocations = static_cast<double>(server_.process().allocations() - allocated) / answers;
    result.lost = lost;
    result.rate = rate_;
    return result;
  }

private:
  server server_;
  open_loop client_;
  std::chrono::nanoseconds duration_;
  double limit_ = 0;
  double rate_ = 0;
  std::uint64_t lost_ = 0;
  std::vector<double> late_;
};

/// A row of servers at a percentage of a limit: of each server's own, or of the slowest server's.
class paced_row {
public:
  paced_row(row made, const run_config& how) : row_(std::move(made)), how_(how)
  {
    for (const candidate& one : all_servers()) {
      show_progress(fmt::format("{}: the limit of {}", row_.label(), one.name));
      const auto started = std::make_shared<paced_server>(one, how_);
      servers_.push_back({one.name, started});
      row_.add({one.name, [started] { return started->take_turn(); }, one.control,
                one.informational, one.other_program});
    }
    clear_progress();
  }

  void set_rates_by_own_limits(int percent)
  {
    for (const auto& [name, each] : servers_)
      each->set_rate(each->limit() * percent / 100);
  }

  void set_rates_by_slowest(int percent)
  {
    double least = std::numeric_limits<double>::max();
    std::string slowest;
    for (const auto& [name, each] : servers_) {
      if (each->limit() >= least) continue;
      least = each->limit();
      slowest = name;
    }
    for (const auto& [name, each] : servers_)
      each->set_rate(least * percent / 100);
    row_.note(
        fmt::format("the slowest is {}, with at most {:.0f} datagrams per second", slowest, least));
  }

  row& operator*() noexcept { return row_; }

  row measure()
  {
    row_.run(how_.rounds);
    std::string text;
    for (const auto& [name, each] : servers_)
      text += fmt::format("{} {}: {:.1f}", text.empty() ? "" : ",", name, each->late_ns() / 1e3);
    row_.note("the client sent 99 of 100 datagrams at most so many us late:" + text);
    return std::move(row_);
  }

private:
  row row_;
  run_config how_;
  std::vector<std::pair<std::string, std::shared_ptr<paced_server>>> servers_;
};

row measure_l1(int percent, const run_config& how)
{
  paced_row measured(row(fmt::format("L1-{}", percent),
                         fmt::format("latency of an echo, 64 B, {} flows, at {} % of each "
                                     "server's limit",
                                     flows, percent),
                         unit::ns_of_tail),
                     how);
  measured.set_rates_by_own_limits(percent);
  return measured.measure();
}

row measure_l2(int percent, const run_config& how)
{
  paced_row measured(row(fmt::format("L2-{}", percent),
                         fmt::format("processor time of an echo, 64 B, {} flows, at {} % of the "
                                     "slowest server's limit",
                                     flows, percent),
                         unit::ns_of_tail, metric::cpu),
                     how);
  measured.set_rates_by_slowest(percent);
  for (const char* const ours : {names::our_echo, names::our_emitter_echo})
    (*measured).expect({ours, relation::speed_at_least, 0.97, names::asio_coroutine});
  return measured.measure();
}

/// What servers do while no datagram comes. All rest at the same time: none disturbs another.
row measure_l3(const run_config& how)
{
  // What a runtime does after its start is not what it does at rest.
  constexpr std::chrono::seconds settling{1};
  row measured("L3",
               fmt::format("at rest for {} s after one datagram",
                           std::chrono::duration_cast<std::chrono::seconds>(how.rest_time).count()),
               unit::wake_ups_per_second);
  struct resting {
    explicit resting(const serve_function& serve) : process(serve) {}
    server process;
    std::uint64_t wake_ups = 0;
    double cpu_ns = 0;
  };
  std::vector<std::unique_ptr<resting>> all;
  std::vector<candidate> servers = all_servers();
  servers.push_back({our_listener, echo::serve_dgram_listener});
  for (const candidate& one : servers) {
    show_progress(fmt::format("L3: {} answers", one.name));
    resting& added = *all.emplace_back(std::make_unique<resting>(one.serve));
    load once(added.process.address(), {.payload = payload_size, .flows = 1, .window = 1});
    if (!once.wait_for_server(patience))
      throw std::runtime_error(fmt::format("the server '{}' does not answer", one.name));
    measured.add({.name = one.name, .turn = {}, .other_program = one.other_program});
  }
  show_progress("L3: all servers rest");
  std::this_thread::sleep_for(settling);
  const auto start = std::chrono::steady_clock::now();
  for (const auto& one : all) {
    one->wake_ups = one->process.process().wake_ups();
    one->cpu_ns = one->process.process().cpu_ns();
    // Each has waited for more datagrams since it answered.
    if (one->wake_ups == 0) throw std::runtime_error("the kernel does not count waits");
  }
  std::this_thread::sleep_for(how.rest_time);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const child_process& process = all[i]->process.process();
    sample result;
    result.ns = static_cast<double>(process.wake_ups() - all[i]->wake_ups) / taken.count();
    result.cpu_ns = (process.cpu_ns() - all[i]->cpu_ns) / taken.count();
    measured.record(i, result);
  }
  clear_progress();
  for (const char* const ours : {names::our_echo, names::our_emitter_echo})
    measured.expect({ours, relation::figure_at_most, 0});
  return measured;
}

}  // namespace

void add_tail_rows(std::vector<row_maker>& rows)
{
  for (const int percent : std::initializer_list<int>{10, 50, 80})
    rows.push_back({fmt::format("L1-{}", percent),
                    [percent](const run_config& how) { return measure_l1(percent, how); }});
  for (const int percent : std::initializer_list<int>{10, 50, 80})
    rows.push_back({fmt::format("L2-{}", percent),
                    [percent](const run_config& how) { return measure_l2(percent, how); }});
  rows.push_back({"L3", measure_l3});
}

}  // namespace bench
