// SPDX-License-Identifier: BSL-1.0
// Measures rows of the table, or sweeps, and writes down what came out.
#include "process.hpp"
#include "report.hpp"
#include "rows.hpp"
#include "sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr std::string_view usage =
    "usage: bench_suite [--quick] [--sweep] [--compile-times FILE] [--json FILE]\n"
    "                   [--document FILE] [--summary FILE] [--pictures DIRECTORY] [NAME...]\n"
    "Names are those of rows (R1, R3, R3-64, ...), or with --sweep those of sweeps.\n";

struct arguments {
  bool quick = false;
  bool sweep = false;
  bool help = false;
  std::string compile_times;
  std::string json;
  std::string document;
  std::string summary;
  std::string pictures;
  std::vector<std::string> names;
};

arguments parse(const std::vector<std::string>& words)
{
  arguments parsed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = [&]() -> const std::string& {
      if (i + 1 == words.size()) throw std::invalid_argument(words[i] + " needs a value");
      return words[++i];
    };
    if (words[i] == "--quick")
      parsed.quick = true;
    else if (words[i] == "--sweep")
      parsed.sweep = true;
    else if (words[i] == "--help")
      parsed.help = true;
    else if (words[i] == "--compile-times")
      parsed.compile_times = value();
    else if (words[i] == "--json")
      parsed.json = value();
    else if (words[i] == "--document")
      parsed.document = value();
    else if (words[i] == "--summary")
      parsed.summary = value();
    else if (words[i] == "--pictures")
      parsed.pictures = value();
    else if (words[i].starts_with("-"))
      throw std::invalid_argument("unknown option " + words[i]);
    else
      parsed.names.push_back(words[i]);
  }
  return parsed;
}

/// "R3" names every variant of R3, no name everything.
bool is_wanted(const std::vector<std::string>& names, const std::string& label)
{
  return names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
           return label == name || label.starts_with(name + "-");
         });
}

/// Returns whether every target was met. A row in which datagrams were lost is no result.
bool measure_rows(const arguments& given, const bench::run_config& how, bench::report& into)
{
  std::vector<bench::row_maker> makers;
  bench::add_drain_rows(makers);
  bench::add_send_rows(makers);
  bench::add_echo_rows(makers);
  bench::add_tail_rows(makers);
  bench::add_memory_rows(makers);
  bench::add_session_rows(makers);
  bench::add_listener_rows(makers);
  bench::add_exchange_rows(makers);
  bench::add_shard_rows(makers);
  bench::add_change_rows(makers);
  bench::add_limit_rows(makers);
  bench::add_flood_rows(makers);
  bench::add_sim_rows(makers);
  if (!given.compile_times.empty()) bench::add_compile_rows(makers, given.compile_times);
  bool all_met = true;
  const auto take = [&](bench::row measured) {
    if (measured.lost() > 0) {
      fmt::print("\n{}: no result: {} datagrams were lost\n", measured.label(), measured.lost());
      all_met = false;
      return;
    }
    all_met = bench::print_row(measured) && all_met;
    into.rows.push_back(std::move(measured));
  };
  for (const bench::row_maker& maker : makers)
    if (is_wanted(given.names, maker.label)) take(maker.measure(how));
  return bench::print_allocations(into) && all_met;
}

/// Returns whether all datagrams arrived. A sweep in which some were lost is no result.
bool measure_sweeps(const arguments& given, const bench::run_config& how, bench::report& into)
{
  bool all_arrived = true;
  for (const bench::sweep_maker& maker : bench::all_sweeps()) {
    if (!is_wanted(given.names, maker.id)) continue;
    bench::sweep measured = maker.measure(how);
    if (measured.lost > 0) {
      fmt::print("\n{}: no result: {} datagrams were lost\n", measured.id, measured.lost);
      all_arrived = false;
      continue;
    }
    bench::print_sweep(measured);
    into.sweeps.push_back(std::move(measured));
  }
  return all_arrived;
}

void write_results(const arguments& given, const bench::report& all)
{
  if (!given.json.empty()) bench::update_json(given.json, all);
  if (!given.document.empty()) bench::update_document(given.document, all);
  if (!given.summary.empty() && !all.rows.empty()) bench::update_summary(given.summary, all);
  if (given.pictures.empty()) return;
  for (const bench::row& one : all.rows)
    bench::write_file(fmt::format("{}/{}.svg", given.pictures, one.label()), bench::draw(one));
  for (const bench::sweep& one : all.sweeps)
    bench::write_file(fmt::format("{}/sweep-{}.svg", given.pictures, one.id), bench::draw(one));
}

int run(const arguments& given)
{
  if (given.help) {
    fmt::print("{}", usage);
    return 0;
  }
  bench::run_config how;
  if (given.quick)
    how = {.rounds = 5,
           .echo_time = std::chrono::milliseconds(150),
           .drains = 8,
           .rest_time = std::chrono::seconds(3),
           .changes = 100};
  bench::pin_to_cpu(bench::load_cpu);
  bench::report all;
  bool all_met = true;
  if (given.sweep)
    all_met = measure_sweeps(given, how, all);
  else
    all_met = measure_rows(given, how, all);
  write_results(given, all);
  return all_met ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv)
{
  try {
    return run(parse(std::vector<std::string>(argv + 1, argv + argc)));
  } catch (const std::exception& failure) {
    fmt::print(stderr, "\nbench_suite: {}\n{}", failure.what(), usage);
    return 2;
  }
}
