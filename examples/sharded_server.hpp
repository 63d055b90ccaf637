// SPDX-License-Identifier: BSL-1.0
// One shard of the sharded server: a thread with a context, a socket and sessions.
#ifndef DGRAM_EXAMPLES_SHARDED_SERVER_HPP
#define DGRAM_EXAMPLES_SHARDED_SERVER_HPP

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace sharded {

/// So that what a shard remembers stays in the caches of one processor.
inline void bind_thread_to_processor([[maybe_unused]] std::size_t number)
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

}  // namespace sharded

#endif
