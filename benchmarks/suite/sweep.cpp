// SPDX-License-Identifier: BSL-1.0
#include "sweep.hpp"

#include "batch_work.hpp"
#include "drain.hpp"
#include "process.hpp"
#include "progress.hpp"
#include "raw.hpp"
#include "send.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace bench {

namespace {

constexpr std::size_t plain_slots = 64;
constexpr std::size_t train_slots = 8;
constexpr std::size_t writer_datagrams = 1024;
constexpr std::size_t writer_bytes = 256 << 10;

/// Measures one point: the median of several turns.
using measure_point = std::function<sample(std::size_t)>;

class sweep_builder {
public:
  sweep_builder(std::string id, std::string work, std::string parameter,
                std::vector<std::size_t> values, const run_config& how)
      : made_{std::move(id), std::move(work), std::move(parameter), {}},
        values_(std::move(values)),
        how_(how)
  {
  }

  void add(const std::string& name, const measure_point& measure)
  {
    series line{name, {}};
    for (const std::size_t value : values_) {
      show_progress(fmt::format("{}: {}: {} {}", made_.id, name, made_.parameter, value));
      line.points.push_back({value, measure(value).ns});
    }
    clear_progress();
    made_.lines.push_back(std::move(line));
  }

  sweep take() { return std::move(made_); }

private:
  sweep made_;
  std::vector<std::size_t> values_;
  run_config how_;
};

/// Turns with one pair of filler and drainer, of which the first does not count.
sample median_drain(const run_config& how, filler source, const drain::drainer_ptr& by)
{
  time_drain(source, *by, how.drains);
  std::vector<double> costs;
  costs.reserve(static_cast<std::size_t>(how.rounds));
  for (int i = 0; i < how.rounds; ++i)
    costs.push_back(time_drain(source, *by, how.drains).ns);
  return {.ns = median(std::move(costs))};
}

sample median_send(const run_config& how, receivers& to, const send::job& work,
                   send::sender_ptr (*make)(const send::job&))
{
  const send::sender_ptr by = make(work);
  const std::size_t datagrams = std::max<std::size_t>(1024, work.peers.size());
  time_send(*by, to, datagrams, how.drains);
  std::vector<double> costs;
  costs.reserve(static_cast<std::size_t>(how.rounds));
  for (int i = 0; i < how.rounds; ++i)
    costs.push_back(time_send(*by, to, datagrams, how.drains).ns);
  return {.ns = median(std::move(costs))};
}

std::vector<std::size_t> batch_sizes()
{
  return {1, 2, 4, 8, 16, 32, 64, 128};
}
std::vector<std::size_t> payloads_of_interest()
{
  return {64, 128, 256, 512, 1024, 1200, 1472};
}

sweep receive_by_batch(const run_config& how)
{
  sweep_builder built("receive-batch", "drain 64 B datagrams, not coalesced", "slots",
                      batch_sizes(), how);
  built.add("raw recvmmsg, slots of 2 KiB", [&](std::size_t slots) {
    return median_drain(how, filler(64, false), drain::raw_recvmmsg(slots, false));
  });
  built.add("dgram batch, slots of 64 KiB", [&](std::size_t slots) {
    return median_drain(how, filler(64, false), drain::dgram_batch(slots, false));
  });
  built.add("dgram reader", [&](std::size_t slots) {
    return median_drain(how, filler(64, false), drain::dgram_reader(slots, true));
  });
  return built.take();
}

sweep receive_by_slots(const run_config& how)
{
  sweep_builder built("receive-slots", "drain coalesced trains", "slots of 64 KiB", batch_sizes(),
                      how);
  for (const std::size_t payload : std::initializer_list<std::size_t>{64, 1200}) {
    built.add(fmt::format("raw recvmmsg + GRO, {} B", payload), [&](std::size_t slots) {
      return median_drain(how, filler(payload, true), drain::raw_recvmmsg(slots, true));
    });
    built.add(fmt::format("dgram batch, {} B", payload), [&](std::size_t slots) {
      return median_drain(how, filler(payload, true), drain::dgram_batch(slots, true));
    });
  }
  return built.take();
}

sweep receive_by_payload(const run_config& how)
{
  sweep_builder built("receive-payload", "drain with a reader", "bytes of payload",
                      payloads_of_interest(), how);
  for (const bool trains : {false, true}) {
    const char* const kind = trains ? "coalesced" : "plain";
    built.add(fmt::format("dgram reader, {}", kind), [&](std::size_t payload) {
      return median_drain(how, filler(payload, trains), drain::dgram_reader(plain_slots, true));
    });
    built.add(fmt::format("raw recvmmsg, {}", kind), [&](std::size_t payload) {
      return median_drain(how, filler(payload, trains),
                          drain::raw_recvmmsg(trains ? train_slots : plain_slots, trains));
    });
  }
  return built.take();
}

sweep send_by_batch(const run_config& how)
{
  sweep_builder built("send-batch", "send 1200 B to one peer", "datagrams in a batch",
                      batch_sizes(), how);
  for (const bool coalesced : {false, true}) {
    receivers to(1, coalesced);
    const char* const kind = coalesced ? "that coalesces" : "ordinary";
    const auto add = [&](const char* name, send::sender_ptr (*make)(const send::job&)) {
      built.add(fmt::format("{}, peer {}", name, kind), [&](std::size_t batch) {
        return median_send(how, to, {1200, to.addresses(), batch}, make);
      });
    };
    add("raw GSO", send::raw_gso_gathered);
    add("dgram batch", send::dgram_batch);
  }
  return built.take();
}

sweep send_by_payload(const run_config& how)
{
  sweep_builder built("send-payload", "send to one ordinary peer, 64 at a time", "bytes of payload",
                      payloads_of_interest(), how);
  receivers to(1, false);
  const auto add = [&](const char* name, send::sender_ptr (*make)(const send::job&)) {
    built.add(name, [&](std::size_t payload) {
      return median_send(how, to, {payload, to.addresses(), 64}, make);
    });
  };
  add("raw sendmmsg", send::raw_sendmmsg);
  add("raw GSO", send::raw_gso_gathered);
  add("dgram batch", send::dgram_batch);
  return built.take();
}

std::vector<std::size_t> peer_counts()
{
  return {1, 10, 100, 1000, 10000};
}

sweep send_by_peers(const run_config& how)
{
  raise_descriptor_limit();
  sweep_builder built("send-peers", "send 64 B to peers in turn, 64 at a time", "peers",
                      peer_counts(), how);
  const auto add = [&](const char* name, send::sender_ptr (*make)(const send::job&)) {
    built.add(name, [&](std::size_t peers) {
      receivers to(peers, false);
      return median_send(how, to, {64, to.addresses(), 64}, make);
    });
  };
  add("raw sendmmsg", send::raw_sendmmsg);
  add("dgram batch", send::dgram_batch);
  return built.take();
}

sweep echo_by_peers(const run_config& how)
{
  raise_descriptor_limit();
  sweep_builder built("echo-peers", "echo 64 B that are queued, from peers in turn", "peers",
                      peer_counts(), how);
  built.add("raw coalesce", [&](std::size_t peers) {
    return median_drain(how, filler(64, false, peers), drain::raw_echo(plain_slots));
  });
  built.add("dgram reader + writer", [&](std::size_t peers) {
    return median_drain(how, filler(64, false, peers),
                        drain::dgram_echo(writer_datagrams, writer_bytes));
  });
  return built.take();
}

sweep echo_by_writer_bytes(const run_config& how)
{
  sweep_builder built("writer-bytes", "echo 1200 B that are queued, coalesced, from 4 peers",
                      "bytes of the writer's queue",
                      {16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20},
                      how);
  built.add("dgram reader + writer", [&](std::size_t bytes) {
    return median_drain(how, filler(1200, true, 4), drain::dgram_echo(writer_datagrams, bytes));
  });
  return built.take();
}

sweep echo_by_writer_datagrams(const run_config& how)
{
  sweep_builder built("writer-datagrams", "echo 64 B that are queued", "datagrams in the writer",
                      {16, 32, 64, 128, 256, 512, 1024, 2048}, how);
  for (const bool trains : {false, true}) {
    built.add(fmt::format("dgram reader + writer, {}", trains ? "coalesced" : "plain"),
              [&](std::size_t datagrams) {
                return median_drain(how, filler(64, trains),
                                    drain::dgram_echo(datagrams, writer_bytes));
              });
  }
  return built.take();
}

}  // namespace

std::vector<sweep_maker> all_sweeps()
{
  return {{"receive-batch", receive_by_batch},
          {"receive-slots", receive_by_slots},
          {"receive-payload", receive_by_payload},
          {"send-batch", send_by_batch},
          {"send-payload", send_by_payload},
          {"send-peers", send_by_peers},
          {"echo-peers", echo_by_peers},
          {"writer-bytes", echo_by_writer_bytes},
          {"writer-datagrams", echo_by_writer_datagrams}};
}

}  // namespace bench
