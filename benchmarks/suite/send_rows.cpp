// SPDX-License-Identifier: BSL-1.0
// The send rows: sending is timed; the receivers are emptied, and what arrived is counted, outside the clock.
#include "batch_work.hpp"
#include "raw.hpp"
#include "rows.hpp"
#include "send.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr const char* raw_sendmmsg = "raw sendmmsg";
constexpr const char* raw_watched = "raw sendmmsg, socket in an epoll";
constexpr const char* raw_gso = "raw GSO, one buffer";
constexpr const char* raw_gathered = "raw GSO, gathered";
constexpr const char* our_batch = "dgram batch";
constexpr const char* our_segments = "dgram batch, one buffer";
constexpr const char* our_emitter = "dgram emitter";
constexpr std::size_t payload = 1200;
constexpr std::size_t batches_per_turn = 16;

class send_row {
public:
  send_row(const std::string& id, const std::string& what, std::size_t peers, bool coalesced,
           std::size_t batch, const run_config& how)
      : receivers_(std::make_shared<receivers>(peers, coalesced)),
        job_{payload, receivers_->addresses(), batch},
        how_(how),
        row_(id, fmt::format("{}, {} B, {} at a time", what, payload, batch), unit::ns_per_datagram)
  {
  }

  row& operator*() noexcept { return row_; }

  void add(const std::string& name, send::sender_ptr (*make)(const send::job&),
           const std::string& control = {})
  {
    const std::shared_ptr<send::sender> by = make(job_);
    row_.add({name,
              [by, to = receivers_, datagrams = batches_per_turn * job_.batch,
               drains = how_.drains] { return time_send(*by, *to, datagrams, drains); },
              control});
  }

  void add_others()
  {
    add(names::asio_callback, send::asio_callback);
    add(names::asio_coroutine, send::asio_coroutine);
#if DGRAM_BENCHMARKS_HAVE_LIBUV
    add(names::libuv, send::libuv);
#endif
  }

  row measure()
  {
    row_.run(how_.rounds);
    return std::move(row_);
  }

private:
  std::shared_ptr<receivers> receivers_;
  send::job job_;
  run_config how_;
  row row_;
};

row measure_to_one(const std::string& id, bool coalesced, double least_over_asio,
                   const run_config& how)
{
  // Full messages only, so that neither side sends a short one.
  const std::size_t batch = 8 * raw::train_length(payload);
  send_row one(id, coalesced ? "send to one peer that coalesces" : "send to one ordinary peer", 1,
               coalesced, batch, how);
  one.add("raw sendto", send::raw_sendto);
  one.add(raw_sendmmsg, send::raw_sendmmsg);
  one.add(raw_gathered, send::raw_gso_gathered);
  one.add(raw_gso, send::raw_gso);
  one.add(our_batch, send::dgram_batch, raw_gathered);
  one.add(our_segments, send::dgram_segments, raw_gso);
  one.add_others();
  (*one).expect({our_batch, relation::cost_at_most, 1.08, raw_gathered});
  (*one).expect({our_segments, relation::cost_at_most, 1.08, raw_gso});
  (*one).expect({our_batch, relation::speed_at_least, least_over_asio, names::asio_coroutine});
  return one.measure();
}

row measure_t2(const run_config& how)
{
  send_row many("T2", "send to 64 peers in turn", 64, false, 64, how);
  many.add("raw sendto", send::raw_sendto);
  many.add(raw_sendmmsg, send::raw_sendmmsg);
  many.add(raw_watched, send::raw_sendmmsg_watched);
  many.add(our_batch, send::dgram_batch, raw_sendmmsg);
  many.add_others();
  (*many).expect({our_batch, relation::cost_at_most, 1.05, raw_sendmmsg});
  (*many).expect({our_batch, relation::cost_at_most, 1.05, raw_watched});
  (*many).expect({our_batch, relation::speed_at_least, 1.3, names::asio_coroutine});
  return many.measure();
}

row measure_t3(const run_config& how)
{
  send_row turn("T3", "send many in one turn to one ordinary peer", 1, false,
                8 * raw::train_length(payload), how);
  turn.add(raw_sendmmsg, send::raw_sendmmsg);
  turn.add(raw_gathered, send::raw_gso_gathered);
  turn.add(our_emitter, send::dgram_emitter, raw_gathered);
  turn.add_others();
  (*turn).expect({our_emitter, relation::speed_at_least, 3, names::asio_coroutine});
  return turn.measure();
}

}  // namespace

void add_send_rows(std::vector<row_maker>& rows)
{
  rows.push_back(
      {"T1", [](const run_config& how) { return measure_to_one("T1", false, 4.5, how); }});
  rows.push_back(
      {"T1-GRO", [](const run_config& how) { return measure_to_one("T1-GRO", true, 20, how); }});
  rows.push_back({"T2", measure_t2});
  rows.push_back({"T3", measure_t3});
}

}  // namespace bench
