// SPDX-License-Identifier: BSL-1.0
// The row of exchanges, beside an echo that also receives one datagram and sends one.
#include "crowd.hpp"
#include "repetition.hpp"
#include "rows.hpp"
#include "session_drain.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

namespace bench {

namespace {

row measure_s13(const run_config& how)
{
  constexpr std::size_t payload = 64;
  constexpr std::size_t outstanding = 10'000;
  constexpr std::size_t datagrams_of_a_drain =
      2000;  // of each turn, and of another part of the peers
  constexpr const char* ours = "dgram exchanger";
  constexpr const char* control = "dgram reader + writer, an echo";
  row measured("S13",
               fmt::format("{} of {} exchanges of {} B are answered, and begin again",
                           datagrams_of_a_drain, outstanding, payload),
               unit::ns_per_datagram, metric::cpu);
  const auto source = std::make_shared<crowd>(payload);
  const auto add = [&](const char* name, drain::drainer_ptr made) {
    const std::shared_ptr<drain::drainer> by = std::move(made);
    source->drain();  // the first requests
    const auto first = std::make_shared<std::size_t>(0);
    const auto turn = [source, by, first, drains = how.drains] {
      return repeat(
          datagrams_of_a_drain, drains,
          [&](std::size_t count, repetition& now) {
            if (*first + count > outstanding) *first = 0;
            source->fill_from_each(by->descriptor(), std::exchange(*first, *first + count), count);
            now.time([&] { by->take(count); });
            now.count_lost(count - source->drain());
          },
          metric::cpu);
    };
    measured.add({name, turn, control});
  };
  add(control, drain::dgram_echo(1024, 262144));
  add(ours, drain::dgram_exchanges(outstanding, source->port(), payload));
  measured.expect({ours, relation::cost_at_most, 1.25, control});
  measured.run(how.rounds);
  return measured;
}

}  // namespace

void add_exchange_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S13", measure_s13});
}

}  // namespace bench
