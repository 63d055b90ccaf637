// SPDX-License-Identifier: BSL-1.0
// Emitter sockets that were moved from.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <utility>

namespace moved_test {

using test::thrown;
using test::trace;

namespace {

const dgram::error_code not_running = dgram::error::not_running;

}  // namespace

// NOLINTBEGIN(bugprone-use-after-move): it is what is tested
TEST_CASE("A socket that was moved from does nothing, and says so", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  const auto moved = std::move(socket);
  CHECK(thrown([&] { socket.send("x", 9); }) == not_running);
  CHECK(thrown([&] { socket.send("x", dgram::remote_info()); }) == not_running);
  CHECK(thrown([&] { socket.send("x", 9, [](dgram::error_code) {}); }) == not_running);
  CHECK(thrown([&] { socket.bind(0); }) == not_running);
  CHECK(thrown([&] { socket.bind_sync(); }) == not_running);
  CHECK(thrown([&] { socket.connect(9); }) == not_running);
  CHECK(thrown([&] { socket.connect_sync(9); }) == not_running);
  CHECK(thrown([&] { socket.disconnect(); }) == not_running);
  CHECK(thrown([&] { socket.close(); }) == not_running);
  CHECK(thrown([&] { socket.dispose([](dgram::error_code) {}); }) == not_running);
  CHECK(thrown([&] { socket.address(); }) == not_running);
  CHECK(thrown([&] { socket.recv_stop(); }) == not_running);
  CHECK(thrown([&] { socket.set_ttl(4); }) == not_running);
  CHECK(thrown([&] { socket.add_membership("239.1.2.3"); }) == not_running);
  CHECK(thrown([&] { socket.on<test::event::close>([] {}); }) == not_running);
  CHECK(thrown([&] { socket.once<test::event::close>([](dgram::error_code) {}); }) == not_running);
  CHECK(thrown([&] { socket.stream<test::event::message>(); }) == not_running);
  CHECK(thrown([&] { socket.ref(); }) == not_running);
  CHECK(thrown([&] { socket.unref(); }) == not_running);
  CHECK(thrown([&] { socket.next_layer(); }) == not_running);
  CHECK(thrown([&] { socket.get_executor(); }) == not_running);
  CHECK(socket.state().closed);
  CHECK_FALSE(socket.has_ref());
  CHECK(socket.id() == nullptr);
  CHECK(test::thrown_text([&] { socket.close(); }) ==
        "emitter_socket (it was moved from): " + not_running.message());
}

TEST_CASE("A socket that was moved from can be assigned to", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  auto moved = std::move(socket);
  CHECK(socket.state().closed);
  socket = std::move(moved);
  trace events;
  test::record(socket, events);
  socket.bind(0, "127.0.0.1");
  test::run_ready(io);
  CHECK(events == trace{"listening"});
}
// NOLINTEND(bugprone-use-after-move)

}  // namespace moved_test
