// SPDX-License-Identifier: BSL-1.0
// The rows of servers that change while clients use them: a process takes the place of another one,
// and shards come and go. The figure is how many datagrams got no answer.
#include "load.hpp"
#include "measurement.hpp"
#include "process.hpp"
#include "progress.hpp"
#include "raw.hpp"
#include "rows.hpp"

#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_future.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

namespace {

using std::chrono::milliseconds;

/// So many answers come between two changes.
constexpr std::uint64_t answers_between = 100;

/// What was lost, of how many answers.
struct outcome {
  std::uint64_t lost;
  std::uint64_t answers;
};

/// Clients that keep a server busy, on a thread of their own.
class clients {
public:
  explicit clients(int server)
      : load_(raw::address_of(server),
              {.payload = 64, .flows = 64, .window = 256, .sliding = true}),
        thread_([this] {
          while (!is_over_)
            answers_ += load_.run(milliseconds(1));
        })
  {
  }
  clients(const clients&) = delete;
  clients& operator=(const clients&) = delete;
  ~clients() { stop(); }

  /// Waits until there was traffic. Returns false if there is none, because all was lost.
  bool await_traffic()
  {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    const std::uint64_t wanted = answers_ + answers_between;
    while (answers_ < wanted && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    has_stalled_ = answers_ < wanted;
    return !has_stalled_;
  }

  void stop()
  {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
  }

  /// After `stop`: waits for the last answers.
  outcome count()
  {
    const outcome result{load_.finish(), answers_};
    if (has_stalled_ && result.lost == 0) throw std::runtime_error("the clients are too slow");
    return result;
  }

private:
  load load_;
  std::atomic<std::uint64_t> answers_{0};
  std::atomic<bool> is_over_{false};
  bool has_stalled_ = false;
  std::thread thread_;
};

asio::awaitable<void> echo(dgram::udp::reader& reader, dgram::udp::writer& writer)
{
  while (const auto datagrams = co_await reader.next_batch())
    for (const dgram::datagram& datagram : datagrams)
      if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
  co_await writer.flush();
}

void rethrow(const std::exception_ptr& failure)
{
  if (failure) std::rethrow_exception(failure);
}

// --- restarts ---

/// A server's process. It offers its socket to the next one, and ends when that has it.
class generation {
public:
  using opening = std::function<dgram::udp::socket(asio::io_context&)>;

  generation(const opening& open, const std::string& path) : process_([&] { serve(open, path); })
  {
    ready_.close_write_end();
  }

  /// Throws if the process has ended instead.
  void await_offer() { ready_.await(); }

  void await_end() const
  {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (process_.is_running()) {
      if (std::chrono::steady_clock::now() > deadline)
        throw std::runtime_error("a server that was replaced does not end");
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

private:
  /// Tells this process that the other one is ready.
  class signal {
  public:
    signal()
    {
      if (::pipe(ends_.data()) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe");
    }
    signal(const signal&) = delete;
    signal& operator=(const signal&) = delete;
    ~signal()
    {
      close_write_end();
      ::close(ends_[0]);
    }

    void close_write_end()
    {
      if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
    }

    void give() const
    {
      if (::write(ends_[1], "!", 1) != 1)
        throw std::system_error(errno, std::generic_category(), "write");
    }

    void await() const
    {
      char byte = 0;
      if (::read(ends_[0], &byte, 1) != 1) throw std::runtime_error("a restarted server failed");
    }

  private:
    std::array<int, 2> ends_{};
  };

  void serve(const opening& open, const std::string& path) const
  {
    asio::io_context io;
    dgram::udp::socket socket = open(io);
    dgram::udp::reader reader{socket};
    dgram::udp::writer writer{reader};
    dgram::async_hand_over(socket, path, [&](dgram::error_code ec, const dgram::hand_over_report&) {
      if (ec) throw dgram::system_error(ec, "hand_over");
      reader.stop();
    });
    asio::co_spawn(io, echo(reader, writer), rethrow);
    ready_.give();
    io.run();
  }

  signal ready_;
  child_process process_;
};

outcome restart(int times)
{
  const std::string path =
      std::filesystem::temp_directory_path() / fmt::format("dgram-bench-{}", ::getpid());
  raw::descriptor bound = raw::make_socket();
  clients asking(bound.get());
  auto current = std::make_unique<generation>(
      [&](asio::io_context& in) {
        return dgram::adopt<dgram::udp>(in, dgram::owned_descriptor(bound.release()));
      },
      path);
  bound = raw::descriptor();  // the first process has it
  current->await_offer();
  bool is_answering = asking.await_traffic();
  for (int i = 1; i <= times && is_answering; ++i) {
    show_progress(fmt::format("S10: restart {} of {}", i, times));
    auto next = std::make_unique<generation>(
        [&](asio::io_context& in) {
          auto taken = dgram::async_take_over(in, path, asio::use_future);
          in.run();
          in.restart();
          return std::move(taken.get().socket);
        },
        path);
    next->await_offer();
    current->await_end();
    current = std::move(next);
    is_answering = asking.await_traffic();
  }
  clear_progress();
  asking.stop();
  const outcome result = asking.count();
  current.reset();
  std::filesystem::remove(path);
  return result;
}

// --- resizes ---

/// A member of a group. One thread runs its echo and nothing else.
class shard {
public:
  explicit shard(dgram::shard_group& group)
      : socket_(group.open(io_)),
        ended_(asio::co_spawn(io_, echo(reader_, writer_), asio::use_future)),
        thread_([this] {
          pin_to_cpu(server_cpu);
          io_.run();
        })
  {
  }
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;

  ~shard()
  {
    finish();
    work_.reset();
    thread_.join();
  }

  int descriptor() { return socket_.native_handle(); }

  /// Stops reading, and sends what the writer has.
  void finish()
  {
    if (!ended_.valid()) return;
    asio::post(io_, [this] { reader_.stop(); });
    ended_.get();
  }

private:
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  dgram::udp::socket socket_;
  dgram::udp::reader reader_{socket_};
  dgram::udp::writer writer_{reader_};
  std::future<void> ended_;
  std::thread thread_;
};

outcome resize(int times)
{
  dgram::shard_group group{dgram::udp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::vector<std::unique_ptr<shard>> shards;
  shards.push_back(std::make_unique<shard>(group));
  clients asking(shards.front()->descriptor());
  bool is_answering = asking.await_traffic();
  for (int i = 0; i < times && is_answering; ++i) {
    show_progress(fmt::format("S11: resize {} of {}", i + 1, times));
    if (i % 4 < 2) {
      shards.push_back(std::make_unique<shard>(group));
    } else {
      group.async_drain_last(asio::use_future).get();
      shards.back()->finish();
      group.async_close_last(asio::use_future).get();
      shards.pop_back();
    }
    is_answering = asking.await_traffic();
  }
  clear_progress();
  asking.stop();
  return asking.count();
}

// --- rows ---

row measure(const char* label, const char* what, const char* name, int times,
            const std::function<outcome(int)>& change)
{
  row measured(label, fmt::format("{} {} of an echo under load", times, what),
               unit::lost_datagrams);
  measured.add({name, nullptr});
  const outcome result = change(times);
  measured.record(0, {.ns = static_cast<double>(result.lost)});
  measured.note(fmt::format("{} datagrams were answered", result.answers));
  measured.expect({name, relation::figure_at_most, 0});
  return measured;
}

}  // namespace

void add_change_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S10", [](const run_config& how) {
                    return measure("S10", "restarts", "dgram hand_over", how.changes, restart);
                  }});
  rows.push_back({"S11", [](const run_config& how) {
                    return measure("S11", "resizes", "dgram shard_group", how.changes, resize);
                  }});
}

}  // namespace bench
