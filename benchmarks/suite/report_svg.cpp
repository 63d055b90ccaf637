// SPDX-License-Identifier: BSL-1.0
// Pictures, written as text: bars for rows, lines for sweeps. Results are on linear scales from zero.
#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace bench {

namespace {

constexpr double width = 860;
constexpr double name_width = 310;
constexpr double value_width = 90;
constexpr double bar_height = 20;
constexpr double bar_step = 27;
constexpr double top = 64;
constexpr double bottom = 34;

std::string escaped(std::string_view text)
{
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else
      result += c;
  }
  return result;
}

/// Maps results to positions, from zero to the largest.
class linear_scale {
public:
  linear_scale(double most, double from, double to) : most_(most), from_(from), to_(to) {}

  double at(double value) const { return from_ + (to_ - from_) * value / most_; }

  /// Zero, and at least four multiples of 1, 2 or 5 times a power of ten.
  std::vector<double> ticks() const
  {
    const double power = std::pow(10.0, std::floor(std::log10(most_ / 4)));
    double step = power;
    for (const double digit : {2.0, 5.0})
      if (digit * power <= most_ / 4) step = digit * power;
    std::vector<double> values;
    for (int i = 0; step * i <= most_; ++i)
      values.push_back(step * i);
    return values;
  }

private:
  double most_;
  double from_;
  double to_;
};

/// Maps parameters to positions between two edges. A power of ten is as long everywhere. Zero, which
/// has no logarithm, is where one half would be.
class log_scale {
public:
  log_scale(double least, double most, double from, double to)
      : least_(std::max(least, zero_at)), most_(std::max(most, 2 * least_)), from_(from), to_(to)
  {
  }

  double at(double value) const
  {
    const double shown = std::max(value, zero_at);
    return from_ + (to_ - from_) * std::log10(shown / least_) / std::log10(most_ / least_);
  }

private:
  static constexpr double zero_at = 0.5;

  double least_;
  double most_;
  double from_;
  double to_;
};

/// The mark of an axis.
std::string format_tick(double value)
{
  if (value >= 1e6) return fmt::format("{:g} M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:g} k", value / 1e3);
  return fmt::format("{:g}", value);
}

class picture {
public:
  picture(double height, std::string_view title, std::string_view subtitle)
  {
    text_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n"
        "<rect width=\"{0}\" height=\"{1}\" fill=\"#fdfdfb\"/>\n",
        width, height);
    label(16, 26, title, "start", "#111", 16);
    label(16, 46, subtitle, "start", "#555", 12);
  }

  void label(double x, double y, std::string_view text, const char* anchor,
             const char* colour = "#222", int size = 13)
  {
    text_ += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\" "
        "font-size=\"{}\">{}</text>\n",
        x, y, anchor, colour, size, escaped(text));
  }

  void bar(double x, double y, double length, const char* colour)
  {
    text_ += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" rx=\"2\" fill=\"{}\"/>\n",
        x, y, length, bar_height, colour);
  }

  void line(double x1, double y1, double x2, double y2)
  {
    text_ += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", x1, y1,
        x2, y2);
  }

  void curve(const std::string& points, const char* colour)
  {
    text_ +=
        fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                    points, colour);
  }

  void dot(double x, double y, const char* colour)
  {
    text_ +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x, y, colour);
  }

  std::string finish() { return text_ + "</svg>\n"; }

private:
  std::string text_;
};

const char* colour_of(std::string_view implementation)
{
  if (is_ours(implementation)) return "#1f6fb4";
  if (implementation.starts_with("raw")) return "#8a8f98";
  if (implementation.starts_with("asio")) return "#d9822b";
  if (implementation.starts_with("libuv")) return "#5a9e6f";
  return "#b05a7a";
}

constexpr std::array line_colours{"#8a8f98", "#1f6fb4", "#d9822b", "#5a9e6f", "#b05a7a", "#6b5ab0"};

}  // namespace

std::string draw(const row& measured)
{
  double most = 0;
  for (const contender& one : measured.contenders())
    most = std::max(most, figure(measured, one.name));
  const double end = top + bar_step * static_cast<double>(measured.contenders().size());
  if (most <= 0) most = 1;  // all bars are empty
  const linear_scale scale(most, name_width, width - value_width);
  picture drawn(end + bottom, fmt::format("{}: {}", measured.label(), measured.work()),
                describe_measure(measured));
  for (const double tick : scale.ticks()) {
    drawn.line(scale.at(tick), top - 6, scale.at(tick), end);
    drawn.label(scale.at(tick), end + 18, format_tick(tick), "middle", "#555", 11);
  }
  double y = top;
  for (const contender& one : measured.contenders()) {
    const double x = scale.at(figure(measured, one.name));
    drawn.label(name_width - 8, y + 15, one.name, "end");
    drawn.bar(name_width, y, x - name_width, colour_of(one.name));
    drawn.label(x + 6, y + 15, format_figure(measured, one.name), "start");
    y += bar_step;
  }
  return drawn.finish();
}

std::string draw(const sweep& measured)
{
  constexpr double left = 70;
  constexpr double right = width - 250;
  constexpr double height = 380;
  constexpr double base = height - 44;
  constexpr double label_width = 30;  // of a number below the axis
  double most = 0;
  double least_parameter = std::numeric_limits<double>::max();
  double most_parameter = 0;
  for (const series& line : measured.lines)
    for (const point& one : line.points) {
      most = std::max(most, one.value);
      least_parameter = std::min(least_parameter, static_cast<double>(one.parameter));
      most_parameter = std::max(most_parameter, static_cast<double>(one.parameter));
    }
  const log_scale across(least_parameter, most_parameter, left, right);
  const linear_scale up(most * 1.05, base, top);
  picture drawn(height, measured.work + " (across logarithmic: each step multiplies)",
                fmt::format("{} by {}", describe_unit(measured), measured.parameter));
  for (const double tick : up.ticks()) {
    drawn.line(left, up.at(tick), right, up.at(tick));
    drawn.label(left - 8, up.at(tick) + 4, format_tick(tick), "end", "#555", 11);
  }
  double labelled = 0;
  for (const point& one : measured.lines.front().points) {
    const double x = across.at(static_cast<double>(one.parameter));
    drawn.line(x, top, x, base);
    if (x < labelled + label_width) continue;
    drawn.label(x, base + 18, fmt::format("{}", one.parameter), "middle", "#555", 11);
    labelled = x;
  }
  for (std::size_t i = 0; i < measured.lines.size(); ++i) {
    const series& line = measured.lines[i];
    const char* const colour = line_colours[i % line_colours.size()];
    std::string path;
    for (const point& one : line.points) {
      const double x = across.at(static_cast<double>(one.parameter));
      const double y = up.at(one.value);
      path += fmt::format("{:.1f},{:.1f} ", x, y);
      drawn.dot(x, y, colour);
    }
    drawn.curve(path, colour);
    const double y = top + 16 + 22 * static_cast<double>(i);
    drawn.dot(right + 18, y - 4, colour);
    drawn.label(right + 28, y, line.name, "start", "#222", 12);
  }
  return drawn.finish();
}

}  // namespace bench
