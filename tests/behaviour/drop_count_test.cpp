// SPDX-License-Identifier: BSL-1.0
// The count of dropped datagrams: a lower bound with trains, exact without, and it says which.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <string>

namespace drop_count_test {

namespace {

constexpr std::size_t trains = 200;
constexpr std::size_t in_train = 20;
constexpr std::size_t datagrams = trains * in_train;

/// Sends trains, which loopback leaves whole on the way to a socket that coalesces.
void send_trains(const test::endpoint& to)
{
  asio::io_context io;
  dgram::udp::socket sender(io, test::loopback_v4());
  const std::string payload(in_train * 100, 'x');
  dgram::send_batch batch(in_train);
  for (std::size_t i = 0; i < trains; ++i) {
    batch.push_segments(payload, 100, to);
    REQUIRE(sender.send_batch(batch).sent == in_train);
  }
}

std::size_t receive_all(dgram::udp::socket& socket)
{
  dgram::receive_batch batch(64);
  std::size_t received = 0;
  while (const auto count = socket.try_receive_batch(batch))
    received += *count;
  return received;
}

bool has_counts()
{
  return dgram::supports<dgram::option::receive_drop_count>();
}

}  // namespace

TEST_CASE("the drops of a socket are exact unless trains were among them", "[F14]")
{
  if (!has_counts()) SKIP("this system counts no drops");
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  socket.set_receive_buffer_size(16384);
  const bool coalesces = GENERATE(false, true);
  if (coalesces) {
    dgram::error_code ec;
    socket.set_option(dgram::option::coalescing{true}, ec);
    if (ec) SKIP("this system has no trains");
  }
  CHECK(socket.statistics().dropped_is_exact);
  send_trains(socket.local_endpoint());
  const std::size_t received = receive_all(socket);
  const auto counts = socket.statistics();
  REQUIRE(received < datagrams);
  CHECK(counts.dropped > 0);
  CHECK(counts.dropped_is_exact == !coalesces);
  if (coalesces)
    CHECK(counts.dropped < datagrams - received);
  else
    CHECK(counts.dropped == datagrams - received);
  if (coalesces) {
    // The trains that were dropped before still count as one.
    socket.set_option(dgram::option::coalescing{false});
    CHECK_FALSE(socket.statistics().dropped_is_exact);
    socket.close();
    socket.open(dgram::udp::v4());
    CHECK(socket.statistics().dropped_is_exact);
  }
}

TEST_CASE("a reader that does not coalesce accounts for each datagram", "[F14]")
{
  if (!has_counts()) SKIP("this system counts no drops");
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  socket.set_receive_buffer_size(16384);
  const bool coalesces = GENERATE(false, true);
  dgram::reader reader{socket, {.coalesce = coalesces}};
  std::size_t received = 0;
  reader.async_for_each([&](const dgram::datagram&) { ++received; }, asio::detached);
  io.poll();
  send_trains(socket.local_endpoint());
  io.restart();
  while (io.poll() > 0) {}
  const auto counts = socket.statistics();
  REQUIRE(received < datagrams);
  CHECK(received + counts.dropped <= datagrams);
  if (!coalesces) {
    CHECK(counts.dropped_is_exact);
    CHECK(received + counts.dropped == datagrams);
  }
  reader.stop();
}

TEST_CASE("an emitter that does not coalesce accounts for each datagram", "[emitter][F14]")
{
  if (!has_counts()) SKIP("this system counts no drops");
  asio::io_context io;
  auto socket = dgram::create_socket(
      io, {.type = dgram::socket_type::udp4, .recv_buffer_size = 16384, .coalesce = false});
  std::size_t received = 0;
  std::size_t dropped = 0;
  socket.on<dgram::event::message>([&](dgram::bytes_view) { ++received; });
  socket.on<dgram::event::drop>([&](const dgram::drop_info& what) {
    CHECK(what.reason == dgram::drop_reason::receive_queue_full);
    dropped += what.count;
  });
  socket.bind_sync(0, "127.0.0.1");
  const auto run_ready = [&] {
    io.restart();
    while (io.poll() > 0) {}
  };
  run_ready();
  const test::endpoint to = test::loopback_v4(socket.address().port);
  // The count is read with the datagrams of a turn, so the first ones begin it and the last end it.
  asio::ip::udp::socket single(io, test::loopback_v4());
  single.send_to(asio::buffer("first", 5), to);
  run_ready();
  send_trains(to);
  run_ready();
  single.send_to(asio::buffer("last", 4), to);
  run_ready();
  CHECK(received < datagrams);
  CHECK(received + dropped == datagrams + 2);
  socket.close();
  run_ready();
}

}  // namespace drop_count_test
