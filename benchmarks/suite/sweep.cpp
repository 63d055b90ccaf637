// SPDX-License-Identifier: BSL-1.0
#include "sweep.hpp"

#include "batch_work.hpp"
#include "crowd.hpp"
#include "drain.hpp"
#include "growth.hpp"
#include "process.hpp"
#include "progress.hpp"
#include "raw.hpp"
#include "repetition.hpp"
#include "resident.hpp"
#include "send.hpp"
#include "session_drain.hpp"
#include "shard_echo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
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
                std::vector<std::size_t> values, const run_config& how,
                sweep_unit unit = sweep_unit::ns_per_datagram)
      : made_{std::move(id), std::move(work), std::move(parameter), {}, unit},
        values_(std::move(values)),
        how_(how)
  {
  }

  /// Values outside of these bounds are left out.
  void add(const std::string& name, const measure_point& measure, std::size_t least = 0,
           std::size_t most = std::numeric_limits<std::size_t>::max())
  {
    series line{name, {}};
    for (const std::size_t value : values_) {
      if (value < least || value > most) continue;
      show_progress(fmt::format("{}: {}: {} {}", made_.id, name, made_.parameter, value));
      const sample taken = measure(value);
      made_.lost += taken.lost;
      line.points.push_back({value, taken.ns});
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

/// The median of turns, of which the first does not count.
template <class Turn>
sample median_turn(const run_config& how, metric by, Turn turn)
{
  sample result;
  turn();
  std::vector<double> costs;
  for (int i = 0; i < how.rounds; ++i) {
    const sample taken = turn();
    costs.push_back(by == metric::cpu ? taken.cpu_ns : taken.ns);
    result.lost += taken.lost;
  }
  result.ns = median(std::move(costs));
  return result;
}

/// With one pair of filler and drainer.
sample median_drain(const run_config& how, filler source, const drain::drainer_ptr& by)
{
  return median_turn(how, metric::time, [&] { return time_drain(source, *by, how.drains); });
}

sample median_send(const run_config& how, receivers& to, const send::job& work,
                   send::sender_ptr (*make)(const send::job&))
{
  // What a queue surely takes.
  constexpr std::size_t most_bytes = 16 << 20;
  const send::sender_ptr by = make(work);
  const std::size_t datagrams = work.payload * 1024 > most_bytes
                                    ? most_bytes / work.payload
                                    : std::max<std::size_t>(1024, work.peers.size());
  return median_turn(how, metric::time, [&] { return time_send(*by, to, datagrams, how.drains); });
}

/// What a queue surely takes.
std::size_t datagrams_of_a_drain()
{
  static const std::size_t count = filler(64, false).count();
  return count;
}

/// Datagrams from random peers, each of which the drainer knows already.
sample median_crowd(const run_config& how, crowd& source, const drain::drainer_ptr& by,
                    std::size_t peers, bool answers)
{
  introduce(source, *by, datagrams_of_a_drain(), peers);
  return median_turn(how, metric::cpu, [&] {
    return time_drain(source, *by, datagrams_of_a_drain(), peers, answers, how.drains);
  });
}

std::vector<std::size_t> batch_sizes()
{
  return {1, 2, 4, 8, 16, 32, 64, 128};
}

/// Those that can be put together, in packets of an Ethernet.
constexpr std::size_t least_in_trains = 64;
constexpr std::size_t most_in_trains = 1472;

std::vector<std::size_t> payloads_of_interest()
{
  return {0, 1, 64, 128, 256, 512, 1024, 1200, 1472, 4096, 16384, 65507};
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
  built.add("dgram reader, plain", [&](std::size_t payload) {
    return median_drain(how, filler(payload, false), drain::dgram_reader(plain_slots, true));
  });
  built.add("raw recvmmsg, plain", [&](std::size_t payload) {
    return median_drain(how, filler(payload, false), drain::raw_recvmmsg_large(plain_slots));
  });
  built.add(
      "dgram reader, coalesced",
      [&](std::size_t payload) {
        return median_drain(how, filler(payload, true), drain::dgram_reader(plain_slots, true));
      },
      least_in_trains, most_in_trains);
  built.add(
      "raw recvmmsg, coalesced",
      [&](std::size_t payload) {
        return median_drain(how, filler(payload, true), drain::raw_recvmmsg(train_slots, true));
      },
      least_in_trains, most_in_trains);
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
  const auto by = [&](send::sender_ptr (*make)(const send::job&)) {
    return [&, make](std::size_t payload) {
      return median_send(how, to, {payload, to.addresses(), 64}, make);
    };
  };
  built.add("raw sendmmsg", by(send::raw_sendmmsg));
  built.add("raw GSO", by(send::raw_gso_gathered), least_in_trains, most_in_trains);
  built.add("dgram batch", by(send::dgram_batch));
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

std::vector<std::size_t> crowd_sizes()
{
  return {1, 10, 100, 1000, 10'000, 100'000};
}

/// Peers are addresses, so that there may be more of them than sockets.
sweep echo_by_peers(const run_config& how)
{
  crowd source(64);
  sweep_builder built("echo-peers", "echo 64 B that are queued, from random peers", "peers",
                      crowd_sizes(), how);
  const auto add = [&](const char* name, auto make) {
    built.add(name, [&how, &source, make](std::size_t peers) {
      return median_crowd(how, source, make(), peers, true);
    });
  };
  add("raw coalesce", [] { return drain::raw_echo(plain_slots); });
  add("dgram reader + writer", [] { return drain::dgram_echo(writer_datagrams, writer_bytes); });
  add("dgram listener", [] { return drain::dgram_serve({.coalesced = true, .answers = true}); });
  add("std::unordered_map and post", [] { return drain::std_map_and_post(true); });
  return built.take();
}

sweep sessions_by_peers(const run_config& how)
{
  crowd source(64);
  sweep_builder built("session-peers", "drain 64 B from random peers, with a state for each",
                      "peers", crowd_sizes(), how);
  built.add("dgram next_batch, no state", [&](std::size_t peers) {
    return median_crowd(how, source, drain::dgram_next_batch(), peers, false);
  });
  built.add("dgram session_map", [&](std::size_t peers) {
    return median_crowd(how, source, drain::dgram_session_map(peers, source.port()), peers, false);
  });
  built.add("std::unordered_map", [&](std::size_t peers) {
    return median_crowd(how, source, drain::std_unordered_map(peers, source.port()), peers, false);
  });
  return built.take();
}

struct kind_of_sockets {
  const char* name;
  drain::many_sockets_ptr (*make)();
};

constexpr std::array kinds_of_sockets{kind_of_sockets{"raw epoll and recvmmsg", drain::raw_sockets},
                                      kind_of_sockets{"dgram emitter", drain::dgram_emitters},
                                      kind_of_sockets{"dgram reader", drain::dgram_readers},
                                      kind_of_sockets{"asio callback", drain::asio_sockets}};

std::vector<std::size_t> socket_counts()
{
  return {1, 10, 100, 1000, 10'000};
}

void send_to(int fd, const raw::descriptor& from)
{
  static constexpr std::array<std::byte, 64> payload{};
  const sockaddr_in to = raw::address_of(fd);
  if (::sendto(from.get(), payload.data(), payload.size(), 0,
               reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
    throw std::runtime_error("cannot send");
}

/// One datagram to each socket from this one on, each of which is then a socket that was used.
void use_each(drain::many_sockets& all, std::size_t first)
{
  const raw::descriptor from = raw::make_socket();
  for (std::size_t i = first; i < all.size(); ++i)
    send_to(all.descriptor(i), from);
  all.take(all.size() - first);
}

sample drain_sockets(const run_config& how, drain::many_sockets& all)
{
  std::mt19937 random(1);
  const raw::descriptor from = raw::make_socket();
  return median_turn(how, metric::cpu, [&] {
    return repeat(
        datagrams_of_a_drain(), how.drains,
        [&](std::size_t count, repetition& now) {
          for (std::size_t i = 0; i < count; ++i)
            send_to(all.descriptor(random() % all.size()), from);
          now.time([&] { all.take(count); });
        },
        metric::cpu);
  });
}

sweep drain_by_sockets(const run_config& how)
{
  raise_descriptor_limit();
  sweep_builder built("sockets", "drain 64 B from random ones of a program's sockets", "sockets",
                      socket_counts(), how);
  for (const kind_of_sockets& kind : kinds_of_sockets)
    built.add(kind.name, [&](std::size_t count) {
      const auto all = kind.make();
      all->open(count);
      use_each(*all, 0);
      return drain_sockets(how, *all);
    });
  return built.take();
}

sweep memory_by_sockets(const run_config& how)
{
  raise_descriptor_limit();
  sweep_builder built("socket-memory", "memory of each socket that was used once", "sockets",
                      socket_counts(), how, sweep_unit::bytes);
  for (const kind_of_sockets& kind : kinds_of_sockets)
    built.add(kind.name, [&](std::size_t count) {
      return sample{.ns = in_child([&] {
                      const auto all = kind.make();
                      all->open(1);
                      use_each(*all, 0);
                      // What the first look itself needs is not the sockets'.
                      resident_bytes();
                      const double before = resident_bytes();
                      all->open(count);
                      use_each(*all, 1);
                      return (resident_bytes() - before) / static_cast<double>(count);
                    })};
    });
  return built.take();
}

/// As many threads as processors, of which there may be one.
sweep echo_by_threads(const run_config& how)
{
  std::vector<std::size_t> counts{1};
  if (std::thread::hardware_concurrency() > 1) counts.push_back(2);
  sweep_builder built("threads", "echo 64 B that are queued, each thread on its processor",
                      "threads", counts, how);
  const auto add = [&](const char* name, auto make) {
    built.add(name, [&how, make](std::size_t threads) {
      const std::unique_ptr<threaded_echo> by = make(threads);
      return median_turn(how, metric::time, [&] { return by->measure(how.drains); });
    });
  };
  add("raw coalesce, a port each", raw_threads);
  add("dgram shards, one port", dgram_shards);
  return built.take();
}

sweep drain_by_listeners(const run_config& how)
{
  sweep_builder built("listeners", "drain 64 B with listeners of one event", "listeners",
                      {1, 2, 4, 8, 16, 64, 256}, how);
  built.add("raw recvmmsg, std::function", [&](std::size_t count) {
    return median_drain(how, filler(64, false), drain::raw_recvmmsg_functions(count));
  });
  built.add("dgram emitter", [&](std::size_t count) {
    return median_drain(how, filler(64, false), drain::dgram_emitter_listeners(count));
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
          {"session-peers", sessions_by_peers},
          {"sockets", drain_by_sockets},
          {"socket-memory", memory_by_sockets},
          {"threads", echo_by_threads},
          {"listeners", drain_by_listeners},
          {"writer-bytes", echo_by_writer_bytes},
          {"writer-datagrams", echo_by_writer_datagrams}};
}

}  // namespace bench
