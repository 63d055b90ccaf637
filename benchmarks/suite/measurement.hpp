// SPDX-License-Identifier: BSL-1.0
// Rows of the table: several implementations do the same work in turn, with these results.
#ifndef DGRAM_BENCHMARKS_SUITE_MEASUREMENT_HPP
#define DGRAM_BENCHMARKS_SUITE_MEASUREMENT_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

double median(std::vector<double> values);

/// Latencies in nanoseconds that 50, 99 and 99.9 % of the answers do not exceed, and the largest
/// one.
struct latencies {
  double p50 = 0;
  double p99 = 0;
  double p999 = 0;
  double max = 0;
};

/// What one turn of an implementation cost, per datagram.
struct sample {
  double ns = 0;      // or what the row's unit says
  double cpu_ns = 0;  // of the server, where there is one
  double allocations = 0;
  std::uint64_t lost = 0;
  latencies tail = {};  // in rows that show it
  double rate = 0;      // the planned datagrams per second, in those rows
};

enum class metric { time, cpu };

/// One way to do a row's work.
struct contender {
  std::string name;
  std::function<sample()> turn;
  std::string control = {};    // the loop over bare system calls that it is measured against
  bool informational = false;  // no target speaks of it
  bool other_program = false;  // its allocations are not counted
};

enum class relation { cost_at_most, speed_at_least, extra_cost_at_most, figure_at_most };

/// "`ours` costs at most `limit` times what `theirs` costs", "is at least `limit` times as fast",
/// "costs at most `limit` more", or "costs at most `limit`", without `theirs`.
struct target {
  std::string ours;
  relation is;
  double limit;
  std::string theirs = {};
};

/// A target and what was measured.
struct verdict {
  target goal;
  double value;
  bool met;
};

/// How a row's figures are shown.
enum class unit {
  ns_per_datagram,
  datagrams_per_second,
  ns_of_latency,
  ns_of_tail,  // the 99th percentile, with the others beside it
  seconds,
  bytes,
  wake_ups_per_second,  // with the processor time of a second
  lost_datagrams
};

class row {
public:
  row(std::string label, std::string work, unit shown_in, metric compared_by = metric::time);

  void add(contender one) { contenders_.push_back(std::move(one)); }

  /// A target whose implementations are not in this run is left out.
  void expect(target goal) { targets_.push_back(std::move(goal)); }

  /// A line that is printed below the row, such as how a parameter was chosen.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  /// Gives every implementation its turn in each of `rounds` rounds, after one that does not count.
  void run(int rounds);

  /// Samples that were taken elsewhere, one of each implementation in turn.
  void record(std::size_t contender, const sample& taken);

  /// The identifier in the table of targets; a label may add a variant to it, as in "R3-64".
  std::string id() const { return label_.substr(0, label_.find('-')); }
  const std::string& label() const { return label_; }
  const std::string& work() const { return work_; }
  unit shown_in() const { return unit_; }
  metric compared_by() const { return metric_; }
  const std::vector<contender>& contenders() const { return contenders_; }
  const std::vector<std::string>& notes() const { return notes_; }

  bool has(std::string_view name) const;
  std::uint64_t lost() const;

  /// Medians over the rounds.
  double ns(std::string_view name) const;
  double cpu_ns(std::string_view name) const;

  /// The most that a round allocated.
  double allocations(std::string_view name) const;
  std::uint64_t lost(std::string_view name) const;

  /// Medians over the rounds, and the largest latency of all rounds.
  latencies tail(std::string_view name) const;
  double rate(std::string_view name) const;

  /// The cost that the row is about: CPU time or elapsed time.
  double cost(std::string_view name) const;

  /// The median over the rounds of one implementation's cost by another's in the same round.
  double ratio(std::string_view ours, std::string_view theirs) const;

  /// The median of the differences.
  double difference(std::string_view ours, std::string_view theirs) const;

  std::vector<verdict> verdicts() const;

private:
  const std::vector<sample>& samples_of(std::string_view name) const;
  double cost_of(const sample& one) const;
  double value_of(const target& goal) const;

  template <class Compare>
  double compare(std::string_view ours, std::string_view theirs, Compare compare) const;

  std::string label_;
  std::string work_;
  unit unit_;
  metric metric_;
  std::vector<contender> contenders_;
  std::vector<target> targets_;
  std::vector<std::string> notes_;
  std::vector<std::vector<sample>> samples_;
};

}  // namespace bench

#endif
