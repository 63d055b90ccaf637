// SPDX-License-Identifier: BSL-1.0
// The emitter: sending.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>

namespace send_test {

using test::thrown;
using test::trace;

namespace {

struct outcome {
  int calls = 0;
  dgram::failure what;
  std::size_t size = 0;

  auto callback()
  {
    return [this](const dgram::failure& f, std::size_t n) {
      ++calls;
      what = f;
      size = n;
    };
  }
};

}  // namespace

TEST_CASE("SND-01: the callback gets the size, later", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  outcome sent;
  socket.send("hello", target.port, "127.0.0.1", sent.callback());
  CHECK(sent.calls == 0);
  test::run_until(io, [&] { return sent.calls == 1 && target.messages.size() == 1; });
  CHECK_FALSE(sent.what);
  CHECK(sent.size == 5);
  CHECK(target.messages == trace{"hello"});
  CHECK(target.senders.front().size == 5);
}

TEST_CASE("SND-02, SND-09: offset and length", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  outcome sent;
  const std::string text = "hello";
  socket.send(text, 1, 3, target.port, sent.callback());
  socket.sendto(text, 4, 1, target.port, "127.0.0.1");
  test::run_until(io, [&] { return target.messages.size() == 2; });
  CHECK(sent.size == 3);
  socket.connect_sync(target.port);
  socket.send(text, 0, 2);
  socket.send(text, 5, 0, sent.callback());
  test::run_until(io, [&] { return target.messages.size() == 4; });
  CHECK(target.messages == trace{"ell", "o", "he", ""});

  const std::string_view view = std::string_view("hello there").substr(0, 5);
  CHECK(test::thrown_text([&] { socket.send(view, 6, 0); }).find("offset") != std::string::npos);
  CHECK(test::thrown_text([&] { socket.send(view, 0, 6); }).find("length") != std::string::npos);
  CHECK(test::thrown_text([&] { socket.send(view, 3, 4); }).find("length") != std::string::npos);
  CHECK(thrown([&] { socket.send(view, -1, 2); }) == dgram::error::out_of_range);
  CHECK(thrown([&] { socket.send({view, view}, 0, 2); }) == dgram::error::out_of_range);
}

TEST_CASE("SND-04: whatever holds bytes", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(target.port);
  const std::array<std::uint16_t, 2> wide{0x4141, 0x4242};
  const std::vector<std::byte> bytes{std::byte{'b'}};
  socket.send("literal");
  socket.send(std::string("string"));
  socket.send(std::string_view("view"));
  socket.send(u8"latin1-\u00a9");
  socket.send(wide);
  socket.send(bytes);
  socket.send(std::span(bytes));
  socket.send(asio::buffer("xyz", 2));
  socket.send("");
  socket.send({});
  test::run_until(io, [&] { return target.messages.size() == 10; });
  CHECK(target.messages ==
        trace{"literal", "string", "view", "latin1-\xc2\xa9", "AABB", "b", "b", "xy", "", ""});
}

TEST_CASE("SND-05, SND-28: a list is one datagram, and an empty list an empty one", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  outcome sent;
  socket.send({"foo", "bar", "baz"}, target.port, sent.callback());
  const std::vector<std::string> strings{"one", "two"};
  socket.send(strings, target.port);
  test::run_until(io, [&] { return target.messages.size() == 2; });
  CHECK(sent.size == 9);
  socket.connect_sync(target.port);
  const std::array<asio::const_buffer, 2> buffers{asio::buffer("ab", 2), asio::buffer("cd", 2)};
  socket.send(buffers);
  socket.send(std::vector<std::string>());
  test::run_until(io, [&] { return target.messages.size() == 4; });
  CHECK(target.messages == trace{"foobarbaz", "onetwo", "abcd", ""});
  CHECK(thrown([&] { socket.send(std::vector<std::string>(65, "x")); }) ==
        dgram::error::out_of_range);
}

TEST_CASE("SND-10, SND-12, SND-13: ports, and closed sockets", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  for (const int port : {-1, 0, 65536})
    CHECK(thrown([&] { socket.send("x", port); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.send("x"); }) == dgram::error::bad_port);
  test::run_ready(io);
  CHECK_FALSE(socket.state().bound);
  outcome never;
  socket.close();
  CHECK(thrown([&] { socket.send("x", 0); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.send("x", 9, never.callback()); }) == dgram::error::not_running);
  CHECK(thrown([&] { socket.send("x", 9); }) == dgram::error::not_running);
  test::run_ready(io);
  CHECK(never.calls == 0);
}

TEST_CASE("SND-14: no callback runs inside a send", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  int depth = 0;
  int sent = 0;
  bool posted = false;
  asio::post(io, [&] { posted = true; });
  std::function<void()> next = [&] {
    socket.send("x", target.port, [&](dgram::error_code ec) {
      CHECK_FALSE(ec);
      CHECK(++depth == 1);
      if (++sent < 10) next();
      --depth;
    });
  };
  next();
  CHECK(sent == 0);
  test::run_until(io, [&] { return sent == 10 && target.messages.size() == 10; });
  CHECK(posted);
}

TEST_CASE("SND-15, SND-16: sends wait for the bind, and leave in order", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  for (const auto* text : {"1", "2", "3", "4"})
    socket.send(text, target.port, [&events, text] { events.emplace_back(text); });
  socket.on<test::event::listening>([&] { events.emplace_back("late"); });
  CHECK(socket.get_send_queue_count() == 0);  // QUE-02
  CHECK(socket.get_send_queue_size() == 0);
  test::run_until(io, [&] { return target.messages.size() == 4 && events.size() == 6; });
  CHECK(events == trace{"listening", "late", "1", "2", "3", "4"});
  CHECK(target.messages == trace{"1", "2", "3", "4"});
}

TEST_CASE("SND-18, SND-19, SND-22: what the kernel refuses goes to the callback alone", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  outcome large;
  socket.send(std::vector<char>(256 * 1024), 12345, "127.0.0.1", large.callback());
  test::run_until(io, [&] { return large.calls == 1; });
  CHECK(large.what.text() == "send EMSGSIZE 127.0.0.1:12345 (262144 bytes; at most 65507)");
  CHECK(large.size == 0);
  socket.connect_sync(12345);
  outcome connected;
  socket.send(std::vector<char>(70000), connected.callback());
  outcome small;
  socket.send(std::vector<char>(65508), small.callback());
  test::run_until(io, [&] { return connected.calls + small.calls == 2; });
  CHECK(connected.what.text() == "send EMSGSIZE (70000 bytes; at most 65507)");
  CHECK(small.what.text() == "send EMSGSIZE (65508 bytes; at most 65507)");
  CHECK(events == trace{"listening", "connect"});

  DGRAM_SKIP_WITHOUT_IPV6();
  auto six = dgram::create_socket(io, dgram::udp6);
  outcome of_six;
  six.send(std::vector<char>(65528), 12345, "::1", of_six.callback());
  test::run_until(io, [&] { return of_six.calls == 1; });
  CHECK(of_six.what.text() == "send EMSGSIZE ::1:12345 (65528 bytes; at most 65527)");
}

TEST_CASE("SND-21: without a callback it is one 'error' event", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  trace events;
  test::record(socket, events);
  test::run_ready(io);
  events.clear();
  socket.send(std::vector<char>(70000), 12345);
  socket.send(std::vector<char>(70000), 12345, [&] { events.push_back("never"); });
  CHECK(events.empty());
  test::run_ready(io);
  const std::string refused = "error send EMSGSIZE 127.0.0.1:12345 (70000 bytes; at most 65507)";
  CHECK(events == trace{refused, refused});
  CHECK(socket.state().bound);
}

TEST_CASE("SND-23: a lookup that fails", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4,
           .lookup = [](const std::string& name, dgram::socket_type, dgram::lookup_result report) {
             if (name == "0.0.0.0")
               report({}, asio::ip::address_v4::any());
             else
               report(asio::error::host_not_found, {});
           }});
  trace events;
  test::record(socket, events);
  outcome told;
  socket.send("x", 9, "nowhere.test", told.callback());
  test::run_ready(io);
  CHECK(told.what.code == asio::error::host_not_found);
  CHECK(events == trace{"listening"});
  socket.send("x", 9, "nowhere.test");
  test::run_ready(io);
  CHECK(events.back() == "error getaddrinfo ENOTFOUND nowhere.test");
}

TEST_CASE("SND-23: a lookup that throws fails its own sends, and no others", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(
      io,
      {.type = dgram::udp4, .lookup = [](const std::string& name, dgram::socket_type, const auto&) {
         if (name == "code.test") throw dgram::system_error(asio::error::host_not_found);
         throw std::runtime_error("no " + name);
       }});
  trace told;
  const auto note = [&](const char* which) {
    return [&told, which](const dgram::failure& what) {
      told.push_back(which + std::string(" ") + what.text());
    };
  };
  // All of them wait for the bind, and go on together.
  socket.send("1", 9, "peer.test", note("1"));
  socket.send("2", target.port, "127.0.0.1", note("2"));
  socket.send("3", 9, "peer.test", note("3"));
  socket.send("4", 9, "code.test", [&](const dgram::failure& what) {
    told.push_back(what.code == asio::error::host_not_found ? "4" : what.text());
  });
  socket.send("5", target.port, "127.0.0.1", note("5"));
  test::run_until(io, [&] { return target.messages.size() == 2 && told.size() == 5; });
  test::run_ready(io);
  std::sort(told.begin(), told.end());
  REQUIRE(told.size() == 5);
  CHECK(told[0].starts_with("1 getaddrinfo"));
  CHECK(told[0].find("peer.test (no peer.test)") != std::string::npos);
  CHECK(told[2].find("peer.test (no peer.test)") != std::string::npos);
  CHECK(told[3] == "4");
  // The name can be asked for again, and no send is left waiting for it.
  socket.send("6", 9, "peer.test", note("6"));
  test::run_until(io, [&] { return told.size() == 6; });
}

TEST_CASE("SND-23: short forms of an IPv4 address are looked up, a text with a colon is not",
          "[emitter]")
{
  asio::io_context io;
  test::listener server(io);
  // The system's resolver reads it as Node's does.
  auto client = dgram::create_socket(io, dgram::udp4);
  client.send("ping", server.port, "127.1");
  test::run_until(io, [&] { return server.messages.size() == 1; });
  CHECK(server.senders.back().address == asio::ip::address_v4::loopback());

  std::vector<std::string> asked;
  auto own = dgram::create_socket(io, {.type = dgram::udp4,
                                       .lookup = [&](const std::string& name, dgram::socket_type,
                                                     const dgram::lookup_result& report) {
                                         asked.push_back(name);
                                         report({}, asio::ip::address_v4::loopback());
                                       }});
  std::vector<std::string> failed;
  const auto note = [&](const dgram::failure& why) { failed.push_back(why.text()); };
  for (const char* host : {"127.1", "0x7f.1", "256.1.1.1"})
    own.send("ping", server.port, host);
  for (const char* host : {"1:2", "::1::"})
    own.send("ping", server.port, host, note);
  test::run_until(io, [&] { return server.messages.size() == 4 && failed.size() == 2; });
  CHECK(asked == std::vector<std::string>{"127.1", "0x7f.1", "256.1.1.1"});
  CHECK(failed.front().starts_with("getaddrinfo ENOTFOUND 1:2"));
  CHECK(test::thrown([&] { own.send("ping", server.port, "41234"); }) ==
        asio::error::invalid_argument);
  own.close();
  client.close();
  server.socket.close();
  test::run(io);
}

namespace {

/// One as `async_connect` takes.
struct resolver {
  asio::io_context& io;
  std::vector<std::string> asked = {};

  template <class Handler>
  void async_resolve(const std::string& host, const std::string&, Handler handler)
  {
    asked.push_back(host);
    asio::post(io, [handler = std::move(handler), failed = host == "nowhere"]() mutable {
      const std::vector<asio::ip::udp::endpoint> found{{asio::ip::address_v6::loopback(), 0},
                                                       {asio::ip::address_v4::loopback(), 0}};
      handler(failed ? asio::error::host_not_found_try_again : dgram::error_code(), found);
    });
  }
};

}  // namespace

TEST_CASE("N5: a resolver that async_connect takes looks names up for an emitter too", "[emitter]")
{
  asio::io_context io;
  resolver mine{io};
  static_assert(dgram::name_resolver<resolver>);
  test::listener server(io);
  auto client = dgram::create_socket(io, {.type = dgram::udp4, .lookup = std::ref(mine)});
  client.send("ping", server.port, "server");
  dgram::failure failed;
  client.send("ping", server.port, "nowhere", [&](const dgram::failure& why) { failed = why; });
  test::run_until(io, [&] { return server.messages.size() == 1 && failed; });
  CHECK(failed.code == asio::error::host_not_found_try_again);
  CHECK(failed.address == "nowhere");
  CHECK(mine.asked == std::vector<std::string>{"server", "nowhere"});
  asio::ip::udp::resolver asios(io);
  auto other = dgram::create_socket(io, {.type = dgram::udp4, .lookup = std::ref(asios)});
  other.send("ping", server.port, "localhost");
  test::run_until(io, [&] { return server.messages.size() == 2; });
}

TEST_CASE("N5: a lookup on another thread keeps the context running", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  target.socket.unref();
  std::jthread thread;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4,
           .lookup = [&](const std::string&, dgram::socket_type, dgram::lookup_result report) {
             thread = std::jthread(
                 [report = std::move(report)] { report({}, asio::ip::address_v4::loopback()); });
           }});
  socket.bind_sync(0, "127.0.0.1");
  socket.unref();
  int sent = 0;
  socket.send("x", target.port, "peer.test", [&] { ++sent; });
  test::run(io);
  CHECK(sent == 1);
}

TEST_CASE("N5: a repeated name is looked up once within its lifetime", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  int asked = 0;
  const auto lookup = [&](const std::string&, dgram::socket_type, dgram::lookup_result report) {
    ++asked;
    report({}, asio::ip::address_v4::loopback());
    report(asio::error::host_not_found, {});  // the second report has no effect
  };
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4, .lookup = lookup, .lookup_lifetime = std::chrono::hours(1)});
  socket.bind_sync();
  socket.send("1", target.port, "peer.test");
  socket.send("2", target.port, "peer.test");  // waits for the same lookup
  test::run_until(io, [&] { return target.messages.size() == 2; });
  socket.send("3", target.port, "peer.test");
  socket.send("4", target.port, "127.0.0.1");
  test::run_until(io, [&] { return target.messages.size() == 4; });
  CHECK(asked == 1);
  auto forgetful = dgram::create_socket(
      io, {.type = dgram::udp4, .lookup = lookup, .lookup_lifetime = std::chrono::milliseconds(0)});
  forgetful.bind_sync();
  for (std::size_t count = 5; count < 7; ++count) {
    forgetful.send("x", target.port, "peer.test");
    test::run_until(io, [&] { return target.messages.size() == count; });
  }
  CHECK(asked == 3);
}

TEST_CASE("the first of the known names is forgotten if there are too many", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  trace asked;
  const auto lookup = [&](const std::string& name, dgram::socket_type, const auto& report) {
    asked.push_back(name);
    report({}, asio::ip::address_v4::loopback());
  };
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4, .lookup = lookup, .lookup_lifetime = std::chrono::hours(1)});
  socket.bind_sync();
  constexpr std::size_t most_known = 16;
  std::size_t sent = 0;
  const auto send_to = [&](std::size_t number) {
    socket.send("x", target.port, "peer" + std::to_string(number));
    ++sent;
    test::run_until(io, [&] { return target.messages.size() == sent; });
  };
  for (std::size_t number = 0; number <= most_known; ++number)
    send_to(number);
  REQUIRE(asked.size() == most_known + 1);
  send_to(1);
  send_to(most_known);
  CHECK(asked.size() == most_known + 1);
  send_to(0);
  CHECK(asked.size() == most_known + 2);
  CHECK(asked.back() == "peer0");
}

TEST_CASE("a lookup that throws a success fails nevertheless", "[emitter]")
{
  asio::io_context io;
  const auto lookup = [](const std::string&, dgram::socket_type, const auto&) {
    throw dgram::system_error(dgram::error_code(), "nothing is wrong");
  };
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .lookup = lookup});
  socket.bind_sync();
  dgram::failure told;
  socket.send("x", 9, "peer.test", [&](const dgram::failure& what) { told = what; });
  test::run_ready(io);
  CHECK(told.code == asio::error::no_recovery);
  CHECK(told.subject().starts_with("getaddrinfo"));
  CHECK(told.detail.find("nothing is wrong") != std::string::npos);
}

TEST_CASE("a name is looked up in the family of the socket", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp6);
  socket.bind_sync();
  // getaddrinfo(3) reads this as 127.0.0.1, which is no address of IPv6, and asks no server.
  dgram::failure told;
  socket.send("x", 9, "127.1", [&](const dgram::failure& what) { told = what; });
  test::run_until(io, [&] { return static_cast<bool>(told); });
  CHECK(told.subject().starts_with("getaddrinfo"));
  CHECK(told.address == "127.1");
}

TEST_CASE("N5: a send to a name that is known leaves in order with those to its address",
          "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  const auto lookup = [](const std::string&, dgram::socket_type, const auto& report) {
    report({}, asio::ip::address_v4::loopback());
  };
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4, .lookup = lookup, .lookup_lifetime = std::chrono::hours(1)});
  socket.bind_sync();
  socket.send("0", target.port, "peer.test");
  test::run_until(io, [&] { return target.messages.size() == 1; });
  trace called;
  socket.send("1", target.port, "peer.test", [&] { called.emplace_back("1"); });
  socket.send("2", target.port, "127.0.0.1", [&] { called.emplace_back("2"); });
  socket.send("3", target.port, "peer.test", [&] { called.emplace_back("3"); });
  CHECK(called.empty());
  test::run_until(io, [&] { return target.messages.size() == 4 && called.size() == 3; });
  CHECK(target.messages == trace{"0", "1", "2", "3"});
  CHECK(called == trace{"1", "2", "3"});
}

TEST_CASE("SND-25: broadcasts have to be allowed", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  outcome before;
  socket.send("x", 9, "255.255.255.255", before.callback());
  test::run_ready(io);
  CHECK(before.what.text() == "send EACCES 255.255.255.255:9");
  socket.set_broadcast(true);
  outcome after;
  socket.send("x", 9, "127.255.255.255", after.callback());
  test::run_ready(io);
  CHECK(after.calls == 1);
  CHECK_FALSE(after.what);
}

TEST_CASE("SND-26, SND-34: the other family, and nobody's address", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  outcome refused;
  socket.send("x", 9, "::1", refused.callback());
  socket.send("here", target.port, "0.0.0.0");
  test::run_until(io, [&] { return refused.calls == 1 && target.messages.size() == 1; });
  CHECK(refused.what.text() == "send EINVAL ::1:9 (an IPv6 address on a udp4 socket)");
}

TEST_CASE("N8: a peer on the block list is not sent to", "[emitter]")
{
  asio::io_context io;
  auto list = std::make_shared<dgram::block_list>();
  list->add_subnet("127.0.0.0", 8);
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .send_block_list = list});
  trace events;
  test::record(socket, events);
  outcome blocked;
  socket.send("x", 9, blocked.callback());
  socket.send("x", 9);
  test::run_ready(io);
  CHECK(blocked.what.code == dgram::error::ip_blocked);
  CHECK(events.size() == 2);
  CHECK(events.back().starts_with("error send "));
}

TEST_CASE("SND-31: many sends, each after the one before", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  int sent = 0;
  std::function<void()> next = [&] {
    socket.send("x", 9, "127.0.0.1", [&](dgram::error_code) {
      if (++sent < 1100) next();
    });
  };
  next();
  test::run_until(io, [&] { return sent == 1100; });
  CHECK(socket.get_send_queue_size() == 0);
}

TEST_CASE("QUE-01, QUE-04, QUE-08: the kernel takes what it can, and the rest waits for it",
          "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .send_buffer_size = 2048});
  socket.connect_sync(target.port);
  socket.send("12345");
  socket.send("12345");
  test::run_until(io, [&] { return target.messages.size() == 2; });
  CHECK(socket.get_send_queue_count() == 0);
  int completed = 0;
  for (int i = 0; i < 512; ++i)
    socket.send(std::string(64, 'x'), [&](dgram::error_code ec, std::size_t n) {
      CHECK_FALSE(ec);
      CHECK(n == 64);
      ++completed;
    });
  test::run_until(io, [&] { return completed == 512; });
  CHECK(socket.get_send_queue_size() == 0);
  CHECK(socket.get_send_queue_count() == 0);
}

TEST_CASE("ERR-01, ERR-02: an unconnected socket hears of no dead port", "[emitter]")
{
  asio::io_context io;
  test::listener server(io);
  const auto dead = test::dead_port();
  int handled = 0;
  server.socket.on<test::event::message>([&] {
    server.socket.send("gone", dead);
    ++handled;
  });
  auto client = dgram::create_socket(io, dgram::udp4);
  for (int i = 1; i <= 5; ++i) {
    client.send("x", server.port);
    test::run_until(io, [&] { return handled == i; });
  }
  test::run_ready(io);
  CHECK(server.socket.state().path_errors == 0);
}

TEST_CASE("C12, N33: port and address are not for connected sockets", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.connect_sync(target.port);
  CHECK(thrown([&] { socket.send("x", target.port); }) == asio::error::already_connected);
  CHECK(thrown([&] { socket.send("x", "127.0.0.1"); }) == asio::error::already_connected);
  CHECK(thrown([&] { socket.send("xyz", 0, 1, target.port, "127.0.0.1"); }) ==
        asio::error::already_connected);
  socket.send("xyz", 0, 1);
  test::run_until(io, [&] { return target.messages.size() == 1; });
}

TEST_CASE("C21, SND-27: udp6 sends from all addresses, of both families", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp6);
  socket.send("x", target.port, "::ffff:127.0.0.1");
  test::run_until(io, [&] { return target.messages.size() == 1; });
  CHECK(socket.address().address == asio::ip::address_v6::any());
  CHECK(target.senders.front().address == asio::ip::address_v4::loopback());
  outcome refused;
  socket.send("x", 9, "127.0.0.1", refused.callback());
  test::run_until(io, [&] { return refused.calls == 1; });
  CHECK(refused.what.text() == "send EINVAL 127.0.0.1:9 (an IPv4 address on a udp6 socket)");
}

TEST_CASE(
    "QUE-02: what waits for something else than the kernel is bounded, and not in the numbers",
    "[emitter]")
{
  enum class reason { bind, connect, name, pause };
  for (const reason why : {reason::bind, reason::connect, reason::name, reason::pause}) {
    const test::reserved_port port;
    asio::io_context io;
    test::listener target(io);
    test::slow_lookup lookup;
    auto options = lookup.options();
    options.queue_datagrams = 10;
    options.when_full = dgram::full_policy::drop_newest;
    auto socket = dgram::create_socket(io, options);
    int drained = 0;
    std::size_t dropped = 0;
    socket.on<test::event::drain>([&] { ++drained; });
    socket.on<test::event::drop>([&](const dgram::drop_info& what) {
      CHECK(what.reason == dgram::drop_reason::queue_full);
      dropped += what.count;
    });
    if (why == reason::bind)
      socket.bind(0, "somewhere");
    else
      socket.bind_sync(port.number());
    if (why == reason::connect) socket.connect(target.port, "somewhere");
    if (why == reason::pause) dgram::pause_sockets(io);
    const auto send = [&] {
      if (why == reason::connect) return socket.send("x");
      return socket.send("x", target.port, why == reason::name ? "somewhere" : "127.0.0.1");
    };
    for (int i = 0; i < 10; ++i)
      CHECK(send());
    for (int i = 0; i < 5; ++i)
      CHECK_FALSE(send());
    CHECK(socket.get_send_queue_count() == 0);
    CHECK(socket.get_send_queue_size() == 0);
    test::run_ready(io);
    CHECK(dropped == 5);
    CHECK(drained == 0);
    lookup.answer();
    if (why == reason::pause) dgram::resume_sockets(io);
    test::run_until(io, [&] { return target.messages.size() == 10 && drained == 1; });
    CHECK(send());
    test::run_until(io, [&] { return target.messages.size() == 11; });
  }
}

TEST_CASE("QUE-02: a queue that waits takes what is beyond its bounds, and says so", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  test::slow_lookup lookup;
  auto options = lookup.options();
  options.queue_bytes = 10;
  auto socket = dgram::create_socket(io, options);
  int drained = 0;
  int failed = 0;
  socket.on<test::event::drain>([&] { ++drained; });
  socket.on<test::event::error>([&] { ++failed; });
  socket.bind_sync();
  CHECK(socket.send("more than ten bytes", target.port, "somewhere"));  // as there is room for one
  CHECK_FALSE(socket.send("x", target.port, "somewhere"));
  lookup.answer();
  test::run_until(io, [&] { return target.messages.size() == 2 && drained == 1; });
  CHECK(socket.send("12345", 9, "elsewhere"));
  CHECK(socket.send("12345", 9, "elsewhere"));
  CHECK_FALSE(socket.send("x", 9, "nowhere"));
  lookup.asked.at(1)(asio::error::host_not_found, {});
  lookup.asked.at(2)(asio::error::host_not_found, {});
  test::run_until(io, [&] { return drained == 2; });
  CHECK(failed == 3);
}

TEST_CASE("QUE-02: a callback is told that what waits is too much", "[emitter]")
{
  asio::io_context io;
  test::slow_lookup lookup;
  auto options = lookup.options();
  options.queue_datagrams = 1;
  options.when_full = dgram::full_policy::drop_newest;
  auto socket = dgram::create_socket(io, options);
  outcome first;
  outcome second;
  asio::cancellation_signal signal;
  socket.send("x", 9, "somewhere", asio::bind_cancellation_slot(signal.slot(), first.callback()));
  socket.send("x", 9, "somewhere", second.callback());
  test::run_ready(io);
  CHECK(first.calls == 0);
  CHECK(second.what.code == asio::error::no_buffer_space);
  signal.emit(asio::cancellation_type::total);
  test::run_ready(io);
  CHECK(first.what.code == asio::error::operation_aborted);
  CHECK(socket.send("x", 9, "somewhere"));  // in the place of the first
}

}  // namespace send_test
