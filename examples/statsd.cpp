// SPDX-License-Identifier: BSL-1.0
// Collects metrics as StatsD does, and prints their aggregates at the end of each interval.
//
//   example_statsd [--listen ADDRESS:PORT] [--interval MS] [--count N]
//
// It prints "listening on ADDRESS:PORT" (127.0.0.1:0, any free port), and a block of lines every MS milliseconds (1000) in
// which something came. It ends after N blocks, or with SIGINT. Each line of a datagram is one metric:
//   requests:1|c        adds to a counter; with |@0.1 behind it, one of ten was sent
//   latency:12.5|ms     is one of many times
//   users:7|g           sets a gauge; with a sign, changes it
//   visitors:ann|s      counts different values
// Try it with bash:  printf 'requests:1|c\nlatency:12.5|ms' >/dev/udp/127.0.0.1/PORT

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using std::chrono::steady_clock;

std::optional<double> to_number(std::string_view text)
{
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class metrics {
public:
  /// Takes the lines of a datagram. What is no metric is counted.
  void take(std::string_view text)
  {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      if (const auto line = text.substr(0, end); !line.empty() && !take_line(line)) ++bad_lines_;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  /// Prints what came since the last call; false if nothing did. Gauges keep their values.
  bool print(double dropped)
  {
    if (counters_.empty() && times_.empty() && gauges_changed_.empty() && sets_.empty() &&
        bad_lines_ == 0 && dropped == 0)
      return false;
    for (const auto& [name, value] : counters_)
      fmt::print("counter {} {}\n", name, value);
    for (auto& [name, values] : times_) {
      std::sort(values.begin(), values.end());
      const auto at = [&](double part) {
        return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
      };
      fmt::print("time {} count={} min={} median={} p95={} max={}\n", name, values.size(),
                 values.front(), at(0.5), at(0.95), values.back());
    }
    for (const auto& name : gauges_changed_)
      fmt::print("gauge {} {}\n", name, gauges_[name]);
    for (const auto& [name, values] : sets_)
      fmt::print("set {} {}\n", name, values.size());
    if (bad_lines_ != 0) fmt::print("bad lines {}\n", bad_lines_);
    if (dropped != 0) fmt::print("lost datagrams {} at least\n", dropped);
    fmt::print("--\n");
    counters_.clear();
    times_.clear();
    gauges_changed_.clear();
    sets_.clear();
    bad_lines_ = 0;
    return true;
  }

private:
  bool take_line(std::string_view line)
  {
    const std::size_t colon = line.find(':');
    const std::size_t bar = line.find('|', colon == line.npos ? 0 : colon);
    if (colon == 0 || colon == line.npos || bar == line.npos) return false;
    const std::string name = example::printable(line.substr(0, colon));
    const std::string_view value = line.substr(colon + 1, bar - colon - 1);
    const std::string_view type = line.substr(bar + 1);
    if (type == "s") {
      sets_[name].emplace(value);
      return true;
    }
    const auto number = to_number(value);
    if (!number) return false;
    if (type == "g") {
      const bool relative = value.starts_with('+') || value.starts_with('-');
      gauges_[name] = relative ? gauges_[name] + *number : *number;
      gauges_changed_.insert(name);
    } else if (type == "ms") {
      times_[name].push_back(*number);
    } else if (type == "c") {
      counters_[name] += *number;
    } else if (type.starts_with("c|@")) {
      const auto rate = to_number(type.substr(3));
      if (!rate || *rate <= 0 || *rate > 1) return false;
      counters_[name] += *number / *rate;
    } else {
      return false;
    }
    return true;
  }

  std::map<std::string, double> counters_;
  std::map<std::string, std::vector<double>> times_;
  std::map<std::string, double> gauges_;
  std::set<std::string> gauges_changed_;
  std::map<std::string, std::set<std::string>> sets_;
  std::size_t bad_lines_ = 0;
};

asio::awaitable<void> collect(dgram::udp::socket& socket, std::chrono::milliseconds interval,
                              int count)
{
  socket.set_option(dgram::option::receive_drop_count{true});
  dgram::reader reader{socket};
  metrics values;
  std::uint64_t dropped_before = 0;
  for (int blocks = 0; count == 0 || blocks < count;) {
    const auto end = steady_clock::now() + interval;
    // Empty at the end of the interval.
    while (const auto datagram = co_await reader.next_until(end))
      values.take(datagram->payload().text());
    const std::uint64_t dropped = socket.statistics().dropped;
    if (values.print(static_cast<double>(dropped - dropped_before))) ++blocks;
    dropped_before = dropped;
    if (reader.is_stopped()) co_return;
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_statsd [--listen ADDRESS:PORT] [--interval MS] [--count N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    std::string local = "127.0.0.1:0";
    int interval = 1000;
    int count = 0;
    while (words.option("--listen", local) || words.option("--interval", interval, 1, 86'400'000) ||
           words.option("--count", count, 1, 1'000'000)) {}
    words.finish();
    asio::io_context io;
    dgram::udp::socket socket(io, dgram::parse_endpoint(local));
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });
    fmt::print("listening on {}\n", socket.local_endpoint());
    asio::co_spawn(io, collect(socket, std::chrono::milliseconds(interval), count),
                   [&](const std::exception_ptr& failure) {
                     signals.cancel();
                     example::rethrow(failure);
                   });
    io.run();
    return 0;
  });
}
