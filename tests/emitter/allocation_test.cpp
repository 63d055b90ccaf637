// SPDX-License-Identifier: BSL-1.0
// What the emitter takes from the heap: nothing per datagram, and little per idle socket.
#include "emitter/helpers.hpp"
#include "support/allocations.hpp"

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace allocation_test {

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

namespace {

/// A socket, another that it sends to, and what can be begun on it.
struct bench {
  test::reserved_port port;  // kept over a pause
  asio::io_context io;
  test::listener target{io};
  dgram::emitter_socket socket = dgram::create_socket(
      io,
      {.type = dgram::udp4,
       .lookup = [](const std::string&, dgram::socket_type, const dgram::lookup_result& report) {
         report({}, asio::ip::address_v4::loopback());
       }});
  int events = 0;  // completions and callbacks

  auto note()
  {
    return [this](auto&&...) { ++events; };
  }

  void bind()
  {
    if (!socket.state().bound) socket.bind_sync(port.number(), "127.0.0.1");
    test::run_ready(io);
  }

  /// Runs what there is to do; a lack of memory may end each call of `run`, and an error without a listener too.
  void run()
  {
    for (int left = 100; left > 0; --left) {
      try {
        test::run_ready(io);
        return;
      } catch (const std::bad_alloc&) {
      } catch (const dgram::system_error&) {
      }
    }
    FAIL("it fails again and again");
  }
};

struct step {
  const char* name;
  void (*prepare)(bench&);
  void (*operate)(bench&);
};

constexpr const char* long_name = "a-name-that-is-too-long-to-be-kept-within-a-string.test";

const step steps[] = {
    {"bind", [](bench&) {}, [](bench& b) { b.socket.bind(0, "127.0.0.1", [&b] { ++b.events; }); }},
    {"bind with a completion", [](bench&) {},
     [](bench& b) { b.socket.bind(0, "127.0.0.1", [&b](dgram::error_code) { ++b.events; }); }},
    {"bind by name", [](bench&) {}, [](bench& b) { b.socket.bind(0, long_name); }},
    {"bind_sync", [](bench&) {}, [](bench& b) { b.socket.bind_sync(0, "127.0.0.1"); }},
    {"connect", [](bench& b) { b.bind(); },
     [](bench& b) { b.socket.connect(b.target.port, [&b](dgram::error_code) { ++b.events; }); }},
    {"connect, unbound", [](bench&) {},
     [](bench& b) { b.socket.connect(b.target.port, "127.0.0.1", [&b] { ++b.events; }); }},
    {"connect by name", [](bench& b) { b.bind(); },
     [](bench& b) { b.socket.connect(b.target.port, long_name, b.note()); }},
    {"connect_sync", [](bench& b) { b.bind(); },
     [](bench& b) { b.socket.connect_sync(b.target.port); }},
    {"send", [](bench& b) { b.bind(); },
     [](bench& b) {
       b.socket.send("ping", b.target.port, [&b](dgram::error_code) { ++b.events; });
     }},
    {"send, unbound", [](bench&) {},
     [](bench& b) { b.socket.send("ping", b.target.port, [&b] { ++b.events; }); }},
    {"send by name", [](bench& b) { b.bind(); },
     [](bench& b) {
       for (int i = 0; i < 3; ++i)
         b.socket.send("ping", b.target.port, long_name, [&b](dgram::error_code) { ++b.events; });
     }},
    {"send of pieces", [](bench& b) { b.bind(); },
     [](bench& b) { b.socket.send({"pi", "ng"}, b.target.port); }},
    {"once", [](bench& b) { b.bind(); },
     [](bench& b) {
       b.socket.once<test::event::message>([&b](dgram::error_code, const std::vector<std::byte>&,
                                                const dgram::remote_info&) { ++b.events; });
     }},
    {"stream", [](bench& b) { b.bind(); },
     [](bench& b) {
       auto messages = b.socket.stream<test::event::message>();
       messages.next([&b](dgram::error_code, const auto&) { ++b.events; });
     }},
    {"add_membership", [](bench& b) { b.bind(); },
     [](bench& b) { b.socket.add_membership("239.255.77.8", "127.0.0.1"); }},
    {"set_timeout", [](bench& b) { b.bind(); },
     [](bench& b) { b.socket.set_timeout(std::chrono::hours(1)); }},
    {"recv_start", [](bench& b) { b.bind(); },
     [](bench& b) {
       b.socket.recv_stop();
       b.socket.recv_start();
     }},
    {"pause and resume", [](bench& b) { b.bind(); },
     [](bench& b) {
       dgram::pause_sockets(b.io);
       dgram::resume_sockets(b.io);
     }},
};

/// Brings it to where a new socket would be brought by the same calls, and sends from there.
void check_that_it_works(bench& b)
{
  dgram::resume_sockets(b.io);
  b.run();
  CHECK_NOTHROW(b.bind());
  test::run_until(b.io, [&] { return b.socket.state().bound; });
  const auto before = b.target.messages.size();
  bool sent = false;
  if (!b.socket.state().connected) {
    b.socket.connect(b.target.port, asio::ip::address_v4::loopback(), [](dgram::error_code) {});
    test::run_until(b.io, [&] { return b.socket.state().connected; });
  }
  b.socket.send("works", [&](dgram::error_code ec, std::size_t) { sent = !ec; });
  test::run_until(b.io, [&] { return sent && b.target.messages.size() > before; });
  CHECK(b.target.messages.back() == "works");
  bool answered = false;
  b.socket.once<test::event::message>([&] { answered = true; });
  if (!b.socket.state().receiving) b.socket.recv_start();
  b.target.socket.send("answer", b.target.senders.back());
  test::run_until(b.io, [&] { return answered; });
  bool closed = false;
  b.socket.close([&] { closed = true; });
  test::run_until(b.io, [&] { return closed; });
}

}  // namespace

TEST_CASE("A lack of memory at any point of an operation leaves an emitter that works",
          "[emitter][F5]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  for (const auto& each : steps) {
    bool has_failed = true;
    for (std::size_t n = 1; has_failed; ++n) {
      CAPTURE(each.name, n);
      REQUIRE(n < 200);
      bench b;
      each.prepare(b);
      {
        const test::failing_allocation failing(n);
        try {
          each.operate(b);
        } catch (const std::bad_alloc&) {
        } catch (const dgram::system_error&) {
        }
        b.run();
        has_failed = failing.has_failed();
      }
      check_that_it_works(b);
    }
  }
}

}  // namespace allocation_test
