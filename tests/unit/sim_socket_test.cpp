// SPDX-License-Identifier: BSL-1.0
// Sockets of a simulated network: the rules of completion, errors, metadata, readers and writers.
#include <dgram/sim_socket.hpp>

#include "support/asio.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sim_socket_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

static_assert(dgram::transport_handle<sim::socket_handle>);
static_assert(dgram::transport_with_handle<sim::socket>);
static_assert(dgram::emitter_transport<sim::socket>);

namespace {

using strings = std::vector<std::string>;
using dgram::error_code;

struct scene {
  asio::io_context io;
  sim::network net{io, {.delay = 10ms}};
  sim::socket server{net, {"10.0.0.1", 7000}};
  sim::socket client{net, {"10.0.0.2", 0}};
  std::array<char, 2000> storage{};
  error_code ec;

  void spawn(asio::awaitable<void> coroutine)
  {
    asio::co_spawn(io, std::move(coroutine), [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  }
};

strings arrived(sim::socket& at)
{
  strings texts;
  dgram::receive_batch batch{64};
  while (at.try_receive_batch(batch))
    for (const dgram::datagram& datagram : batch)
      texts.emplace_back(datagram.payload().text());
  return texts;
}

}  // namespace

TEST_CASE("a simulated datagram arrives after the delay of its link, and not before")
{
  scene s;
  s.client.send_to(asio::buffer("hello", 5), s.server.local_endpoint());
  s.net.run_for(10ms - 1ns);
  CHECK(arrived(s.server).empty());
  s.net.run_for(1ns);
  CHECK(arrived(s.server) == strings{"hello"});
  CHECK(s.net.now().time_since_epoch() == 10ms);
}

TEST_CASE("simulated operations never complete inside the call that starts them")
{
  scene s;
  s.client.send_to(asio::buffer("one", 3), s.server.local_endpoint());
  s.net.run();
  int completed = 0;
  const auto count = [&](auto&&...) { ++completed; };
  asio::ip::udp::endpoint sender;
  dgram::receive_batch batch{1};
  dgram::send_batch out{1};
  out.push("two", s.server.local_endpoint());
  s.server.async_wait(sim::socket::wait_read, count);
  s.server.async_wait(sim::socket::wait_write, count);
  s.server.async_receive_from(asio::buffer(s.storage), sender, count);
  s.client.async_send_to(asio::buffer("x", 1), s.server.local_endpoint(), count);
  s.client.async_send_batch(out, count);
  s.client.async_connect(s.server.local_endpoint(), count);
  sim::timer timer{s.io, sim::clock::now()};
  timer.async_wait(count);
  CHECK(completed == 0);
  s.net.run();
  CHECK(completed == 7);
  s.server.async_receive_batch(batch, count);
  CHECK(completed == 7);
  s.net.run();
  CHECK(completed == 8);
}

TEST_CASE("simulated operations take callbacks, coroutines and deferred tokens")
{
  scene s;
  strings seen;
  s.spawn([](scene& in, strings& to) -> asio::awaitable<void> {
    asio::ip::udp::endpoint sender;
    const std::size_t size = co_await in.server.async_receive_from(asio::buffer(in.storage), sender,
                                                                   asio::use_awaitable);
    to.emplace_back(in.storage.data(), size);
    CHECK(sender == in.client.local_endpoint());
    co_await in.server.async_send_to(asio::buffer("reply", 5), sender);
    const auto launched = in.client.async_receive(asio::buffer(in.storage), test::deferred);
    const std::size_t replied = co_await launched(asio::use_awaitable);
    to.emplace_back(in.storage.data(), replied);
  }(s, seen));
  s.client.async_send_to(asio::buffer("asked", 5), s.server.local_endpoint(),
                         [](error_code ec, std::size_t size) {
                           CHECK_FALSE(ec);
                           CHECK(size == 5);
                         });
  s.net.run();
  CHECK(seen == strings{"asked", "reply"});
  CHECK(s.net.now().time_since_epoch() == 20ms);
}

TEST_CASE("cancelling one simulated operation ends it alone, and loses no datagram")
{
  const auto type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total);
  scene s;
  asio::cancellation_signal signal;
  error_code first;
  error_code waited;
  std::optional<std::size_t> second;
  s.server.async_receive(
      asio::buffer(s.storage),
      asio::bind_cancellation_slot(signal.slot(), [&](error_code ec, std::size_t) { first = ec; }));
  s.server.async_receive(asio::buffer(s.storage), [&](error_code, std::size_t n) { second = n; });
  asio::cancellation_signal other;
  s.server.async_wait(
      sim::socket::wait_read,
      asio::bind_cancellation_slot(other.slot(), [&](error_code ec) { waited = ec; }));
  signal.emit(type);
  other.emit(type);
  CHECK_FALSE(first);
  s.client.send_to(asio::buffer("kept", 4), s.server.local_endpoint());
  s.net.run();
  CHECK(first == asio::error::operation_aborted);
  CHECK(waited == asio::error::operation_aborted);
  CHECK(second == 4);
  signal.emit(type);  // what is left in the slot refers to nothing
}

TEST_CASE("a signal that comes after the datagram, and before the handler, still loses nothing")
{
  scene s;
  asio::cancellation_signal signal;
  error_code outcome;
  s.server.async_receive(asio::buffer(s.storage),
                         asio::bind_cancellation_slot(
                             signal.slot(), [&](error_code ec, std::size_t) { outcome = ec; }));
  sim::timer at{s.io, 10ms};
  s.client.send_to(asio::buffer("x", 1), s.server.local_endpoint());
  at.async_wait([&](error_code) { signal.emit(asio::cancellation_type::total); });
  s.net.run();
  const bool aborted = outcome == asio::error::operation_aborted;
  CHECK(arrived(s.server).size() == (aborted ? 1 : 0));
}

TEST_CASE("cancel, close, destruction and a move assignment end pending simulated operations")
{
  const int how = GENERATE(0, 1, 2, 3);
  scene s;
  auto socket = std::make_optional<sim::socket>(s.net, sim::location{"10.0.0.3", 1});
  std::vector<error_code> seen;
  const auto keep = [&](error_code ec, auto&&...) { seen.push_back(ec); };
  dgram::receive_batch batch{2};
  socket->async_receive(asio::buffer(s.storage), keep);
  socket->async_receive_batch(batch, keep);
  socket->async_wait(sim::socket::wait_read, keep);
  if (how == 0) socket->cancel();
  if (how == 1) socket->close();
  if (how == 2) socket.reset();
  if (how == 3) *socket = sim::socket(s.net, {"10.0.0.3", 2});
  CHECK(seen.empty());
  s.net.run();
  CHECK(seen == std::vector<error_code>(3, asio::error::operation_aborted));
  if (how == 0) {
    s.client.send_to(asio::buffer("x", 1), socket->local_endpoint());
    s.net.run();
    CHECK(arrived(*socket) == strings{"x"});
  }
}

TEST_CASE("moving a simulated socket leaves its operations pending")
{
  scene s;
  std::optional<std::size_t> size;
  s.server.async_receive(asio::buffer(s.storage), [&](error_code, std::size_t n) { size = n; });
  sim::socket moved = std::move(s.server);
  s.client.send_to(asio::buffer("abc", 3), moved.local_endpoint());
  s.net.run();
  CHECK(size == 3);
}

TEST_CASE("a simulated socket that was moved from is closed, and can be opened again")
{
  scene s;
  const auto executor = s.server.get_executor();
  const sim::socket moved = std::move(s.server);
  CHECK(moved.is_open());
  CHECK_FALSE(s.server.is_open());
  CHECK(s.server.get_executor() == executor);
  error_code ec;
  s.server.async_receive(asio::buffer(s.storage), [&](error_code said, std::size_t) { ec = said; });
  s.net.run();
  CHECK(ec == asio::error::bad_descriptor);
  s.server.open(dgram::udp::v4());
  CHECK(s.server.is_open());
}

TEST_CASE("each of several pending receives gets a datagram")
{
  scene s;
  std::vector<std::size_t> sizes;
  std::array<char, 10> rooms{};
  for (int i = 0; i < 5; ++i)
    s.server.async_receive(asio::buffer(rooms), [&](error_code ec, std::size_t n) {
      if (!ec) sizes.push_back(n);
    });
  for (std::size_t n = 1; n <= 4; ++n)
    s.client.send_to(asio::buffer(s.storage.data(), n), s.server.local_endpoint());
  s.net.run();
  CHECK(sizes == std::vector<std::size_t>{1, 2, 3, 4});
  for (std::size_t n = 5; n <= 6; ++n)
    s.client.send_to(asio::buffer(s.storage.data(), n), s.server.local_endpoint());
  s.net.run();
  CHECK(sizes == std::vector<std::size_t>{1, 2, 3, 4, 5});
  CHECK(arrived(s.server).size() == 1);
}

TEST_CASE("a waiter that takes nothing does not keep the next one from the datagram")
{
  scene s;
  int woken = 0;
  for (int i = 0; i < 3; ++i)
    s.server.async_wait(sim::socket::wait_read, [&](error_code) { ++woken; });
  s.client.send_to(asio::buffer("x", 1), s.server.local_endpoint());
  s.net.run();
  CHECK(woken == 3);
}

TEST_CASE("a port without a socket refuses a connected sender after a round trip")
{
  const bool receives = GENERATE(true, false);
  scene s;
  s.client.connect({asio::ip::make_address("10.0.0.1"), 9});
  s.client.send(asio::buffer("x", 1));
  error_code outcome;
  sim::clock::time_point when;
  if (receives)
    s.client.async_receive(asio::buffer(s.storage), [&](error_code ec, std::size_t) {
      outcome = ec;
      when = sim::clock::now();
    });
  s.net.run();
  error_code ec;
  s.client.send(asio::buffer("y", 1), 0, ec);
  if (receives) {
    CHECK(outcome == asio::error::connection_refused);
    CHECK(when.time_since_epoch() == 20ms);
    CHECK_FALSE(ec);
  } else {
    CHECK(ec == asio::error::connection_refused);
    s.client.send(asio::buffer("y", 1), 0, ec);
    CHECK_FALSE(ec);
  }
  CHECK(s.client.statistics().path_errors == 1);
  CHECK(s.net.counters("10.0.0.2", "10.0.0.1").refused == 1);
}

TEST_CASE("an unconnected sender learns of a refusal only with receive_error")
{
  scene s;
  const asio::ip::udp::endpoint nowhere{asio::ip::make_address("10.0.0.1"), 9};
  s.client.send_to(asio::buffer("x", 1), nowhere);
  s.net.run();
  error_code ec;
  s.client.try_receive(asio::buffer(s.storage), ec);
  CHECK(ec == asio::error::would_block);
  s.client.try_receive_error(ec);
  CHECK(ec == asio::error::operation_not_supported);
  s.client.set_option(dgram::option::receive_error{true});
  std::optional<dgram::path_error> report;
  s.client.async_receive_error([&](error_code, const dgram::path_error& one) { report = one; });
  s.client.send_to(asio::buffer("x", 1), nowhere);
  s.net.run();
  REQUIRE(report);
  CHECK(report->code == asio::error::connection_refused);
  CHECK(report->peer == nowhere);
  CHECK(report->offender == nowhere.address());
  CHECK(report->origin == dgram::path_error_origin::icmp);
  CHECK(dgram::bytes_view(report->quoted().data(), report->quoted().size()).text() == "x");
}

TEST_CASE("a report wakes what waits for datagrams, once, and quotes at most 64 bytes")
{
  scene s;
  s.client.set_option(dgram::option::receive_error{true});
  const std::string sent(100, 'q');
  int wakes = 0;
  s.client.async_wait(asio::socket_base::wait_read, [&](error_code) {
    ++wakes;
    s.client.async_wait(asio::socket_base::wait_read, [&](error_code) {
      ++wakes;
      s.client.try_receive(asio::buffer(s.storage), s.ec);
      s.client.async_wait(asio::socket_base::wait_read, [&](error_code) { ++wakes; });
    });
  });
  s.client.send_to(asio::buffer(sent), {asio::ip::make_address("10.0.0.1"), 9});
  s.net.run();
  CHECK(wakes == 2);  // it is readable until something is received
  CHECK(s.ec == asio::error::would_block);
  const auto report = s.client.try_receive_error(s.ec);
  CHECK(report.quoted_size == 64);
}

TEST_CASE("a datagram above the MTU is refused with its size, and one at the MTU passes")
{
  scene s;
  s.net.set_links({.delay = 1ms, .mtu = 1400});
  const std::string fits(1400 - 28, 'x');
  const std::string large(1400 - 27, 'x');
  error_code ec;
  CHECK(s.client.send_to(asio::buffer(fits), s.server.local_endpoint(), 0, ec) == fits.size());
  CHECK_FALSE(ec);
  CHECK(s.client.send_to(asio::buffer(large), s.server.local_endpoint(), 0, ec) == 0);
  CHECK(ec == asio::error::message_size);
  s.client.set_option(dgram::option::receive_error{true});
  s.client.send_to(asio::buffer(large), s.server.local_endpoint(), 0, ec);
  CHECK(ec == asio::error::message_size);
  const auto report = s.client.try_receive_error(ec);
  CHECK_FALSE(ec);
  CHECK(report.mtu == 1400);
  s.net.set_links({.delay = 1ms});
  const std::string most(65507, 'x');
  s.client.send_to(asio::buffer(most), s.server.local_endpoint(), 0, ec);
  CHECK_FALSE(ec);
  s.client.send_to(asio::buffer(most + 'x'), s.server.local_endpoint(), 0, ec);
  CHECK(ec == asio::error::message_size);
  s.net.run();
  CHECK(s.net.counters().delivered == 2);
}

TEST_CASE("calls on a simulated socket report what is wrong with them")
{
  scene s;
  error_code ec;
  const auto local = s.server.local_endpoint();
  s.server.bind(local, ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_THROWS_WITH(s.server.bind(local),
                    Catch::Matchers::ContainsSubstring("(the socket is bound to " +
                                                       dgram::to_string(local) + ")"));
  s.server.open(dgram::udp::v4(), ec);
  CHECK(ec == asio::error::already_open);
  CHECK_THROWS_AS((sim::socket{s.net, {"10.0.0.1", 7000}}), dgram::system_error);
  sim::socket second{s.net, "10.0.0.1"};
  second.bind(local, ec);
  CHECK(ec == asio::error::bad_descriptor);
  second.open(dgram::udp::v4());
  second.bind({asio::ip::make_address("10.0.0.2"), 1}, ec);
  CHECK(ec == dgram::socket_error::address_not_available);
  second.bind({asio::ip::make_address("::1"), 1}, ec);
  CHECK(ec == asio::error::address_family_not_supported);
  second.send(asio::buffer("x", 1), 0, ec);
  CHECK(ec == dgram::socket_error::destination_address_required);
  second.connect({asio::ip::make_address("10.0.0.2"), 0}, ec);
  CHECK(ec == dgram::error::bad_port);
  second.disconnect(ec);
  CHECK(ec == asio::error::not_connected);
  second.send_to(asio::buffer("x", 1), {asio::ip::make_address("255.255.255.255"), 5}, 0, ec);
  CHECK(ec == asio::error::access_denied);
  second.send_to(asio::buffer("x", 1), {asio::ip::make_address("2001:db8::1"), 5}, 0, ec);
  CHECK(ec == asio::error::address_family_not_supported);
  second.set_option(dgram::option::hop_limit{256}, ec);
  CHECK(ec == dgram::error::out_of_range);
  second.set_option(dgram::option::busy_poll{1}, ec);
  CHECK(ec == asio::error::operation_not_supported);
  second.assign(dgram::udp::v4(), 0, ec);
  CHECK(ec == asio::error::operation_not_supported);
  sim::socket homeless{s.net};
  homeless.open();
  homeless.send_to(asio::buffer("x", 1), local, 0, ec);
  CHECK(ec == dgram::socket_error::address_not_available);
  s.net.set_default_host("10.0.0.9");
  homeless.send_to(asio::buffer("x", 1), local, 0, ec);
  CHECK_FALSE(ec);
  s.net.run();
  CHECK(arrived(s.server) == strings{"x"});
}

TEST_CASE("a connected simulated socket hears only its peer, and reconnect forgets the old one")
{
  scene s;
  sim::socket other{s.net, {"10.0.0.3", 5}};
  s.server.connect(s.client.local_endpoint());
  other.send_to(asio::buffer("no", 2), s.server.local_endpoint());
  s.client.send_to(asio::buffer("yes", 3), s.server.local_endpoint());
  s.net.run();
  CHECK(s.net.counters().refused == 1);
  s.server.reconnect(other.local_endpoint());
  CHECK(arrived(s.server).empty());
  other.send_to(asio::buffer("now", 3), s.server.local_endpoint());
  s.net.run();
  CHECK(arrived(s.server) == strings{"now"});
  dgram::send_batch batch{1};
  batch.push("x", other.local_endpoint());
  CHECK(s.server.try_send_batch(batch).error == asio::error::already_connected);
}

TEST_CASE("a full receive queue drops datagrams and counts them")
{
  scene s;
  s.server.set_option(dgram::option::receive_buffer_size{3 * 356});
  s.server.set_option(dgram::option::receive_drop_count{true});
  for (int i = 0; i < 5; ++i)
    s.client.send_to(asio::buffer(s.storage.data(), 100), s.server.local_endpoint());
  s.net.run();
  CHECK(s.server.statistics().dropped == 2);
  CHECK(s.net.counters().overflowed == 2);
  CHECK(arrived(s.server).size() == 3);
  s.client.send_to(asio::buffer("x", 1), s.server.local_endpoint());
  s.net.run();
  dgram::datagram_info info;
  CHECK(s.server.try_receive_from(asio::buffer(s.storage), info) == 1);
  CHECK(info.dropped() == 2);
}

TEST_CASE("simulated datagrams carry the metadata that options ask for")
{
  scene s;
  s.net.add_host("wide", {"10.0.0.7", "10.0.0.8"});
  sim::socket wide{s.net, "wide"};
  wide.open(dgram::udp::v4());
  wide.bind({dgram::udp::v4(), 53});
  wide.set_option(dgram::option::packet_info{true});
  wide.set_option(dgram::option::receive_ecn{true});
  wide.set_option(dgram::option::receive_hop_limit{true});
  wide.set_option(dgram::option::receive_timestamp{true});
  s.client.connect({asio::ip::make_address("10.0.0.8"), 53});
  s.client.async_send(
      asio::buffer("question", 8),
      dgram::send_options{.ecn = dgram::ecn_codepoint::ect_0, .dscp = 46, .hop_limit = 9},
      [](error_code ec, std::size_t) { CHECK_FALSE(ec); });
  s.net.run();
  std::array<char, 4> room{};
  dgram::datagram_info info;
  CHECK(wide.try_receive_from(asio::buffer(room), info) == 4);
  CHECK(info.truncated());
  CHECK(info.wire_size() == 8);
  CHECK(info.local_address() == asio::ip::make_address("10.0.0.8"));
  CHECK(info.ecn() == dgram::ecn_codepoint::ect_0);
  CHECK(info.dscp() == 46);
  CHECK(info.hop_limit() == 9);
  REQUIRE(info.receive_time());
  CHECK(info.receive_time()->time_since_epoch() == 10ms);
  // The answer leaves from the address that was asked, so the connected client takes it.
  CHECK(wide.try_send_to(asio::buffer("answer", 6), info.reply_path()) == 6);
  s.net.run();
  CHECK(arrived(s.client) == strings{"answer"});
}

TEST_CASE("peeking leaves a simulated datagram in the queue")
{
  scene s;
  s.client.send_to(asio::buffer("abc", 3), s.server.local_endpoint());
  std::size_t peeked = 0;
  s.server.async_receive(asio::buffer(s.storage), sim::socket::message_peek,
                         [&](error_code, std::size_t n) { peeked = n; });
  s.net.run();
  CHECK(peeked == 3);
  CHECK(arrived(s.server) == strings{"abc"});
}

TEST_CASE("dual-stack and IPv6 sockets of a simulated network")
{
  scene s;
  s.net.add_host("both", {"10.0.0.5", "2001:db8::5"});
  sim::socket both{s.net, "both"};
  both.open(dgram::udp::dual());
  both.bind({dgram::udp::v6(), 80});
  sim::socket v6{s.net, {"2001:db8::6", 0}};
  s.client.send_to(asio::buffer("4", 1), {asio::ip::make_address("10.0.0.5"), 80});
  v6.send_to(asio::buffer("6", 1), {asio::ip::make_address("2001:db8::5"), 80});
  s.net.run();
  asio::ip::udp::endpoint sender;
  CHECK(both.try_receive_from(asio::buffer(s.storage), sender) == 1);
  CHECK(sender == s.client.local_endpoint());
  both.send_to(asio::buffer("to 4", 4), sender);
  CHECK(both.try_receive_from(asio::buffer(s.storage), sender) == 1);
  CHECK(sender == v6.local_endpoint());
  both.send_to(asio::buffer("to 6", 4), sender);
  s.net.run();
  CHECK(arrived(s.client) == strings{"to 4"});
  CHECK(arrived(v6) == strings{"to 6"});
}

TEST_CASE("sockets that share a simulated port: the last one, or one for each flow")
{
  scene s;
  const dgram::socket_config config = GENERATE(dgram::socket_config{.reuse_address = true},
                                               dgram::socket_config{.reuse_port = true});
  sim::socket one{s.net, {"10.0.0.4", 5}, config};
  sim::socket two{s.net, {"10.0.0.4", 5}, config};
  std::vector<sim::socket> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(s.net, sim::location{"10.0.0.2", 0});
    for (int j = 0; j < 2; ++j)
      clients.back().send_to(asio::buffer(std::to_string(i)), two.local_endpoint());
  }
  s.net.run();
  const auto first = arrived(one);
  const auto second = arrived(two);
  CHECK(first.size() + second.size() == 80);
  if (config.reuse_address) {
    CHECK(first.empty());
  } else {
    CHECK(first.size() > 10);
    CHECK(second.size() > 10);
    for (std::size_t i = 0; i < first.size(); i += 2)
      CHECK(first[i] == first[i + 1]);
  }
}

TEST_CASE("reader and writer echo on a simulated network, and the account balances")
{
  scene s;
  s.net.set_links({.delay = 20ms, .jitter = 15ms, .loss = 0.2, .duplicate = 0.1, .reorder = 0.1});
  s.spawn([](scene& in) -> asio::awaitable<void> {
    dgram::reader reader{in.server};
    dgram::writer writer{reader};
    while (auto datagram = co_await reader.next())
      co_await writer.send(datagram->payload(), datagram->reply_path());
  }(s));
  int answered = 0;
  s.spawn([](scene& in, int& count) -> asio::awaitable<void> {
    dgram::reader reader{in.client};
    dgram::writer writer{in.client};
    for (int i = 0; i < 1000; ++i) {
      const std::string text = std::to_string(i);
      for (bool done = false; !done;) {
        co_await writer.send(text, in.server.local_endpoint());
        const auto deadline = sim::clock::now() + 100ms;
        while (auto datagram = co_await reader.next_until(deadline)) {
          if (datagram->payload().text() != text) continue;  // a late answer
          done = true;
          break;
        }
      }
      ++count;
    }
  }(s, answered));
  for (int i = 0; i < 200; ++i) {
    s.net.run_for(1s);
    const bool balanced = s.net.counters().is_balanced();
    REQUIRE(balanced);
  }
  CHECK(answered == 1000);
  const auto total = s.net.counters();
  CHECK(total.in_flight == 0);
  CHECK(total.lost > 200);
  CHECK(total.duplicated > 100);
  CHECK(total.dropped() == total.lost);
}

TEST_CASE("async_for_each and next_batch run on a simulated socket")
{
  scene s;
  std::size_t seen = 0;
  dgram::reader reader{s.server};
  reader.async_for_each([&](const dgram::datagram&) { ++seen; }, [](error_code) {});
  dgram::writer writer{s.client};
  for (int i = 0; i < 300; ++i)
    CHECK(writer.try_send("x", s.server.local_endpoint()));
  s.net.run();
  CHECK(seen == 300);
  reader.stop();
  s.net.run();
  std::size_t batched = 0;
  s.spawn([](scene& in, std::size_t& count) -> asio::awaitable<void> {
    dgram::reader batches{in.server};
    while (auto datagrams = co_await batches.next_batch())
      count += datagrams.size();
  }(s, batched));
  for (int i = 0; i < 100; ++i)
    CHECK(writer.try_send("x", s.server.local_endpoint()));
  s.net.run();
  CHECK(batched == 100);
}

TEST_CASE("a batch on a simulated socket stops at a bad datagram, or drops it by its handler")
{
  const bool handles = GENERATE(false, true);
  scene s;
  dgram::send_batch batch{3};
  std::vector<error_code> refused;
  if (handles)
    batch.on_refused([&](error_code ec, const auto&, std::size_t) { refused.push_back(ec); });
  batch.push("one", s.server.local_endpoint());
  batch.push("bad", {asio::ip::make_address("10.0.0.1"), 0});
  batch.push("two", s.server.local_endpoint());
  dgram::send_result result;
  s.client.async_send_batch(batch, [&](error_code, dgram::send_result got) { result = got; });
  s.net.run();
  if (handles) {
    CHECK(result.sent == 2);
    CHECK(refused == std::vector<error_code>{asio::error::invalid_argument});
    CHECK(arrived(s.server) == strings{"one", "two"});
  } else {
    CHECK(result.sent == 1);
    CHECK(result.error == asio::error::invalid_argument);
    CHECK(batch.size() == 2);
  }
}

TEST_CASE("handlers of simulated operations run on their strand")
{
  scene s;
  const auto strand = asio::make_strand(s.io);
  sim::socket on_strand{asio::any_io_executor(strand)};
  on_strand.open();
  on_strand.bind({asio::ip::make_address("10.0.0.6"), 1});
  bool bound = false;
  bool own = false;
  s.server.async_receive(asio::buffer(s.storage),
                         asio::bind_executor(strand, [&](error_code, std::size_t) {
                           bound = strand.running_in_this_thread();
                         }));
  on_strand.async_receive(asio::buffer(s.storage),
                          [&](error_code, std::size_t) { own = strand.running_in_this_thread(); });
  s.client.send_to(asio::buffer("x", 1), s.server.local_endpoint());
  s.client.send_to(asio::buffer("x", 1), on_strand.local_endpoint());
  s.net.run();
  CHECK(bound);
  CHECK(own);
}

TEST_CASE("an exception of a handler leaves the run, and the next run goes on")
{
  scene s;
  int seen = 0;
  for (int i = 0; i < 3; ++i)
    s.server.async_receive(asio::buffer(s.storage), [&](error_code, std::size_t) {
      if (++seen == 1) throw std::runtime_error("first");
    });
  for (int i = 0; i < 3; ++i)
    s.client.send_to(asio::buffer("x", 1), s.server.local_endpoint());
  CHECK_THROWS_AS(s.net.run(), std::runtime_error);
  s.net.run();
  CHECK(seen == 3);
}

TEST_CASE("handlers that wait when network and context end are aborted, or destroyed uncalled")
{
  const bool runs = GENERATE(false, true);
  const auto token = std::make_shared<int>(0);
  std::vector<error_code> seen;
  bool read_ended = false;
  std::array<char, 10> room{};
  {
    asio::io_context io;
    auto net = std::make_optional<sim::network>(io);
    auto socket = std::make_shared<sim::socket>(*net, sim::location{"10.0.0.1", 1});
    auto read = std::make_shared<sim::socket>(*net, sim::location{"10.0.0.1", 2});
    auto timer = std::make_shared<sim::timer>(io, 1h);
    // Each handler owns what it waits in.
    const auto keep = [token, &seen](error_code ec) { seen.push_back(ec); };
    socket->async_wait(sim::socket::wait_read, [keep, socket](error_code ec) { keep(ec); });
    socket->async_receive(asio::buffer(room),
                          [keep, socket](error_code ec, std::size_t) { keep(ec); });
    timer->async_wait([keep, timer](error_code ec) { keep(ec); });
    asio::co_spawn(
        io,
        [](std::shared_ptr<sim::socket> in, std::shared_ptr<int>,
           bool& ended) -> asio::awaitable<void> {
          dgram::reader reader{*in};
          while (co_await reader.next()) {}
          ended = true;
        }(read, token, read_ended),
        asio::detached);
    net->run_for(1s);
    CHECK(seen.empty());
    socket.reset();
    read.reset();
    timer.reset();
    net.reset();
    CHECK(seen.empty());
    if (runs) {
      io.restart();
      io.poll();
    }
  }
  CHECK(seen == std::vector<error_code>(runs ? 3 : 0, asio::error::operation_aborted));
  CHECK(read_ended == runs);
  CHECK(token.use_count() == 1);
}

TEST_CASE("a simulated send buffer that is full blocks sends until the link has sent half of it")
{
  scene s;
  // A datagram of 972 bytes is a packet of 1000, which takes a millisecond.
  s.net.set_link("10.0.0.2", "10.0.0.1", {.delay = 5ms, .rate = 8'000'000});
  s.client.set_option(dgram::option::send_buffer_size{4 * (972 + 256)});
  CHECK(s.client.get_send_buffer_size(s.ec) == 4 * (972 + 256));
  const auto payload = asio::buffer(s.storage.data(), 972);
  const auto to = s.server.local_endpoint();
  int sent = 0;
  while (s.client.try_send_to(payload, to))
    ++sent;
  CHECK(sent == 4);
  CHECK(s.client.statistics().would_block == 1);

  int writable = 0;
  s.client.async_wait(sim::socket::wait_write, [&](error_code ec) { writable += ec ? 100 : 1; });
  s.net.run_for(2ms);
  CHECK(writable == 0);  // half of the buffer is in use
  CHECK(s.client.try_send_to(payload, to));
  s.net.run_for(1ms);
  CHECK(writable == 0);
  s.net.run_for(1ms);
  CHECK(writable == 1);

  // A larger buffer has room at once, and a closed socket ends its waits.
  while (s.client.try_send_to(payload, to))
    ++sent;
  s.client.async_wait(sim::socket::wait_write, [&](error_code ec) { writable += ec ? 100 : 1; });
  s.client.set_option(asio::socket_base::send_buffer_size{1'000'000});
  s.net.run_for(0ns);
  CHECK(writable == 2);
  CHECK(s.client.try_send_to(payload, to));
  s.client.set_option(dgram::option::send_buffer_size{1});
  s.client.async_wait(sim::socket::wait_write, [&](error_code ec) { writable += ec ? 100 : 1; });
  s.client.close();
  s.net.run();
  CHECK(writable == 102);
  CHECK(s.net.counters().is_balanced());
}

TEST_CASE("simulated sends of every kind wait for room in the send buffer, and lose nothing")
{
  scene s;
  s.net.set_links({.delay = 5ms, .rate = 8'000'000});
  s.client.set_option(dgram::option::send_buffer_size{2000});
  const auto to = s.server.local_endpoint();
  const std::string text(972, 'x');
  dgram::send_batch batch{10};
  for (int i = 0; i < 10; ++i)
    batch.push(text, to);
  std::size_t sent = 0;
  s.client.async_send_batch(batch, [&](error_code ec, dgram::send_result result) {
    CHECK_FALSE(ec);
    sent += result.sent;
  });
  for (int i = 0; i < 3; ++i)
    s.client.async_send_to(asio::buffer(text), to, [&](error_code ec, std::size_t) {
      CHECK_FALSE(ec);
      ++sent;
    });
  dgram::writer writer{s.client};
  for (int i = 0; i < 5; ++i)
    CHECK(writer.try_send(text, to));
  s.net.run_for(1ms);
  CHECK(writer.is_blocked());
  s.net.run();
  CHECK_FALSE(writer.is_blocked());
  CHECK(sent == 13);
  CHECK(arrived(s.server).size() == 18);
  CHECK(s.net.now().time_since_epoch() == 23ms);
}

TEST_CASE("datagrams that a simulated link drops, or that stay on the host, leave the send buffer")
{
  scene s;
  s.net.set_links({.delay = 5ms, .rate = 8'000'000, .queue = 2000});
  s.client.set_option(dgram::option::send_buffer_size{4000});
  sim::socket neighbour{s.net, {"10.0.0.2", 9}};
  for (int i = 0; i < 50; ++i) {
    CHECK(s.client.try_send_to(asio::buffer(s.storage.data(), 972), s.server.local_endpoint()));
    CHECK(s.client.try_send_to(asio::buffer(s.storage.data(), 972), neighbour.local_endpoint()));
  }
  s.net.run();
  CHECK(s.net.counters().queue_full > 40);
}

TEST_CASE("simulated sockets refuse the size of a buffer that none can have")
{
  scene s;
  const auto refusal = [&](const auto& option) {
    error_code ec;
    s.client.set_option(option, ec);
    return ec;
  };
  CHECK(refusal(dgram::option::send_buffer_size{0}) == dgram::error::out_of_range);
  CHECK(refusal(asio::socket_base::send_buffer_size{0}) == dgram::error::out_of_range);
  CHECK(refusal(asio::socket_base::receive_buffer_size{-1}) == dgram::error::out_of_range);
  CHECK(s.client.get_send_buffer_size(s.ec) == 212992);
}

TEST_CASE("a simulated socket has the v6_only that it says, and refuses the other")
{
  scene s;
  using dgram::option::v6_only;
  const auto refusal = [&](const dgram::udp& protocol, bool value, bool bound) {
    sim::socket socket{s.net, "10.0.0.1"};
    s.net.set_default_host("10.0.0.1");
    socket.open(protocol);
    if (bound) socket.bind({protocol, 0});
    error_code ec;
    socket.set_option(v6_only(value), ec);
    return ec;
  };
  CHECK_FALSE(refusal(dgram::udp::v6(), true, false));
  CHECK_FALSE(refusal(dgram::udp::dual(), false, false));
  CHECK(refusal(dgram::udp::v6(), false, false) == asio::error::operation_not_supported);
  CHECK(refusal(dgram::udp::dual(), true, false) == asio::error::invalid_argument);
  CHECK(refusal(dgram::udp::v6(), true, true) == asio::error::invalid_argument);
  CHECK(refusal(dgram::udp::dual(), false, true) == asio::error::invalid_argument);
  CHECK(refusal(dgram::udp::v4(), true, false) == asio::error::no_protocol_option);
}

}  // namespace sim_socket_test
