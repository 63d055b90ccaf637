// SPDX-License-Identifier: BSL-1.0
// Fuzzes simulated networks: whatever links, NATs, partitions and steps there are, each datagram is
// accounted for, sockets receive only what was sent to them, and the same input gives the same run.

#include "fuzz/input.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace sim = dgram::sim;
using dgram::error_code;
using endpoint = asio::ip::udp::endpoint;

constexpr std::array<const char*, 4> hosts{"10.0.0.1", "10.0.0.2", "192.168.0.1", "2001:db8::1"};
constexpr const char* nat = "203.0.113.1";

double take_probability(fuzz::input& from)
{
  static constexpr std::array<double, 6> usual{0, 0, 0.5, 1, 0.1, 0.9};
  const std::uint8_t which = from.byte();
  if (which == 255) return std::numeric_limits<double>::quiet_NaN();
  if (which > 250) return -0.5 * (which - 252);
  return usual[which % usual.size()];
}

std::chrono::nanoseconds take_time(fuzz::input& from)
{
  if (from.one_in(16)) return std::chrono::nanoseconds(from.number<std::int64_t>());
  return std::chrono::milliseconds(from.byte() % 40);
}

sim::link_config take_link(fuzz::input& from)
{
  sim::link_config link;
  const std::uint8_t set = from.byte();
  if (set & 1U) link.delay = take_time(from);
  if (set & 2U) link.jitter = take_time(from);
  if (set & 4U) link.loss = take_probability(from);
  if (set & 8U) link.duplicate = take_probability(from);
  if (set & 16U) link.reorder = take_probability(from);
  if (set & 32U) link.rate = from.one_in(8) ? from.number<std::uint64_t>() : 1000U * from.byte();
  if (set & 32U) link.queue = from.one_in(8) ? from.number<std::size_t>() : 10U * from.byte();
  if (set & 64U) link.mtu = from.one_in(8) ? from.number<std::size_t>() : 68U + from.below(2000);
  if (set & 128U) link.keep_order = true;
  return link;
}

/// A link is refused for what is not in its range, and for nothing else.
bool is_possible(const sim::link_config& link)
{
  const auto is_chance = [](double chance) { return chance >= 0 && chance <= 1; };
  const auto is_delay = [](std::chrono::nanoseconds delay) {
    return delay.count() >= 0 && delay <= std::chrono::hours(24 * 365);
  };
  return is_delay(link.delay) && is_delay(link.jitter) && is_delay(link.reorder_delay) &&
         is_chance(link.loss) && is_chance(link.duplicate) && is_chance(link.reorder) &&
         (link.rate == 0 ? link.queue == 0 : link.rate >= 100) &&
         link.queue <= std::size_t{1} << 30U && link.mtu >= 68;
}

class world {
public:
  world(fuzz::input& from, bool is_traced) : from_(from), net_(io_, {.seed = from.byte()})
  {
    net_.add_host("named", {hosts[0], "2001:db8::7"});
    net_.set_default_host("named");
    if (from.one_in(2)) net_.add_nat(nat, {hosts[2]});
    if (is_traced)
      net_.on_trace([this](std::string_view line) {
        for (const char c : line)
          trace_ = (trace_ ^ static_cast<std::uint8_t>(c)) * 0x100000001B3U;
      });
    for (std::size_t i = 0; i < sockets; ++i)
      open(i);
  }

  void step()
  {
    const std::uint8_t what = from_.byte();
    switch (what % 12) {
    case 0: set_link(); break;
    case 1: net_.partition({host()}, {host()}); break;
    case 2: net_.heal(); break;
    case 3:
      net_.pause(host());
      reads_all_ = false;
      break;
    case 4: net_.resume(host()); break;
    case 5: open(from_.byte() % sockets); break;
    case 6: connect(); break;
    case 7: net_.run_for(std::chrono::milliseconds(from_.byte() % 64)); break;
    case 8: join(); break;
    case 9:
      if (!net_.addresses(nat).empty()) rebind();
      break;
    default: send();
    }
    receive();
    check(false);
  }

  void end()
  {
    net_.heal();
    for (const char* const each : hosts)
      net_.resume(each);
    // A link may take years.
    net_.run();
    receive();
    check(true);
  }

  std::uint64_t trace() const noexcept { return trace_; }

private:
  static constexpr std::size_t sockets = 5;

  sim::socket& any_socket() { return *seats_[from_.byte() % sockets]; }

  const char* host() { return hosts[from_.byte() % hosts.size()]; }

  void rebind()
  {
    try {
      net_.rebind(nat);
    } catch (const std::invalid_argument&) {
      // Something was sent to the address before, so it is that of an ordinary host.
    }
  }

  void open(std::size_t index)
  {
    std::optional<sim::socket>& at = seats_[index];
    at.reset();
    // Ports of their own, so that datagrams for a closed socket reach no other.
    at.emplace(net_, sim::location{hosts[index % hosts.size()], ++port_});
    if (from_.one_in(3)) {
      const int room = 1 + static_cast<int>(from_.below(3000));
      error_code ignored;
      at->set_option(dgram::option::receive_buffer_size(room), ignored);
    }
  }

  void set_link()
  {
    const sim::link_config link = take_link(from_);
    const std::uint8_t form = from_.byte();
    try {
      if (form % 3 == 0)
        net_.set_links(link);
      else if (form % 3 == 1)
        net_.set_path(host(), host(), link);
      else
        net_.set_host_links(host(), link);
      fuzz::require(is_possible(link), "a link that cannot be is refused");
    } catch (const std::invalid_argument& refused) {
      fuzz::require(!is_possible(link), "a link that can be is taken");
      fuzz::require(std::string_view(refused.what()).starts_with("sim::link_config"),
                    "a refusal names its subject");
    }
  }

  void connect()
  {
    error_code ec;
    const endpoint peer = any_socket().local_endpoint();
    any_socket().connect(peer, ec);
  }

  void join()
  {
    sim::socket& at = any_socket();
    error_code ec;
    reads_all_ = false;  // two members on a host receive what counts once
    if (from_.one_in(2))
      at.join(dgram::multicast_group(group()), {}, ec);
    else
      at.leave(dgram::multicast_group(group()), {}, ec);
  }

  static asio::ip::address group() { return asio::ip::make_address("239.1.2.3"); }

  endpoint take_peer()
  {
    const std::uint8_t form = from_.byte();
    const endpoint other = seats_[form / 16 % sockets]->local_endpoint();
    switch (form % 8) {
    case 0: return {group(), other.port()};
    case 1: return {asio::ip::make_address(nat), static_cast<std::uint16_t>(from_.below(65536))};
    case 2: return {asio::ip::make_address("198.51.100.1"), other.port()};
    case 3: return {other.address(), static_cast<std::uint16_t>(1 + from_.below(60000))};
    default: return other;
    }
  }

  void send()
  {
    sim::socket& at = any_socket();
    const endpoint peer = take_peer();
    const std::size_t count = 1 + from_.byte() % 8U;
    dgram::send_batch batch({.datagrams = count, .copy = true});
    for (std::size_t i = 0; i < count; ++i) {
      std::string text = std::to_string(++number_) + " ";
      text.resize(std::max<std::size_t>(text.size(), from_.below(2500)), 'x');
      error_code ec;
      if (at.remote_endpoint(ec) != endpoint())
        batch.push(text);
      else
        batch.push(text, peer);
      sent_.emplace(number_, std::move(text));
    }
    while (!batch.empty()) {
      const dgram::send_result result = at.try_send_batch(batch);
      if (result.error == error_code(asio::error::would_block)) break;
      if (result.error) batch.drop_front();
    }
  }

  void receive()
  {
    dgram::receive_batch batch(4, 4096);
    for (auto& at : seats_) {
      error_code ec;
      while (at->try_receive_batch(batch, ec) > 0 || ec != would_block())
        for (const dgram::datagram& each : batch) {
          ++received_;
          const std::string text(each.payload().text());
          const auto found = sent_.find(std::strtoull(text.c_str(), nullptr, 10));
          fuzz::require(found != sent_.end() && found->second == text,
                        "a datagram arrives as it was sent");
        }
    }
  }

  static error_code would_block() { return asio::error::would_block; }

  void check(bool is_idle)
  {
    const sim::link_counters total = net_.counters();
    fuzz::require(total.is_balanced(), "the account of a network balances at any time");
    fuzz::require(!is_idle || total.in_flight == 0, "nothing is on its way at the end");
    if (!is_idle) return;
    for (const char* const a : hosts)
      for (const char* const b : hosts)
        fuzz::require(net_.counters(a, b).is_balanced(), "the account of a link balances");
    if (reads_all_)
      fuzz::require(received_ == total.delivered, "sockets receive what the account says");
  }

  fuzz::input& from_;
  asio::io_context io_;
  sim::network net_;
  std::array<std::optional<sim::socket>, sockets> seats_;
  std::map<std::uint64_t, std::string> sent_;
  std::uint16_t port_ = 1000;
  std::uint64_t number_ = 0;
  std::uint64_t received_ = 0;
  bool reads_all_ = true;  // what a host has queued is received before the next step
  std::uint64_t trace_ = 0;
};

std::uint64_t run(const std::uint8_t* data, std::size_t size, bool is_traced)
{
  fuzz::input from(data, size);
  world all(from, is_traced);
  for (int steps = 0; steps < 60 && !from.empty(); ++steps)
    all.step();
  all.end();
  return all.trace();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  // Two runs only now and then: the second one finds less than a new input does.
  const bool twice = size > 0 && data[size - 1] % 4 == 0;
  const std::uint64_t trace = run(data, size, twice);
  if (twice) fuzz::require(run(data, size, true) == trace, "the same input gives the same trace");
  return 0;
}
