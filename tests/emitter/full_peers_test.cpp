// SPDX-License-Identifier: BSL-1.0
// An emitter with a Unix peer that does not read: the other peers get everything, in order, and
// each callback is that of its own datagram.
#include "emitter/helpers.hpp"
#include "support/temporary_directory.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace full_peers_test {

using test::trace;

namespace {

namespace event = dgram::event;
using dgram::unix_dgram;

struct peer {
  peer(asio::io_context& io, std::string where) : path(std::move(where)), socket(io, path) {}

  const trace& read()
  {
    std::array<char, 4096> storage;
    while (const auto size = socket.try_receive(asio::buffer(storage)))
      if (std::string text(storage.data(), *size); text != "full") got.push_back(std::move(text));
    return got;
  }

  std::string path;
  unix_dgram::socket socket;
  trace got;
};

struct one_full : test::temporary_directory {
  one_full()
  {
    while (filler.try_send_to(asio::buffer("full", 4), full.path)) {}
  }

  asio::io_context io;
  peer full{io, *this / "full"};
  peer good{io, *this / "good"};
  unix_dgram::socket filler{io, unix_dgram{}};
};

trace texts_of(const std::string& name, int count)
{
  trace all;
  for (int i = 0; i < count; ++i)
    all.push_back(name + std::to_string(i));
  return all;
}

}  // namespace

TEST_CASE_METHOD(one_full,
                 "UNX-20 a full peer holds up no other peer's datagrams, and callbacks match",
                 "[emitter][unix][F7]")
{
  auto socket = dgram::create_unix_socket(io);
  std::map<std::string, std::size_t> told;
  int errors = 0;
  socket.on<event::error>([&](const dgram::failure&) { ++errors; });
  const auto send = [&](const std::string& text, const std::string& to) {
    socket.send(text, to, [&told, text](dgram::error_code ec, std::size_t size) {
      CHECK_FALSE(ec);
      told[text] = size;
    });
  };
  // More than one turn, with more datagrams than one batch of the emitter has.
  for (int i = 0; i < 600; ++i) {
    send("full" + std::to_string(i), full.path);
    if (i < 100) send("good" + std::to_string(i), good.path);
    if (i % 5 == 4 && i < 100) {
      test::run_ready(io);
      REQUIRE(good.read() == texts_of("good", i + 1));
      REQUIRE(told.size() == static_cast<std::size_t>(i) + 1);
    }
  }
  test::run_ready(io);
  CHECK(told.size() == 100);
  CHECK(socket.get_send_queue_count() == 600);
  CHECK(socket.get_send_queue_size() == 10 * 5 + 90 * 6 + 500 * 7);
  test::run_until(io, [&] { return full.read().size() == 600 && told.size() == 700; });
  CHECK(full.got == texts_of("full", 600));
  for (const auto& [text, size] : told)
    CHECK(size == text.size());
  CHECK(socket.get_send_queue_count() == 0);
  CHECK(socket.get_send_queue_size() == 0);
  CHECK(errors == 0);
}

TEST_CASE_METHOD(one_full, "large and gathered datagrams pass a full peer too",
                 "[emitter][unix][F7]")
{
  auto socket = dgram::create_unix_socket(io);
  socket.send("first", full.path);
  test::run_ready(io);
  REQUIRE(socket.get_send_queue_count() == 1);
  const std::string large(70'000, 'x');
  int done = 0;
  socket.send({"in ", "pieces"}, good.path, [&](dgram::error_code ec) { done += ec ? 0 : 1; });
  socket.send({"in ", "two"}, full.path, [&](dgram::error_code ec) { done += ec ? 0 : 1; });
  std::optional<dgram::error_code> too_large;
  socket.send(large, full.path, [&](dgram::error_code ec) { too_large = ec; });
  test::run_ready(io);
  CHECK(good.read() == trace{"in pieces"});
  CHECK(too_large == dgram::error_code(asio::error::no_buffer_space));
  socket.send(large, good.path, [&](dgram::error_code ec) { done += ec ? 0 : 1; });
  test::run_ready(io);
  CHECK(done == 2);
  test::run_until(io, [&] { return full.read().size() == 2 && done == 3; });
  CHECK(full.got == trace{"first", "in two"});
}

TEST_CASE_METHOD(one_full, "the limit of the queue concerns the full peer's datagrams alone",
                 "[emitter][unix][F7]")
{
  const auto policy = GENERATE(dgram::full_policy::wait, dgram::full_policy::drop_newest);
  const bool waits = policy == dgram::full_policy::wait;
  auto socket = dgram::create_unix_socket(io, {.queue_datagrams = 20, .when_full = policy});
  std::size_t dropped = 0;
  int drained = 0;
  socket.on<event::drop>([&](const dgram::drop_info& what) { dropped += what.count; });
  socket.on<event::drain>([&] { ++drained; });
  int refused = 0;
  for (int i = 0; i < 50; ++i) {
    refused += socket.send("full" + std::to_string(i), full.path) ? 0 : 1;
    CHECK(socket.send("good" + std::to_string(i), good.path));
    test::run_ready(io);
    good.read();
  }
  CHECK(good.read() == texts_of("good", 50));
  CHECK(refused == 40);
  CHECK(dropped == (waits ? 0U : 40U));
  CHECK(socket.get_send_queue_count() == (waits ? 50U : 10U));
  CHECK(drained == 0);
  const std::size_t expected = waits ? 50 : 10;
  test::run_until(io, [&] { return full.read().size() == expected && drained == 1; });
  CHECK(full.got == texts_of("full", waits ? 50 : 10));
  CHECK(socket.send("full", full.path));
}

TEST_CASE_METHOD(one_full, "what waits for a full peer can be taken back, and ends with the socket",
                 "[emitter][unix][F7]")
{
  auto socket = dgram::create_unix_socket(io);
  trace ended;
  const auto note = [&](const std::string& name) {
    return [&ended, name](dgram::error_code ec, std::size_t) {
      ended.push_back(name + (ec == asio::error::operation_aborted ? " aborted" : " sent"));
    };
  };
  asio::cancellation_signal stop;
  socket.send("a", full.path, note("a"));
  socket.send("b", full.path, asio::bind_cancellation_slot(stop.slot(), note("b")));
  socket.send("c", full.path, note("c"));
  test::run_ready(io);
  REQUIRE(socket.get_send_queue_count() == 3);
  stop.emit(asio::cancellation_type::total);
  test::run_ready(io);
  CHECK(ended == trace{"b aborted"});
  CHECK(socket.get_send_queue_count() == 2);
  SECTION("the others are sent")
  {
    test::run_until(io, [&] { return full.read().size() == 2 && ended.size() == 3; });
    CHECK(full.got == trace{"a", "c"});
    CHECK(ended == trace{"b aborted", "a sent", "c sent"});
  }
  SECTION("the others end with the socket")
  {
    socket.close();
    test::run(io);
    CHECK(ended == trace{"b aborted", "a aborted", "c aborted"});
    CHECK(full.read().empty());
  }
  SECTION("and so can what waits for another full peer")
  {
    peer other{io, *this / "other"};
    while (filler.try_send_to(asio::buffer("full", 4), other.path)) {}
    asio::cancellation_signal of_other, of_full;
    socket.send("d", other.path, asio::bind_cancellation_slot(of_other.slot(), note("d")));
    socket.send("e", other.path, note("e"));
    socket.send("f", full.path, asio::bind_cancellation_slot(of_full.slot(), note("f")));
    test::run_ready(io);
    of_other.emit(asio::cancellation_type::total);
    of_full.emit(asio::cancellation_type::total);
    test::run_ready(io);
    CHECK(ended == trace{"b aborted", "d aborted", "f aborted"});
    test::run_until(io, [&] { return full.read().size() + other.read().size() == 3; });
    CHECK(full.got == trace{"a", "c"});
    CHECK(other.got == trace{"e"});
  }
}

TEST_CASE_METHOD(one_full, "what waits for a full peer leaves after a pause", "[emitter][unix][F7]")
{
  auto socket = dgram::create_unix_socket(io);
  socket.bind_sync(*this / "server");
  socket.send("a", full.path);
  test::run_ready(io);
  dgram::pause_sockets(io);
  full.read();
  for (int i = 0; i < 5; ++i) {
    io.restart();
    io.run_for(test::milliseconds(3));
  }
  CHECK(full.read().empty());
  CHECK(socket.get_send_queue_count() == 1);
  dgram::resume_sockets(io);
  socket.send("b", full.path);
  test::run_until(io, [&] { return full.read().size() == 2; });
  CHECK(full.got == trace{"a", "b"});
}

TEST_CASE_METHOD(one_full, "a full peer that goes away fails its own datagrams",
                 "[emitter][unix][F7]")
{
  auto socket = dgram::create_unix_socket(io);
  trace events;
  socket.on<event::error>([&](const dgram::failure& why) { events.push_back(why.text()); });
  std::optional<dgram::failure> failed;
  socket.send("a", full.path);
  socket.send("b", full.path, [&](const dgram::failure& why) { failed = why; });
  test::run_ready(io);
  full.socket.close();
  test::run_until(io, [&] { return failed && !events.empty(); });
  CHECK(failed->text() == "send ENOENT " + full.path);
  CHECK(events == trace{"send ENOENT " + full.path});
  socket.send("c", good.path);
  test::run_ready(io);
  CHECK(good.read() == trace{"c"});
}

TEST_CASE_METHOD(one_full, "an emitter echoes to one peer while another one does not read",
                 "[emitter][unix][F7]")
{
  auto server = dgram::create_unix_socket(
      io, {.queue_datagrams = 40, .when_full = dgram::full_policy::drop_newest});
  server.on<event::message>([&](dgram::bytes_view message, const dgram::unix_remote_info& from) {
    server.send(message, from);
  });
  server.bind_sync(*this / "server");
  const trace expected = texts_of("good", 300);
  for (std::size_t i = 0; i < 300; ++i) {
    REQUIRE(full.socket.try_send_to(asio::buffer("full?", 5), *this / "server"));
    REQUIRE(good.socket.try_send_to(asio::buffer(expected[i]), *this / "server"));
    test::run_ready(io);
    REQUIRE(good.read().size() == i + 1);
  }
  CHECK(good.got == expected);
  CHECK(server.get_send_queue_count() == 20);
}

}  // namespace full_peers_test
