// SPDX-License-Identifier: BSL-1.0
// An echo server on several cores: one port, and for each shard a thread with a context, a socket and sessions.
//
//   example_sharded_server [--shards N] [--steer sender|cpu|payload] [ADDRESS:PORT]
//
// It prints "listening on ADDRESS:PORT". The defaults are two shards on any free port of loopback, and a hash over the
// sender's address selects the shard. "payload" takes the first byte of each datagram. SIGUSR1 adds a shard, SIGUSR2
// takes the last one away, and no datagram is lost. SIGINT or SIGTERM ends the server, which prints what each shard had.

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
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

asio::awaitable<void> echo(dgram::udp::session session)
{
  while (const auto datagram = co_await session.next())
    co_await session.send(datagram->payload());
}

class shard {
public:
  shard(dgram::shard_group& group, std::size_t number)
      : socket_(group.open(io_)), listener_(socket_)
  {
    asio::co_spawn(
        io_, [this]() -> asio::awaitable<void> { co_await listener_.serve(&echo); },
        example::rethrow);
    thread_ = std::thread([this, number] {
      bind_thread_to_processor(number);
      io_.run();
    });
  }
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;
  ~shard() { stop(); }

  void stop()
  {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { listener_.stop(); });
    thread_.join();
  }

private:
  asio::io_context io_{1};
  dgram::udp::socket socket_;
  dgram::udp::listener listener_;
  std::thread thread_;
};

asio::awaitable<void> run(asio::io_context& io, dgram::shard_group& group,
                          std::vector<std::unique_ptr<shard>>& shards)
{
  asio::signal_set signals(io, SIGINT, SIGTERM, SIGUSR1);
  signals.add(SIGUSR2);
  fmt::print("listening on {}\n", group.local_endpoint());
  for (;;) {
    std::fflush(stdout);
    const int signal = co_await signals.async_wait(asio::use_awaitable);
    if (signal == SIGINT || signal == SIGTERM) co_return;
    if (signal == SIGUSR1) shards.push_back(std::make_unique<shard>(group, shards.size()));
    if (signal == SIGUSR2 && shards.size() > 1) {
      co_await group.async_close_last(asio::use_awaitable);
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
      "example_sharded_server [--shards N] [--steer sender|cpu|payload] [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    std::size_t count = 2;
    std::string steering = "sender";
    while (words.option("--shards", count, 1, 256) || words.option("--steer", steering)) {}
    auto local = dgram::parse_endpoint("127.0.0.1:0");
    if (!words.empty()) local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    dgram::shard_group group{local, {.reserve = count, .steering = steering_of(steering)}};
    std::vector<std::unique_ptr<shard>> shards;
    for (std::size_t i = 0; i < count; ++i)
      shards.push_back(std::make_unique<shard>(group, i));
    asio::io_context io;
    asio::co_spawn(io, run(io, group, shards), example::rethrow);
    io.run();
    for (const auto& each : shards)
      each->stop();
    for (std::size_t i = 0; const dgram::shard_statistics& each : group.statistics())
      fmt::print("shard {}: {} datagrams in {} calls\n", i++, each.received, each.receive_calls);
    return 0;
  });
}
