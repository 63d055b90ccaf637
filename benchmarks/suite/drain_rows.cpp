// SPDX-License-Identifier: BSL-1.0
// The drain rows: the queue is filled outside the clock, and taking everything is timed.
#include "batch_work.hpp"
#include "drain.hpp"
#include "rows.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr const char* raw_recvfrom = "raw recvfrom";
constexpr const char* raw_recvmmsg = "raw recvmmsg";
constexpr const char* raw_coalesced = "raw recvmmsg + GRO";
constexpr const char* our_batch = "dgram batch";
constexpr const char* our_reader = "dgram reader";
constexpr const char* our_emitter = "dgram emitter";
constexpr std::size_t plain_slots = 64;

/// Adds implementations that drain what one filler queues.
class drain_row {
public:
  drain_row(const std::string& id, const std::string& what, std::size_t payload, bool trains,
            const run_config& how)
      : source_(std::make_shared<filler>(payload, trains)),
        how_(how),
        row_(id, fmt::format("{}, {} datagrams of {} B", what, source_->count(), payload),
             unit::ns_per_datagram)
  {
  }

  row& operator*() noexcept { return row_; }

  void add(const std::string& name, drain::drainer_ptr by, const std::string& control = {})
  {
    const std::shared_ptr<drain::drainer> shared = std::move(by);
    row_.add({name,
              [source = source_, shared, drains = how_.drains] {
                return time_drain(*source, *shared, drains);
              },
              control});
  }

  void add_others()
  {
    add(names::asio_callback, drain::asio_callback());
    add(names::asio_coroutine, drain::asio_coroutine());
#if DGRAM_BENCHMARKS_HAVE_LIBUV
    add(names::libuv, drain::libuv(false));
    add("libuv RECVMMSG", drain::libuv(true));
#endif
  }

  /// The slot count with which the coalescing control is fastest.
  std::size_t best_slots()
  {
    std::string text;
    std::size_t best = 0;
    double least = std::numeric_limits<double>::max();
    for (const std::size_t slots : std::initializer_list<std::size_t>{1, 2, 4, 8, 16, 32, 64}) {
      const auto by = drain::raw_recvmmsg(slots, true);
      time_drain(*source_, *by, how_.drains);
      const double cost = time_drain(*source_, *by, how_.drains).ns;
      text += fmt::format("  {}: {:.1f}", slots, cost);
      if (cost < least) {
        least = cost;
        best = slots;
      }
    }
    row_.note(fmt::format("{}, ns per datagram by slots:{}; taken: {}", raw_coalesced, text, best));
    return best;
  }

  row measure()
  {
    row_.run(how_.rounds);
    return std::move(row_);
  }

private:
  std::shared_ptr<filler> source_;
  run_config how_;
  row row_;
};

row measure_r1(const run_config& how)
{
  drain_row plain("R1", "drain in batches", 64, false, how);
  plain.add(raw_recvfrom, drain::raw_recvfrom());
  plain.add(raw_recvmmsg, drain::raw_recvmmsg(plain_slots, false));
  plain.add(our_batch, drain::dgram_batch(plain_slots, false), raw_recvmmsg);
  plain.add("dgram drop-in callback", drain::dgram_drop_in_callback(), raw_recvfrom);
  plain.add("dgram drop-in coroutine", drain::dgram_drop_in_coroutine(), raw_recvfrom);
  plain.add_others();
  (*plain).expect({our_batch, relation::cost_at_most, 1.05, raw_recvmmsg});
  (*plain).expect({our_batch, relation::speed_at_least, 1.55, names::asio_coroutine});
  return plain.measure();
}

row measure_r2(const run_config& how)
{
  drain_row plain("R2", "drain one by one", 64, false, how);
  plain.add(raw_recvmmsg, drain::raw_recvmmsg(plain_slots, false));
  plain.add(our_reader, drain::dgram_reader(plain_slots, true), raw_recvmmsg);
  plain.add_others();
  (*plain).expect({our_reader, relation::cost_at_most, 1.12, raw_recvmmsg});
  (*plain).expect({our_reader, relation::speed_at_least, 1.45, names::asio_coroutine});
  return plain.measure();
}

/// The sender uses GSO; with an ordinary receiver the kernel cuts the trains apart before they are queued.
row measure_coalesced(const std::string& id, std::size_t payload, double most_of_raw,
                      double least_over_asio, const run_config& how)
{
  drain_row trains(id, "drain coalesced in batches", payload, true, how);
  const std::size_t slots = trains.best_slots();
  trains.add(raw_coalesced, drain::raw_recvmmsg(slots, true));
  trains.add(our_batch, drain::dgram_batch(slots, true), raw_coalesced);
  trains.add_others();
  (*trains).expect({our_batch, relation::cost_at_most, most_of_raw, raw_coalesced});
  (*trains).expect({our_batch, relation::speed_at_least, least_over_asio, names::asio_coroutine});
  return trains.measure();
}

row measure_r4(const run_config& how)
{
  drain_row trains("R4", "drain coalesced one by one", 1200, true, how);
  const std::size_t slots = trains.best_slots();
  trains.add(raw_coalesced, drain::raw_recvmmsg(slots, true));
  trains.add(our_reader, drain::dgram_reader(plain_slots, true), raw_coalesced);
  trains.add_others();
  (*trains).expect({our_reader, relation::speed_at_least, 5.5, names::asio_coroutine});
  return trains.measure();
}

row measure_r5(const run_config& how)
{
  drain_row events("R5", "drain with a 'message' listener", 64, false, how);
  events.add(raw_recvmmsg, drain::raw_recvmmsg(plain_slots, false));
  events.add(our_emitter, drain::dgram_emitter(), raw_recvmmsg);
  events.add_others();
  (*events).expect({our_emitter, relation::cost_at_most, 1.08, raw_recvmmsg});
  (*events).expect({our_emitter, relation::speed_at_least, 1.5, names::asio_coroutine});
  return events.measure();
}

/// R1 with all that the kernel says of a datagram, in both.
row measure_r6(const run_config& how)
{
  drain_row told("R6", "drain in batches, with all metadata", 64, false, how);
  told.add(raw_recvmmsg, drain::raw_metadata(plain_slots));
  told.add(our_batch, drain::dgram_metadata(plain_slots), raw_recvmmsg);
  (*told).expect({our_batch, relation::cost_at_most, 1.15, raw_recvmmsg});
  return told.measure();
}

}  // namespace

void add_drain_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"R1", measure_r1});
  rows.push_back({"R2", measure_r2});
  rows.push_back({"R3-64", [](const run_config& how) {
                    return measure_coalesced("R3-64", 64, 1.10, 45, how);
                  }});
  rows.push_back({"R3-1200", [](const run_config& how) {
                    return measure_coalesced("R3-1200", 1200, 1.15, 7, how);
                  }});
  rows.push_back({"R4", measure_r4});
  rows.push_back({"R5", measure_r5});
  rows.push_back({"R6", measure_r6});
}

}  // namespace bench
