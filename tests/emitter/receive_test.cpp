// SPDX-License-Identifier: BSL-1.0
// The emitter: receiving, errors that come from the path, and listeners that throw.
#include "emitter/helpers.hpp"

#include <ifaddrs.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace receive_test {

using test::thrown;
using test::trace;

namespace {

/// `fe80::1%eth0`; empty where there is none.
std::string link_local_address()
{
  std::string found;
  ::ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return found;
  for (const ::ifaddrs* at = first; at != nullptr && found.empty(); at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET6) continue;
    asio::ip::udp::endpoint endpoint(asio::ip::udp::v6(), 0);
    std::memcpy(endpoint.data(), at->ifa_addr, endpoint.size());
    if (endpoint.address().to_v6().is_link_local()) found = dgram::to_string(endpoint.address());
  }
  ::freeifaddrs(first);
  return found;
}

}  // namespace

TEST_CASE("RCV-01, RCV-02, RCV-22: messages, empty ones too, and what is kept of them", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::vector<std::vector<std::byte>> kept;
  socket.on<test::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    kept.push_back(dgram::to_owned(message));
    CHECK(from.size == message.size());
    CHECK(from.family == "IPv4");
    CHECK(from.address == asio::ip::address_v4::loopback());
    CHECK(from.port > 0);
    CHECK_FALSE(from.truncated);
  });
  const auto port = socket.bind_sync(0, "127.0.0.1").port;
  auto sender = dgram::create_socket(io, dgram::udp4);
  for (const auto* text : {"one", "", "three"})
    sender.send(text, port);
  test::run_until(io, [&] { return kept.size() == 3; });
  CHECK(dgram::bytes_view(kept[0]).text() == "one");
  CHECK(kept[1].empty());
  CHECK(dgram::bytes_view(kept[2]).text() == "three");
}

TEST_CASE("RCV-04, RCV-05, GSO-13: what is queued comes in one turn, up to 32", "[emitter]")
{
  asio::io_context io;
  test::listener first(io);
  test::listener second(io);
  asio::ip::udp::socket sender(io, asio::ip::udp::v4());
  for (int i = 0; i < 100; ++i)
    for (const auto port : {first.port, second.port})
      sender.send_to(asio::buffer("x", 1), {asio::ip::address_v4::loopback(), port});
  std::size_t most = 0;
  while (first.messages.size() < 100 || second.messages.size() < 100) {
    const std::size_t before = first.messages.size();
    io.restart();
    REQUIRE(io.run_one_for(std::chrono::seconds(10)) == 1);
    most = std::max(most, first.messages.size() - before);
  }
  CHECK(most == 32);
}

TEST_CASE("RCV-05: a train of a GSO sender is handed over in turns if its listener is slow",
          "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  target.socket.on<dgram::event::message>([](dgram::bytes_view, const dgram::remote_info&) {
    std::this_thread::sleep_for(std::chrono::microseconds(10));
  });
  auto sender = dgram::create_socket(io, dgram::udp4);
  sender.bind_sync();
  for (int i = 0; i < 100; ++i)
    sender.send("same size", target.port);
  std::size_t most = 0;
  while (target.messages.size() < 100) {
    const std::size_t before = target.messages.size();
    io.restart();
    REQUIRE(io.run_one_for(std::chrono::seconds(10)) == 1);
    most = std::max(most, target.messages.size() - before);
  }
  CHECK(most <= 32);
  CHECK(target.messages == trace(100, "same size"));
}

TEST_CASE("RCV-07, RCV-08: receiving can be stopped and started", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  target.socket.on<test::event::message>([&] {
    if (target.messages.size() == 2) target.socket.recv_stop();
  });
  auto sender = dgram::create_socket(io, dgram::udp4);
  for (const auto* text : {"1", "2", "3"})
    sender.send(text, target.port, [&] {});
  test::run_until(io, [&] { return target.messages.size() == 2; });
  sender.close();
  test::run(io);  // ends, although the socket is open
  CHECK(target.messages == trace{"1", "2"});
  CHECK_FALSE(target.socket.state().receiving);
  target.socket.recv_start();
  CHECK(thrown([&] { target.socket.recv_start(); }) == asio::error::already_started);
  test::run_until(io, [&] { return target.messages.size() == 3; });
  CHECK(target.messages.back() == "3");
  target.socket.recv_stop().recv_stop();
  test::run(io);
}

TEST_CASE("S5.3: recv_start binds", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.recv_start();
  test::run_ready(io);
  CHECK(events == trace{"listening"});
  CHECK(socket.state().receiving);
}

TEST_CASE("A message says which address and interface it came to", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::vector<dgram::remote_info> seen;
  socket.on<test::event::message>(
      [&](dgram::bytes_view, const dgram::remote_info& from) { seen.push_back(from); });
  const auto port = socket.bind_sync().port;
  test::listener one(io);
  auto asked = dgram::create_socket(io, {.type = dgram::udp4, .packet_info = true});
  asked.on<test::event::message>(
      [&](dgram::bytes_view, const dgram::remote_info& from) { seen.push_back(from); });
  asked.bind_sync(0, "127.0.0.1");
  one.socket.send("1", port, "127.0.0.7");
  one.socket.send("2", one.port);
  test::run_until(io, [&] { return seen.size() == 1 && one.senders.size() == 1; });
  one.socket.send("3", asked.address().port);
  test::run_until(io, [&] { return seen.size() == 2; });
  CHECK(seen[0].local_address == asio::ip::make_address("127.0.0.7"));
  CHECK(seen[0].interface_index > 0);
  CHECK(one.senders[0].local_address == asio::ip::address_v4::loopback());
  CHECK(one.senders[0].interface_index == 0);
  CHECK(seen[1].interface_index > 0);
}

TEST_CASE("'drop' tells of what the kernel lost", "[emitter]")
{
  asio::io_context io;
  test::listener target(io, {.type = dgram::udp4, .recv_buffer_size = 1});
  std::size_t lost = 0;
  target.socket.on<test::event::drop>([&](const dgram::drop_info& what) {
    CHECK(what.reason == dgram::drop_reason::receive_queue_full);
    lost += what.count;
  });
  dgram::error_code ec;
  target.socket.next_layer().set_option(dgram::option::receive_drop_count(true), ec);
  if (ec) SKIP("this system does not count what it drops");
  asio::ip::udp::socket sender(io, asio::ip::udp::v4());
  const asio::ip::udp::endpoint there(asio::ip::address_v4::loopback(), target.port);
  const std::string text(1000, 'x');
  sender.send_to(asio::buffer(text), there);
  test::run_until(io, [&] { return !target.messages.empty(); });
  for (int i = 0; i < 100; ++i)
    sender.send_to(asio::buffer(text), there);
  for (int i = 0; i < 3; ++i) {
    test::run_ready(io);
    sender.send_to(asio::buffer(text), there);
  }
  test::run_until(io, [&] { return lost > 0; });
  CHECK(lost < 100);
}

TEST_CASE("RCV-12: senders on the block list are not heard, and are counted", "[emitter]")
{
  asio::io_context io;
  auto list = std::make_shared<dgram::block_list>();
  test::listener target(io, {.type = dgram::udp4, .receive_block_list = list});
  std::size_t dropped = 0;
  target.socket.on<test::event::drop>([&](const dgram::drop_info& what) {
    CHECK(what.reason == dgram::drop_reason::blocked);
    dropped += what.count;
  });
  auto blocked = dgram::create_socket(io, dgram::udp4);
  auto other = dgram::create_socket(io, dgram::udp4);
  blocked.bind_sync(0, "127.0.0.9");
  other.bind_sync(0, "127.0.0.1");
  blocked.send("0", target.port);
  test::run_until(io, [&] { return target.messages.size() == 1; });
  list->add_address("127.0.0.9");  // looked at when a message is delivered
  blocked.send("1", target.port);
  blocked.send("2", target.port);
  other.send("3", target.port);
  test::run_until(io, [&] { return target.messages.size() == 2 && dropped == 2; });
  CHECK(target.messages == trace{"0", "3"});
}

TEST_CASE("RCV-15: a link-local sender has its scope", "[emitter]")
{
  const std::string local = link_local_address();
  if (local.empty()) SKIP("no interface of this host has a link-local address");
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp6);
  std::string seen;
  socket.on<test::event::message>([&](dgram::bytes_view, const dgram::remote_info& from) {
    seen = dgram::to_string(from.address);
    CHECK(from.family == "IPv6");
    socket.send("reply", from.port, from.address);
  });
  const auto port = socket.bind_sync(0, local).port;
  socket.send("x", port, local);
  test::run_until(io, [&] { return !seen.empty(); });
  CHECK(seen == local);
}

TEST_CASE("N7: a mapped sender on a udp6 socket is the IPv4 address on the list", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  auto list = std::make_shared<dgram::block_list>();
  list->add_address("127.0.0.9");
  auto socket = dgram::create_socket(io, {.type = dgram::udp6, .receive_block_list = list});
  trace seen;
  socket.on<test::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    seen.push_back(std::string(message.text()) + " " + from.address.to_string());
  });
  const auto port = socket.bind_sync().port;
  auto blocked = dgram::create_socket(io, dgram::udp4);
  auto other = dgram::create_socket(io, dgram::udp4);
  blocked.bind_sync(0, "127.0.0.9");
  blocked.send("blocked", port);
  other.send("heard", port);
  test::run_until(io, [&] { return !seen.empty(); });
  CHECK(seen == trace{"heard ::ffff:127.0.0.1"});
}

TEST_CASE("D2: an error without a listener leaves run(), and the rest goes on", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind(taken.port, "127.0.0.1");
  io.restart();
  CHECK(test::thrown_text([&] {
          io.run_for(std::chrono::seconds(10));
        }).starts_with("bind EADDRINUSE 127.0.0.1:"));
  socket.bind(0, [&] { socket.close(); });
  test::run_until(io, [&] { return socket.state().closed; });
}

TEST_CASE("N46: a monitor sees errors and does not count as a listener for them", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  int seen = 0;
  socket.on<test::event::error_monitor>([&] { ++seen; });
  socket.bind(taken.port, "127.0.0.1");
  CHECK(thrown([&] { test::run_ready(io); }) == asio::error::address_in_use);
  CHECK(seen == 1);
}

TEST_CASE("ERR-05, CLS-08: a refusal by the peer's host", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(test::dead_port());
  socket.send("x");
  test::run_until(io, [&] { return socket.state().path_errors > 0; });
  CHECK(socket.state().connected);
  trace events;
  test::record(socket, events);
  socket.on<test::event::error>([&] {
    if (!socket.state().closed) socket.close();
  });
  socket.send("x");
  socket.send("y", [&](dgram::error_code) {});
  test::run(io);
  CHECK(std::count_if(events.begin(), events.end(), [](const std::string& each) {
          return each == "error recvmsg ECONNREFUSED";
        }) == 1);
  CHECK(events.back() == "close");
}

TEST_CASE("A descriptor that is closed below the socket is one error, and ends receiving",
          "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  int errors = 0;
  target.socket.on<test::event::error>([&](const dgram::failure& what) {
    ++errors;
    CHECK(what.code == asio::error::bad_descriptor);
  });
  test::run_ready(io);
  dgram::error_code ignored;
  target.socket.next_layer().next_layer().close(ignored);
  for (int round = 0; round < 50; ++round) {
    io.restart();
    io.poll();
  }
  CHECK(errors == 1);
  CHECK_FALSE(target.socket.state().receiving);
  target.socket.close();
  test::run(io);
}

TEST_CASE("ERR-12: queued sends to a dead port all complete", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(test::dead_port());
  int completed = 0;
  for (int i = 0; i < 6; ++i)
    socket.send("x", [&](dgram::error_code ec) {
      CHECK((!ec || ec == asio::error::connection_refused));
      ++completed;
    });
  test::run_until(io, [&] { return completed == 6; });
  CHECK(socket.get_send_queue_size() == 0);
  socket.close();
  test::run(io);
}

TEST_CASE("A listener that throws in the middle: the rest comes on the next turn", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  target.socket.on<test::event::message>([&] {
    if (target.messages.size() == 2) throw std::runtime_error("second");
  });
  auto sender = dgram::create_socket(io, dgram::udp4);
  for (const auto* text : {"1", "2", "3", "4"})
    sender.send(text, target.port);
  CHECK(test::thrown_text([&] { test::run(io); }) == "second");
  CHECK(target.messages.size() == 2);
  test::run_until(io, [&] { return target.messages.size() == 4; });
  CHECK(target.messages == trace{"1", "2", "3", "4"});
  sender.send("5", target.port);
  test::run_until(io, [&] { return target.messages.size() == 5; });
}

TEST_CASE("A listener that runs the context gets the rest, and its own message stays", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  std::string outer;
  target.socket.on<test::event::message>([&](dgram::bytes_view message) {
    if (message.text() != "outer") return;
    target.socket.send("from inside", target.port);
    test::run_until(io, [&] { return target.messages.size() == 4; });
    outer = message.text();
  });
  auto sender = dgram::create_socket(io, dgram::udp4);
  for (const auto* text : {"outer", "2", "3"})
    sender.send(text, target.port);
  test::run_until(io, [&] { return !outer.empty(); });
  CHECK(outer == "outer");
  CHECK(target.messages == trace{"outer", "2", "3", "from inside"});
}

TEST_CASE("A listener that runs the context hears what comes after the last message", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto sender = dgram::create_socket(io, dgram::udp4);
  int depth = 0;
  target.socket.on<test::event::message>([&] {
    // Each is alone in the socket: the next is sent when nothing else is left of the one before.
    const std::size_t had = target.messages.size();
    if (++depth > 3) return;
    sender.send("next", target.port);
    test::run_until(io, [&] { return target.messages.size() > had; });
  });
  sender.send("first", target.port);
  test::run_until(io, [&] { return depth == 4; });
  CHECK(target.messages == trace{"first", "next", "next", "next"});
  sender.send("last", target.port);
  test::run_until(io, [&] { return target.messages.size() == 5; });
}

TEST_CASE("A callback that throws: the others come on the next turn", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  socket.send("1", target.port, [] { throw std::runtime_error("first"); });
  socket.send("2", target.port, [&] { events.emplace_back("second"); });
  CHECK(test::thrown_text([&] { test::run(io); }) == "first");
  test::run_until(io, [&] { return events.size() == 1 && target.messages.size() == 2; });
}

TEST_CASE("A descriptor that stays readable does not keep the context busy", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(test::dead_port(), "127.0.0.1");
  test::run_ready(io);
  dgram::error_code ec;
  socket.next_layer().shutdown(asio::socket_base::shutdown_receive, ec);
  REQUIRE_FALSE(ec);
  const auto end = std::chrono::steady_clock::now() + test::milliseconds(200);
  std::size_t handlers = 0;
  io.restart();
  while (io.run_one_until(end) > 0)
    ++handlers;
  CHECK(handlers > 4);
  CHECK(handlers < 400);
  socket.close();
  test::run(io);
  CHECK(socket.state().closed);
}

}  // namespace receive_test
