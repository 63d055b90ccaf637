// SPDX-License-Identifier: BSL-1.0
// The emitter: sockets that are paused and resume, with what was pending and what is started meanwhile.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <asio/ip/unicast.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <optional>
#include <string>

namespace pause_test {

using test::thrown;
using test::trace;

namespace {

const char* const here = "127.0.0.1";

/// The result of one operation.
struct outcome {
  std::optional<dgram::error_code> ec;

  auto token()
  {
    return [this](dgram::error_code result) { ec = result; };
  }
  bool is(const dgram::error_code& expected) const { return ec == expected; }
};

}  // namespace

TEST_CASE("S1.59: a connect that is under way goes on after the pause", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  test::slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  outcome connected;
  const bool by_name = GENERATE(false, true);
  socket.connect(target.port, by_name ? "somewhere" : here, connected.token());
  socket.send("behind the connect");
  dgram::pause_sockets(io);
  lookup.answer();
  test::run_ready(io);
  CHECK(socket.state().paused);
  CHECK_FALSE(socket.state().connected);
  CHECK(socket.native_handle() == -1);
  socket.send("meanwhile");

  dgram::resume_sockets(io);
  test::run_until(io, [&] { return target.messages.size() == 2; });
  CHECK(target.messages == trace{"behind the connect", "meanwhile"});
  CHECK(target.senders.front().port == port.number());
  CHECK(connected.is({}));
  CHECK(socket.remote_address().port == target.port);
  CHECK(events == trace{"listening", "connect"});
}

TEST_CASE("S1.59: a bind that is under way is done before the pause", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind(port.number(), here);
  socket.send("behind the bind", target.port);
  dgram::pause_sockets(io);
  CHECK(socket.state().paused);
  test::run_ready(io);
  CHECK(events == trace{"listening"});
  CHECK(socket.state().paused);
  CHECK(socket.native_handle() == -1);
  CHECK(socket.address().port == port.number());

  dgram::resume_sockets(io);
  test::run_until(io, [&] { return target.messages.size() == 1; });
  CHECK(target.senders.front().port == port.number());

  auto other = dgram::create_socket(io, dgram::udp4);
  const test::reserved_port other_port;
  other.bind(other_port.number(), here);
  dgram::pause_sockets(io);
  dgram::resume_sockets(io);
  test::run_ready(io);
  CHECK_FALSE(other.state().paused);
  CHECK(other.native_handle() != -1);
}

TEST_CASE("S1.59: a send whose name is found during the pause leaves after it", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  test::slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  outcome sent;
  socket.send("x", target.port, "somewhere", sent.token());
  dgram::pause_sockets(io);
  lookup.answer();
  test::run_ready(io);
  CHECK_FALSE(sent.ec);
  dgram::resume_sockets(io);
  test::run_until(io, [&] { return target.messages.size() == 1; });
  CHECK(sent.is({}));
}

TEST_CASE("S1.59: the peer can be changed during the pause", "[emitter]")
{
  asio::io_context io;
  test::listener first(io);
  test::listener second(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  socket.connect_sync(first.port, here);
  test::run_ready(io);
  dgram::pause_sockets(io);
  outcome lost;
  socket.send("for the first", lost.token());
  socket.disconnect();
  CHECK(thrown([&] { socket.remote_address(); }) == asio::error::not_connected);
  socket.connect_sync(second.port, here);
  CHECK(socket.remote_address().port == second.port);
  CHECK(socket.native_handle() == -1);
  socket.send("for the second");

  dgram::resume_sockets(io);
  test::run_until(io, [&] { return !second.messages.empty(); });
  CHECK(second.messages == trace{"for the second"});
  CHECK(second.senders.front().port == port.number());
  CHECK(first.messages.empty());
  CHECK(lost.is(asio::error::not_connected));
  CHECK(events == trace{"listening", "connect", "connect"});
}

TEST_CASE("S1.59: what waits for the end of a pause can be cancelled, and ends with the socket",
          "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  asio::cancellation_signal signal;
  outcome connected;
  outcome sent;
  socket.connect(9, here, asio::bind_cancellation_slot(signal.slot(), connected.token()));
  socket.send("x", sent.token());
  dgram::pause_sockets(io);
  test::run_ready(io);
  SECTION("cancelled")
  {
    signal.emit(asio::cancellation_type::total);
  }
  SECTION("closed")
  {
    socket.close();
  }
  test::run_ready(io);
  CHECK(connected.is(asio::error::operation_aborted));
  CHECK(sent.is(asio::error::operation_aborted));
  dgram::resume_sockets(io);
  test::run_ready(io);
  CHECK_FALSE(socket.state().connected);
}

TEST_CASE("S1.59: a socket that cannot resume tells all that waits for it", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  test::slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  test::run_ready(io);
  outcome connected;
  outcome behind;
  const bool by_name = GENERATE(false, true);
  socket.connect(target.port, by_name ? "somewhere" : here, connected.token());
  socket.send("behind the connect", behind.token());
  dgram::pause_sockets(io);
  test::run_ready(io);
  outcome meanwhile;
  socket.send("meanwhile", meanwhile.token());
  const asio::ip::udp::socket thief(io, {asio::ip::address_v4::loopback(), port.number()});
  dgram::resume_sockets(io);
  test::run_ready(io);
  const dgram::error_code taken = asio::error::address_in_use;
  CHECK(events ==
        trace{"listening", "error bind EADDRINUSE 127.0.0.1:" + std::to_string(port.number())});
  CHECK(meanwhile.is(taken));
  if (!by_name) {
    CHECK(connected.is(taken));
    CHECK(behind.is(taken));
    return;
  }
  // It has not come to the socket yet, and binds it again, to any port, as a connect does.
  lookup.answer();
  test::run_until(io, [&] { return target.messages.size() == 1; });
  CHECK(connected.is({}));
  CHECK(behind.is({}));
}

TEST_CASE(
    "S1.59: what waits behind a connect without a callback is told that the socket cannot resume",
    "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  test::run_ready(io);
  socket.connect(9, here);
  outcome behind;
  socket.send("behind the connect", behind.token());
  socket.send("nobody is told");
  dgram::pause_sockets(io);
  test::run_ready(io);
  const asio::ip::udp::socket thief(io, {asio::ip::address_v4::loopback(), port.number()});
  dgram::resume_sockets(io);
  test::run_ready(io);
  CHECK(behind.is(asio::error::address_in_use));
  CHECK(events ==
        trace{"listening", "error bind EADDRINUSE 127.0.0.1:" + std::to_string(port.number())});
}

TEST_CASE("S1.59: a connected socket that cannot resume has no peer any more", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  socket.connect_sync(target.port, here);
  test::run_ready(io);
  dgram::pause_sockets(io);
  {
    const asio::ip::udp::socket thief(io, {asio::ip::address_v4::loopback(), port.number()});
    dgram::resume_sockets(io);
    test::run_ready(io);
  }
  CHECK(events == trace{"listening", "connect",
                        "error bind EADDRINUSE 127.0.0.1:" + std::to_string(port.number())});
  CHECK_FALSE(socket.state().connected);
  CHECK(thrown([&] { socket.disconnect(); }) == asio::error::not_connected);
  socket.connect_sync(target.port, here);
  socket.send("again");
  test::run_until(io, [&] { return target.messages.size() == 1; });
}

TEST_CASE("S1.59: options and groups are checked during the pause, and hold after it", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  const test::reserved_port port;
  socket.bind_sync(port.number());
  socket.set_recv_buffer_size(5000);
  socket.add_membership("239.255.77.5", here);
  dgram::pause_sockets(io);
  CHECK(thrown([&] { socket.set_ttl(999); }) == asio::error::invalid_argument);
  CHECK(thrown([&] { socket.add_membership("1.2.3.4"); }) == asio::error::invalid_argument);
  CHECK(thrown([&] { socket.add_membership("239.255.77.5", here); }) ==
        asio::error::address_in_use);
  CHECK(thrown([&] { socket.drop_membership("239.255.77.6", here); }));
  CHECK(socket.get_recv_buffer_size() == 10000);
  CHECK(socket.get_send_buffer_size() > 0);
  socket.set_ttl(7);
  socket.drop_membership("239.255.77.5", here);
  socket.add_membership("239.255.77.6", here);

  dgram::resume_sockets(io);
  test::run_ready(io);
  CHECK(events == trace{"listening"});
  asio::ip::unicast::hops hops;
  socket.next_layer().get_option(hops);
  CHECK(hops.value() == 7);
  CHECK(socket.get_recv_buffer_size() == 10000);
  socket.add_membership("239.255.77.5", here);
  CHECK(thrown([&] { socket.add_membership("239.255.77.6", here); }) ==
        asio::error::address_in_use);
}

TEST_CASE("S1.59: a close that is on its way is not held up by a pause", "[emitter]")
{
  asio::io_context io;
  const dgram::udp::socket target(io, {asio::ip::address_v4::loopback(), 0});
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind(0, here);
  socket.send("last", target.local_endpoint().port());
  outcome closed;
  socket.close(closed.token());
  dgram::pause_sockets(io);
  test::run_until(io, [&] { return closed.ec.has_value(); });
  CHECK(closed.is({}));
  CHECK(socket.state().closed);
  CHECK(target.available() > 0);
}

TEST_CASE("S1.59: what is sent to a peer whose connect fails during a pause fails with it",
          "[emitter]")
{
  asio::io_context io;
  test::slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  const test::reserved_port port;
  socket.bind_sync(port.number(), here);
  asio::cancellation_signal signal;
  outcome connected;
  outcome sent;
  socket.connect(9, "somewhere", asio::bind_cancellation_slot(signal.slot(), connected.token()));
  dgram::pause_sockets(io);
  socket.send("x", sent.token());
  signal.emit(asio::cancellation_type::total);
  test::run_until(io, [&] { return connected.ec && sent.ec; });
  CHECK(connected.is(asio::error::operation_aborted));
  CHECK(sent.is(asio::error::operation_aborted));
}

}  // namespace pause_test
