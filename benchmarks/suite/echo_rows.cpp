// SPDX-License-Identifier: BSL-1.0
// The echo rows: a server in its own process on one processor, its clients here on another.
#include "echo.hpp"

#include "echo_server.hpp"
#include "load.hpp"
#include "progress.hpp"
#include "rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <initializer_list>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace bench {

namespace {

constexpr const char* raw_one_by_one = names::raw_one_by_one;
constexpr const char* raw_coalesce = names::raw_coalesce;
constexpr const char* ours = names::our_echo;
constexpr const char* our_emitter = names::our_emitter_echo;
constexpr const char* raw_mmsg = "raw mmsg";
constexpr const char* raw_in_place = "raw in place";
constexpr const char* ours_on_strand = "dgram reader + writer, strand of 2 threads";
constexpr const char* ours_in_batches = "dgram next_batch + push";
constexpr const char* ours_in_place = "dgram in-place reply";

// With trains, quinn-udp and the in-place reply make the same system calls: a tie may fall either way.
constexpr double trains_alike = 0.95;

constexpr std::chrono::milliseconds warm_up{50};
constexpr std::chrono::seconds patience{5};

/// A server under a load that keeps its window full.
class loaded_server {
public:
  loaded_server(const std::string& name, const serve_function& serve, const load_config& config)
      : server_(serve), load_(server_.address(), config)
  {
    if (!load_.wait_for_server(patience))
      throw std::runtime_error(fmt::format("the server '{}' does not answer", name));
    load_.run(4 * warm_up);
    load_.finish();
  }

  sample take_turn(std::chrono::nanoseconds duration)
  {
    load_.run(warm_up);
    const auto start = std::chrono::steady_clock::now();
    const double cpu = server_.process().cpu_ns();
    const std::uint64_t allocated = server_.process().allocations();
    const auto answers = static_cast<double>(load_.run(duration));
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    sample result;
    result.cpu_ns = (server_.process().cpu_ns() - cpu) / answers;
    result.ns = taken.count() / answers;
    result.allocations = static_cast<double>(server_.process().allocations() - allocated) / answers;
    result.lost = load_.finish();
    return result;
  }

private:
  server server_;
  load load_;
};

/// A server that gets one datagram at a time.
class pinged_server {
public:
  explicit pinged_server(const serve_function& serve, std::size_t payload)
      : server_(serve), client_(server_.address(), payload)
  {
  }

  sample take_turn(std::chrono::nanoseconds duration)
  {
    client_.run(warm_up);
    const double cpu = server_.process().cpu_ns();
    const std::uint64_t allocated = server_.process().allocations();
    const auto outcome = client_.run(duration);
    const auto answers = static_cast<double>(outcome.answered);
    sample result;
    result.ns = outcome.median_ns;
    result.cpu_ns = (server_.process().cpu_ns() - cpu) / answers;
    result.allocations = static_cast<double>(server_.process().allocations() - allocated) / answers;
    result.lost = outcome.lost;
    return result;
  }

private:
  server server_;
  ping_pong client_;
};

/// Servers are kept until the row is done: those that compile as they run have their code ready then.
void add_loaded(row& to, const load_config& config, const candidate& one, const run_config& how)
{
  auto started = std::make_shared<loaded_server>(one.name, one.serve, config);
  to.add({one.name, [started, how] { return started->take_turn(how.echo_time); }, one.control,
          one.informational, one.other_program});
}

/// The slot count with which a control is fastest, or uses the least processor time.
class slot_sweep {
public:
  slot_sweep(row& of, const load_config& config, const run_config& how)
      : row_(of), config_(config), how_(how)
  {
  }

  std::size_t best(const std::string& name, void (*serve)(int, std::size_t)) const
  {
    std::string text;
    std::size_t best_count = 0;
    double least = std::numeric_limits<double>::max();
    for (const std::size_t slots : std::initializer_list<std::size_t>{4, 8, 16, 32, 64}) {
      show_progress(fmt::format("{}: {} with {} slots", row_.label(), name, slots));
      const double cost = measure(name, [=](int fd) { serve(fd, slots); });
      text += fmt::format("  {}: {:.0f}", slots, cost);
      if (cost < least) {
        least = cost;
        best_count = slots;
      }
    }
    clear_progress();
    row_.note(fmt::format("{}, ns per datagram by slots:{}; taken: {}", name, text, best_count));
    return best_count;
  }

private:
  double measure(const std::string& name, const serve_function& serve) const
  {
    loaded_server started(name, serve, config_);
    std::vector<double> costs;
    for (int i = 0; i < 3; ++i) {
      const sample one = started.take_turn(how_.echo_time / 2);
      costs.push_back(row_.compared_by() == metric::cpu ? one.cpu_ns : one.ns);
    }
    return median(std::move(costs));
  }

  row& row_;
  load_config config_;
  run_config how_;
};

/// `ahead` must be at least `least` times as fast as each server in another language.
void expect_ahead(row& measured, const std::string& ahead, double least)
{
  for (const char* const name : {names::tokio, names::quinn_udp, names::go, names::go_batch})
    measured.expect({ahead, relation::speed_at_least, least, name});
}

/// Bare system calls with their best slot counts, dgram, and all others.
std::vector<candidate> candidates(row& of, const load_config& config, const run_config& how)
{
  const slot_sweep sweep(of, config, how);
  const std::size_t mmsg = sweep.best(raw_mmsg, echo::serve_raw_mmsg);
  const std::size_t coalesce = sweep.best(raw_coalesce, echo::serve_raw_coalesce);
  const std::size_t in_place = sweep.best(raw_in_place, echo::serve_raw_in_place);
  std::vector<candidate> all{
      {raw_one_by_one, echo::serve_raw_one_by_one},
      {raw_mmsg, [=](int fd) { echo::serve_raw_mmsg(fd, mmsg); }},
      {raw_coalesce, [=](int fd) { echo::serve_raw_coalesce(fd, coalesce); }},
      {raw_in_place, [=](int fd) { echo::serve_raw_in_place(fd, in_place); }},
      {ours, echo::serve_dgram, raw_coalesce},
      {ours_in_place, [=](int fd) { echo::serve_dgram_in_place(fd, in_place); }, raw_in_place}};
  for (candidate& one : peers(raw_coalesce))
    all.push_back(std::move(one));
  return all;
}

row measure_loaded(row measured, const load_config& config, const std::vector<candidate>& all,
                   const run_config& how)
{
  for (const candidate& one : all)
    add_loaded(measured, config, one, how);
  measured.run(how.rounds);
  return measured;
}

/// A note that says how far the control itself is from what a target names: no server that does its work is better.
void note_control(row& of, const std::string& control, relation is, const std::string& theirs)
{
  if (!of.has(control) || !of.has(theirs)) return;
  const bool by_cost = is == relation::cost_at_most;
  of.note(fmt::format("{} itself: {:.3f} x the {} of {}", control,
                      by_cost ? of.ratio(control, theirs) : of.ratio(theirs, control),
                      by_cost ? "cost" : "speed", theirs));
}

/// The sliding window is for comparison: the targets speak of whole windows.
row measure_e1(bool sliding, const run_config& how)
{
  const load_config config{.payload = 64, .flows = 1, .window = 64, .sliding = sliding};
  row measured(sliding ? "E1-sliding" : "E1",
               fmt::format("echo, 64 B, 1 flow, {}window of 64", sliding ? "sliding " : ""),
               unit::datagrams_per_second);
  auto all = candidates(measured, config, how);
  all.push_back({ours_on_strand, echo::serve_dgram_on_strand, raw_coalesce, true});
  if (!sliding) {
    measured.expect({ours, relation::speed_at_least, 0.97, raw_coalesce});
    measured.expect({ours, relation::speed_at_least, 1.45, raw_mmsg});
    measured.expect({ours, relation::speed_at_least, 1.85, names::asio_coroutine});
    measured.expect({ours, relation::speed_at_least, 1.55, names::libuv});
    measured.expect({ours, relation::speed_at_least, 3.3, names::node});
    expect_ahead(measured, ours, 1.0);
  }
  row done = measure_loaded(std::move(measured), config, all, how);
  note_control(done, raw_coalesce, relation::speed_at_least, names::libuv);
  note_control(done, raw_coalesce, relation::speed_at_least, names::node);
  return done;
}

row measure_e2(const run_config& how)
{
  const load_config config{
      .payload = 1200, .flows = 4, .window = 512, .trains = true, .coalesced = true};
  row measured("E2", "echo, 1200 B, 4 flows with GSO and GRO, window 512",
               unit::datagrams_per_second);
  auto all = candidates(measured, config, how);
  all.push_back({ours_in_batches, echo::serve_dgram_batch_loop, raw_coalesce});
  measured.expect({ours, relation::speed_at_least, 0.75, raw_coalesce});
  measured.expect({ours_in_batches, relation::cost_at_most, 1.1, raw_coalesce});
  measured.expect({ours_in_place, relation::speed_at_least, 0.75, raw_in_place});
  measured.expect({ours, relation::speed_at_least, 9, names::asio_coroutine});
  measured.expect({ours_in_place, relation::speed_at_least, 10, names::asio_coroutine});
  measured.expect({ours_in_place, relation::speed_at_least, 20, names::node});
  expect_ahead(measured, ours_in_place, trains_alike);
  return measure_loaded(std::move(measured), config, all, how);
}

row measure_e3(const run_config& how)
{
  constexpr std::size_t payload = 64;
  row measured("E3", "ping-pong, 64 B, 1 in flight, median latency", unit::ns_of_latency);
  std::vector<candidate> all{{raw_one_by_one, echo::serve_raw_one_by_one},
                             {ours, echo::serve_dgram, raw_one_by_one}};
  for (candidate& one : peers(raw_one_by_one))
    all.push_back(std::move(one));
  for (const candidate& one : all) {
    auto started = std::make_shared<pinged_server>(one.serve, payload);
    measured.add({one.name, [started, how] { return started->take_turn(how.echo_time); },
                  one.control, one.informational, one.other_program});
  }
  measured.expect({ours, relation::cost_at_most, 1.05, raw_one_by_one});
  measured.expect({ours, relation::speed_at_least, 0.97, names::asio_coroutine});
  measured.run(how.rounds);
  return measured;
}

row measure_e4(bool sliding, const run_config& how)
{
  const load_config config{.payload = 64, .flows = 64, .window = 256, .sliding = sliding};
  row measured(sliding ? "E4-sliding" : "E4",
               fmt::format("echo, 64 B, 64 flows, {}windows of 4, processor time of the server",
                           sliding ? "sliding " : ""),
               unit::datagrams_per_second, metric::cpu);
  const auto all = candidates(measured, config, how);
  if (!sliding) {
    measured.expect({ours, relation::cost_at_most, 0.76, raw_mmsg});
    measured.expect({ours, relation::speed_at_least, 1.8, names::asio_coroutine});
    expect_ahead(measured, ours, 1.0);
  }
  row done = measure_loaded(std::move(measured), config, all, how);
  note_control(done, raw_coalesce, relation::cost_at_most, raw_mmsg);
  return done;
}

/// Trains of small datagrams: what the library spends for each of them is what the user pays.
row measure_e5(const run_config& how)
{
  const load_config config{
      .payload = 100, .flows = 8, .window = 1024, .trains = true, .coalesced = true};
  row measured("E5",
               "echo, 100 B, 8 flows with GSO and GRO, window 1024, processor time of the server",
               unit::datagrams_per_second, metric::cpu);
  const slot_sweep sweep(measured, config, how);
  const std::size_t coalesce = sweep.best(raw_coalesce, echo::serve_raw_coalesce);
  const std::size_t in_place = sweep.best(raw_in_place, echo::serve_raw_in_place);
  std::vector<candidate> all{
      {raw_coalesce, [=](int fd) { echo::serve_raw_coalesce(fd, coalesce); }},
      {raw_in_place, [=](int fd) { echo::serve_raw_in_place(fd, in_place); }},
      {ours_in_place, [=](int fd) { echo::serve_dgram_in_place(fd, in_place); }, raw_coalesce},
      {ours_in_batches, echo::serve_dgram_batch_loop, raw_coalesce},
      {our_emitter, echo::serve_dgram_emitter, raw_coalesce},
      {ours, echo::serve_dgram, raw_coalesce}};
  for (candidate& one : peers(raw_coalesce))
    all.push_back(std::move(one));
  measured.expect({ours_in_place, relation::cost_at_most, 1.02, raw_coalesce});
  measured.expect({ours_in_batches, relation::cost_at_most, 1.4, raw_coalesce});
  measured.expect({our_emitter, relation::cost_at_most, 1.4, raw_coalesce});
  measured.expect({ours, relation::cost_at_most, 2.2, raw_coalesce});
  expect_ahead(measured, ours_in_place, trains_alike);
  return measure_loaded(std::move(measured), config, all, how);
}

}  // namespace

void add_echo_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"E1", [](const run_config& how) { return measure_e1(false, how); }});
  rows.push_back({"E1-sliding", [](const run_config& how) { return measure_e1(true, how); }});
  rows.push_back({"E2", measure_e2});
  rows.push_back({"E3", measure_e3});
  rows.push_back({"E4", [](const run_config& how) { return measure_e4(false, how); }});
  rows.push_back({"E4-sliding", [](const run_config& how) { return measure_e4(true, how); }});
  rows.push_back({"E5", measure_e5});
}

}  // namespace bench
