// SPDX-License-Identifier: BSL-1.0
// Virtual time: the clock, the runs of a network, its timers, and Asio's timers on its clock.
#include <dgram/sim_timer.hpp>

#include "support/asio.hpp"

#include <dgram.hpp>
#include <dgram/sim_network.hpp>
#include <dgram/sim_socket.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace sim_time_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;
using dgram::error_code;

namespace {

std::chrono::nanoseconds elapsed()
{
  return sim::clock::now().time_since_epoch();
}

}  // namespace

TEST_CASE("the virtual clock stands still outside of runs, and starts anew with each network")
{
  asio::io_context io;
  CHECK(elapsed() == 0s);
  for (int i = 0; i < 2; ++i) {
    sim::network net{io};
    CHECK(elapsed() == 0s);
    net.run_for(10'000s);
    CHECK(elapsed() == 10'000s);
    net.run_until(sim::clock::time_point(5s));  // in the past
    CHECK(elapsed() == 10'000s);
    net.run_for(1ns);
    CHECK(net.now().time_since_epoch() == 10'000s + 1ns);
    net.run();
    CHECK(elapsed() == 10'000s + 1ns);
  }
  CHECK(elapsed() == 0s);
}

TEST_CASE("virtual timers expire in the order of their times, and of their waits at one time")
{
  asio::io_context io;
  sim::network net{io};
  std::vector<std::string> order;
  sim::timer late{io, 2s};
  sim::timer early{io, 1s};
  sim::timer same{io};
  same.expires_at(sim::clock::time_point(1s));
  late.async_wait([&](error_code) { order.push_back("late"); });
  early.async_wait([&](error_code) { order.push_back("early"); });
  same.async_wait([&](error_code) { order.push_back("same"); });
  early.async_wait([&](error_code) { order.push_back("early again"); });
  net.run_until(sim::clock::time_point(1s));
  CHECK(order == std::vector<std::string>{"early", "early again", "same"});
  net.run();
  CHECK(order.back() == "late");
  CHECK(elapsed() == 2s);
  CHECK(early.expiry() == sim::clock::time_point(1s));
  CHECK(late.expiry() == sim::clock::time_point(2s));
}

TEST_CASE("a virtual timer can be cancelled, set anew, moved and destroyed while it is waited for")
{
  asio::io_context io;
  sim::network net{io};
  std::vector<error_code> seen;
  const auto keep = [&](error_code ec) { seen.push_back(ec); };
  const error_code aborted = asio::error::operation_aborted;
  std::optional<sim::timer> timer(std::in_place, io, 1s);
  timer->async_wait(keep);
  timer->async_wait(keep);
  CHECK(timer->cancel_one() == 1);
  sim::timer unused{io, 1s};
  CHECK(unused.cancel_one() == 0);
  CHECK(timer->expires_after(5s) == 1);
  CHECK(timer->cancel() == 0);
  CHECK(seen.empty());
  timer->async_wait(keep);
  sim::timer moved = std::move(*timer);
  CHECK(timer->cancel() == 0);
  timer->expires_after(9s);
  timer->async_wait(keep);
  timer.reset();
  net.run();
  CHECK(seen == std::vector<error_code>{aborted, aborted, aborted, {}});
  CHECK(elapsed() == 5s);
  {
    sim::timer gone{io, 1s};
    gone.async_wait(keep);
    moved.expires_at(sim::clock::time_point::max());  // never
    moved.async_wait(keep);
  }
  net.run();
  CHECK(seen.back() == aborted);
  CHECK(seen.size() == 5);
  CHECK(elapsed() == 5s);  // the cancelled timer did not hold the clock up
  asio::cancellation_signal signal;
  moved.async_wait(asio::bind_cancellation_slot(signal.slot(), keep));
  signal.emit(asio::cancellation_type::partial);
  net.run();
  CHECK(seen.size() == 6);
  moved.expires_after(-1s);
  CHECK(seen.size() == 6);
  moved.async_wait(keep);
  net.run();
  CHECK(seen.back() == error_code());
  CHECK(seen.size() == 8);
  CHECK(elapsed() == 5s);
}

TEST_CASE("a virtual timer says its time and its executor, and a move assignment ends its waits")
{
  asio::io_context io;
  sim::network net{io};
  net.run_for(1s);
  sim::timer one{io, 2s};
  sim::timer two{io, 5s};
  CHECK(one.expiry() == sim::clock::time_point(3s));
  CHECK(one.get_executor() == sim::timer::executor_type(io.get_executor()));
  std::vector<std::string> seen;
  one.async_wait([&](error_code ec) { seen.push_back(ec ? "one ended" : "one expired"); });
  two.async_wait([&](error_code ec) { seen.push_back(ec ? "two ended" : "two expired"); });
  one = std::move(two);
  CHECK(one.expiry() == sim::clock::time_point(6s));
  sim::timer& same = one;
  one = std::move(same);
  net.run();
  CHECK(seen == std::vector<std::string>{"one ended", "two expired"});
  CHECK(elapsed() == 6s);
}

TEST_CASE("a virtual timer whose only wait was cancelled does not hold the clock up")
{
  asio::io_context io;
  sim::network net{io};
  sim::timer timer{io, 5s};
  error_code seen;
  timer.async_wait([&](error_code ec) { seen = ec; });
  CHECK(timer.cancel_one() == 1);
  CHECK(timer.cancel_one() == 0);
  net.run();
  CHECK(seen == asio::error::operation_aborted);
  CHECK(elapsed() == 0s);
}

TEST_CASE("code that takes its timer from the socket's type runs in virtual time")
{
  asio::io_context io;
  sim::network net{io};
  sim::socket socket{net, {"10.0.0.1", 1}};
  std::vector<std::chrono::nanoseconds> ticks;
  asio::co_spawn(
      io,
      [](auto& on, auto& to) -> asio::awaitable<void> {
        typename std::remove_reference_t<decltype(on)>::timer_type timer(on.get_executor());
        for (int i = 0; i < 3; ++i) {
          timer.expires_after(24h);
          co_await timer.async_wait(asio::use_awaitable);
          to.push_back(elapsed());
        }
      }(socket, ticks),
      asio::detached);
  net.run();
  CHECK(ticks == std::vector<std::chrono::nanoseconds>{24h, 48h, 72h});
}

TEST_CASE("stop ends the run after the handlers that are ready, and a new run goes on")
{
  asio::io_context io;
  sim::network net{io};
  int ticks = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        sim::timer timer{io};
        for (;;) {
          timer.expires_after(1s);
          co_await timer.async_wait(asio::use_awaitable);
          if (++ticks == 3) net.stop();
        }
      },
      asio::detached);
  net.run_for(10s);
  CHECK(ticks == 3);
  CHECK(elapsed() == 3s);
  net.run_for(10s);
  CHECK(ticks == 13);
  CHECK(elapsed() == 13s);
}

TEST_CASE("networks that would share a clock, other threads and nested runs are refused")
{
  asio::io_context io;
  asio::io_context other;
  CHECK_THROWS_AS(sim::timer(io), std::logic_error);
  CHECK_THROWS_AS(sim::socket(asio::any_io_executor(io.get_executor())), std::logic_error);
  {
    sim::network net{io};
    CHECK_THROWS_AS(sim::network(io), std::logic_error);
    CHECK_THROWS_AS(sim::network(other), std::logic_error);
    bool refused = false;
    std::chrono::nanoseconds others{};
    std::thread([&] {
      try {
        net.run();
      } catch (const std::logic_error&) {
        refused = true;
      }
      // Another thread has a clock of its own.
      asio::io_context own;
      sim::network another{own};
      another.run_for(7s);
      others = elapsed();
    }).join();
    CHECK(others == 7s);
    CHECK(refused);
    CHECK(elapsed() == 0s);
    asio::post(io, [&] { net.run(); });
    CHECK_THROWS_AS(net.run(), std::logic_error);
    net.run_for(1s);
    CHECK(elapsed() == 1s);
  }
  sim::network net{other};
  CHECK(elapsed() == 0s);
}

TEST_CASE("sockets and timers that outlive their network are closed, and say so")
{
  asio::io_context io;
  std::optional<sim::network> net(std::in_place, io);
  sim::socket socket{*net, {"10.0.0.1", 1}};
  sim::timer timer{io, 1s};
  error_code waited;
  timer.async_wait([&](error_code ec) { waited = ec; });
  net.reset();
  CHECK_FALSE(socket.is_open());
  error_code ec;
  socket.open(dgram::udp::v4(), ec);
  CHECK(ec == asio::error::network_down);
  io.restart();
  io.poll();
  CHECK(waited == asio::error::operation_aborted);
  sim::network next{io};
  sim::socket fresh{next, {"10.0.0.1", 1}};
  CHECK(fresh.is_open());
}

#if DGRAM_HAS_SIM_STEADY_TIMER

TEST_CASE("Asio's own timer type runs on the virtual clock")
{
  asio::io_context io;
  sim::network net{io, {.delay = 10ms}};
  std::vector<std::string> order;
  const auto note = [&](const std::string& what) {
    order.push_back(what + " " + std::to_string(elapsed() / 1ms));
  };
  sim::steady_timer asios{io, 15ms};
  sim::timer own{io, 12ms};
  sim::steady_timer never{io, sim::clock::time_point::max()};
  sim::socket server{net, {"10.0.0.1", 1}};
  sim::socket client{net, {"10.0.0.2", 1}};
  asios.async_wait([&](error_code) {
    note("asio's");
    asios.expires_after(5ms);
    asios.async_wait([&](error_code) { note("again"); });
  });
  own.async_wait([&](error_code) { note("own"); });
  error_code cancelled;
  never.async_wait([&](error_code ec) { cancelled = ec; });
  server.async_wait(sim::socket::wait_read, [&](error_code) { note("datagram"); });
  client.send_to(asio::buffer("x", 1), server.local_endpoint());
  net.run();
  CHECK(order == std::vector<std::string>{"datagram 10", "own 12", "asio's 15", "again 20"});
  never.cancel();
  net.run_for(1h);
  CHECK(cancelled == asio::error::operation_aborted);
  CHECK(elapsed() == 1h + 20ms);
}

TEST_CASE("no wait of Asio's timers is too long for the virtual clock")
{
  asio::io_context io;
  sim::network net{io};
  net.run_for(1s);
  // Asio keeps no thread waiting: the network does, in virtual time.
  CHECK(sim::wait_traits::to_wait_duration(sim::clock::duration::max()) == 0ns);
  CHECK(sim::wait_traits::to_wait_duration(sim::clock::time_point(5s)) == 0ns);
  net.run();
  CHECK(elapsed() == 1s);
}

TEST_CASE("a hundred coroutines with Asio's timers take the same virtual time in each run")
{
  const auto run = [] {
    asio::io_context io;
    sim::network net{io, {.seed = 3}};
    std::string trace;
    for (int i = 0; i < 100; ++i)
      asio::co_spawn(
          io,
          [&, i]() -> asio::awaitable<void> {
            sim::steady_timer timer{io};
            for (int j = 0; j < 10; ++j) {
              timer.expires_after(std::chrono::nanoseconds(net.random().below(5'000'000'000)));
              co_await timer.async_wait(asio::use_awaitable);
              trace += std::to_string(i) + "@" + std::to_string(elapsed().count()) + "\n";
            }
          },
          asio::detached);
    net.run();
    CHECK(elapsed() > 20s);
    return trace;
  };
  const auto first = run();
  CHECK(std::count(first.begin(), first.end(), '\n') == 1000);
  CHECK(run() == first);
}

#endif

}  // namespace sim_time_test
