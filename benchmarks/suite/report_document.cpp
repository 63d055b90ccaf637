// SPDX-License-Identifier: BSL-1.0
// The tables of the documentation, with what they were measured on.
#include "report.hpp"

#include "rows.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <asio/version.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace bench {

namespace {

std::string processor_name()
{
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

std::string compiler_name()
{
#if defined(__clang__)
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

std::string machine_text()
{
  utsname system{};
  ::uname(&system);
  return fmt::format("{}, {} processors; {} {}; {}; Asio {}.{}.{}.\n", processor_name(),
                     std::thread::hardware_concurrency(), system.sysname, system.release,
                     compiler_name(), ASIO_VERSION / 100000, ASIO_VERSION / 100 % 1000,
                     ASIO_VERSION % 100);
}

std::string cell(const std::optional<double>& ratio)
{
  return ratio ? fmt::format("{:.2f}", *ratio) : std::string();
}

std::string row_text(const row& measured)
{
  std::string text = fmt::format("\n### {}: {}\n\n![{}](benchmarks/{}.svg)\n\n", measured.label(),
                                 measured.work(), measured.label(), measured.label());
  text += fmt::format("| implementation | {} | server CPU {} | cost / raw | Asio's cost / this |",
                      figure_title(measured), cpu_unit(measured));
  std::string rule = "|---|---:|---:|---:|---:|";
  if (!measured.contenders().empty())
    for (const extra_figure& more : extra_figures(measured, measured.contenders().front().name)) {
      text += fmt::format(" {} |", more.title);
      rule += "---:|";
    }
  text += "\n" + rule + "\n";
  for (const contender& one : measured.contenders()) {
    text += fmt::format("| {} | {} | {} | {} | {} |", one.name, format_figure(measured, one.name),
                        format_cpu(measured, one.name), cell(ratio_to_raw(measured, one)),
                        cell(speedup_over_asio(measured, one)));
    for (const extra_figure& more : extra_figures(measured, one.name))
      text += fmt::format(" {} |", more.text);
    text += '\n';
  }
  text += '\n';
  for (const verdict& one : measured.verdicts())
    text += fmt::format("- {}: {}\n", one.met ? "met" : "**missed**", describe(one));
  for (const std::string& note : measured.notes())
    text += fmt::format("- {}\n", note);
  return text;
}

std::string allocations_text(const report& all)
{
  const auto figures = allocation_figures(all);
  if (figures.empty()) return {};
  std::string text = "\n### M1: heap allocations per datagram, after warm-up\n\n";
  text += "| row | implementation | allocations |\n|---|---|---:|\n";
  for (const allocation_figure& one : figures)
    text += fmt::format("| {} | {} | {:.4f} |\n", one.label, one.implementation, one.per_datagram);
  return text;
}

std::string sweep_text(const sweep& measured)
{
  std::string text =
      fmt::format("\n### {}: {} by {}\n\n![{}](benchmarks/sweep-{}.svg)\n\n| |", measured.work,
                  describe_unit(measured), measured.parameter, measured.id, measured.id);
  std::string rule = "|---|";
  for (const point& one : measured.lines.front().points) {
    text += fmt::format(" {} |", one.parameter);
    rule += "---:|";
  }
  text += "\n" + rule + "\n";
  for (const series& line : measured.lines) {
    text += fmt::format("| {} |", line.name);
    for (const point& column : measured.lines.front().points) {
      const auto found =
          std::find_if(line.points.begin(), line.points.end(),
                       [&](const point& one) { return one.parameter == column.parameter; });
      text +=
          found == line.points.end() ? std::string(" |") : fmt::format(" {:.1f} |", found->value);
    }
    text += '\n';
  }
  return text;
}

bool is_in_summary(const row& one)
{
  constexpr std::array shown{"R1", "R2", "R4", "R5", "T1", "T1-GRO", "T3", "E1", "E2", "E3", "E4"};
  return std::find(shown.begin(), shown.end(), one.label()) != shown.end();
}

std::string figure_cell(const row& of, const std::string& implementation)
{
  return of.has(implementation) ? format_figure(of, implementation) : std::string();
}

/// The implementation that the row's first target speaks of, beside its control and the others.
std::string summary_line(const row& of)
{
  const std::string ours = of.verdicts().front().goal.ours;
  const auto& all = of.contenders();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const contender& one) { return one.name == ours; });
  const std::string control = found->control;
  return fmt::format("| [{}](docs/benchmarks.md): {} | {} ({}) | **{}** | {} | {} | {} |\n",
                     of.label(), of.work(), figure_cell(of, control), control,
                     figure_cell(of, ours), figure_cell(of, names::asio_coroutine),
                     figure_cell(of, names::libuv), figure_cell(of, names::node));
}

std::string summary_text(const report& all)
{
  std::string text = machine_text();
  text += "\n| work | bare system calls | dgram | Asio coroutine | libuv | Node |\n";
  text += "|---|---:|---:|---:|---:|---:|\n";
  for (const row& one : all.rows)
    if (is_in_summary(one) && !one.verdicts().empty()) text += summary_line(one);
  return text;
}

std::string read_file(const std::string& file)
{
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Replaces what stands between two comments that name the section.
void replace_section(std::string& document, const std::string& name, const std::string& content)
{
  const std::string first = fmt::format("<!-- {}: begin -->", name);
  const std::string last = fmt::format("<!-- {}: end -->", name);
  const std::size_t begin = document.find(first);
  const std::size_t end = document.find(last);
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    throw std::runtime_error(fmt::format("the document has no section '{}'", name));
  const std::size_t start = begin + first.size();
  document.replace(start, end - start, fmt::format("\n\n{}\n", content));
}

}  // namespace

void update_document(const std::string& file, const report& all)
{
  std::string document = read_file(file);
  std::string rows = machine_text();
  for (const row& one : all.rows)
    rows += row_text(one);
  rows += allocations_text(all);
  std::string sweeps = machine_text();
  for (const sweep& one : all.sweeps)
    sweeps += sweep_text(one);
  if (!all.rows.empty()) replace_section(document, "rows", rows);
  if (!all.sweeps.empty()) replace_section(document, "sweeps", sweeps);
  write_file(file, document);
}

void update_summary(const std::string& file, const report& all)
{
  std::string document = read_file(file);
  replace_section(document, "figures", summary_text(all));
  write_file(file, document);
}

}  // namespace bench
