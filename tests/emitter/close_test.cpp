// SPDX-License-Identifier: BSL-1.0
// The emitter: closing, being destroyed, ref and unref.
#include "emitter/helpers.hpp"

#include <asio/cancellation_signal.hpp>

#include <optional>
#include <stop_token>
#include <thread>

namespace close_test {

using test::thrown;
using test::trace;

TEST_CASE("CLS-01, CLS-02: close returns the socket and emits later, in order", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::string order;
  socket.on<test::event::close>([&] { order += 'A'; });
  CHECK(&socket.close([&] { order += 'c'; }) == &socket);
  socket.on<test::event::close>([&] { order += 'B'; });
  CHECK(order.empty());
  test::run(io);
  CHECK(order == "AcB");
}

TEST_CASE("CLS-03, CLS-04, CLS-05: after close nothing runs", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  socket.close();
  const auto refused = [](auto call) { return thrown(call) == dgram::error::not_running; };
  for (int round = 0; round < 2; ++round) {
    CHECK(refused([&] { socket.close(); }));
    CHECK(refused([&] { socket.address(); }));
    CHECK(refused([&] { socket.remote_address(); }));
    CHECK(refused([&] { socket.bind(); }));
    CHECK(refused([&] { socket.connect(9); }));
    CHECK(refused([&] { socket.send("x", 9); }));
    CHECK(refused([&] { socket.add_membership("224.0.0.114"); }));
    CHECK(refused([&] { socket.drop_membership("224.0.0.114"); }));
    CHECK(refused([&] { socket.add_source_specific_membership("127.0.0.1", "232.1.1.1"); }));
    CHECK(refused([&] { socket.set_multicast_interface("127.0.0.1"); }));
    CHECK(refused([&] { socket.set_ttl(1); }));
    CHECK(refused([&] { socket.set_broadcast(true); }));
    CHECK(refused([&] { socket.get_recv_buffer_size(); }));
    CHECK(refused([&] { socket.set_send_buffer_size(1000); }));
    CHECK(refused([&] { socket.get_send_queue_size(); }));
    CHECK(refused([&] { socket.recv_start(); }));
    CHECK(&socket.ref() == &socket);
    CHECK(&socket.unref() == &socket);
    test::run(io);
  }
  CHECK(dgram::error_code(dgram::error::not_running) == std::errc::bad_file_descriptor);
}

TEST_CASE("CLS-09, N17: close inside callbacks and messages ends everything", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  trace events;
  test::record(target.socket, events);
  target.socket.on<test::event::message>([&] { target.socket.close(); });
  auto sender = dgram::create_socket(io, dgram::udp4);
  sender.on<test::event::close>([&] { events.emplace_back("sender closed"); });
  sender.send("1", target.port);
  sender.send("2", target.port);
  sender.send("3", target.port, [&] { sender.close(); });
  test::run(io);
  CHECK(target.messages == trace{"1"});
  CHECK(std::count(events.begin(), events.end(), "close") == 1);
  CHECK(std::count(events.begin(), events.end(), "sender closed") == 1);
}

TEST_CASE("CLS-10: close while the name for a bind is looked up", "[emitter]")
{
  asio::io_context io;
  dgram::lookup_result answer;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4,
           .lookup = [&](const std::string&, dgram::socket_type, dgram::lookup_result report) {
             answer = std::move(report);
           }});
  trace events;
  test::record(socket, events);
  socket.bind(0, "server.test", [&] { events.emplace_back("never"); });
  socket.close();
  answer({}, asio::ip::address_v4::loopback());
  test::run(io);
  CHECK(events == trace{"close"});
}

TEST_CASE("CLS-13, D1: what was started completes when the socket is closed", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  const auto note = [&](std::string what) {
    return [&, what = std::move(what)](const dgram::failure& f) {
      events.push_back(what + (f ? " " + f.text() : ""));
    };
  };
  socket.bind_sync();
  test::run_ready(io);
  events.clear();
  socket.send("to an address", target.port, note("first"));
  socket.send("to a name", target.port, "nobody.test", note("second"));
  socket.connect(9, "nobody.test", note("connect"));
  socket.send("to a peer", note("third"));
  socket.close(note("close"));
  test::run_until(io, [&] { return events.size() == 6; });
  // In the order of the calls.
  CHECK(events == trace{"first", "second send ECANCELED", "connect connect ECANCELED",
                        "third send ECANCELED", "close", "close"});
  test::run_until(io, [&] { return target.messages.size() == 1; });
}

TEST_CASE("N15, C10, CLS-23: close waits behind sends that wait for a bind", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.send("first", target.port, [&] { events.emplace_back("sent"); });
  socket.close();
  CHECK(socket.state().closing);
  CHECK(thrown([&] { socket.close(); }) == dgram::error::not_running);
  test::run_until(io, [&] { return target.messages.size() == 1 && events.size() == 3; });
  CHECK(events == trace{"listening", "sent", "close"});

  auto failing = dgram::create_socket(io, {.type = dgram::udp4, .ipv6_only = true});
  trace failed;
  test::record(failing, failed);
  failing.send("never", target.port);
  failing.close();
  test::run_until(io, [&] { return failed.size() == 2; });
  CHECK(failed == trace{"error bind EINVAL 0.0.0.0", "close"});
}

TEST_CASE("CLS-15, CLS-16, CLS-17: a stop token closes", "[emitter]")
{
  asio::io_context io;
  std::stop_source source;
  trace events;
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .signal = source.get_token()});
  test::record(socket, events);
  socket.bind_sync();
  asio::post(io, [&] {
    source.request_stop();
    CHECK(thrown([&] { socket.close(); }) == dgram::error::not_running);
  });
  test::run(io);
  CHECK(events == trace{"listening", "close"});

  events.clear();
  auto late = dgram::create_socket(io, {.type = dgram::udp4, .signal = source.get_token()});
  test::record(late, events);
  CHECK(thrown([&] { late.bind(); }) == dgram::error::not_running);
  test::run(io);
  CHECK(events == trace{"close"});

  std::stop_source unused;
  auto closed = dgram::create_socket(io, {.type = dgram::udp4, .signal = unused.get_token()});
  closed.close();
  test::run(io);
  unused.request_stop();
  test::run(io);
}

TEST_CASE(
    "CLS-15: a stop that another thread requests does not end the calls of a running listener",
    "[emitter]")
{
  asio::io_context io;
  std::stop_source source;
  test::listener target(io);
  trace events;
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .signal = source.get_token()});
  test::record(socket, events);
  socket.on<test::event::listening>([&] {
    std::thread([&] { source.request_stop(); }).join();
    CHECK_FALSE(socket.state().closed);
    CHECK(socket.address().port > 0);
    socket.recv_stop();
    socket.recv_start();
    socket.send("bye", target.port);
  });
  socket.bind(0, "127.0.0.1");
  test::run_until(io, [&] { return target.messages.size() == 1; });
  test::run_until(io, [&] { return events.size() == 2; });
  CHECK(events == trace{"listening", "close"});
  CHECK(socket.state().closed);
}

TEST_CASE("CLS-15: a cancellation slot closes", "[emitter]")
{
  asio::io_context io;
  asio::cancellation_signal signal;
  trace events;
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .slot = signal.slot()});
  test::record(socket, events);
  socket.bind_sync();
  signal.emit(asio::cancellation_type::terminal);
  CHECK(thrown([&] { socket.close(); }) == dgram::error::not_running);
  test::run(io);
  CHECK(events == trace{"close"});
  signal.emit(asio::cancellation_type::terminal);
}

TEST_CASE("CLS-20: many sockets are closed with sends pending", "[emitter]")
{
  asio::io_context io;
  std::vector<dgram::emitter_socket> sockets;
  int sent = 0;
  int closed = 0;
  test::listener target(io);
  for (int i = 0; i < 200; ++i)
    sockets.push_back(dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true}));
  const test::reserved_port port;
  for (auto& socket : sockets) {
    socket.bind_sync(port.number(), "127.0.0.1");
    socket.send("x", target.port, [&](dgram::error_code) { ++sent; });
    socket.on<test::event::close>([&] { ++closed; });
  }
  for (auto& socket : sockets)
    socket.close();
  target.socket.close();
  test::run(io);
  CHECK(sent == 200);
  CHECK(closed == 200);
}

TEST_CASE("CLS-22: the context is stopped in the middle of a batch", "[emitter]")
{
  trace seen;
  {
    asio::io_context io;
    test::listener target(io);
    target.socket.on<test::event::message>([&] {
      seen.emplace_back("message");
      io.stop();
    });
    auto sender = dgram::create_socket(io, dgram::udp4);
    for (int i = 0; i < 16; ++i)
      sender.send("x", target.port);
    while (seen.empty()) {
      io.restart();
      io.run_for(std::chrono::seconds(1));
    }
  }
  CHECK_FALSE(seen.empty());
}

TEST_CASE("A listener may destroy its socket", "[emitter]")
{
  asio::io_context io;
  trace events;
  std::optional<dgram::emitter_socket> socket(dgram::create_socket(io, dgram::udp4));
  test::record(*socket, events);
  const auto port = socket->bind_sync(0, "127.0.0.1").port;
  socket->on<test::event::message>([&](dgram::bytes_view message) {
    socket.reset();
    events.emplace_back(message.text());
  });
  socket->on<test::event::message>([&] { events.emplace_back("never"); });
  auto sender = dgram::create_socket(io, dgram::udp4);
  sender.send("1", port);
  sender.send("2", port, [&] { sender.close(); });
  test::run(io);
  CHECK(events == trace{"listening", "1"});
}

TEST_CASE("A socket that is destroyed ends what was started, and emits nothing", "[emitter]")
{
  asio::io_context io;
  trace events;
  {
    auto socket = dgram::create_socket(io, dgram::udp4);
    test::record(socket, events);
    socket.send("x", 9, [&](const dgram::failure& f) { events.push_back(f.text()); });
    socket.connect(9, [&](dgram::error_code ec) {
      events.push_back(ec == asio::error::operation_aborted ? "aborted" : ec.message());
    });
  }
  test::run(io);
  CHECK(events == trace{"send ECANCELED", "aborted"});
}

TEST_CASE("A socket may be moved while things are pending", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.send("1", target.port);
  auto moved = std::move(socket);
  moved.send("2", target.port);
  test::run_until(io, [&] { return target.messages.size() == 2; });
}

TEST_CASE("REF-01, REF-03: a bound socket keeps the context running unless it is unreferenced",
          "[emitter]")
{
  asio::io_context io;
  auto unbound = dgram::create_socket(io, dgram::udp4);
  test::run(io);

  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(socket.has_ref());
  socket.bind_sync();
  io.restart();
  io.run_for(std::chrono::milliseconds(1));
  CHECK_FALSE(io.stopped());
  CHECK(&socket.unref() == &socket);
  socket.unref();
  CHECK_FALSE(socket.has_ref());
  test::run(io);
  socket.ref().ref();
  CHECK(socket.has_ref());
  io.restart();
  io.run_for(std::chrono::milliseconds(1));
  CHECK_FALSE(io.stopped());
  socket.close();
  CHECK_FALSE(socket.has_ref());
  test::run(io);

  auto before = dgram::create_socket(io, dgram::udp4);
  before.unref();
  before.bind(0);
  test::run(io);
  CHECK(before.state().bound);
}

TEST_CASE("REF-02, REF-05: an unreferenced socket still sends, and hears while others run",
          "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.unref();
  int sent = 0;
  socket.send("x", 9, [&] { ++sent; });
  test::run(io);
  CHECK(sent == 1);

  int heard = 0;
  socket.on<test::event::message>([&] { ++heard; });
  const auto port = socket.address().port;
  test::listener other(io);
  for (int i = 1; i <= 3; ++i) {
    other.socket.send("x", port, "127.0.0.1");
    test::run_until(io, [&] { return heard == i; });
  }
  other.socket.close();
  test::run(io);
  socket.close();
  test::run(io);
}

TEST_CASE("unref needs an io_context", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io.get_executor(), dgram::udp4);
  CHECK(thrown([&] { socket.unref(); }) == asio::error::operation_not_supported);
}

TEST_CASE("a 'close' listener that throws ends the waits for other events all the same",
          "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync(0, "127.0.0.1");
  dgram::error_code awaited;
  socket.once<test::event::message>(
      [&](dgram::error_code ec, std::vector<std::byte>, dgram::remote_info) { awaited = ec; });
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> listener = held;
  socket.on<test::event::timeout>([held = std::move(held)] {});
  socket.on<test::event::close>([] { throw 1; });
  socket.close();
  CHECK_THROWS_AS(test::run(io), int);
  test::run(io);
  CHECK(awaited == asio::error::operation_aborted);
  CHECK(listener.expired());
}

TEST_CASE("CLS-15: a slot is the last socket's that it was given to, and may go before it",
          "[emitter]")
{
  asio::io_context io;
  std::optional<asio::cancellation_signal> signal(std::in_place);
  auto first = dgram::create_socket(io, {.type = dgram::udp4, .slot = signal->slot()});
  auto second = dgram::create_socket(io, {.type = dgram::udp4, .slot = signal->slot()});
  first.bind_sync();
  second.bind_sync();
  first.close();
  signal->emit(asio::cancellation_type::terminal);
  CHECK(second.state().closed);
  auto third = dgram::create_socket(io, {.type = dgram::udp4, .slot = signal->slot()});
  signal.reset();
  third.close();
  test::run(io);
  CHECK(third.state().closed);
}

}  // namespace close_test
