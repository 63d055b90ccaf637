// SPDX-License-Identifier: BSL-1.0
// The emitter: connecting.
#include "emitter/helpers.hpp"

namespace connect_test {

using test::thrown;
using test::trace;

namespace {

auto note_failure(trace& into)
{
  return [&into](const dgram::failure& what) {
    into.push_back(what ? "callback " + what.text() : "callback");
  };
}

}  // namespace

TEST_CASE("CON-01, CON-02: connect binds, and completes later", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.connect(9, note_failure(events));
  CHECK(events.empty());
  CHECK(thrown([&] { socket.connect(9); }) == asio::error::already_connected);
  CHECK(thrown([&] { socket.disconnect(); }) == asio::error::not_connected);
  test::run_ready(io);
  CHECK(events == trace{"listening", "connect", "callback"});
  CHECK(socket.remote_address().address == asio::ip::address_v4::loopback());
  CHECK(socket.remote_address().port == 9);
  CHECK(socket.address().port > 0);
  CHECK(socket.state().connected);
}

TEST_CASE("CON-03: the port is looked at before the state", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  for (int round = 0; round < 2; ++round) {
    CHECK(thrown([&] { socket.connect(0); }) == dgram::error::bad_port);
    CHECK(thrown([&] { socket.connect(78960); }) == dgram::error::bad_port);
    CHECK(thrown([&] { socket.connect(65536); }) == dgram::error::bad_port);
    CHECK(thrown([&] { socket.connect([] {}); }) == dgram::error::bad_port);
    if (round == 0) socket.connect_sync(9);
  }
}

TEST_CASE("CON-04, CON-05: twice, disconnect, and again", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  socket.connect(9);
  test::run_ready(io);
  CHECK(thrown([&] { socket.connect(10, note_failure(events)); }) ==
        asio::error::already_connected);
  CHECK(socket.remote_address().port == 9);
  socket.disconnect();
  CHECK(thrown([&] { socket.disconnect(); }) == asio::error::not_connected);
  CHECK(thrown([&] { socket.remote_address(); }) == asio::error::not_connected);
  socket.connect(10, note_failure(events));
  test::run_ready(io);
  CHECK(events == trace{"callback"});
  CHECK(socket.remote_address().port == 10);
}

TEST_CASE("CON-06, CON-27: closed sockets", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.remote_address(); }) == asio::error::not_connected);
  socket.close();
  CHECK(thrown([&] { socket.remote_address(); }) == dgram::error::not_running);
  CHECK(thrown([&] { socket.connect(9); }) == dgram::error::not_running);
  CHECK(thrown([&] { socket.disconnect(); }) == asio::error::not_connected);
}

TEST_CASE("CON-08, CON-09: a connect that fails, with and without a callback", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  socket.bind_sync();
  test::record(socket, events);
  test::run_ready(io);
  events.clear();
  socket.connect(9, "::1", note_failure(events));
  test::run_ready(io);
  socket.connect(9, "::1");
  test::run_ready(io);
  socket.connect(9, "::1", [&] { events.push_back("never"); });
  test::run_ready(io);
  CHECK(events == trace{"callback connect EINVAL ::1:9 (an IPv6 address on a udp4 socket)",
                        "error connect EINVAL ::1:9 (an IPv6 address on a udp4 socket)",
                        "error connect EINVAL ::1:9 (an IPv6 address on a udp4 socket)"});
  socket.connect(9, note_failure(events));
  test::run_ready(io);
  CHECK(events.back() == "callback");
}

TEST_CASE("CON-10: a peer on the block list", "[emitter]")
{
  asio::io_context io;
  auto list = std::make_shared<dgram::block_list>();
  list->add_address("127.0.0.1");
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .send_block_list = list});
  dgram::error_code reported;
  socket.connect(9, "127.0.0.1", [&](dgram::error_code ec) { reported = ec; });
  test::run_ready(io);
  CHECK(reported == dgram::error::ip_blocked);
  CHECK(thrown([&] { socket.connect_sync(9, "127.0.0.1"); }) == dgram::error::ip_blocked);
  socket.connect_sync(9, "127.0.0.2");
  CHECK(socket.state().connected);
}

TEST_CASE("CON-11, CON-12: connecting at once", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  CHECK(&socket.connect_sync(9) == &socket);
  CHECK(socket.remote_address().port == 9);
  const auto port = socket.address().port;
  test::record(socket, events);
  test::run_ready(io);
  CHECK(events == trace{"listening", "connect"});
  socket.disconnect();
  socket.connect_sync(10);
  CHECK(socket.remote_address().port == 10);
  CHECK(socket.address().port == port);

  auto closed = dgram::create_socket(io, dgram::udp4);
  trace after;
  test::record(closed, after);
  closed.connect_sync(9);
  closed.close();
  auto late = dgram::create_socket(io, dgram::udp4);
  late.bind_sync();
  test::record(late, after);
  late.connect(9, [&] { after.push_back("never"); });
  late.close();
  test::run_ready(io);
  CHECK(after == trace{"close", "close"});
}

TEST_CASE("CON-13, CON-14: what is wrong with connecting at once", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.connect_sync(9, "localhost"); }) == asio::error::invalid_argument);
  CHECK(thrown([&] { socket.connect_sync(-1); }) == dgram::error::bad_port);
  CHECK_FALSE(socket.state().bound);
  trace events;
  test::record(socket, events);
  socket.bind(0);
  CHECK(thrown([&] { socket.connect_sync(9); }) == dgram::error::already_bound);
  test::run_ready(io);
  CHECK(events == trace{"listening"});
  socket.connect_sync(9);
  CHECK(thrown([&] { socket.connect_sync(9); }) == asio::error::already_connected);
}

TEST_CASE("CON-15, ERR-15: an implicit bind that fails completes what waits for it", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4, .ipv6_only = true});  // which no udp4 socket can be
  trace events;
  test::record(socket, events);
  socket.connect(9, note_failure(events));
  test::run_ready(io);
  CHECK(events == trace{"callback bind EINVAL 0.0.0.0"});
  CHECK_FALSE(socket.state().connected);
  events.clear();
  socket.send("one", 9, note_failure(events));
  socket.send("two", 9, note_failure(events));
  test::run_ready(io);
  CHECK(events == trace{"callback bind EINVAL 0.0.0.0", "callback bind EINVAL 0.0.0.0"});
  events.clear();
  socket.send("nobody is told", 9);
  socket.send("of these two", 9);
  test::run_ready(io);
  CHECK(events == trace{"error bind EINVAL 0.0.0.0"});
  events.clear();
  socket.connect(9);
  socket.send("one", note_failure(events));
  socket.send("nobody is told");
  test::run_ready(io);
  CHECK(events == trace{"error bind EINVAL 0.0.0.0", "callback bind EINVAL 0.0.0.0"});
}

TEST_CASE("CON-13: a connect at once that the kernel refuses leaves the socket without a peer",
          "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  // A broadcast address, and no option for it.
  CHECK(thrown([&] { socket.connect_sync(9, "255.255.255.255"); }) == asio::error::access_denied);
  CHECK_FALSE(socket.state().connected);
  socket.connect_sync(target.port, "127.0.0.1");
  socket.send("x");
  test::run_until(io, [&] { return target.messages.size() == 1; });
}

TEST_CASE("a send that begins after the socket has left its peer does not reach it", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(target.port, "127.0.0.1");
  auto begins_later = socket.send("x", asio::use_awaitable);
  socket.disconnect();
  dgram::error_code ec;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        try {
          co_await std::move(begins_later);
        } catch (const dgram::system_error& refusal) {
          ec = refusal.code();
        }
      },
      asio::detached);
  test::run_ready(io);
  CHECK(ec == asio::error::not_connected);
  CHECK(target.messages.empty());
}

TEST_CASE(
    "CON-20, CON-23: a connected socket hears its peer alone, by the address that routes there",
    "[emitter]")
{
  asio::io_context io;
  test::listener peer(io);
  test::listener stranger(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  CHECK(socket.address().address.is_unspecified());
  const auto port = socket.address().port;
  socket.connect_sync(peer.port);
  CHECK(socket.address().address == asio::ip::address_v4::loopback());
  CHECK(socket.address().port == port);
  trace heard;
  socket.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  stranger.socket.send("stranger", port);
  peer.socket.send("peer", port);
  test::run_until(io, [&] { return !heard.empty(); });
  test::run_ready(io);
  CHECK(heard == trace{"peer"});
}

TEST_CASE("CON-25: after disconnect a send needs a port again", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(9);
  socket.disconnect();
  CHECK(thrown([&] { socket.send("x"); }) == dgram::error::bad_port);
}

TEST_CASE("CON-28: the smallest and the largest port", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  for (const int port : {1, 65535}) {
    socket.connect_sync(port);
    CHECK(socket.remote_address().port == port);
    socket.disconnect();
  }
}

TEST_CASE("S1.39: sends without a port wait for a connect on its way", "[emitter]")
{
  asio::io_context io;
  test::listener peer(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  socket.connect(peer.port, "localhost", note_failure(events));
  socket.send("hello", note_failure(events));
  test::run_until(io, [&] { return peer.messages.size() == 1 && events.size() == 2; });
  CHECK(events == trace{"callback", "callback"});

  auto failing = dgram::create_socket(io, dgram::udp4);
  trace failed;
  failing.connect(9, "::1", note_failure(failed));
  failing.send("lost", note_failure(failed));
  test::run_until(io, [&] { return failed.size() == 2; });
  CHECK(failed == trace{"callback connect EINVAL ::1:9 (an IPv6 address on a udp4 socket)",
                        "callback connect EINVAL ::1:9 (an IPv6 address on a udp4 socket)"});
}

TEST_CASE("CON-25: what waits behind a bind for a connect that is cancelled goes to nobody else",
          "[emitter]")
{
  asio::io_context io;
  test::listener first(io);
  test::listener second(io);
  auto client = dgram::create_socket(io, dgram::udp4);
  asio::cancellation_signal signal;
  std::optional<dgram::error_code> lost;
  std::optional<dgram::error_code> arrived;
  client.bind(0, "127.0.0.1");
  client.connect(first.port, "127.0.0.1",
                 asio::bind_cancellation_slot(signal.slot(), [](dgram::error_code) {}));
  client.send("for the first", [&](dgram::error_code ec) { lost = ec; });
  signal.emit(asio::cancellation_type::total);
  client.send("for the second", second.port, "127.0.0.1",
              [&](dgram::error_code ec) { arrived = ec; });
  test::run_until(io, [&] { return lost && arrived && !second.messages.empty(); });
  CHECK(lost == dgram::error_code(asio::error::operation_aborted));
  CHECK(arrived == dgram::error_code());
  CHECK(second.messages == trace{"for the second"});
  CHECK(first.messages.empty());
}

TEST_CASE("CON-25: what waits for a connect does not go to the next peer", "[emitter]")
{
  asio::io_context io;
  test::listener first(io);
  test::listener second(io);
  auto client = dgram::create_socket(io, dgram::udp4);
  std::optional<dgram::error_code> lost;
  client.once<test::event::connect>([&] {
    client.disconnect();
    client.connect(second.port, "127.0.0.1", [&] { client.send("for the second"); });
  });
  client.connect(first.port, "127.0.0.1");
  client.send("for the first", [&](dgram::error_code ec) { lost = ec; });
  test::run_until(io, [&] { return !second.messages.empty(); });
  CHECK(second.messages == trace{"for the second"});
  CHECK(lost == dgram::error_code(asio::error::not_connected));
}

#if defined(__linux__)

TEST_CASE("a peer that the system refuses is thrown at once by connect_sync", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  // The broadcast address of the loopback interface, which takes option::broadcast.
  CHECK(thrown([&] { socket.connect_sync(9, "127.255.255.255"); }) == asio::error::access_denied);
  CHECK_FALSE(socket.state().connected);
  socket.connect_sync(9);
  CHECK(socket.state().connected);
}

#endif

}  // namespace connect_test
