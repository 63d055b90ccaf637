// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <utility>

namespace bench {

namespace {

const std::string sweep_prefix = "sweep-";

std::string quoted(std::string_view text)
{
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

/// One object, its fields in the order in which they are added.
class json_object {
public:
  void add(const char* name, std::string_view text) { append(name, quoted(text)); }
  void add(const char* name, double number) { append(name, fmt::format("{:.6g}", number)); }
  void add(const char* name, std::uint64_t number) { append(name, fmt::format("{}", number)); }

  void add(const char* name, const std::vector<std::string>& objects)
  {
    append(name, fmt::format("[{}]", fmt::join(objects, ", ")));
  }

  void add(const char* name, const std::optional<double>& number)
  {
    if (number) add(name, *number);
  }

  std::string text() const { return "{" + fields_ + "}"; }

private:
  void append(const char* name, const std::string& value)
  {
    if (!fields_.empty()) fields_ += ", ";
    fields_ += fmt::format("\"{}\": {}", name, value);
  }

  std::string fields_;
};

void add_time(json_object& to, const row& of, const std::string& name)
{
  switch (of.shown_in()) {
  case unit::datagrams_per_second: to.add("datagrams_per_second", 1e9 / of.ns(name)); break;
  case unit::ns_of_latency: to.add("latency_p50_ns", of.ns(name)); break;
  case unit::ns_of_tail: {
    const latencies tail = of.tail(name);
    to.add("sent_per_second", of.rate(name));
    to.add("latency_p50_ns", tail.p50);
    to.add("latency_p99_ns", tail.p99);
    to.add("latency_p999_ns", tail.p999);
    to.add("latency_max_ns", tail.max);
    break;
  }
  case unit::wake_ups_per_second:
    to.add("wake_ups_per_second", of.ns(name));
    to.add("cpu_ns_per_second", of.cpu_ns(name));
    break;
  case unit::seconds: to.add("seconds", of.ns(name) / 1e9); break;
  case unit::ns_per_datagram: to.add("ns_per_datagram", of.ns(name)); break;
  case unit::bytes: to.add("bytes", of.ns(name)); break;
  case unit::lost_datagrams: to.add("lost", of.ns(name)); break;
  }
}

std::string verdict_json(const verdict& one)
{
  json_object object;
  if (!one.goal.theirs.empty()) object.add("against", one.goal.theirs);
  const bool by_speed = one.goal.is == relation::speed_at_least;
  const bool is_figure = one.goal.is == relation::figure_at_most;
  const bool is_extra = one.goal.is == relation::extra_cost_at_most;
  object.add(is_figure  ? "figure"
             : is_extra ? "extra_ns"
             : by_speed ? "speed_ratio"
                        : "cost_ratio",
             one.value);
  object.add(by_speed ? "at_least" : "at_most", one.goal.limit);
  object.add("result", std::string_view(one.met ? "met" : "missed"));
  return object.text();
}

std::string contender_json(const row& of, const contender& one)
{
  json_object object;
  object.add("id", of.id());
  object.add("label", of.label());
  object.add("work", of.work());
  object.add("impl", one.name);
  add_time(object, of, one.name);
  const bool is_rest = of.shown_in() == unit::wake_ups_per_second;
  const bool is_loss = of.shown_in() == unit::lost_datagrams;
  if (of.cpu_ns(one.name) > 0 && !is_rest) object.add("cpu_ns_per_datagram", of.cpu_ns(one.name));
  object.add("ratio_to_raw", ratio_to_raw(of, one));
  object.add("speedup_over_asio", speedup_over_asio(of, one));
  if (of.shown_in() != unit::seconds && of.shown_in() != unit::bytes && !is_rest && !is_loss) {
    if (!one.other_program) object.add("allocations_per_datagram", of.allocations(one.name));
    object.add("lost", of.lost(one.name));
  }
  std::vector<std::string> targets;
  for (const verdict& each : of.verdicts())
    if (each.goal.ours == one.name) targets.push_back(verdict_json(each));
  if (!targets.empty()) object.add("targets", targets);
  return object.text();
}

std::string allocation_json(const allocation_figure& one)
{
  json_object object;
  object.add("id", std::string_view("M1"));
  object.add("label", "M1-" + one.label);
  object.add("work", "heap allocations in " + one.label);
  object.add("impl", one.implementation);
  object.add("allocations_per_datagram", one.per_datagram);
  return object.text();
}

std::string point_json(const sweep& of, const series& line, const point& one)
{
  json_object object;
  object.add("id", sweep_prefix + of.id);
  object.add("work", of.work);
  object.add("impl", line.name);
  object.add("parameter", of.parameter);
  object.add("value", std::uint64_t{one.parameter});
  object.add(of.unit == sweep_unit::bytes ? "bytes" : "ns_per_datagram", one.value);
  return object.text();
}

/// Objects of an earlier file that this run has not measured: those of sweeps, or those of rows.
std::vector<std::string> kept_objects(const std::string& file, bool sweeps)
{
  std::vector<std::string> kept;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t start = line.find('{');
    if (start == std::string::npos) continue;
    const std::string object = line.substr(start, line.rfind('}') + 1 - start);
    if (object.starts_with("{\"id\": \"" + sweep_prefix) == sweeps) kept.push_back(object);
  }
  return kept;
}

}  // namespace

void update_json(const std::string& file, const report& all)
{
  std::vector<std::string> objects;
  for (const row& of : all.rows)
    for (const contender& one : of.contenders())
      objects.push_back(contender_json(of, one));
  for (const allocation_figure& one : allocation_figures(all))
    objects.push_back(allocation_json(one));
  if (all.rows.empty()) objects = kept_objects(file, false);
  std::vector<std::string> points;
  for (const sweep& of : all.sweeps)
    for (const series& line : of.lines)
      for (const point& one : line.points)
        points.push_back(point_json(of, line, one));
  if (all.sweeps.empty()) points = kept_objects(file, true);
  objects.insert(objects.end(), points.begin(), points.end());
  write_file(file, fmt::format("[\n  {}\n]\n", fmt::join(objects, ",\n  ")));
}

}  // namespace bench
