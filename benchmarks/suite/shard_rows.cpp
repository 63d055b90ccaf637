// SPDX-License-Identifier: BSL-1.0
// The rows of shards: an echo by two sockets of one port on two processors, beside one, and what it
// costs to forward datagrams between two.
#include "shard_echo.hpp"

#include "batch_echo.hpp"
#include "crowd.hpp"
#include "measurement.hpp"
#include "repetition.hpp"
#include "rows.hpp"
#include "session_drain.hpp"
#include "turn.hpp"

#include <dgram.hpp>
#include <dgram/listener.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <fmt/format.h>

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t payload_size = 64;
constexpr std::size_t datagrams_of_a_drain = 2048;
constexpr std::size_t peers_of_a_shard = 100;

void bind_thread_to_processor(std::size_t number)
{
  ::cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(number, &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}

/// What one thread does.
class member {
public:
  member() = default;
  member(const member&) = delete;
  member& operator=(const member&) = delete;
  virtual ~member() = default;

  virtual void fill(std::size_t datagrams) = 0;

  void answer()
  {
    const double start = now();
    answer_all();
    ns_ = now() - start;
    answers_ = take_answers();
  }

  /// What the last answers took: the processor time of their thread. On a quiet machine that is the
  /// time that passed.
  double ns() const noexcept { return ns_; }

  std::size_t answers() const noexcept { return answers_; }

private:
  virtual void answer_all() = 0;
  virtual std::size_t take_answers() = 0;

  static double now() noexcept
  {
    timespec read{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &read);
    return static_cast<double>(read.tv_sec) * 1e9 + static_cast<double>(read.tv_nsec);
  }

  std::size_t answers_ = 0;
  double ns_ = 0;
};

/// A member with an echo, and peers that the group steers to it. The answers of each go to a socket
/// of their own, as those of real peers do.
class shard : public member {
public:
  explicit shard(std::shared_ptr<dgram::shard_group> group)
      : group_(std::move(group)), socket_(group_->open(turns_.context()))
  {
    // Without the privilege the queue may be too small, and what is lost is counted.
    dgram::error_code ignored;
    socket_.set_option(dgram::option::forced_receive_buffer_size(16 << 20), ignored);
    asio::co_spawn(turns_.context(), echo_in_batches(turns_, reader_, writer_), asio::detached);
  }

  /// Once all members are open.
  void find_peers(std::size_t own)
  {
    for (std::size_t number = 0; peers_.size() < peers_of_a_shard; ++number) {
      const asio::ip::address_v4 address(drain::peer_address(number));
      if (group_->member_of({address, source_.port()}) == own) peers_.push_back(number);
    }
  }

  void fill(std::size_t datagrams) override
  {
    wanted_ = datagrams;
    for (std::size_t i = 0; i < datagrams; ++i)
      source_.fill_from_each(socket_.native_handle(), peers_[i % peers_.size()], 1);
  }

private:
  void answer_all() override { turns_.run(wanted_); }
  std::size_t take_answers() override { return source_.drain(); }

  std::shared_ptr<dgram::shard_group> group_;
  turns turns_;
  dgram::udp::socket socket_;
  dgram::udp::reader reader_{socket_};
  dgram::udp::writer writer_{reader_};
  crowd source_{payload_size};
  std::vector<std::size_t> peers_;
  std::size_t wanted_ = 0;
};

class raw_member : public member {
public:
  void fill(std::size_t datagrams) override
  {
    source_.fill(by_->descriptor(), datagrams, peers_of_a_shard);
    wanted_ = datagrams;
  }

private:
  void answer_all() override { by_->take(wanted_); }
  std::size_t take_answers() override { return source_.drain(); }

  drain::drainer_ptr by_ = drain::raw_echo(64);
  crowd source_{payload_size};
  std::size_t wanted_ = 0;
};

/// Members on the first processors. This thread runs the first one.
class members : public threaded_echo {
public:
  sample measure(int drains) override
  {
    ::cpu_set_t before;
    ::sched_getaffinity(0, sizeof before, &before);
    bind_thread_to_processor(0);
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < members_.size(); ++i)
      others.emplace_back([this, i, seen = round_.load()] { follow(i, seen); });
    sample taken;
    std::vector<double> times;
    for (int i = 0; i < drains; ++i) {
      full_ = done_ = 0;
      ++round_;
      round_.notify_all();
      drain(0);
      while (done_ != members_.size()) {}
      std::size_t answers = 0;
      double longest = 0;
      for (const auto& each : members_) {
        answers += each->answers();
        longest = std::max(longest, each->ns());
      }
      times.push_back(longest);
      taken.lost += datagrams_of_a_drain - answers;
    }
    const auto quartile = times.begin() + drains / 4;
    std::nth_element(times.begin(), quartile, times.end());
    taken.ns = *quartile / datagrams_of_a_drain;
    is_over_ = true;
    ++round_;
    round_.notify_all();
    for (std::thread& other : others)
      other.join();
    is_over_ = false;
    ::sched_setaffinity(0, sizeof before, &before);
    return taken;
  }

protected:
  void add(std::unique_ptr<member> one) { members_.push_back(std::move(one)); }

private:
  /// Each fills its own queue, as each processor takes packets from its own queue of a card. Then
  /// all answer at the same time.
  void drain(std::size_t number)
  {
    members_[number]->fill(datagrams_of_a_drain / members_.size());
    ++full_;
    while (full_ != members_.size()) {}
    members_[number]->answer();
    ++done_;
  }

  void follow(std::size_t number, std::size_t seen)
  {
    bind_thread_to_processor(number);
    for (;;) {
      round_.wait(seen);
      if (is_over_) return;
      seen = round_;
      drain(number);
    }
  }

  std::vector<std::unique_ptr<member>> members_;
  std::atomic<std::size_t> round_{0}, full_{0}, done_{0};
  std::atomic<bool> is_over_{false};
};

class shards : public members {
public:
  explicit shards(std::size_t count)
  {
    const auto group = std::make_shared<dgram::shard_group>(
        asio::ip::udp::endpoint(asio::ip::address_v4::loopback(), 0));
    std::vector<std::unique_ptr<shard>> opened;
    for (std::size_t i = 0; i < count; ++i)
      opened.push_back(std::make_unique<shard>(group));
    for (std::size_t i = 0; i < count; ++i) {
      opened[i]->find_peers(i);
      add(std::move(opened[i]));
    }
  }
};

class raw_members : public members {
public:
  explicit raw_members(std::size_t count)
  {
    for (std::size_t i = 0; i < count; ++i)
      add(std::make_unique<raw_member>());
  }
};

/// Two listeners of a group that keeps sessions, in one thread. The first one has all sessions,
/// since they are older than the second member, which gets the datagrams of half of the peers now.
class forwarding {
public:
  forwarding()
  {
    for (std::size_t number = 0; number < 2 * peers_of_a_shard; ++number)
      source_.fill_from_each(first_.socket.native_handle(), number, 1);
    take(2 * peers_of_a_shard);
    second_ = std::make_unique<serving_member>(*this);
    for (std::size_t number = 0; number < 2 * peers_of_a_shard; ++number) {
      const asio::ip::address_v4 address(drain::peer_address(number));
      peers_[group_.member_of({address, source_.port()}) == 0 ? 0 : 1].push_back(number);
    }
  }

  /// The time for datagrams that the first member gets, or the second one.
  sample measure(bool forwarded, int drains)
  {
    const auto& peers = peers_[forwarded ? 1 : 0];
    return repeat(
        datagrams_of_a_drain, drains,
        [&](std::size_t count, repetition& now) {
          const auto before = second_->listener.statistics().forwarded;
          for (std::size_t i = 0; i < count; ++i)
            source_.fill_from_each(first_.socket.native_handle(), peers[i % peers.size()], 1);
          now.time([&] { take(count); });
          const auto passed_on = second_->listener.statistics().forwarded - before;
          now.count_lost((forwarded ? count : 0) - passed_on);
        },
        metric::cpu);
  }

private:
  struct serving_member {
    explicit serving_member(forwarding& of)
        : socket(of.group_.open(of.turns_.context())),
          listener(socket, {.idle_timeout = std::chrono::hours(1),
                            .forwarded_bytes = std::size_t{16} << 20U})
    {
      dgram::error_code ignored;
      socket.set_option(dgram::option::forced_receive_buffer_size(16 << 20), ignored);
      listener.async_serve([&of](dgram::udp::session peer) { return of.serve(std::move(peer)); },
                           [](const std::error_code& ec) {
                             if (ec) std::exit(1);
                           });
    }

    dgram::udp::socket socket;
    dgram::udp::listener listener;
  };

  asio::awaitable<void> serve(dgram::udp::session peer)
  {
    while (const auto datagram = co_await peer.next()) {
      bytes_ += datagram->payload().size();
      if (--left_ == 0) turns_.end();
    }
  }

  void take(std::size_t count)
  {
    left_ = count;
    turns_.run(count);
  }

  turns turns_;
  dgram::shard_group group_{asio::ip::udp::endpoint(asio::ip::address_v4::loopback(), 0),
                            {.keep_sessions = true}};
  crowd source_{payload_size};
  std::size_t left_ = 0;
  std::size_t bytes_ = 0;
  serving_member first_{*this};
  std::unique_ptr<serving_member> second_;
  std::array<std::vector<std::size_t>, 2> peers_;
};

row measure_forwarding(const run_config& how)
{
  constexpr const char* none = "received by the member of the session";
  row measured("S8-forwarding",
               fmt::format("drain of {} datagrams of {} B with sessions of another shard",
                           datagrams_of_a_drain, payload_size),
               unit::ns_per_datagram, metric::cpu);
  const auto by = std::make_shared<forwarding>();
  const auto add = [&](const char* name, bool forwarded, const char* control) {
    measured.add({name,
                  [by, forwarded, drains = how.drains] { return by->measure(forwarded, drains); },
                  control});
  };
  add(none, false, "");
  add("forwarded to the member of the session", true, none);
  measured.run(how.rounds);
  return measured;
}

row measure_s8(const run_config& how)
{
  constexpr const char* one = "one shard";
  constexpr const char* two = "two shards on two processors";
  row measured("S8",
               fmt::format("echo of {} datagrams of {} B", datagrams_of_a_drain, payload_size),
               unit::ns_per_datagram);
  const auto add = [&](const char* name, std::size_t count, const char* control) {
    measured.add({name,
                  [by = std::shared_ptr(dgram_shards(count)), drains = how.drains] {
                    return by->measure(drains);
                  },
                  control});
  };
  add(one, 1, "");
  add(two, 2, one);
  measured.expect({two, relation::speed_at_least, 1.7, one});
  measured.run(how.rounds);
  return measured;
}

}  // namespace

std::unique_ptr<threaded_echo> dgram_shards(std::size_t threads)
{
  return std::make_unique<shards>(threads);
}

std::unique_ptr<threaded_echo> raw_threads(std::size_t threads)
{
  return std::make_unique<raw_members>(threads);
}

void add_shard_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S8", measure_s8});
  rows.push_back({"S8-forwarding", measure_forwarding});
}

}  // namespace bench
