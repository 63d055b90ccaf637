// SPDX-License-Identifier: BSL-1.0
// Errors that datagrams meet on their way, and the times at which they left: reports that come later.
#include "behaviour/helpers.hpp"
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/receive_times.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace path_errors_test {

namespace {

namespace option = dgram::option;

constexpr bool reports_errors = dgram::platform::has_error_queue;

#define SKIP_WITHOUT_ERROR_QUEUE()                                         \
  do {                                                                     \
    if constexpr (!reports_errors) SKIP("this system has no error queue"); \
  } while (false)

/// A socket that reports errors, over IPv4, IPv6, and IPv4 on dual stack, and a port without a
/// socket.
struct reporting {
  reporting() : socket(io)
  {
    const int kind = GENERATE(range(0, 3));
    if (kind > 0 && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
    socket.open(kind == 0 ? dgram::udp::v4() : (kind == 1 ? dgram::udp::v6() : dgram::udp::dual()));
    socket.set_option(option::receive_error(true));
    dead = kind == 1 ? test::loopback_v6(test::dead_port()) : test::dead_endpoint();
    socket.bind({kind == 0 ? asio::ip::udp::v4() : asio::ip::udp::v6(), 0});
  }

  test::endpoint to_socket() const
  {
    const auto port = socket.local_endpoint().port();
    return dead.address().is_v4() ? test::loopback_v4(port) : test::loopback_v6(port);
  }

  void check(const dgram::path_error& error) const
  {
    CHECK(error.peer == dead);
    CHECK(error.code == asio::error::connection_refused);
    const bool v4 = dead.address().is_v4();
    CHECK(error.origin == (v4 ? dgram::path_error_origin::icmp : dgram::path_error_origin::icmpv6));
    CHECK(error.icmp_type == (v4 ? 3 : 1));  // destination unreachable
    CHECK(error.icmp_code == (v4 ? 3 : 4));  // ... its port
    CHECK(error.offender == dead.address());
    CHECK_FALSE(error.mtu);
  }

  bool error_is_pending() { return test::raw_error_is_pending(socket.native_handle()); }

  asio::io_context io;
  test::udp_socket socket;
  test::endpoint dead;
};

}  // namespace

TEST_CASE("ERR-06 an unreachable peer ends no receive, and is reported with who said so")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  std::array<char, 64> storage;
  test::endpoint from;
  std::optional<dgram::error_code> received;
  on.socket.async_receive_from(asio::buffer(storage), from,
                               [&](dgram::error_code ec, std::size_t) { received = ec; });
  on.socket.send_to(asio::buffer("a", 1), on.dead);
  std::optional<dgram::path_error> error;
  on.socket.async_receive_error([&](dgram::error_code ec, const dgram::path_error& e) {
    CHECK_FALSE(ec);
    error = e;
  });
  test::run_until(on.io, [&] { return error.has_value(); });
  on.check(*error);
  CHECK_FALSE(received);
  on.socket.send_to(asio::buffer("b", 1), on.to_socket());
  test::run_until(on.io, [&] { return received.has_value(); });
  CHECK_FALSE(*received);
  CHECK(on.socket.statistics().path_errors == 1);
}

TEST_CASE("ERR-07 sends behind an error leave all the same, on sockets that are told and others")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  for (int i = 0; i < 2; ++i)
    on.socket.send_to(asio::buffer("a", 1), on.dead);
  // Each of these would get an earlier one's error.
  dgram::send_batch out(4);
  out.push("b", on.dead);
  out.push("cc", on.dead);
  CHECK(on.socket.send_batch(out).sent == 2);
  int sent = 0;
  for (int i = 0; i < 2; ++i)
    on.socket.async_send_to(asio::buffer("d", 1), on.dead,
                            [&](dgram::error_code ec, std::size_t) { sent += ec ? 0 : 1; });
  test::run_until(on.io, [&] { return sent == 2; });
  for (int i = 0; i < 6; ++i) {
    const auto error = on.socket.try_receive_error();
    REQUIRE(error);
    on.check(*error);
  }
  // Nothing is reported twice.
  CHECK_FALSE(on.socket.try_receive_error());
  CHECK(test::nothing_queued(on.socket));
}

TEST_CASE(
    "ERR-06 errors end nothing either where the full receive queue leaves their reports no room")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  on.socket.set_option(option::receive_buffer_size(4096));
  test::udp_socket peer(on.io,
                        on.dead.address().is_v4() ? test::loopback_v4() : test::loopback_v6());
  const std::string large(500, 'x');
  const auto fill_and_miss = [&] {
    for (int i = 0; i < 50; ++i)
      peer.send_to(asio::buffer(large), on.to_socket());
    on.socket.send_to(asio::buffer("a", 1), on.dead);
  };
  dgram::error_code ec;
  std::array<char, 8> storage;
  dgram::datagram_info info;
  dgram::receive_batch in(1);

  fill_and_miss();
  CHECK(on.socket.try_receive_from(asio::buffer(storage), info, ec) == storage.size());
  CHECK_FALSE(ec);
  fill_and_miss();
  CHECK(on.socket.try_receive_batch(in, ec) == 1);
  CHECK_FALSE(ec);
  fill_and_miss();
  on.socket.send_to(asio::buffer("b", 1), peer.local_endpoint());
  fill_and_miss();
  dgram::send_batch out(2);
  out.push("c", peer.local_endpoint());
  out.push("dd", peer.local_endpoint());
  CHECK(on.socket.send_batch(out).sent == 2);
  fill_and_miss();
  test::run(on.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{on.socket};
    CHECK(co_await reader.next());
  }());
  const auto statistics = on.socket.statistics();
  CHECK(statistics.lost_reports + statistics.path_errors > 0);
  CHECK(statistics.lost_reports > 0);
}

TEST_CASE("ERR-09 clearing the option forgets what was reported, and ends the waits for more")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  std::optional<dgram::error_code> waited;
  on.socket.async_receive_error(
      [&](dgram::error_code ec, const dgram::path_error&) { waited = ec; });
  test::run_ready(on.io);
  on.socket.send_to(asio::buffer("a", 1), on.dead);
  on.socket.set_option(option::receive_error(false));
  dgram::receive_batch in(1);
  dgram::error_code ec;
  on.socket.try_receive_batch(in, ec);
  CHECK(ec == asio::error::would_block);
  test::run_until(on.io, [&] { return waited.has_value(); });
  CHECK(waited == asio::error::operation_not_supported);
  // What was kept before does not come back with the option.
  on.socket.set_option(option::receive_error(true));
  CHECK_FALSE(on.socket.try_receive_error());
  on.socket.send_to(asio::buffer("a", 1), on.dead);
  on.check(on.socket.try_receive_error().value());
}

TEST_CASE("ERR-16 a datagram that is too large is reported once, whatever error is pending")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  if (on.dead.address().is_v4()) SKIP("over IPv4 the loopback interface takes all that UDP does");
  on.socket.set_option(option::do_not_fragment(true));
  on.socket.send_to(asio::buffer("a", 1), on.dead);
  const std::string large(65500, 'x');
  dgram::error_code ec;
  on.socket.try_send_to(asio::buffer(large), on.dead, ec);
  CHECK(ec == asio::error::message_size);
  std::size_t too_large = 0;
  while (const auto error = on.socket.try_receive_error())
    too_large += error->code == asio::error::message_size ? 1 : 0;
  CHECK(too_large == 1);
}

TEST_CASE("ERR-16 what no datagram can have is told once, by the send alone", "[F19]")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  const std::size_t most = on.dead.address().is_v4() ? 65507 : 65527;
  const std::size_t size = most + GENERATE(1U, 8U, 20U, 28U, 29U, 1000U);
  const bool connected = GENERATE(false, true);
  CAPTURE(size, connected);
  const std::string text(size, 'x');
  const auto large = asio::buffer(text);
  auto& socket = on.socket;
  dgram::send_batch batch{4};
  std::vector<dgram::error_code> told;
  const auto tell = [&](dgram::error_code ec, auto&&...) { told.push_back(ec); };
  dgram::error_code ec;
  if (connected) {
    socket.connect(on.dead);
    socket.send(large, 0, ec);
    tell(ec);
    socket.send(large, dgram::send_options{.hop_limit = 9}, ec);
    tell(ec);
    socket.try_send(large, ec);
    tell(ec);
    socket.async_send(large, tell);
    batch.push(text);
  } else {
    socket.send_to(large, on.dead, 0, ec);
    tell(ec);
    socket.send_to(large, on.dead, dgram::send_options{.hop_limit = 9}, ec);
    tell(ec);
    socket.try_send_to(large, on.dead, ec);
    tell(ec);
    socket.async_send_to(large, on.dead, tell);
    socket.async_send_segments(text, size, on.dead, tell);
    batch.push(text, on.dead);
    batch.push(text, on.dead, dgram::send_options{.hop_limit = 9});
    batch.push_segments(text, size, on.dead);
  }
  test::run(on.io);
  while (!batch.empty()) {
    tell(socket.try_send_batch(batch).error);
    batch.drop_front();
  }
  CHECK(told.size() >= 5);
  for (std::size_t i = 0; i < told.size(); ++i) {
    CAPTURE(i);
    CHECK(told[i] == asio::error::message_size);
  }
  std::size_t too_large = 0;
  while (const auto error = socket.try_receive_error())
    too_large += error->code == asio::error::message_size ? 1 : 0;
  CHECK(too_large == 0);
}

TEST_CASE("a report quotes the start of the payload that it is about", "[Q7]")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  const bool waits = GENERATE(false, true);
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 500U}) {
    CAPTURE(size);
    std::string payload;
    for (std::size_t i = 0; i < size; ++i)
      payload += static_cast<char>('a' + i % 26);
    on.socket.send_to(asio::buffer(payload), on.dead);
    std::optional<dgram::path_error> error;
    if (waits) {
      on.socket.async_receive_error([&](dgram::error_code ec, const dgram::path_error& told) {
        CHECK_FALSE(ec);
        error = told;
      });
      test::run(on.io);
    } else {
      error = on.socket.try_receive_error();
    }
    REQUIRE(error);
    CHECK(dgram::bytes_view(error->quoted()).text() == payload.substr(0, 64));
  }
}

TEST_CASE("ERR-08 the queue is asked without waiting, and may be empty")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  CHECK_FALSE(on.socket.try_receive_error());
  dgram::error_code ec;
  on.socket.try_receive_error(ec);
  CHECK(ec == asio::error::would_block);
  on.socket.send_to(asio::buffer("a", 1), on.dead);
  on.check(on.socket.try_receive_error().value());
}

TEST_CASE("ERR-09 without the option there are no reports")
{
  const bool v6 = GENERATE(false, true);
  if (v6 && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  asio::io_context io;
  test::udp_socket socket(io, v6 ? test::loopback_v6() : test::loopback_v4());
  dgram::error_code ec;
  socket.try_receive_error(ec);
  CHECK(ec == asio::error::operation_not_supported);
  std::optional<dgram::error_code> outcome;
  socket.async_receive_error([&](dgram::error_code e, const dgram::path_error&) { outcome = e; });
  CHECK_FALSE(outcome);
  test::run(io);
  CHECK(outcome == asio::error::operation_not_supported);
  socket.close();
  socket.try_receive_error(ec);
  CHECK(ec == asio::error::bad_descriptor);
  if (reports_errors) return;
  socket.open(dgram::udp::v4());
  socket.set_option(option::receive_error(true), ec);
  CHECK(ec == asio::error::operation_not_supported);
  socket.async_send_timestamp([&](dgram::error_code e, dgram::send_timestamp) { outcome = e; });
  test::run(io);
  CHECK(outcome == asio::error::operation_not_supported);
}

TEST_CASE("ERR-11 whoever meets an error takes it, so that the descriptor is quiet again")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  dgram::receive_batch in(4);
  dgram::error_code ec;
  on.socket.send_to(asio::buffer("a", 1), on.dead);
  CHECK(on.error_is_pending());
  on.socket.try_receive_batch(in, ec);
  CHECK(ec == asio::error::would_block);
  CHECK_FALSE(on.error_is_pending());
  on.check(on.socket.try_receive_error().value());
}

TEST_CASE("ERR-05 a connected socket that is told of errors is told of them once")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  on.socket.connect(on.dead);
  on.socket.send(asio::buffer("a", 1));
  dgram::error_code ec;
  std::array<char, 4> storage;
  on.socket.try_receive(asio::buffer(storage), ec);
  CHECK(ec == asio::error::would_block);
  CHECK(on.socket.send(asio::buffer("b", 1), 0, ec) == 1);
  CHECK_FALSE(ec);
  std::optional<dgram::error_code> sent;
  on.socket.async_send(asio::buffer("c", 1), [&](dgram::error_code e, std::size_t) { sent = e; });
  test::run_until(on.io, [&] { return sent.has_value(); });
  CHECK_FALSE(*sent);
  for (int i = 0; i < 3; ++i)
    on.check(on.socket.try_receive_error().value());
  CHECK_FALSE(on.socket.try_receive_error());
}

TEST_CASE("CLS-21 an error that comes late finds a closed socket, or nobody who reads")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  on.socket.connect(on.dead);
  std::optional<dgram::error_code> sent;
  on.socket.async_send(asio::buffer("a", 1), [&](dgram::error_code ec, std::size_t) { sent = ec; });
  const bool reads = GENERATE(true, false);
  int completions = 0;
  std::array<char, 4> storage;
  if (reads)
    on.socket.async_receive(asio::buffer(storage),
                            [&](dgram::error_code, std::size_t) { ++completions; });
  test::run_until(on.io, [&] { return sent.has_value(); });
  CHECK_FALSE(*sent);
  on.socket.close();
  test::run(on.io);
  CHECK(completions == (reads ? 1 : 0));
}

TEST_CASE("a reader goes on past errors, and who waits for them gets them")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  std::vector<dgram::path_error> errors;
  std::function<void()> listen = [&] {
    on.socket.async_receive_error([&](dgram::error_code ec, const dgram::path_error& error) {
      if (ec) return;
      errors.push_back(error);
      listen();
    });
  };
  listen();
  test::run(on.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{on.socket};
    for (int i = 0; i < 20; ++i) {
      on.socket.send_to(asio::buffer("a", 1), on.dead);
      on.socket.send_to(asio::buffer("b", 1), on.to_socket());
      const auto datagram = co_await reader.next();
      CHECK(datagram->payload().text() == "b");
    }
    on.socket.cancel();
  }());
  // The last ones may come after the datagrams that were sent behind them.
  while (const auto error = on.socket.try_receive_error())
    errors.push_back(*error);
  CHECK(errors.size() == 20);
}

TEST_CASE("waiting for errors ends with its slot, a cancel and a close, and leaves nothing pending")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  std::vector<dgram::error_code> ends;
  const auto note = [&](dgram::error_code ec, const dgram::path_error&) { ends.push_back(ec); };
  asio::cancellation_signal signal;
  on.socket.async_receive_error(asio::bind_cancellation_slot(signal.slot(), note));
  test::run_ready(on.io);
  signal.emit(asio::cancellation_type::total);
  test::run(on.io);  // returns only when no work is left
  on.socket.async_receive_error(note);
  on.socket.async_receive_error(note);
  test::run_ready(on.io);
  on.socket.cancel();
  test::run(on.io);
  on.socket.async_receive_error(note);
  test::run_ready(on.io);
  on.socket.close();
  test::run(on.io);
  CHECK(ends == std::vector<dgram::error_code>(4, asio::error::operation_aborted));
}

TEST_CASE("a socket that waits for errors may be destroyed, and so may its context")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  int ended = 0;
  {
    asio::io_context io;
    test::udp_socket socket(io, test::loopback_v4());
    socket.set_option(option::receive_error(true));
    socket.async_receive_error([&](dgram::error_code, const dgram::path_error&) { ++ended; });
    test::run_ready(io);
    test::udp_socket(std::move(socket)).close();
    test::run(io);
    CHECK(ended == 1);
    test::udp_socket other(io, test::loopback_v4());
    other.set_option(option::receive_error(true));
    other.async_receive_error([&](dgram::error_code, const dgram::path_error&) { ++ended; });
    test::run_ready(io);
  }
  CHECK(ended == 1);
}

TEST_CASE("of reports that nobody fetches the oldest give way, and are counted")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  reporting on;
  dgram::error_code ec;
  dgram::receive_batch in(1);
  for (int i = 0; i < 70; ++i) {
    on.socket.send_to(asio::buffer("a", 1), on.dead);
    on.socket.try_receive_batch(in, ec);
  }
  CHECK(on.socket.statistics().path_errors == 70);
  CHECK(on.socket.statistics().lost_reports == 6);
  int left = 0;
  while (on.socket.try_receive_error())
    ++left;
  CHECK(left == 64);
}

TEST_CASE("reports that were kept go with a socket that moves to another executor type")
{
  if (!reports_errors) SKIP("this system has no error queue");
  asio::io_context io;
  using other_socket = dgram::udp::socket::rebind_executor<asio::io_context::executor_type>::other;
  other_socket from(io, test::loopback_v4());
  from.set_option(option::receive_error(true));
  const auto dead = test::dead_endpoint();
  from.send_to(asio::buffer("a", 1), dead);
  dgram::error_code ec;
  dgram::receive_batch in(1);
  from.try_receive_batch(in, ec);  // takes the report
  REQUIRE(from.statistics().path_errors == 1);
  test::udp_socket to(std::move(from));
  CHECK(to.try_receive_error().value().peer == dead);
  CHECK(to.statistics().lost_reports == 0);
}

TEST_CASE("reports of a plain IPv6 socket name IPv4 peers in IPv4's own form")
{
  if (!reports_errors) SKIP("this system has no error queue");
  if (!test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  asio::io_context io;
  test::udp_socket socket(io, {asio::ip::udp::v6(), 0});
  socket.set_option(option::receive_error(true));
  const auto dead = test::dead_endpoint();
  socket.send_to(asio::buffer("a", 1), dgram::mapped(dead));
  CHECK(socket.try_receive_error().value().peer == dead);
}

TEST_CASE("a send tells when it left, where it was asked to")
{
  if (!reports_errors) SKIP("this system does not tell when datagrams left");
  reporting on;
  const auto peer = on.to_socket();
  const dgram::receive_time_point before = std::chrono::system_clock::now();
  on.socket.send_to(asio::buffer("a", 1), peer);
  on.socket.send_to(asio::buffer("b", 1), peer, dgram::send_options{.timestamp = true});
  dgram::send_batch out(4);
  out.push("c", peer, {.timestamp = true});
  REQUIRE(on.socket.send_batch(out).sent == 1);
  std::vector<dgram::send_timestamp> times;
  for (int i = 0; i < 2; ++i)
    on.socket.async_send_timestamp([&](dgram::error_code ec, const dgram::send_timestamp& time) {
      REQUIRE_FALSE(ec);
      times.push_back(time);
    });
  test::run_until(on.io, [&] { return times.size() == 2; });
  CHECK(times[0].id == 0);
  CHECK(times[1].id == 1);
  REQUIRE(times[0].time);
  CHECK(*times[0].time >= before);
  CHECK(*times[0].time <= *times[1].time);
  CHECK_FALSE(times[0].hardware_time);
  CHECK_FALSE(on.socket.try_send_timestamp());
  // What is received is not stamped for that, and is when it is asked for.
  dgram::receive_batch in(4);
  on.socket.receive_batch(in);
  CHECK_FALSE(in[0].receive_time());
  on.socket.set_option(option::receive_timestamp(true));
  test::await_receive_times();
  on.socket.send_to(asio::buffer("d", 1), peer, dgram::send_options{.timestamp = true});
  on.socket.receive_batch(in);
  CHECK(in[0].receive_time());
  CHECK(on.socket.try_send_timestamp().value().id == 2);
}

TEST_CASE("each datagram of a batch tells when it left, also where others are like it")
{
  if (!reports_errors) SKIP("this system does not tell when datagrams left");
  reporting on;
  const dgram::send_options told{.timestamp = true};
  dgram::send_batch out(8);
  for (int i = 0; i < 3; ++i)
    out.push("same", on.to_socket(), told);
  dgram::send_options cut = told;
  cut.segment_size = 2;
  out.push("same", on.to_socket(), cut);
  REQUIRE(on.socket.send_batch(out).sent == 5);
  for (std::uint32_t id = 0; id < 5; ++id)
    CHECK(on.socket.try_send_timestamp().value().id == id);
  std::size_t sent = 0;
  on.socket.async_send_segments(
      "same", 1, on.to_socket(), told,
      [&](dgram::error_code, const dgram::send_result& result) { sent = result.sent; });
  test::run_until(on.io, [&] { return sent == 4; });
  for (std::uint32_t id = 5; id < 9; ++id)
    CHECK(on.socket.try_send_timestamp().value().id == id);
}

TEST_CASE("a datagram may ask to leave later")
{
  if (!reports_errors) SKIP("this system sends at once");
  reporting on;
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  on.socket.send_to(asio::buffer("a", 1), on.to_socket(),
                    dgram::send_options{.transmit_time = soon});
  CHECK(test::receive(on.io, on.socket).text == "a");
}

TEST_CASE("path_mtu tells what the way takes")
{
  asio::io_context io;
  test::udp_socket socket(io, test::loopback_v4());
  dgram::error_code ec;
  const std::size_t mtu = socket.path_mtu(test::loopback_v4(9), ec);
  if (!reports_errors) {
    CHECK(ec == asio::error::operation_not_supported);
    return;
  }
  CHECK_FALSE(ec);
  CHECK(mtu >= 1280);
  socket.connect(test::loopback_v4(9));
  CHECK(socket.path_mtu(test::loopback_v4(9)) == mtu);
  socket.close();
  socket.path_mtu(test::loopback_v4(9), ec);
  CHECK(ec == asio::error::bad_descriptor);
}

TEST_CASE("a descriptor that reports errors already goes on with that under its new socket")
{
  SKIP_WITHOUT_ERROR_QUEUE();
  asio::io_context io;
  test::udp_socket first(io, test::loopback_v4());
  first.set_option(option::receive_error(true));
  test::udp_socket second(io);
  second.assign(dgram::udp::v4(), first.release());
  const auto dead = test::dead_endpoint();
  second.send_to(asio::buffer("x", 1), dead);
  dgram::error_code ec;
  const dgram::path_error report = second.try_receive_error(ec);
  REQUIRE_FALSE(ec);
  CHECK(report.peer == dead);
  CHECK(report.code == asio::error::connection_refused);
}

}  // namespace path_errors_test
