// SPDX-License-Identifier: BSL-1.0
// A group of shards, each on its own thread, that grows and shrinks under load.
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/steering.hpp"

#include <dgram.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace shard_group_test {

namespace {

/// A shard that answers every datagram with its own bytes.
class shard {
public:
  shard(dgram::shard_group& group, std::atomic<std::uint64_t>& received)
      : socket_(group.open(io_)), received_(received), thread_([this] { io_.run(); })
  {
    asio::co_spawn(io_, echo(), [this](const std::exception_ptr& thrown) {
      result_.set_value(thrown == nullptr);
    });
  }
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;

  ~shard()
  {
    asio::post(io_, [this] { socket_.close(); });
    CHECK(ended_.get());
    work_.reset();
    thread_.join();
  }

  /// Receives no more, and sends the answers that wait.
  void finish()
  {
    asio::post(io_, [this] { reader_->stop(); });
    ended_.wait();
  }

private:
  asio::awaitable<void> echo()
  {
    dgram::udp::reader reader{socket_};
    dgram::writer writer{reader};
    reader_ = &reader;
    while (const auto datagrams = co_await reader.next_batch())
      for (const dgram::datagram& datagram : datagrams) {
        ++received_;
        co_await writer.send(datagram.payload(), datagram.sender());
      }
    co_await writer.flush();
  }

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  dgram::udp::socket socket_;
  std::atomic<std::uint64_t>& received_;
  dgram::udp::reader* reader_ = nullptr;
  std::promise<bool> result_;
  std::future<bool> ended_ = result_.get_future();
  std::thread thread_;
};

/// Sends from many ports, never more at a time than the queues hold, until it is stopped.
class load {
public:
  load(const dgram::udp::endpoint& server, const std::atomic<std::uint64_t>& received)
      : received_(received)
  {
    for (int i = 0; i < 50; ++i)
      sockets_.emplace_back(io_, test::loopback_v4()).connect(server);
    thread_ = std::thread([this] { run(); });
  }

  std::uint64_t stop()
  {
    is_stopped_ = true;
    thread_.join();
    return sent_;
  }

  /// How many answers have come. Only after `stop`.
  std::uint64_t answers()
  {
    take_answers();
    return answers_;
  }

private:
  void run()
  {
    for (std::size_t i = 0; !is_stopped_; ++i) {
      while (sent_ - received_ > 100 && !is_stopped_)
        std::this_thread::yield();
      sockets_[i % sockets_.size()].send(asio::buffer("?", 1));
      ++sent_;
      if (i % 16 == 0) take_answers();
    }
  }

  void take_answers()
  {
    std::array<char, 8> bytes;
    for (auto& socket : sockets_)
      while (socket.try_receive(asio::buffer(bytes)))
        ++answers_;
  }

  asio::io_context io_;
  std::vector<dgram::udp::socket> sockets_;
  const std::atomic<std::uint64_t>& received_;
  std::atomic<bool> is_stopped_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t answers_ = 0;
  std::thread thread_;
};

/// A shard whose sessions count the datagrams that they get, and answer with the number.
class counting_shard {
public:
  explicit counting_shard(dgram::shard_group& group)
      : socket_(group.open(io_)), listener_(socket_), thread_([this] {
          listener_.async_for_each(
              [this](const dgram::udp::session_ref& session, const dgram::datagram&) {
                session.try_send(std::to_string(++counts_[session.id()]));
              },
              [](dgram::error_code) {});
          io_.run();
        })
  {
  }
  counting_shard(const counting_shard&) = delete;
  counting_shard& operator=(const counting_shard&) = delete;

  ~counting_shard()
  {
    asio::post(io_, [this] { socket_.close(); });
    thread_.join();
  }

private:
  asio::io_context io_{1};
  dgram::udp::socket socket_;
  dgram::udp::listener listener_;
  std::unordered_map<dgram::session_id, std::uint64_t> counts_;
  std::thread thread_;
};

/// Asks a server from many ports, and knows how often each has asked.
class counting_peers {
public:
  counting_peers(const dgram::udp::endpoint& server, std::size_t count) : counts_(count)
  {
    for (std::size_t i = 0; i < count; ++i)
      sockets_.emplace_back(io_, test::loopback_v4()).connect(server);
  }

  /// Each asks once. Returns how many answers had the number that the peer expects.
  std::size_t ask()
  {
    for (auto& socket : sockets_)
      socket.send(asio::buffer("?", 1));
    std::size_t right = 0;
    answered_ = 0;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      std::array<char, 32> bytes;
      const auto deadline = std::chrono::steady_clock::now() + test::seconds(5);
      auto size = sockets_[i].try_receive(asio::buffer(bytes));
      while (!size && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
        size = sockets_[i].try_receive(asio::buffer(bytes));
      }
      ++counts_[i];
      if (size) ++answered_;
      if (size && std::string(bytes.data(), *size) == std::to_string(counts_[i])) ++right;
    }
    return right;
  }

  /// How many got an answer the last time, with any number.
  std::size_t answered() const { return answered_; }

private:
  asio::io_context io_;
  std::vector<dgram::udp::socket> sockets_;
  std::vector<std::uint64_t> counts_;
  std::size_t answered_ = 0;
};

int rounds()
{
  const char* const wanted = std::getenv("DGRAM_RESIZES");
  return wanted == nullptr ? 20 : std::atoi(wanted) / 2;
}

}  // namespace

TEST_CASE("a group that grows and shrinks under load loses nothing", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  const std::size_t reserve = GENERATE(1U, 4U);
  std::atomic<std::uint64_t> received{0};
  const auto group = std::make_unique<dgram::shard_group>(
      test::loopback_v4(), dgram::shard_group_config{.reserve = reserve, .share_queue = true});
  std::vector<std::unique_ptr<shard>> shards;
  shards.push_back(std::make_unique<shard>(*group, received));
  load peers(group->local_endpoint(), received);
  // Up to three members and down to one, again and again.
  for (int i = 0; i < rounds(); ++i) {
    const bool grows = i % 4 < 2;
    const auto before = received.load();
    if (grows) {
      shards.push_back(std::make_unique<shard>(*group, received));
    } else {
      // Of one queue, the member takes more until it is told to stop.
      if (group->shares_queue()) shards.back()->finish();
      group->async_close_last(asio::use_future).get();
      shards.pop_back();
    }
    while (received < before + 50)
      std::this_thread::yield();
  }
  const std::uint64_t sent = peers.stop();
  const auto deadline = std::chrono::steady_clock::now() + test::seconds(5);
  while (received < sent && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  CHECK(received == sent);
  std::uint64_t counted = 0;
  for (const auto& each : group->statistics())
    counted += each.received;
  CHECK(counted <= sent);
  shards.clear();
  CHECK(peers.answers() == sent);
}

TEST_CASE("sessions of a lasting member go on while others come and go", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  dgram::shard_group group{test::loopback_v4(), {.keep_sessions = true, .share_queue = true}};
  std::vector<std::unique_ptr<counting_shard>> shards;
  shards.push_back(std::make_unique<counting_shard>(group));
  counting_peers peers(group.local_endpoint(), 50);
  REQUIRE(peers.ask() == 50);
  std::atomic<bool> is_over = false;
  // Other peers come all the time, and each makes a session somewhere.
  std::thread strangers([&] {
    while (!is_over)
      counting_peers(group.local_endpoint(), 10).ask();
  });
  for (int i = 0; i < rounds(); ++i) {
    if (i % 4 < 2) {
      shards.push_back(std::make_unique<counting_shard>(group));
    } else {
      group.async_close_last(asio::use_future).get();
      shards.pop_back();
    }
    CHECK(peers.ask() == 50);
  }
  is_over = true;
  strangers.join();
  // Each member that goes away leaves its peers to the others. The kernel may give these peers
  // ports of earlier ones, whose sessions go on.
  counting_peers last(group.local_endpoint(), 50);
  last.ask();
  CHECK(last.answered() == 50);
}

}  // namespace shard_group_test
