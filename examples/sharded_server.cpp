// SPDX-License-Identifier: BSL-1.0
// An echo server on several cores: one port, and for each shard a thread with a context, a socket and sessions.
//
//   example_sharded_server [--shards N] [--steer sender|cpu|payload] [--keep-sessions] [--idle MS] [--drain MS]
//     [--delay MS] [--ids BYTES] [--name NAME] [ADDRESS:PORT]
//
// It prints "listening on ADDRESS:PORT". The defaults are two shards on any free port of loopback, and a hash over the
// sender's address selects the shard. "payload" takes the first byte of each datagram. SIGUSR1 adds a shard, SIGUSR2
// takes the last one away, and no datagram is lost. SIGINT or SIGTERM ends the server, which prints what each shard had.
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

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace {

/// So that what a shard remembers stays in the caches of one processor.
void bind_thread_to_processor([[maybe_unused]] std::size_t number)
{
#if defined(__linux__)
  ::cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(number % std::thread::hardware_concurrency(), &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
#endif
}

using std::chrono::milliseconds;

struct settings {
  std::size_t shards = 2;
  std::string steering = "sender";
  bool keep_sessions = false;
  int idle = 60'000;
  int drain = 0;
  int delay = 0;
  std::size_t ids = 0;
  std::string name;
};

class shard {
public:
  shard(dgram::shard_group& group, const settings& with, std::size_t number)
      : with_(with),
        socket_(group.open(io_)),
        listener_(socket_, {.idle_timeout = milliseconds(with.idle)}, key_function())
  {
    listener_.on_end([this](auto&&...) {
      if (listener_.is_paused() && listener_.size() == 0) limit_.cancel();
    });
    asio::co_spawn(
        io_,
        [this]() -> asio::awaitable<void> {
          co_await listener_.serve(
              [this](dgram::udp::session peer) { return echo(std::move(peer)); });
        },
        example::rethrow);
    thread_ = std::thread([this, number] {
      bind_thread_to_processor(number);
      io_.run();
    });
  }
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;
  ~shard() { stop(); }

  /// Takes no new sessions, and ends when the last session has ended.
  void drain()
  {
    asio::post(io_, [this] {
      listener_.pause_accepting();
      limit_.expires_after(milliseconds(listener_.size() == 0 ? 0 : with_.drain));
      limit_.async_wait([this](dgram::error_code) {
        cut_ = listener_.size();
        listener_.async_drain_for(std::chrono::seconds(1), [](dgram::error_code, std::size_t) {});
      });
    });
  }

  void wait()
  {
    if (thread_.joinable()) thread_.join();
  }

  void stop()
  {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { listener_.stop(); });
    wait();
  }

  /// After the end.
  dgram::listener_statistics statistics() const { return listener_.statistics(); }
  std::size_t cut() const { return cut_; }

private:
  dgram::udp::listener::key_function key_function() const
  {
    if (with_.ids == 0) return {};  // the sender's address
    return [size = with_.ids](const dgram::datagram& datagram) {
      return dgram::session_key::at(datagram.payload(), 0, size);
    };
  }

  asio::awaitable<void> echo(dgram::udp::session session)
  {
    std::uint64_t number = 0;
    asio::steady_timer work(io_);
    while (const auto datagram = co_await session.next()) {
      if (with_.delay > 0) {
        work.expires_after(milliseconds(with_.delay));
        co_await work.async_wait(asio::use_awaitable);
      }
      // An id may be overheard: a real server asks a new address for a proof first.
      if (datagram->sender() != session.remote_endpoint()) session.set_peer(datagram->reply_path());
      if (with_.name.empty())
        co_await session.send(datagram->payload());
      else  // longer than the question, so a forged sender of very short ones may get no answer
        session.try_send(fmt::format("{} {} {}", with_.name, ++number, datagram->payload().text()));
    }
  }

  const settings& with_;
  asio::io_context io_{1};
  asio::steady_timer limit_{io_};
  dgram::udp::socket socket_;
  dgram::udp::listener listener_;
  std::size_t cut_ = 0;
  std::thread thread_;
};

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
                              .keep_sessions = with.keep_sessions}};
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
