// SPDX-License-Identifier: BSL-1.0
// The rows of listeners: a coroutine for each peer, beside the other forms and a loop without peers.
#include "batch_work.hpp"
#include "crowd.hpp"
#include "repetition.hpp"
#include "rows.hpp"
#include "session_drain.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t payload_size = 64;
constexpr std::size_t datagrams_of_a_drain = 2048;

using shared_drainer = std::shared_ptr<drain::drainer>;
using shared_crowd = std::shared_ptr<crowd>;

/// One drain of datagrams from random peers; answers must all come back.
contender drained(std::string name, const shared_crowd& source, drain::drainer_ptr made,
                  std::size_t peers, bool answers, const run_config& how, std::string control)
{
  const shared_drainer by = std::move(made);
  introduce(*source, *by, datagrams_of_a_drain, peers);
  const auto turn = [source, by, peers, answers, drains = how.drains] {
    return time_drain(*source, *by, datagrams_of_a_drain, peers, answers, drains);
  };
  return {std::move(name), turn, std::move(control)};
}

std::string of_peers(const char* name, std::size_t peers)
{
  return fmt::format("{}, {}", name, peers);
}

constexpr const char* serve = "dgram serve";
constexpr const char* in_a_map = "dgram session_map";
constexpr const char* map_and_post = "std::unordered_map and post";
constexpr const char* next = "dgram reader.next, no state";

row measure_s2(const run_config& how)
{
  const auto source = std::make_shared<crowd>(payload_size);
  row measured("S2",
               fmt::format("drain with a coroutine for each peer, {} datagrams of {} B",
                           datagrams_of_a_drain, payload_size),
               unit::ns_per_datagram, metric::cpu);
  const auto add = [&](const char* name, std::size_t peers, drain::drainer_ptr by) {
    measured.add(drained(of_peers(name, peers), source, std::move(by), peers, false, how,
                         of_peers(next, 100)));
  };
  for (const std::size_t peers : std::initializer_list<std::size_t>{100, 100'000}) {
    add(next, peers, drain::dgram_reader(64, false));
    add(in_a_map, peers, drain::dgram_session_map(peers, source->port()));
    add(serve, peers, drain::dgram_serve({}));
    add(map_and_post, peers, drain::std_map_and_post(false));
  }
  const std::string few = of_peers(serve, 100);
  const std::string many = of_peers(serve, 100'000);
  measured.expect({few, relation::cost_at_most, 1.2, of_peers(next, 100)});
  measured.expect({many, relation::cost_at_most, 1.6, few});
  measured.expect({many, relation::speed_at_least, 2.3, of_peers(map_and_post, 100'000)});
  measured.run(how.rounds);
  return measured;
}

row measure_s3(const run_config& how)
{
  const auto source = std::make_shared<crowd>(payload_size);
  row measured("S3",
               fmt::format("echo with a coroutine for each peer, {} datagrams of {} B",
                           datagrams_of_a_drain, payload_size),
               unit::ns_per_datagram, metric::cpu);
  constexpr const char* control = "dgram reader + writer, no state";
  const auto add = [&](const char* name, std::size_t peers, drain::drainer_ptr by) {
    measured.add(drained(of_peers(name, peers), source, std::move(by), peers, true, how,
                         of_peers(control, peers)));
  };
  for (const std::size_t peers : std::initializer_list<std::size_t>{100, 100'000}) {
    add(control, peers, drain::dgram_echo(1024, 262144));
    add(serve, peers, drain::dgram_serve({.coalesced = true, .answers = true}));
    add(map_and_post, peers, drain::std_map_and_post(true));
  }
  measured.expect({of_peers(serve, 100), relation::cost_at_most, 1.05, of_peers(control, 100)});
  // So the cost grows at most 1.2 times as much as that of the control, with the number of peers.
  measured.expect(
      {of_peers(serve, 100'000), relation::cost_at_most, 1.2, of_peers(control, 100'000)});
  measured.run(how.rounds);
  return measured;
}

row measure_s4(const run_config& how)
{
  constexpr std::size_t payload = 1200;
  constexpr std::size_t peers = 20;
  row measured("S4", fmt::format("drain of trains of {} B from {} peers", payload, peers),
               unit::ns_per_datagram, metric::cpu);
  const auto add = [&](const char* name, drain::drainer_ptr made) {
    const auto source = std::make_shared<filler>(payload, true, peers);
    const shared_drainer by = std::move(made);
    measured.add({name,
                  [source, by, drains = how.drains] {
                    return time_drain(*source, *by, drains, metric::cpu);
                  },
                  next});
  };
  add(next, drain::dgram_reader(64, true));
  add(in_a_map, drain::dgram_session_map_of_new_peers());
  add(serve, drain::dgram_serve({.coalesced = true}));
  measured.expect({in_a_map, relation::cost_at_most, 1.15, next});
  measured.expect({serve, relation::cost_at_most, 1.4, next});
  measured.run(how.rounds);
  return measured;
}

row measure_s7(const run_config& how)
{
  row measured("S7",
               fmt::format("drain of {} datagrams of {} B, each from a new peer",
                           datagrams_of_a_drain, payload_size),
               unit::ns_per_datagram, metric::cpu);
  const auto add = [&](const char* name, drain::drainer_ptr made) {
    const auto source = std::make_shared<crowd>(payload_size);
    const shared_drainer by = std::move(made);
    const auto number = std::make_shared<std::size_t>(0);
    const auto turn = [source, by, number, drains = how.drains] {
      return repeat(
          datagrams_of_a_drain, drains,
          [&](std::size_t count, repetition& now) {
            source->fill_from_each(by->descriptor(), std::exchange(*number, *number + count),
                                   count);
            now.time([&] { by->take(count); });
          },
          metric::cpu);
    };
    measured.add({name, turn, next});
  };
  constexpr const char* with_coroutine = "dgram serve, the session ends after the datagram";
  constexpr const char* without_coroutine = "dgram session_map";
  add(next, drain::dgram_reader(64, false));
  add(without_coroutine, drain::dgram_session_map_of_new_peers());
  add(with_coroutine, drain::dgram_serve({.only_one = true}));
  measured.expect({without_coroutine, relation::extra_cost_at_most, 800, next});
  measured.expect({with_coroutine, relation::extra_cost_at_most, 800, next});
  measured.run(how.rounds);
  return measured;
}

}  // namespace

void add_listener_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S2", measure_s2});
  rows.push_back({"S3", measure_s3});
  rows.push_back({"S4", measure_s4});
  rows.push_back({"S7", measure_s7});
}

}  // namespace bench
