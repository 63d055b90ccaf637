// SPDX-License-Identifier: BSL-1.0
#include "measurement.hpp"

#include "progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

template <class Projection>
double median_of(const std::vector<sample>& samples, Projection projection)
{
  std::vector<double> values;
  values.reserve(samples.size());
  for (const sample& one : samples)
    values.push_back(projection(one));
  return median(std::move(values));
}

}  // namespace

double median(std::vector<double> values)
{
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

row::row(std::string label, std::string work, unit shown_in, metric compared_by)
    : label_(std::move(label)), work_(std::move(work)), unit_(shown_in), metric_(compared_by)
{
}

void row::run(int rounds)
{
  samples_.assign(contenders_.size(), {});
  for (int round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < contenders_.size(); ++i) {
      show_progress(
          fmt::format("{}: round {} of {}: {}", label_, round, rounds, contenders_[i].name));
      const sample taken = contenders_[i].turn();
      if (round > 0) samples_[i].push_back(taken);
    }
  }
  clear_progress();
}

void row::record(std::size_t contender, const sample& taken)
{
  samples_.resize(contenders_.size());
  samples_.at(contender).push_back(taken);
}

bool row::has(std::string_view name) const
{
  return std::any_of(contenders_.begin(), contenders_.end(),
                     [&](const contender& one) { return one.name == name; });
}

const std::vector<sample>& row::samples_of(std::string_view name) const
{
  for (std::size_t i = 0; i < contenders_.size(); ++i)
    if (contenders_[i].name == name) return samples_.at(i);
  throw std::logic_error(fmt::format("{} has no implementation '{}'", label_, name));
}

double row::cost_of(const sample& one) const
{
  return metric_ == metric::cpu ? one.cpu_ns : one.ns;
}

double row::ns(std::string_view name) const
{
  return median_of(samples_of(name), [](const sample& one) { return one.ns; });
}

double row::cpu_ns(std::string_view name) const
{
  return median_of(samples_of(name), [](const sample& one) { return one.cpu_ns; });
}

double row::cost(std::string_view name) const
{
  return median_of(samples_of(name), [this](const sample& one) { return cost_of(one); });
}

double row::rate(std::string_view name) const
{
  return median_of(samples_of(name), [](const sample& one) { return one.rate; });
}

double row::allocations(std::string_view name) const
{
  double most = 0;
  for (const sample& one : samples_of(name))
    most = std::max(most, one.allocations);
  return most;
}

std::uint64_t row::lost(std::string_view name) const
{
  std::uint64_t sum = 0;
  for (const sample& one : samples_of(name))
    sum += one.lost;
  return sum;
}

std::uint64_t row::lost() const
{
  std::uint64_t sum = 0;
  for (const contender& one : contenders_)
    sum += lost(one.name);
  return sum;
}

latencies row::tail(std::string_view name) const
{
  const std::vector<sample>& samples = samples_of(name);
  latencies found{.p50 = median_of(samples, [](const sample& one) { return one.tail.p50; }),
                  .p99 = median_of(samples, [](const sample& one) { return one.tail.p99; }),
                  .p999 = median_of(samples, [](const sample& one) { return one.tail.p999; })};
  for (const sample& one : samples)
    found.max = std::max(found.max, one.tail.max);
  return found;
}

template <class Compare>
double row::compare(std::string_view ours, std::string_view theirs, Compare compare) const
{
  const auto& first = samples_of(ours);
  const auto& second = samples_of(theirs);
  std::vector<double> compared;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i)
    compared.push_back(compare(cost_of(first[i]), cost_of(second[i])));
  return median(std::move(compared));
}

double row::ratio(std::string_view ours, std::string_view theirs) const
{
  return compare(ours, theirs, std::divides());
}

double row::difference(std::string_view ours, std::string_view theirs) const
{
  return compare(ours, theirs, std::minus());
}

double row::value_of(const target& goal) const
{
  switch (goal.is) {
  case relation::cost_at_most: return ratio(goal.ours, goal.theirs);
  case relation::speed_at_least: return ratio(goal.theirs, goal.ours);
  case relation::extra_cost_at_most: return difference(goal.ours, goal.theirs);
  default: return shown_in() == unit::seconds ? cost(goal.ours) / 1e9 : cost(goal.ours);
  }
}

std::vector<verdict> row::verdicts() const
{
  std::vector<verdict> found;
  for (const target& goal : targets_) {
    if (!has(goal.ours) || !(goal.theirs.empty() || has(goal.theirs))) continue;
    const double value = value_of(goal);
    const bool is_limit_of_speed = goal.is == relation::speed_at_least;
    found.push_back({goal, value, is_limit_of_speed ? value >= goal.limit : value <= goal.limit});
  }
  return found;
}

}  // namespace bench
