// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

#include "rows.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace bench {

namespace {

/// Allocations are counted per turn; less than this is one that is not repeated.
constexpr double allocation_tolerance = 1e-4;

bool promises_no_allocations(const row& of)
{
  constexpr std::array promised{"R1", "R2", "R3", "R4", "R5", "R6", "T1", "T2", "T3", "T6", "T7",
                                "E1", "E2", "E3", "E4", "E5", "L1", "L2", "S2", "S3", "S4"};
  for (const char* const id : promised)
    if (of.id() == id) return true;
  return false;
}

std::string format_ratio(const std::optional<double>& ratio)
{
  return ratio ? fmt::format("{:.3f}", *ratio) : std::string("-");
}

void print_contender(const row& of, const contender& one)
{
  const std::string cpu = format_cpu(of, one.name);
  const bool counted = !one.other_program && of.shown_in() != unit::wake_ups_per_second &&
                       of.shown_in() != unit::lost_datagrams;
  fmt::print("  {:<44} {:>12} {:>9} {:>9} {:>8} {:>10}", one.name, format_figure(of, one.name),
             cpu.empty() ? "-" : cpu, format_ratio(ratio_to_raw(of, one)),
             format_ratio(speedup_over_asio(of, one)),
             counted ? fmt::format("{:.4f}", of.allocations(one.name)) : "-");
  for (const extra_figure& more : extra_figures(of, one.name))
    fmt::print(" {:>12}", more.text);
  fmt::print("\n");
}

}  // namespace

bool is_ours(std::string_view implementation)
{
  return implementation.starts_with("dgram");
}

std::string format_value(double value)
{
  if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.0f} k", value / 1e3);
  if (value >= 100) return fmt::format("{:.0f} ", value);
  return fmt::format("{:.1f} ", value);
}

double figure(const row& of, std::string_view implementation)
{
  if (of.compared_by() == metric::cpu) return of.cpu_ns(implementation);
  const double ns = of.ns(implementation);
  switch (of.shown_in()) {
  case unit::datagrams_per_second: return 1e9 / ns;
  case unit::seconds: return ns / 1e9;
  default: return ns;
  }
}

std::string format_latency(double ns)
{
  return fmt::format("{:.2f} us", ns / 1e3);
}

std::string format_cpu(const row& of, std::string_view implementation)
{
  const double cpu = of.cpu_ns(implementation);
  const bool is_measured = cpu > 0 || of.shown_in() == unit::wake_ups_per_second;
  return is_measured ? fmt::format("{:.0f}", cpu) : std::string();
}

std::string_view figure_title(const row& of)
{
  if (of.shown_in() == unit::wake_ups_per_second) return "wake-ups";
  if (of.shown_in() == unit::lost_datagrams) return "lost";
  return of.shown_in() == unit::ns_of_tail && of.compared_by() == metric::time ? "p99" : "median";
}

std::string_view cpu_unit(const row& of)
{
  return of.shown_in() == unit::wake_ups_per_second ? "ns/s" : "ns";
}

std::vector<extra_figure> extra_figures(const row& of, std::string_view implementation)
{
  if (of.shown_in() != unit::ns_of_tail) return {};
  const latencies tail = of.tail(implementation);
  std::vector<extra_figure> figures{{"rate", format_value(of.rate(implementation)) + "/s"},
                                    {"p50", format_latency(tail.p50)}};
  if (of.compared_by() == metric::cpu) figures.push_back({"p99", format_latency(tail.p99)});
  figures.push_back({"p99.9", format_latency(tail.p999)});
  figures.push_back({"max", format_latency(tail.max)});
  return figures;
}

std::string describe_measure(const row& of)
{
  if (of.compared_by() == metric::cpu) return "processor time per datagram, less is better";
  switch (of.shown_in()) {
  case unit::datagrams_per_second: return "datagrams per second, more is better";
  case unit::bytes: return "resident memory, less is better";
  case unit::ns_of_latency: return "median latency, less is better";
  case unit::ns_of_tail: return "latency of the 99th percentile, less is better";
  case unit::wake_ups_per_second: return "wake-ups per second, fewer are better";
  case unit::seconds: return "seconds, less is better";
  case unit::lost_datagrams: return "datagrams without an answer, fewer are better";
  default: return "time per datagram, less is better";
  }
}

std::string format_figure(const row& of, std::string_view implementation)
{
  const double value = figure(of, implementation);
  if (of.compared_by() == metric::cpu) return fmt::format("{:.{}f} ns", value, value < 100 ? 1 : 0);
  switch (of.shown_in()) {
  case unit::datagrams_per_second: return format_value(value) + "/s";
  case unit::seconds: return fmt::format("{:.2f} s", value);
  case unit::bytes: return fmt::format("{:.0f} B", value);
  case unit::lost_datagrams: return fmt::format("{:.0f}", value);
  case unit::ns_of_latency:
  case unit::ns_of_tail: return format_latency(value);
  case unit::wake_ups_per_second: return fmt::format("{:.1f} /s", value);
  default: return fmt::format("{:.{}f} ns", value, value < 100 ? 1 : 0);
  }
}

std::optional<double> ratio_to_raw(const row& of, const contender& one)
{
  if (one.control.empty() || !of.has(one.control)) return std::nullopt;
  return of.ratio(one.name, one.control);
}

std::optional<double> speedup_over_asio(const row& of, const contender& one)
{
  // Most servers do nothing at rest, and nothing has no multiple.
  if (of.shown_in() == unit::wake_ups_per_second) return std::nullopt;
  for (const char* const asio : {names::asio_coroutine, names::asio_header})
    if (of.has(asio)) return of.ratio(asio, one.name);
  return std::nullopt;
}

std::string describe(const verdict& one)
{
  if (one.goal.is == relation::figure_at_most)
    return fmt::format("{}: {:.4g}, target at most {:.4g}", one.goal.ours, one.value,
                       one.goal.limit);
  if (one.goal.is == relation::extra_cost_at_most)
    return fmt::format("{}: {:.0f} ns more than {}, target at most {:.0f} ns", one.goal.ours,
                       one.value, one.goal.theirs, one.goal.limit);
  const bool by_cost = one.goal.is == relation::cost_at_most;
  return fmt::format("{}: {:.3f} x the {} of {}, target {} {:.2f}", one.goal.ours, one.value,
                     by_cost ? "cost" : "speed", one.goal.theirs, by_cost ? "at most" : "at least",
                     one.goal.limit);
}

bool print_row(const row& measured)
{
  fmt::print("\n{}: {}\n", measured.label(), measured.work());
  fmt::print("  {:<44} {:>12} {:>9} {:>9} {:>8} {:>10}", "", figure_title(measured),
             fmt::format("cpu {}", cpu_unit(measured)), "x raw", "x asio", "allocs");
  if (!measured.contenders().empty())
    for (const extra_figure& more : extra_figures(measured, measured.contenders().front().name))
      fmt::print(" {:>12}", more.title);
  fmt::print("\n");
  for (const contender& one : measured.contenders())
    print_contender(measured, one);
  for (const std::string& note : measured.notes())
    fmt::print("  {}\n", note);
  bool all_met = true;
  for (const verdict& one : measured.verdicts()) {
    fmt::print("  {:<6} {}\n", one.met ? "met" : "MISSED", describe(one));
    all_met = all_met && one.met;
  }
  std::fflush(stdout);
  return all_met;
}

std::string_view describe_unit(const sweep& of)
{
  return of.unit == sweep_unit::bytes ? "bytes" : "ns per datagram";
}

void print_sweep(const sweep& measured)
{
  fmt::print("\n{}: {}, {} by {}\n", measured.id, measured.work, describe_unit(measured),
             measured.parameter);
  for (const series& line : measured.lines) {
    fmt::print("  {:<36}", line.name);
    for (const point& one : line.points)
      fmt::print("  {}: {:.1f}", one.parameter, one.value);
    fmt::print("\n");
  }
  std::fflush(stdout);
}

std::vector<allocation_figure> allocation_figures(const report& all)
{
  std::vector<allocation_figure> found;
  for (const row& one : all.rows) {
    if (!promises_no_allocations(one)) continue;
    for (const contender& by : one.contenders())
      if (is_ours(by.name) && !by.informational)
        found.push_back({one.label(), by.name, one.allocations(by.name)});
  }
  return found;
}

bool print_allocations(const report& all)
{
  const auto figures = allocation_figures(all);
  if (figures.empty()) return true;
  fmt::print("\nM1: heap allocations per datagram, after warm-up\n");
  bool all_met = true;
  for (const allocation_figure& one : figures) {
    const bool met = one.per_datagram < allocation_tolerance;
    all_met = all_met && met;
    fmt::print("  {:<6} {:<8} {:<44} {:.4f}\n", met ? "met" : "MISSED", one.label,
               one.implementation, one.per_datagram);
  }
  return all_met;
}

void write_file(const std::string& file, std::string_view content)
{
  const std::filesystem::path path(file);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path);
  out << content;
  if (!out.flush()) throw std::runtime_error(fmt::format("cannot write {}", file));
}

}  // namespace bench
