// SPDX-License-Identifier: BSL-1.0
// What the emitter takes from the heap: nothing per datagram, and little per idle socket.
#include "emitter/helpers.hpp"
#include "support/allocations.hpp"

#include <sys/resource.h>

#include <cstdio>
#include <memory>

namespace {

/// Bytes of this process that are in memory.
std::size_t resident_bytes()
{
  std::size_t pages = 0;
  std::size_t resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * 4096;
}

}  // namespace

TEST_CASE("M1: no allocation per datagram received", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  asio::io_context io(1);
  auto server = dgram::create_socket(io, dgram::udp4);
  std::size_t served = 0;
  server.on<test::event::message>([&](dgram::bytes_view, const dgram::remote_info&) { ++served; });
  const auto port = server.bind_sync(0, "127.0.0.1").port;
  asio::ip::udp::socket client(io, asio::ip::udp::v4());
  const auto round = [&] {
    const std::size_t until = served + 100;
    for (int i = 0; i < 100; ++i)
      client.send_to(asio::buffer("x", 1), {asio::ip::address_v4::loopback(), port});
    while (served < until)
      io.run_one();
  };
  for (int i = 0; i < 5; ++i)
    round();
  const auto before = test::allocations();
  for (int i = 0; i < 20; ++i)
    round();
  CHECK(test::allocations() - before == 0);
}

TEST_CASE("M1: no allocation per datagram sent or answered", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  asio::io_context io(1);
  auto server = dgram::create_socket(io, dgram::udp4);
  std::size_t served = 0;
  server.on<test::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    ++served;
    server.send(message, from.port, from.address);
  });
  const auto port = server.bind_sync(0, "127.0.0.1").port;
  asio::ip::udp::socket client(io, asio::ip::udp::v4());
  client.connect({asio::ip::address_v4::loopback(), port});
  const auto client_port = client.local_endpoint().port();
  char reply[16];
  const auto round = [&] {
    const std::size_t until = served + 50;
    for (int i = 0; i < 50; ++i)
      client.send(asio::buffer("x", 1));
    while (served < until)
      io.run_one();
    for (int i = 0; i < 50; ++i)
      server.send("at once", client_port);
    test::run_ready(io);
    for (int i = 0; i < 100; ++i)
      client.receive(asio::buffer(reply));
  };
  for (int i = 0; i < 5; ++i)
    round();
  const auto before = test::allocations();
  for (int i = 0; i < 20; ++i)
    round();
  CHECK(test::allocations() - before == 0);
}

TEST_CASE("M1: no allocation per reply from the address that was asked, of several in turn",
          "[emitter][F1]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
  asio::io_context io(1);
  auto server = dgram::create_socket(io, dgram::udp4);
  std::size_t served = 0;
  server.on<test::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    ++served;
    server.send(message, from);
  });
  const auto port = server.bind_sync(0).port;
  asio::ip::udp::socket one(io, {asio::ip::address_v4::loopback(), 0});
  asio::ip::udp::socket other(io, {asio::ip::address_v4::loopback(), 0});
  one.connect({asio::ip::make_address("127.0.0.7"), port});
  other.connect({asio::ip::make_address("127.0.0.8"), port});
  char reply[16];
  const auto round = [&] {
    const std::size_t until = served + 100;
    for (int i = 0; i < 50; ++i)
      for (auto* client : {&one, &other})
        client->send(asio::buffer("x", 1));
    while (served < until)
      io.run_one();
    test::run_ready(io);
    for (int i = 0; i < 50; ++i)
      for (auto* client : {&one, &other})
        client->receive(asio::buffer(reply));
  };
  for (int i = 0; i < 5; ++i)
    round();
  const auto before = test::allocations();
  for (int i = 0; i < 20; ++i)
    round();
  CHECK(test::allocations() - before == 0);
}

TEST_CASE("M2: an idle socket costs at most 4 KiB", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_ALLOCATION_COUNTS();
#if defined(DGRAM_TESTS_SANITIZED_HEAP)
  SKIP("a sanitizer's heap surrounds each block with memory of its own");
#endif
  constexpr std::size_t count = 10000;
  ::rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < count + 100) SKIP("too few descriptors are allowed");
  asio::io_context io(1);
  test::listener warm(io);
  warm.socket.send("x", warm.port);
  test::run_until(io, [&] { return warm.messages.size() == 1; });
  std::vector<dgram::emitter_socket> sockets;
  sockets.reserve(count);
  std::size_t messages = 0;
  const std::size_t before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    auto& socket = sockets.emplace_back(dgram::create_socket(io, dgram::udp4));
    socket.on<test::event::message>(
        [&](dgram::bytes_view, const dgram::remote_info&) { ++messages; });
    socket.bind_sync(0, "127.0.0.1");
  }
  test::run_ready(io);
  for (auto& socket : sockets)
    socket.send("to itself", socket.address().port);
  test::run_until(io, [&] { return messages == count; });
  const std::size_t each = (resident_bytes() - before) / count;
  INFO(each << " bytes each");
  CHECK(each <= 4096);
}
