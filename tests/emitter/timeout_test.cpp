// SPDX-License-Identifier: BSL-1.0
// The emitter: idle time, full queues, one-shot sends.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"
#include "support/sanitizers.hpp"

#include <sys/resource.h>

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace timeout_test {

using std::chrono::milliseconds;
using test::thrown;
using test::trace;

namespace {

/// While it is there the process can open nothing.
class [[maybe_unused]] no_more_descriptors {
public:
  no_more_descriptors()
  {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    set({0, before_.rlim_max});
  }
  no_more_descriptors(const no_more_descriptors&) = delete;
  no_more_descriptors& operator=(const no_more_descriptors&) = delete;
  ~no_more_descriptors() { set(before_); }

private:
  static void set(const ::rlimit& limit) { ::setrlimit(RLIMIT_NOFILE, &limit); }

  ::rlimit before_{};
};

}  // namespace

TEST_CASE("S5.5: 'timeout' comes once, and again after activity", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  int timeouts = 0;
  int once = 0;
  target.socket.on<test::event::timeout>([&] { ++timeouts; });
  target.socket.set_timeout(milliseconds(5), [&] { ++once; });
  test::run_until(io, [&] { return timeouts == 1; });
  auto sender = dgram::create_socket(io, dgram::udp4);
  sender.send("x", target.port);
  test::run_until(io, [&] { return timeouts == 2; });
  target.socket.send("x", 9);
  test::run_until(io, [&] { return timeouts == 3; });
  CHECK(once == 1);
  CHECK(target.messages.size() == 1);

  target.socket.set_timeout(milliseconds(1));
  target.socket.set_timeout(milliseconds(0));
  target.socket.unref();
  sender.unref();
  test::run(io);
  CHECK(timeouts == 3);
}

TEST_CASE("S5.5: a reply that is sent later is activity too", "[emitter]")
{
  asio::io_context io;
  test::listener server(io);
  auto client = dgram::create_socket(io, dgram::udp4);
  client.send("?", server.port);
  test::run_until(io, [&] { return server.senders.size() == 1; });
  int timeouts = 0;
  server.socket.on<test::event::timeout>([&] { ++timeouts; });
  server.socket.set_timeout(milliseconds(1));
  test::run_until(io, [&] { return timeouts == 1; });
  server.socket.send("!", server.senders.front());
  test::run_until(io, [&] { return timeouts == 2; });
}

TEST_CASE("S5.5: an unreferenced socket's idle time keeps no context running", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  target.socket.unref();
  target.socket.set_timeout(std::chrono::hours(1));
  test::run(io);
  target.socket.ref();
  target.socket.close();
  test::run(io);
}

TEST_CASE("S5.8: close ends the idle time", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  target.socket.set_timeout(std::chrono::hours(1));
  target.socket.close();
  test::run(io);
}

TEST_CASE("S1.58: one send from a socket that closes itself", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  std::optional<std::size_t> size;
  dgram::send_once(io, dgram::udp4, "log line", target.port, "127.0.0.1",
                   [&](dgram::error_code ec, std::size_t n) {
                     CHECK_FALSE(ec);
                     size = n;
                   });
  test::run_until(io, [&] { return size && target.messages.size() == 1; });
  CHECK(size == 8);
  dgram::error_code failed;
  dgram::send_once(io, dgram::udp4, std::string(70000, 'x'), target.port, "127.0.0.1",
                   [&](dgram::error_code ec, std::size_t) { failed = ec; });
  target.socket.close();
  test::run(io);  // ends, so it is closed
  CHECK(failed == asio::error::message_size);
}

TEST_CASE("S1.58: what is wrong with the arguments of a single send is thrown at the call",
          "[emitter]")
{
  asio::io_context io;
  const auto unused = [](dgram::error_code, std::size_t) { FAIL("called"); };
  CHECK(test::thrown([&] { dgram::send_once(io, dgram::udp4, "x", 0, "", unused); }) ==
        dgram::error::bad_port);
  CHECK(test::thrown([&] { dgram::send_once(io, dgram::udp4, "x", 9, "127", asio::use_future); }) ==
        asio::error::invalid_argument);
  dgram::error_code caught;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        try {
          co_await dgram::send_once(io, dgram::udp4, "x", 70000, "", asio::use_awaitable);
        } catch (const dgram::system_error& error) {
          caught = error.code();
        }
      },
      asio::detached);
  test::run(io);
  CHECK(caught == dgram::error::bad_port);
}

TEST_CASE(
    "S1.58: a single send is taken back by its slot, and completes once where its bind fails too",
    "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  asio::cancellation_signal signal;
  std::vector<dgram::error_code> outcomes;
  const auto start = [&] {
    dgram::send_once(
        io, dgram::udp4, "x", target.port, "127.0.0.1",
        asio::bind_cancellation_slot(
            signal.slot(), [&](dgram::error_code ec, std::size_t) { outcomes.push_back(ec); }));
    signal.emit(asio::cancellation_type::total);
  };
  start();
  test::run_until(io, [&] { return outcomes.size() == 1; });
#if !defined(DGRAM_TESTS_SANITIZED_HEAP)  // a sanitizer opens pipes to look at memory
  {
    const no_more_descriptors limit;
    start();
    test::run_until(io, [&] { return outcomes.size() == 2; });
  }
#endif
  for (const auto& outcome : outcomes)
    CHECK(outcome == asio::error::operation_aborted);
  signal.emit(asio::cancellation_type::total);  // finds nothing any more
  target.socket.close();
  test::run(io);
  CHECK(target.messages.empty());
}

TEST_CASE("S1.58: a single send that was put off can be launched twice", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  int sent = 0;
  const auto count = [&](dgram::error_code ec, std::size_t) { sent += ec ? 0 : 1; };
  auto operation = dgram::send_once(io, dgram::udp4, "x", target.port, "127.0.0.1", test::deferred);
  operation(count);
  std::move(operation)(count);
  test::run_until(io, [&] { return sent == 2 && target.messages.size() == 2; });
  target.socket.close();
  test::run(io);
}

TEST_CASE("Durations of any size: how long a socket is idle, and a name known", "[emitter][F16]")
{
  using limits = std::numeric_limits<milliseconds::rep>;
  // Far ahead: no 'timeout', and one lookup.
  for (const auto longest : {limits::max(), limits::max() - 1, limits::max() / 2,
                             limits::max() / 1000000, limits::max() / 1000000 + 1}) {
    CAPTURE(longest);
    asio::io_context io;
    test::listener target(io);
    int asked = 0;
    int timeouts = 0;
    auto socket = dgram::create_socket(
        io, {.type = dgram::udp4,
             .lookup =
                 [&](const std::string&, dgram::socket_type, const dgram::lookup_result& report) {
                   ++asked;
                   report({}, asio::ip::address_v4::loopback());
                 },
             .lookup_lifetime = milliseconds(longest)});
    socket.set_timeout(milliseconds(longest), [&] { ++timeouts; });
    target.socket.set_timeout(milliseconds(longest), [&] { ++timeouts; });
    for (std::size_t count = 1; count <= 3; ++count) {
      socket.send("x", target.port, "peer.test");
      test::run_until(io, [&] { return target.messages.size() == count; });
    }
    CHECK(asked == 1);
    CHECK(timeouts == 0);
    // It can still be set to something short.
    socket.set_timeout(milliseconds(1));
    test::run_until(io, [&] { return timeouts == 1; });
  }
  // None: never a 'timeout', and a lookup each time.
  for (const auto none :
       {limits::min(), limits::min() / 1000000, milliseconds::rep{-1}, milliseconds::rep{0}}) {
    CAPTURE(none);
    asio::io_context io;
    test::listener target(io);
    std::size_t asked = 0;
    int timeouts = 0;
    auto socket = dgram::create_socket(
        io, {.type = dgram::udp4,
             .lookup =
                 [&](const std::string&, dgram::socket_type, const dgram::lookup_result& report) {
                   ++asked;
                   report({}, asio::ip::address_v4::loopback());
                 },
             .lookup_lifetime = milliseconds(none)});
    socket.set_timeout(milliseconds(none), [&] { ++timeouts; });
    for (std::size_t count = 1; count <= 3; ++count) {
      socket.send("x", target.port, "peer.test");
      test::run_until(io, [&] { return target.messages.size() == count; });
      CHECK(asked == count);
    }
    socket.close();
    target.socket.close();
    test::run(io);
    CHECK(timeouts == 0);
  }
}

}  // namespace timeout_test
