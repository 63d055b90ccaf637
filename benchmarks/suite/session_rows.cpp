// SPDX-License-Identifier: BSL-1.0
// The rows of sessions: a drain with a state for each peer, look-ups alone, and what an idle
// session takes.
#include "crowd.hpp"
#include "process.hpp"
#include "repetition.hpp"
#include "resident.hpp"
#include "rows.hpp"
#include "session_drain.hpp"

#include <dgram.hpp>

#include <fmt/format.h>
#include <malloc.h>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <initializer_list>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t payload_size = 64;

constexpr std::size_t datagrams_of_a_drain = 2048;

row measure_s1(const run_config& how)
{
  const auto source = std::make_shared<crowd>(payload_size);
  row drained("S1",
              fmt::format("drain with a state for each peer, {} datagrams of {} B",
                          datagrams_of_a_drain, payload_size),
              unit::ns_per_datagram);
  const auto add = [&](const std::string& name, drain::drainer_ptr by, std::size_t peers,
                       const std::string& control) {
    const std::shared_ptr<drain::drainer> shared = std::move(by);
    drained.add({name,
                 [source, shared, peers, drains = how.drains] {
                   return repeat(datagrams_of_a_drain, drains,
                                 [&](std::size_t count, repetition& now) {
                                   source->fill(shared->descriptor(), count, peers);
                                   now.time([&] { shared->take(count); });
                                 });
                 },
                 control});
  };
  const std::string control = "dgram next_batch, no state";
  const auto ours = [](std::size_t peers) { return fmt::format("dgram session_map, {}", peers); };
  const auto theirs = [](std::size_t peers) {
    return fmt::format("std::unordered_map, {}", peers);
  };
  add(control, drain::dgram_next_batch(), 100, {});
  for (const std::size_t peers : std::initializer_list<std::size_t>{100, 1000, 10'000, 100'000}) {
    add(ours(peers), drain::dgram_session_map(peers, source->port()), peers, control);
    add(theirs(peers), drain::std_unordered_map(peers, source->port()), peers, control);
  }
  drained.expect({ours(100), relation::cost_at_most, 1.08, control});
  drained.expect({ours(100'000), relation::cost_at_most, 1.35, ours(100)});
  drained.run(how.rounds);
  return drained;
}

using key = dgram::detail::packed_key<dgram::udp>;

struct peer_state {
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;
};

key key_at(std::size_t number)
{
  return key(asio::ip::address_v4(0x0A000000U + static_cast<unsigned>(number)), 4000);
}

/// So many look-ups of random keys, which are packed outside the clock.
constexpr std::size_t look_ups = 16384;

template <class LookUp>
sample time_look_ups(std::size_t sessions, int repetitions, LookUp look_up)
{
  std::mt19937 random(1);
  std::vector<key> wanted(look_ups);
  return repeat(look_ups, repetitions, [&](std::size_t count, repetition& now) {
    for (std::size_t i = 0; i < count; ++i)
      wanted[i] = key_at(random() % sessions);
    std::uint64_t found = 0;
    now.time([&] { found = look_up(wanted.data(), count); });
    if (found != count) throw std::runtime_error("a look-up found nothing");
  });
}

class our_table {
public:
  explicit our_table(std::size_t sessions)
  {
    for (std::size_t i = 0; i < sessions; ++i) {
      const key name = key_at(i);
      store_.make(name, store_.hash(name), 0,
                  [](void* memory) { std::construct_at(static_cast<peer_state*>(memory)); });
    }
  }

  std::uint64_t look_up(const key* keys, std::size_t count)
  {
    constexpr std::size_t window = 32;
    std::array<std::uint32_t, window> hashes;
    std::array<std::uint32_t, window> guesses;
    std::uint64_t found = 0;
    for (std::size_t first = 0; first < count; first += window, keys += window) {
      for (std::size_t i = 0; i < window; ++i) {
        hashes[i] = store_.hash(keys[i]);
        store_.fetch_places(hashes[i]);
      }
      for (std::size_t i = 0; i < window; ++i)
        guesses[i] = store_.fetch_session(hashes[i]);
      for (std::size_t i = 0; i < window; ++i)
        found += store_.find(keys[i], hashes[i], guesses[i]) != nullptr ? 1U : 0U;
    }
    return found;
  }

private:
  dgram::detail::session_store<peer_state, key> store_{{.max_sessions = 1'000'000}, 2};
};

class their_table {
public:
  explicit their_table(std::size_t sessions)
  {
    for (std::size_t i = 0; i < sessions; ++i)
      states_.try_emplace(key_at(i));
  }

  std::uint64_t look_up(const key* keys, std::size_t count)
  {
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < count; ++i)
      found += states_.find(keys[i]) != states_.end() ? 1U : 0U;
    return found;
  }

private:
  struct hash {
    dgram::detail::keyed_hash with;
    std::size_t operator()(const key& of) const noexcept { return with(of); }
  };

  std::unordered_map<key, peer_state, hash> states_;
};

row measure_s5(const run_config& how)
{
  row found("S5", fmt::format("{} look-ups of random peers", look_ups), unit::ns_per_datagram);
  const auto add = [&](const std::string& name, auto table, std::size_t sessions) {
    found.add({name,
               [table, sessions, repetitions = how.drains] {
                 return time_look_ups(sessions, repetitions,
                                      [&](const key* keys, std::size_t count) {
                                        return table->look_up(keys, count);
                                      });
               },
               {}});
  };
  const auto ours = [](std::size_t sessions) {
    return fmt::format("dgram sessions, {}", sessions);
  };
  for (const std::size_t sessions :
       std::initializer_list<std::size_t>{100, 10'000, 100'000, 1'000'000}) {
    add(ours(sessions), std::make_shared<our_table>(sessions), sessions);
    add(fmt::format("std::unordered_map, {}", sessions), std::make_shared<their_table>(sessions),
        sessions);
  }
  found.expect({ours(100'000), relation::figure_at_most, 20});
  found.expect({ours(1'000'000), relation::figure_at_most, 45});
  found.run(how.rounds);
  return found;
}

constexpr std::size_t idle_sessions = 100'000;

/// Memory that earlier rows have freed would be used without a new page.
double resident_bytes_without_free_memory()
{
  ::malloc_trim(0);
  return resident_bytes();
}

double bytes_of_sessions()
{
  const double before = resident_bytes_without_free_memory();
  dgram::session_map<peer_state> sessions{{.max_sessions = idle_sessions}};
  for (std::size_t i = 0; i < idle_sessions; ++i)
    sessions.route({asio::ip::address_v4(drain::peer_address(i)), 4000});
  return (resident_bytes() - before) / idle_sessions;
}

/// What the listeners of a group that keeps sessions have in addition.
double bytes_of_shared_keys()
{
  const double before = resident_bytes_without_free_memory();
  dgram::detail::session_directory<dgram::udp> keys;
  for (std::size_t i = 0; i < idle_sessions; ++i)
    keys.claim({asio::ip::address_v4(drain::peer_address(i)), 4000}, 1);
  return (resident_bytes() - before) / idle_sessions;
}

/// As it is usually written: a map, and a timer for each peer.
double bytes_of_map_and_timers()
{
  struct state : peer_state {
    explicit state(asio::io_context& io) : timer(io, std::chrono::hours(1))
    {
      timer.async_wait([](const std::error_code&) {});
    }
    asio::steady_timer timer;
  };
  struct hash {
    std::size_t operator()(const asio::ip::udp::endpoint& of) const noexcept
    {
      return std::hash<asio::ip::address_v4>()(of.address().to_v4()) * 31 + of.port();
    }
  };
  asio::io_context io{1};
  const double before = resident_bytes_without_free_memory();
  std::unordered_map<asio::ip::udp::endpoint, state, hash> states;
  for (std::size_t i = 0; i < idle_sessions; ++i)
    states.try_emplace({asio::ip::address_v4(drain::peer_address(i)), 4000}, io);
  return (resident_bytes() - before) / idle_sessions;
}

row measure_s6(const run_config& how)
{
  constexpr const char* ours = "dgram session_map";
  row memory("S6",
             fmt::format("memory of each of {} idle sessions with a state of {} bytes",
                         idle_sessions, sizeof(peer_state)),
             unit::bytes);
  memory.add({"std::unordered_map and a timer each",
              [] { return sample{.ns = in_child(bytes_of_map_and_timers)}; }});
  memory.add({ours, [] { return sample{.ns = in_child(bytes_of_sessions)}; }});
  memory.add({"dgram shard_group, keep_sessions: in addition",
              [] { return sample{.ns = in_child(bytes_of_shared_keys)}; }});
  memory.expect({ours, relation::figure_at_most, 256});
  memory.run(how.rounds);
  return memory;
}

}  // namespace

void add_session_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S1", measure_s1});
  rows.push_back({"S5", measure_s5});
  rows.push_back({"S6", measure_s6});
}

}  // namespace bench
