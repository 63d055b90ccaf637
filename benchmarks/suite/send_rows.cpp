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
constexpr const char* raw_copied = "raw GSO, copied";
constexpr const char* our_batch = "dgram batch";
constexpr const char* our_segments = "dgram batch, one buffer";
constexpr const char* our_copying_batch = "dgram batch that copies";
constexpr const char* our_writer = "dgram writer";
constexpr const char* our_emitter = "dgram emitter";
constexpr std::size_t large_payload = 1200;
constexpr std::size_t small_payload = 100;
constexpr std::size_t of_handler = 512;  // datagrams
constexpr std::size_t batches_per_turn = 16;

class send_row {
public:
  send_row(const std::string& id, const std::string& what, std::size_t payload, std::size_t peers,
           bool coalesced, std::size_t batch, const run_config& how, metric by = metric::time)
      : receivers_(std::make_shared<receivers>(peers, coalesced)),
        job_{payload, receivers_->addresses(), batch},
        how_(how),
        row_(id, fmt::format("{}, {} B, {} at a time", what, payload, batch), unit::ns_per_datagram,
             by)
  {
  }

  row& operator*() noexcept { return row_; }

  template <class Make>
  void add(const std::string& name, Make make, const std::string& control = {})
  {
    const std::shared_ptr<send::sender> by = make(job_);
    row_.add({name,
              [by, to = receivers_, datagrams = batches_per_turn * job_.batch, drains = how_.drains,
               measured = row_.compared_by()] {
                return time_send(*by, *to, datagrams, drains, measured);
              },
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
  const std::size_t batch = 8 * raw::train_length(large_payload);
  send_row one(id, coalesced ? "send to one peer that coalesces" : "send to one ordinary peer",
               large_payload, 1, coalesced, batch, how);
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
  send_row many("T2", "send to 64 peers in turn", large_payload, 64, false, 64, how);
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
  send_row turn("T3", "send many in one turn to one ordinary peer", large_payload, 1, false,
                8 * raw::train_length(large_payload), how);
  turn.add(raw_sendmmsg, send::raw_sendmmsg);
  turn.add(raw_gathered, send::raw_gso_gathered);
  turn.add(our_emitter, send::dgram_emitter, raw_gathered);
  turn.add_others();
  (*turn).expect({our_emitter, relation::speed_at_least, 3, names::asio_coroutine});
  return turn.measure();
}

void add_in_handlers(send_row& to, const char* name, send::sender_ptr (*control)(const send::job&))
{
  to.add(name, [control](const send::job& work) { return send::in_handlers(work, control); });
}

void add_ours_in_handlers(send_row& to, const std::string& control)
{
  to.add(
      our_copying_batch,
      [](const send::job& work) { return send::dgram_batch_in_handlers(work, true); }, control);
  to.add(
      our_batch, [](const send::job& work) { return send::dgram_batch_in_handlers(work, false); },
      control);
  to.add(our_writer, send::dgram_writer_in_handlers, control);
  to.add(our_emitter, send::dgram_emitter_in_handlers, control);
}

row measure_t6(const run_config& how)
{
  send_row one("T6", "send from a handler to one peer that coalesces", small_payload, 1, true,
               of_handler, how, metric::cpu);
  add_in_handlers(one, raw_copied, send::raw_gso_copied);
  add_in_handlers(one, raw_gathered, send::raw_gso_gathered);
  add_ours_in_handlers(one, raw_copied);
  one.add_others();
  (*one).expect({our_copying_batch, relation::cost_at_most, 1.3, raw_copied});
  (*one).expect({our_batch, relation::cost_at_most, 1.3, raw_copied});
  (*one).expect({our_writer, relation::cost_at_most, 1.7, raw_copied});
  (*one).expect({our_emitter, relation::cost_at_most, 2.3, raw_copied});
  (*one).note(
      fmt::format("{}: messages of {} datagrams", raw_copied, raw::longest_train(small_payload)));
  return one.measure();
}

row measure_t7(const run_config& how)
{
  send_row many("T7", "send from a handler to 512 peers in turn", small_payload, of_handler, false,
                of_handler, how, metric::cpu);
  add_in_handlers(many, raw_sendmmsg, send::raw_sendmmsg);
  add_in_handlers(many, raw_watched, send::raw_sendmmsg_watched);
  add_ours_in_handlers(many, raw_sendmmsg);
  many.add_others();
  // Asio keeps each socket in an epoll, and the kernel looks there for each datagram that leaves.
  for (const char* const control : {raw_sendmmsg, raw_watched}) {
    (*many).expect({our_batch, relation::cost_at_most, 1.03, control});
    (*many).expect({our_writer, relation::cost_at_most, 1.1, control});
    (*many).expect({our_emitter, relation::cost_at_most, 1.15, control});
  }
  return many.measure();
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
  rows.push_back({"T6", measure_t6});
  rows.push_back({"T7", measure_t7});
}

}  // namespace bench
