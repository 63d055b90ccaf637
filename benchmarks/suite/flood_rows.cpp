// SPDX-License-Identifier: BSL-1.0
// The row of a server under a flood: what the honest peers still get.
#include "crowd.hpp"
#include "rows.hpp"
#include "session_drain.hpp"

#include <dgram.hpp>

#include <asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t payload_size = 64;
constexpr std::size_t honest_peers = 100;
constexpr std::size_t honest_per_millisecond = 20;

/// So many datagrams may be on their way to the server, so that its queue never overflows.
constexpr std::uint64_t most_queued = 1024;

/// Addresses of loopback: honest peers are at the front, see `drain::peer_address`.
constexpr unsigned first_blocked = 0x7F400000;  // 127.64.0.0/10
constexpr unsigned blocked_bits = 22;
constexpr unsigned first_spoofed = 0x7F800000;  // 127.128.0.0/9
constexpr unsigned spoofed_bits = 23;

enum class flood { none, blocked, spoofed, both };

/// A count of one thread's, which others read.
class counter {
public:
  void add(std::uint64_t more = 1) noexcept { value_.store(get() + more, relaxed); }
  std::uint64_t get() const noexcept { return value_.load(relaxed); }

private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  std::atomic<std::uint64_t> value_{0};
};

/// An echo with a session for each peer, on its own thread. A new peer must not be in the block
/// list, and there is a budget for new sessions: of each network, and of all together.
class server {
public:
  server()
  {
    dgram::error_code ignored;
    socket_.set_option(dgram::option::forced_receive_buffer_size(16 << 20), ignored);
    for (unsigned i = 0; i < 2000; ++i) {
      const unsigned first = first_blocked + i * ((1U << blocked_bits) / 2000);
      blocked_.add_range(asio::ip::address_v4(first), asio::ip::address_v4(first + 1023));
    }
    listener_.on_stranger([this](const dgram::datagram& datagram, dgram::stranger& from) {
      if (is_introducing_) {
        from.mark_validated();  // as a cookie would prove it
        return true;
      }
      const bool welcome =
          !blocked_.check(datagram.sender()) && newcomers_.allow(datagram.sender());
      if (!welcome) taken_.add();
      return welcome;
    });
    listener_.async_for_each(
        [this](const dgram::udp::session_ref& session, const dgram::datagram& datagram) {
          taken_.add();
          session.try_send(datagram.payload());
        },
        [](dgram::error_code) {});
    thread_ = std::thread([this] { io_.run(); });
  }
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  ~server()
  {
    asio::post(io_, [this] { listener_.close(); });
    thread_.join();
  }

  /// While this is on, each new peer gets a session.
  void introduce(bool on) { is_introducing_ = on; }

  int descriptor() { return descriptor_; }

  /// How many datagrams the server has taken from its queue and dealt with.
  std::uint64_t taken() const noexcept { return taken_.get(); }

private:
  asio::io_context io_{1};
  dgram::udp::socket socket_{io_, {asio::ip::address_v4::loopback(), 0}};
  const int descriptor_ = socket_.native_handle();
  dgram::block_list blocked_;
  dgram::rate_limiter newcomers_{
      {.ipv4_network = dgram::token_budget{100, 20}, .all = dgram::token_budget{1000, 200}}};
  dgram::udp::listener listener_{
      socket_, {.max_sessions = 4096, .when_full = dgram::sessions_full::evict_idlest}};
  std::atomic<bool> is_introducing_{false};
  counter taken_;
  std::thread thread_;
};

/// A server, its honest peers, which send at a fixed rate, and a thread that floods it as fast as
/// the server takes datagrams.
class besieged {
public:
  explicit besieged(flood kind) : kind_(kind)
  {
    server_.introduce(true);
    honest_.fill_from_each(server_.descriptor(), 0, honest_peers);
    sent_.add(honest_peers);
    await(honest_peers, steady::now() + std::chrono::seconds(5));
    server_.introduce(false);
    if (answers_ != honest_peers) throw std::runtime_error("an honest peer got no session");
  }

  sample measure(std::chrono::milliseconds time)
  {
    const std::uint64_t flooded = flooded_.get();
    is_over_ = false;
    std::thread flooding;
    if (kind_ != flood::none) flooding = std::thread([this] { run_flood(); });
    answers_ = 0;
    std::size_t asked = 0;
    const auto start = steady::now();
    for (int tick = 0; tick < time.count(); ++tick) {
      std::this_thread::sleep_until(start + std::chrono::milliseconds(tick));
      for (std::size_t i = 0; i < honest_per_millisecond; ++i, ++asked)
        honest_.fill_from_each(server_.descriptor(), asked % honest_peers, 1);
      sent_.add(honest_per_millisecond);
      answers_ += honest_.drain();
    }
    std::this_thread::sleep_until(start + time);
    const auto end = await(asked, steady::now() + std::chrono::milliseconds(200));
    is_over_ = true;
    if (flooding.joinable()) flooding.join();
    const double seconds = std::chrono::duration<double>(end - start).count();
    all_asked_ += asked;
    all_answers_ += answers_;
    all_seconds_ += seconds;
    all_flooded_ += flooded_.get() - flooded;
    sample taken;
    taken.ns = seconds * 1e9 / static_cast<double>(std::max<std::size_t>(answers_, 1));
    return taken;
  }

  std::string account(const char* name) const
  {
    return fmt::format("{}: {:.2f} % of the honest datagrams were answered; {:.0f} others a second",
                       name,
                       100.0 * static_cast<double>(all_answers_) / static_cast<double>(all_asked_),
                       static_cast<double>(all_flooded_) / all_seconds_);
  }

private:
  /// Returns when the last answer has come.
  steady::time_point await(std::size_t wanted, steady::time_point deadline)
  {
    answers_ += honest_.drain();
    while (answers_ < wanted && steady::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      answers_ += honest_.drain();
    }
    return steady::now();
  }

  void run_flood()
  {
    while (!is_over_) {
      if (sent_.get() + flooded_.get() > server_.taken() + most_queued) {
        std::this_thread::yield();
        continue;
      }
      const bool is_blocked =
          kind_ == flood::blocked || (kind_ == flood::both && random_() % 2 == 0);
      const unsigned address = is_blocked ? blocked() : spoofed();
      flood_.fill_from_each(server_.descriptor(), address - drain::peer_address(0), 1);
      flooded_.add();
      if (flooded_.get() % 256 == 0) flood_.drain();
    }
  }

  /// One of the addresses of `server`'s list.
  unsigned blocked()
  {
    const auto range = static_cast<unsigned>(random_() % 2000);
    return first_blocked + range * ((1U << blocked_bits) / 2000) +
           static_cast<unsigned>(random_() % 1024);
  }

  unsigned spoofed()
  {
    const auto host = static_cast<unsigned>(random_() % ((1U << spoofed_bits) - 1));
    return first_spoofed + host;
  }

  flood kind_;
  crowd honest_{payload_size};
  crowd flood_{payload_size};
  server server_;
  std::mt19937 random_{1};
  counter sent_, flooded_;
  std::atomic<bool> is_over_{false};
  std::size_t answers_ = 0;
  std::uint64_t all_asked_ = 0, all_answers_ = 0, all_flooded_ = 0;
  double all_seconds_ = 0;
};

row measure_s14(const run_config& how)
{
  constexpr const char* alone = "dgram listener, honest peers alone";
  row measured("S14",
               fmt::format("echo of {} datagrams/s of {} B from honest peers, beside a flood",
                           1000 * honest_per_millisecond, payload_size),
               unit::datagrams_per_second);
  std::vector<std::pair<const char*, std::shared_ptr<besieged>>> all;
  const auto add = [&](const char* name, flood kind, const char* control) {
    all.emplace_back(name, std::make_shared<besieged>(kind));
    measured.add({name,
                  [by = all.back().second, time = how.echo_time] { return by->measure(time); },
                  control});
    if (kind != flood::none) measured.expect({name, relation::speed_at_least, 0.9, alone});
  };
  add(alone, flood::none, "");
  add("dgram listener, blocked senders", flood::blocked, alone);
  add("dgram listener, forged senders", flood::spoofed, alone);
  add("dgram listener, both", flood::both, alone);
  measured.run(how.rounds);
  for (const auto& [name, by] : all)
    measured.note(by->account(name));
  return measured;
}

}  // namespace

void add_flood_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S14", measure_s14});
}

}  // namespace bench
