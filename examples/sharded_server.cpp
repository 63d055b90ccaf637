// SPDX-License-Identifier: BSL-1.0
// An echo server on several cores: one port, and for each shard a thread with a context, a socket and sessions.
//
//   example_sharded_server [--shards N] [--steer sender|cpu|payload] [--keep-sessions] [--idle MS] [--drain MS]
//     [--delay MS] [--ids BYTES] [--name NAME] [ADDRESS:PORT]
//
// It prints "listening on ADDRESS:PORT". The defaults are two shards on any free port of loopback, and a hash over the
// sender's address selects the shard. "payload" takes the first byte of each datagram. Where the system cannot steer, the
// shards read one queue, and "payload" and "cpu" are refused. SIGUSR1 adds a shard, SIGUSR2 takes the last one away, and
// no datagram is lost. SIGINT or SIGTERM ends the server, which prints what each shard had.
//
// With --keep-sessions a session stays with its shard when a new shard gets its datagrams: the new one forwards them. The
// end of the output says how many. Sessions of a shard that is taken away end with it.
//
// For a place behind a load balancer:
//   --idle MS     how long a session lives without a datagram (60000)
//   --drain MS    the end takes no new sessions, and waits until the others have ended or MS milliseconds have passed
//   --delay MS    each answer takes so long
//   --ids BYTES   so many bytes at the start of each datagram are the id of its session, whatever the sender's address
//   --name NAME   each answer begins with NAME and the datagram's number in its session

#include "sharded_server.hpp"
#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace {

using sharded::settings;
using sharded::shard;

/// What all shards have counted, also those that were taken away.
struct totals {
  /// Call this when the shard has ended.
  void add(const shard& ended)
  {
    const auto counts = ended.statistics();
    sessions += counts.created;
    refused += counts.not_accepting;
    forwarded += counts.forwarded;
    cut += ended.cut();
  }

  std::uint64_t sessions = 0, refused = 0, forwarded = 0, cut = 0;
};

asio::awaitable<void> run(asio::io_context& io, dgram::shard_group& group, const settings& with,
                          std::vector<std::unique_ptr<shard>>& shards, totals& counted)
{
  asio::signal_set signals(io, SIGINT, SIGTERM, SIGUSR1);
  signals.add(SIGUSR2);
  fmt::print("listening on {}\n", group.local_endpoint());
  if (group.shares_queue()) fmt::print("this system does not steer: the shards read one queue\n");
  for (;;) {
    std::fflush(stdout);
    const int signal = co_await signals.async_wait(asio::use_awaitable);
    if (signal == SIGINT || signal == SIGTERM) co_return;
    if (signal == SIGUSR1) shards.push_back(std::make_unique<shard>(group, with, shards.size()));
    if (signal == SIGUSR2 && shards.size() > 1) {
      co_await group.async_close_last(asio::use_awaitable);
      shards.back()->stop();
      counted.add(*shards.back());
      shards.pop_back();
    }
    fmt::print("{} shards\n", shards.size());
  }
}

dgram::shard_steering steering_of(const std::string& name)
{
  if (name == "sender") return dgram::steer_by_sender();
  if (name == "cpu") return dgram::steer_by_cpu();
  if (name == "payload") return dgram::steer_by_payload{.offset = 0};
  throw example::bad_argument("--steer \"" + name + "\": not sender, cpu or payload");
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_sharded_server [--shards N] [--steer sender|cpu|payload] [--keep-sessions] [--idle "
      "MS]\n"
      "  [--drain MS] [--delay MS] [--ids BYTES] [--name NAME] [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    settings with;
    while (words.option("--shards", with.shards, 1, 256) ||
           words.option("--steer", with.steering) ||
           words.flag("--keep-sessions", with.keep_sessions) ||
           words.option("--idle", with.idle, 1, 86'400'000) ||
           words.option("--drain", with.drain, 0, 86'400'000) ||
           words.option("--delay", with.delay, 0, 60'000) ||
           words.option("--ids", with.ids, 0, dgram::session_key::max_size) ||
           words.option("--name", with.name)) {}
    auto local = dgram::parse_endpoint("127.0.0.1:0");
    if (!words.empty()) local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    dgram::shard_group group{local,
                             {.reserve = with.shards,
                              .steering = steering_of(with.steering),
                              .keep_sessions = with.keep_sessions,
                              .share_queue = with.steering == "sender"}};
    std::vector<std::unique_ptr<shard>> shards;
    for (std::size_t i = 0; i < with.shards; ++i)
      shards.push_back(std::make_unique<shard>(group, with, i));
    asio::io_context io;
    totals counted;
    asio::co_spawn(io, run(io, group, with, shards, counted), example::rethrow);
    io.run();
    // From here on another signal ends the program at once.
    for (const auto& each : shards)
      with.drain > 0 ? each->drain() : each->stop();
    for (const auto& each : shards)
      each->wait();
    for (std::size_t i = 0; const dgram::shard_statistics& each : group.statistics())
      fmt::print("shard {}: {} datagrams in {} calls\n", i++, each.received, each.receive_calls);
    for (const auto& each : shards)
      counted.add(*each);
    fmt::print("{} sessions, {} cut at the end, {} datagrams of new peers refused\n",
               counted.sessions, counted.cut, counted.refused);
    if (with.keep_sessions)
      fmt::print("{} datagrams forwarded to the shards of their sessions\n", counted.forwarded);
    return 0;
  });
}
