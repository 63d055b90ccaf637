// SPDX-License-Identifier: BSL-1.0
// What was measured, as text, JSON, pictures and documentation.
#ifndef DGRAM_BENCHMARKS_SUITE_REPORT_HPP
#define DGRAM_BENCHMARKS_SUITE_REPORT_HPP

#include "measurement.hpp"
#include "sweep.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct report {
  std::vector<row> rows;
  std::vector<sweep> sweeps;
};

/// Heap allocations per datagram of our own implementations, over all rows that promise none.
struct allocation_figure {
  std::string label;
  std::string implementation;
  double per_datagram;
};
std::vector<allocation_figure> allocation_figures(const report& all);

// What the formats have in common.
bool is_ours(std::string_view implementation);
std::string format_value(double value);
/// The figure that a row is about, with its unit: "492 k/s", "316 ns".
std::string format_figure(const row& of, std::string_view implementation);
std::string describe_measure(const row& of);
/// What a row tells in addition to its figure, for each implementation.
struct extra_figure {
  std::string_view title;
  std::string text;
};
std::vector<extra_figure> extra_figures(const row& of, std::string_view implementation);
/// "us" are microseconds, as in format_figure.
std::string format_latency(double ns);
/// The processor time, without its unit. Nothing where it was not measured.
std::string format_cpu(const row& of, std::string_view implementation);
std::string_view figure_title(const row& of);
std::string_view cpu_unit(const row& of);
/// The figure as a number: a cost, or datagrams per second.
double figure(const row& of, std::string_view implementation);
std::optional<double> ratio_to_raw(const row& of, const contender& one);
std::optional<double> speedup_over_asio(const row& of, const contender& one);
std::string describe(const verdict& one);

/// Returns whether every target was met.
bool print_row(const row& measured);
std::string_view describe_unit(const sweep& of);
void print_sweep(const sweep& measured);
bool print_allocations(const report& all);

/// Writes one object per row and implementation, and per point of a sweep, one on each line. A run
/// of rows keeps the sweeps that the file has, and the other way round.
void update_json(const std::string& file, const report& all);

std::string draw(const row& measured);
std::string draw(const sweep& measured);

/// Replaces what stands between the marker comments for rows, or those for sweeps.
void update_document(const std::string& file, const report& all);

/// Replaces what stands between the marker comments for figures with a short table.
void update_summary(const std::string& file, const report& all);

void write_file(const std::string& file, std::string_view content);

}  // namespace bench

#endif
