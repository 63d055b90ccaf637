// SPDX-License-Identifier: BSL-1.0
// The number of a send's time, whichever sends between them fail, and in whichever way.
#if defined(__linux__)

#include "support/loopback.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>
#include <dgram/detail/platform/timestamp_ids.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace send_number_test {

namespace {

using dgram::platform::known_timestamp_ids;
using dgram::platform::timestamp_ids;

/// Loopback with addresses to which no datagram can be sent, each for a reason of its own.
struct obstacles {
  obstacles()
  {
    host.ip(
        "link set lo up mtu 1500\n"
        "route add prohibit 192.0.2.1\n"
        "route add unreachable 192.0.2.2\n"
        "route add blackhole 192.0.2.3\n");
    const int status = host.run([] {
      return std::system(
          "nft 'add table ip t; add chain ip t o { type filter hook output priority "
          "0; }; add rule ip t o udp dport 1000 drop'");
    });
    if (status != 0) SKIP("nft cannot add a rule here");
    host.run([this] {
      socket.open(dgram::udp::v4());
      socket.bind(test::loopback_v4());
      sink.open(dgram::udp::v4());
      sink.bind(test::loopback_v4());
    });
    const int forbid_fragments = IP_PMTUDISC_DO;
    REQUIRE(::setsockopt(socket.native_handle(), IPPROTO_IP, IP_MTU_DISCOVER, &forbid_fragments,
                         sizeof forbid_fragments) == 0);
  }

  test::network_namespace host;
  asio::io_context io;
  dgram::udp::socket socket{io};
  dgram::udp::socket sink{io};
};

/// A send that fails, and why.
struct bad_send {
  int error;
  const char* peer;
  std::size_t size = 1;
  std::size_t segment = 0;
};

// The firewall comes after the kernel has counted, the others come before.
constexpr std::array<bad_send, 8> bad_sends{{
    {EPERM, "127.0.0.1:1000"},
    {EACCES, "192.0.2.1:9"},
    {EHOSTUNREACH, "192.0.2.2:9"},
    {EINVAL, "192.0.2.3:9"},
    {ENETUNREACH, "192.0.2.9:9"},
    {EINVAL, "127.0.0.1:0"},
    {EACCES, "127.255.255.255:9"},
    {EMSGSIZE, "127.0.0.1:9", 3000},
}};

enum class way : std::uint8_t { single, batch, batch_without_handler, writer };

/// Forgets in the end what a test has claimed about the kernel.
struct claimed_ids {
  explicit claimed_ids(bool refused)
  {
    if (refused) known_timestamp_ids = timestamp_ids::refused;
  }
  claimed_ids(const claimed_ids&) = delete;
  claimed_ids& operator=(const claimed_ids&) = delete;
  ~claimed_ids() { known_timestamp_ids = timestamp_ids::not_known; }
};

/// Loopback whose device takes one datagram every few milliseconds, and keeps `limit` bytes.
void make_slow(const test::network_namespace& host, const std::string& limit)
{
  host.ip("link set lo up mtu 1500\n");
  const auto command =
      "tc qdisc replace dev lo root tbf rate 2mbit burst 1600 limit " + limit + " 2>/dev/null";
  if (host.run([&] { return std::system(command.c_str()); }) != 0)
    SKIP("tc cannot slow down a device here");
}

/// `own` gets the numbers that the caller gave the datagrams.
std::vector<std::uint32_t> numbers_of_reports(dgram::udp::socket& socket,
                                              std::vector<std::uint64_t>* own = nullptr)
{
  std::vector<std::uint32_t> all;
  std::optional<dgram::receive_time_point> before;
  while (const auto left = socket.try_send_timestamp()) {
    all.push_back(left->id);
    if (own != nullptr) own->push_back(left->number);
    REQUIRE(left->time);
    if (before) CHECK(*before <= *left->time);
    before = left->time;
  }
  return all;
}

}  // namespace

TEST_CASE_METHOD(obstacles, "each time of a send has the number of its datagram among those sent",
                 "[F12]")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not tell when datagrams left");
  const claimed_ids kernel_counts(GENERATE(false, true));
  const auto how = GENERATE(way::single, way::batch, way::batch_without_handler, way::writer);
  const auto bad = bad_sends[GENERATE(range(std::size_t{0}, bad_sends.size()))];
  const bool reports_errors = GENERATE(false, true);
  CAPTURE(static_cast<int>(how), bad.error, bad.peer, reports_errors);
  if (reports_errors) socket.set_option(dgram::option::receive_error{true});
  const std::string payload(bad.size, 'x');
  const auto to_bad = dgram::parse_endpoint(bad.peer);
  const auto to_good = sink.local_endpoint();
  dgram::send_options asks{.timestamp = true, .number = 1000};

  // true: a datagram that the kernel takes
  const std::vector<bool> sends = {true,  false, true,  true, false, false, true,
                                   false, false, false, true, true,  false, true};
  std::vector<std::uint32_t> expected;
  std::vector<std::uint64_t> expected_own;
  std::size_t failed = 0;
  std::size_t expected_failures = 0;
  const auto note = [&](dgram::error_code ec, auto&&...) {
    CHECK(ec.value() == bad.error);
    ++failed;
  };
  dgram::send_batch batch({.datagrams = 64, .copy = true});
  dgram::writer writer{socket};
  writer.on_error(note);
  if (how == way::batch) batch.on_refused(note);
  for (const bool good : sends) {
    const auto& to = good ? to_good : to_bad;
    const dgram::bytes_view bytes = good ? dgram::bytes_view("good") : dgram::bytes_view(payload);
    ++asks.number;
    if (good) {
      expected.push_back(static_cast<std::uint32_t>(expected.size()));
      expected_own.push_back(asks.number);
    } else {
      ++expected_failures;
    }
    if (how == way::single) {
      dgram::error_code ec;
      socket.send_to(asio::buffer(bytes.data(), bytes.size()), to, asks, ec);
      if (ec) note(ec);
      CHECK(bool(ec) == !good);
    } else if (how == way::writer) {
      REQUIRE(writer.try_send(bytes, to, asks));
    } else {
      batch.push(bytes, to, asks);
      // Those that do not ask are not counted.
      batch.push(bytes, to_good, {.number = 7});
    }
  }
  while (!batch.empty()) {
    const auto result = socket.try_send_batch(batch);
    if (batch.empty()) break;
    note(result.error);
    batch.drop_front();
  }
  if (how == way::writer) {
    io.restart();
    while (io.poll() > 0) {}
    CHECK(writer.size() == 0);
  }
  std::vector<std::uint64_t> own;
  CHECK(numbers_of_reports(socket, &own) == expected);
  CHECK(own == expected_own);
  CHECK(failed >= expected_failures);
}

TEST_CASE("of many times of sends the last 64 are kept, with the numbers of their datagrams")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not tell when datagrams left");
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  dgram::udp::socket sink(io, test::loopback_v4());
  constexpr std::uint64_t count = 100;
  for (std::uint64_t i = 0; i < count; ++i)
    socket.send_to(asio::buffer("a", 1), sink.local_endpoint(),
                   {.timestamp = true, .number = 500 + i});
  dgram::udp::socket moved(std::move(socket));
  std::vector<std::uint64_t> own;
  const auto ids = numbers_of_reports(moved, &own);
  REQUIRE(ids.size() == 64);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(ids[i] == count - 64 + i);
    CHECK(own[i] == 500 + ids[i]);
  }
}

TEST_CASE_METHOD(obstacles, "the segments of one send have its number")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not tell when datagrams left");
  const dgram::send_options asks{.segment_size = 3, .timestamp = true, .number = 9};
  dgram::writer writer{socket};
  const auto room = writer.reserve(8, 3);
  REQUIRE(room.size() == 8);
  std::fill(room.begin(), room.end(), std::byte{'x'});
  writer.commit(8, sink.local_endpoint(), asks);
  writer.try_send("alone", sink.local_endpoint(), {.timestamp = true, .number = 10});
  writer.try_send("without", sink.local_endpoint(), {.timestamp = true});
  io.restart();
  while (io.poll() > 0) {}
  std::vector<std::uint64_t> own;
  CHECK(numbers_of_reports(socket, &own) == std::vector<std::uint32_t>{0, 1, 2, 3, 4});
  CHECK(own == std::vector<std::uint64_t>{9, 9, 9, 10, 0});
}

TEST_CASE_METHOD(obstacles, "a kernel that counts starts at 0 again with an adopted descriptor",
                 "[F12]")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not tell when datagrams left");
  const claimed_ids kernel_counts(GENERATE(false, true));
  const dgram::send_options asks{.timestamp = true};
  for (int i = 0; i < 3; ++i)
    socket.send_to(asio::buffer("x", 1), sink.local_endpoint(), asks);
  CHECK(numbers_of_reports(socket) == std::vector<std::uint32_t>{0, 1, 2});
  dgram::udp::socket adopted(io, dgram::udp::v4(), socket.release());
  for (int i = 0; i < 2; ++i)
    adopted.send_to(asio::buffer("x", 1), sink.local_endpoint(), asks);
  CHECK(numbers_of_reports(adopted) == std::vector<std::uint32_t>{0, 1});
}

TEST_CASE_METHOD(obstacles, "segments that the kernel refuses take no number", "[F12]")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not tell when datagrams left");
  const claimed_ids kernel_counts(GENERATE(false, true));
  const dgram::send_options asks{.timestamp = true};
  dgram::send_options cut = asks;
  // The segments do not fit the interface; the kernel sees that once it has built the packet.
  cut.segment_size = 2000;
  const std::string payload(5000, 'x');
  for (int i = 0; i < 3; ++i) {
    socket.send_to(asio::buffer("x", 1), sink.local_endpoint(), asks);
    dgram::error_code ec;
    socket.send_to(asio::buffer(payload), sink.local_endpoint(), cut, ec);
    CHECK(ec);
  }
  CHECK(numbers_of_reports(socket) == std::vector<std::uint32_t>{0, 1, 2});
}

TEST_CASE("a send that finds a full queue takes no number, whether ENOBUFS or EAGAIN says so",
          "[F12]")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not tell when datagrams left");
  const claimed_ids kernel_counts(GENERATE(false, true));
  const bool by_device = GENERATE(false, true);
  const bool batched = GENERATE(false, true);
  CAPTURE(by_device, batched);
  const test::network_namespace host;
  make_slow(host, by_device ? "6000" : "200000");
  asio::io_context io;
  dgram::udp::socket socket(io), sink(io);
  host.run([&] {
    socket.open(dgram::udp::v4());
    socket.bind(test::loopback_v4());
    sink.open(dgram::udp::v4());
    sink.bind(test::loopback_v4());
  });
  // The kernel reports what the device drops only to sockets that ask for errors.
  if (by_device)
    socket.set_option(dgram::option::receive_error{true});
  else
    socket.set_send_buffer_size(8192);

  const std::string payload(1000, 'x');
  const dgram::send_options asks{.timestamp = true};
  const dgram::error_code full =
      by_device ? asio::error::no_buffer_space : asio::error::would_block;
  std::uint32_t sent = 0;
  std::size_t refused = 0;
  std::vector<std::uint32_t> reported;
  const auto deadline = std::chrono::steady_clock::now() + test::seconds(20);
  for (int i = 0; i < 60; ++i) {
    dgram::error_code ec;
    if (batched) {
      dgram::send_batch batch(1);
      batch.push(payload, sink.local_endpoint(), asks);
      const auto result = socket.try_send_batch(batch);
      ec = result.error;
    } else {
      socket.try_send_to(asio::buffer(payload), sink.local_endpoint(), asks, ec);
    }
    if (!ec) ++sent;
    if (ec) CHECK(ec == full);
    refused += ec ? 1U : 0U;
    // Sends that find room again come after sends that found none.
    if (i % 20 == 19)
      while (reported.size() < sent && std::chrono::steady_clock::now() < deadline)
        for (const auto number : numbers_of_reports(socket))
          reported.push_back(number);
  }
  CHECK(refused > 0);
  REQUIRE(reported.size() == sent);
  for (std::uint32_t i = 0; i < sent; ++i)
    CHECK(reported[i] == i);
}

}  // namespace send_number_test

#endif
