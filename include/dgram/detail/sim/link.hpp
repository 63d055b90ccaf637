// SPDX-License-Identifier: BSL-1.0
// One direction of a link between two simulated hosts: when, and whether, a datagram arrives.
#ifndef DGRAM_DETAIL_SIM_LINK_HPP
#define DGRAM_DETAIL_SIM_LINK_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/agenda.hpp>
#include <dgram/sim_config.hpp>
#include <dgram/sim_random.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline constexpr sim_time sim_shortest_delay = 1000;

/// Throws `std::invalid_argument`, whose text names the member and the allowed range.
inline void check_link(const sim::link_config& config)
{
  const auto refuse = [](const char* member, const char* allowed) {
    throw std::invalid_argument(std::string("sim::link_config: ") + member + " must be " + allowed);
  };
  const auto is_probability = [](double value) { return value >= 0 && value <= 1; };
  constexpr auto longest = std::chrono::hours(24 * 365);
  const auto is_delay = [&](std::chrono::nanoseconds value) {
    return value.count() >= 0 && value <= longest;
  };
  if (!is_delay(config.delay)) refuse("delay", "from 0 to a year");
  if (!is_delay(config.jitter)) refuse("jitter", "from 0 to a year");
  if (!is_delay(config.reorder_delay)) refuse("reorder_delay", "from 0 to a year");
  if (!is_probability(config.loss)) refuse("loss", "from 0 to 1");
  if (!is_probability(config.duplicate)) refuse("duplicate", "from 0 to 1");
  if (!is_probability(config.reorder)) refuse("reorder", "from 0 to 1");
  if (config.rate != 0 && config.rate < 100) refuse("rate", "0, or at least 100 bits per second");
  if (config.queue > 0x40000000U) refuse("queue", "at most 1 GiB");
  if (config.queue != 0 && config.rate == 0) refuse("queue", "0 without a rate");
  if (config.mtu < 68) refuse("mtu", "at least 68");
}

/// The draws of a link come from a generator of its own, so the traffic of other links does not
/// change them.
class sim_link {
public:
  sim_link(std::uint64_t seed, const sim::link_config& config) : config_(config), random_(seed) {}

  sim::link_counters counters;
  std::uint64_t config_version = 0;

  void change(const sim::link_config& config) noexcept { config_ = config; }

  /// Sends a packet of so many bytes. Returns none if the queue has no room for it.
  std::optional<sim_time> send(std::size_t bytes, sim_time now)
  {
    if (config_.rate == 0) return now;
    const sim_time start = std::max(now, idle_from_);
    if (config_.queue > 0 && start > now && start - now + time_of(bytes) > time_of(config_.queue))
      return std::nullopt;
    idle_from_ = start + time_of(bytes);
    return idle_from_;
  }

  bool loses() noexcept { return random_.chance(config_.loss); }
  bool duplicates() noexcept { return random_.chance(config_.duplicate); }

  /// When a packet arrives that has left at this time.
  sim_time arrival(sim_time left)
  {
    sim_time delay = config_.delay.count();
    if (const auto jitter = config_.jitter.count(); jitter > 0)
      delay +=
          static_cast<sim_time>(random_.below(2 * static_cast<std::uint64_t>(jitter) + 1)) - jitter;
    if (random_.chance(config_.reorder)) delay += config_.reorder_delay.count();
    sim_time at = left + std::max(delay, sim_shortest_delay);
    if (config_.keep_order) at = std::max(at, last_arrival_);
    last_arrival_ = std::max(last_arrival_, at);
    return at;
  }

private:
  /// How long the bytes take at the link's rate; rounded up.
  sim_time time_of(std::size_t bytes) const noexcept
  {
    constexpr std::uint64_t bit_nanoseconds = 8'000'000'000;
    return static_cast<sim_time>((bytes * bit_nanoseconds + config_.rate - 1) / config_.rate);
  }

  sim::link_config config_;
  sim::random random_;
  sim_time idle_from_ = 0;
  sim_time last_arrival_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
