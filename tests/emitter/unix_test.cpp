// SPDX-License-Identifier: BSL-1.0
// The emitter on Unix datagrams, and what it does when the kernel takes no more.
#include "emitter/helpers.hpp"
#include "support/temporary_directory.hpp"

#include <dgram/capabilities.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <vector>

namespace unix_test {

using test::thrown;
using test::trace;

namespace {

/// A bound Unix socket that does not read, so that its queue fills.
struct silent_server {
  silent_server(asio::io_context& io, const std::string& path)
      : socket(dgram::create_unix_socket(io))
  {
    socket.on<test::event::message>(
        [this](dgram::bytes_view m) { messages.emplace_back(m.text()); });
    socket.bind_sync(path);
    socket.recv_stop();
  }

  dgram::unix_emitter_socket socket;
  trace messages;
};

}  // namespace

TEST_CASE("S2.9, S2.10, S2.17, S2.20, S2.21, S2.22: echo by path", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string server_path = directory.path() + "/server";
  const std::string client_path = directory.path() + "/client";
  auto server = dgram::create_unix_socket(io);
  trace events;
  test::record(server, events);
  server.on<test::event::message>(
      [&](dgram::bytes_view message, const dgram::unix_remote_info& from) {
        CHECK(from.address == client_path);
        CHECK(from.size == message.size());
        CHECK(from.family == "unix");
        server.send(message, 0, message.size(), from.address);
      });
  CHECK(&server.bind(server_path, [&] { events.emplace_back("callback"); }) == &server);
  CHECK(thrown([&] { server.bind(client_path); }) == dgram::error::already_bound);
  CHECK(events.empty());
  auto client = dgram::create_unix_socket(io);
  trace heard;
  client.on<test::event::message>(
      [&](dgram::bytes_view message) { heard.emplace_back(message.text()); });
  client.bind(client_path, [&] {
    CHECK(client.address().address == client_path);
    client.send("hello", server_path);
  });
  test::run_until(io, [&] { return heard.size() == 1; });
  CHECK(heard == trace{"hello"});
  CHECK(events == trace{"listening", "callback"});
  CHECK(test::exists(server_path));
  server.close();
  CHECK_FALSE(test::exists(server_path));
  client.close();
  test::run(io);
}

TEST_CASE("S2.17: the file of a socket that is gone is replaced, others are not", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  {
    asio::local::datagram_protocol::socket stale(io,
                                                 asio::local::datagram_protocol::endpoint(path));
  }
  CHECK(test::exists(path));
  auto socket = dgram::create_unix_socket(io);
  trace events;
  test::record(socket, events);
  socket.bind(path);
  test::run_ready(io);
  CHECK(events == trace{"listening"});
  auto second = dgram::create_unix_socket(io);
  test::record(second, events);
  second.bind(path);
  test::run_ready(io);
  CHECK(events.back() == "error bind EADDRINUSE " + path);
  CHECK(thrown([&] { second.bind(""); }) == dgram::error_code());
}

TEST_CASE("S2.16: an unbound socket sends, and its datagrams carry no path", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  auto server = dgram::create_unix_socket(io);
  std::string sender = "nobody yet";
  server.on<test::event::message>(
      [&](dgram::bytes_view, const auto& from) { sender = from.address; });
  server.bind_sync(path);
  auto client = dgram::create_unix_socket(io);
  std::size_t sent = 0;
  client.send("x", path, [&](dgram::error_code ec, std::size_t n) {
    CHECK_FALSE(ec);
    sent = n;
  });
  test::run_until(io, [&] { return sent == 1 && sender != "nobody yet"; });
  CHECK(sender.empty());
  CHECK_FALSE(client.state().bound);
  CHECK(thrown([&] { client.send("x"); }) == asio::error::invalid_argument);
  dgram::failure failed;
  client.send("x", directory.path() + "/nobody",
              [&](const dgram::failure& what) { failed = what; });
  test::run_until(io, [&] { return static_cast<bool>(failed); });
  CHECK(failed.text() == "send ENOENT " + directory.path() + "/nobody");
}

TEST_CASE("A reply to a Unix socket without a name fails, and is sent nowhere", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  auto server = dgram::create_unix_socket(io);
  trace events;
  test::record(server, events);
  std::vector<std::string> results;
  server.on<test::event::message>([&](dgram::bytes_view message,
                                      const dgram::unix_remote_info& from) {
    CHECK(from.address.empty());
    CHECK(dgram::to_string(from) == "(unnamed)");
    CHECK(server.send(message, from));
    server.send(message, from, [&](const dgram::failure& what) { results.push_back(what.text()); });
  });
  server.bind_sync(path);
  auto client = dgram::create_unix_socket(io);
  client.send("x", path);
  test::run_until(io, [&] { return events.size() == 2 && results.size() == 1; });
  CHECK(events == trace{"listening", "error send EINVAL (unnamed)"});
  CHECK(results == std::vector<std::string>{"send EINVAL (unnamed)"});
  CHECK_FALSE(test::exists("(unnamed)"));
}

TEST_CASE("Unix sockets connect, send without a path, and disconnect", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  silent_server server(io, path);
  server.socket.recv_start();
  auto client = dgram::create_unix_socket(io);
  trace events;
  test::record(client, events);
  client.connect(path);
  test::run_ready(io);
  CHECK(events == trace{"connect"});
  CHECK(client.remote_address().address == path);
  client.send({"a", "bc"});
  CHECK(thrown([&] { client.send("x", path); }) == asio::error::already_connected);
  test::run_until(io, [&] { return server.messages.size() == 1; });
  CHECK(server.messages == trace{"abc"});
  client.disconnect();
  client.close();
}

TEST_CASE("QUE-01, QUE-04, QUE-08, REF-02: what the kernel holds back waits and is counted",
          "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  silent_server server(io, path);
  for (const bool connected : {false, true}) {
    server.messages.clear();
    auto client = dgram::create_unix_socket(io);
    int sent = 0;
    const auto count = [&](dgram::error_code ec, std::size_t n) {
      CHECK_FALSE(ec);
      CHECK(n == 5);
      ++sent;
    };
    if (connected) {
      client.connect(path);
      test::run_ready(io);
    }
    for (int i = 0; i < 1000; ++i)
      connected ? client.send("12345", count) : (client.send("12345", path, count));
    io.restart();
    io.poll();
    const std::size_t held = client.get_send_queue_count();
    CHECK(held > 0);
    CHECK(held < 1000);
    CHECK(client.get_send_queue_size() == 5 * held);
    server.socket.recv_start();
    test::run_until(io, [&] { return server.messages.size() == 1000 && sent == 1000; });
    CHECK(client.get_send_queue_count() == 0);
    CHECK(client.get_send_queue_size() == 0);
    server.socket.recv_stop();
  }
}

TEST_CASE("A full queue waits or drops, and 'drain' and 'drop' tell", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  silent_server server(io, path);
  for (const auto policy : {dgram::full_policy::wait, dgram::full_policy::drop_newest}) {
    server.messages.clear();
    auto client = dgram::create_unix_socket(io, {.queue_datagrams = 10, .when_full = policy});
    int drained = 0;
    std::size_t dropped = 0;
    client.on<test::event::drain>([&] { ++drained; });
    client.on<test::event::drop>([&](const dgram::drop_info& what) {
      CHECK(what.reason == dgram::drop_reason::queue_full);
      dropped += what.count;
    });
    client.connect(path);
    test::run_ready(io);
    std::size_t refused = 0;
    std::size_t taken = 0;
    while (refused < 5) {
      ++taken;
      if (!client.send("x")) ++refused;
      io.restart();
      io.poll();
    }
    std::optional<dgram::error_code> last;
    ++taken;
    client.send("last", [&](dgram::error_code ec) { last = ec; });
    io.restart();
    io.poll();
    const bool waits = policy == dgram::full_policy::wait;
    CHECK(client.get_send_queue_count() == (waits ? 16U : 10U));
    CHECK(dropped == (waits ? 0U : 5U));
    CHECK(last.has_value() == !waits);
    server.socket.recv_start();
    test::run_until(io, [&] { return drained == 1; });
    const std::size_t expected = waits ? taken : taken - 6;
    test::run_until(io, [&] { return server.messages.size() == expected && last.has_value(); });
    CHECK(*last == (waits ? dgram::error_code() : dgram::error_code(asio::error::no_buffer_space)));
    CHECK(client.send("y"));
    test::run_until(io, [&] { return server.messages.size() == expected + 1; });
    server.socket.recv_stop();
    client.close();
  }
}

TEST_CASE("Closing with a full queue ends what waits in it", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  silent_server server(io, path);
  auto client = dgram::create_unix_socket(io, {.queue_datagrams = 10});
  client.connect(path);
  test::run_ready(io);
  int completed = 0;
  int aborted = 0;
  for (int i = 0; i < 2000; ++i)
    client.send("x", [&](dgram::error_code ec) {
      ++completed;
      if (ec == asio::error::operation_aborted) ++aborted;
    });
  io.restart();
  io.poll();
  client.close();
  test::run(io);
  CHECK(completed == 2000);
  CHECK(aborted > 0);
}

TEST_CASE("QUE-07: a send from a callback goes behind the others", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  silent_server server(io, path);
  server.socket.recv_start();
  auto client = dgram::create_unix_socket(io);
  client.send("1", path, [&] { client.send("3", path); });
  client.send("2", path);
  test::run_until(io, [&] { return server.messages.size() == 3; });
  CHECK(server.messages == trace{"1", "2", "3"});
}

TEST_CASE("An abstract name is written as for the plain socket, and so is a file of that name",
          "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string name = "@dgram-test-" + std::to_string(::getpid());
  dgram::unix_dgram::socket plain(io, name);
  CHECK(dgram::is_abstract(plain.local_endpoint()));
  auto emitter = dgram::create_unix_socket(io);
  CHECK(thrown([&] { emitter.bind_sync(name); }) == asio::error::address_in_use);
  emitter.connect(name);
  emitter.send("to the name");
  test::run_ready(io);
  char text[16];
  CHECK(plain.receive(asio::buffer(text)) == 11);
  plain.close();
  auto server = dgram::create_unix_socket(io);
  CHECK(server.bind_sync(name).address == name);
  dgram::unix_dgram::socket client(io, dgram::unix_dgram{});
  client.connect(name);
  CHECK(dgram::to_string(client.remote_endpoint()) == name);

  dgram::error_code ec;
  dgram::unix_dgram::socket bound(io, dgram::unix_dgram{});
  bound.bind(name, ec);
  CHECK(ec == asio::error::address_in_use);
  const std::string file = directory.path() + "/@name";
  bound.bind(file);
  CHECK(test::exists(file));
  CHECK(thrown([&] { dgram::unix_dgram::socket(io, std::string(200, 'x')); }) ==
        asio::error::name_too_long);
}

TEST_CASE("what is too large to be copied does not wait, and holds nothing up", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  silent_server server(io, path);
  auto client = dgram::create_unix_socket(io, {.send_buffer_size = 1 << 20});
  std::size_t done = 0;
  constexpr std::size_t small = 200;
  for (std::size_t i = 0; i < small; ++i)
    client.send(std::to_string(i), path, [&](const dgram::failure& outcome) {
      CHECK(!outcome);
      ++done;
    });
  test::run_ready(io);
  REQUIRE(client.get_send_queue_count() > 0);
  dgram::error_code refused;
  client.send(std::string(300000, 'x'), path, [&](dgram::error_code ec, std::size_t size) {
    refused = ec;
    CHECK(size == 0);
  });
  client.send("behind", path);
  test::run_ready(io);
  CHECK(refused == asio::error::no_buffer_space);
  server.socket.recv_start();
  test::run_until(io, [&] { return server.messages.size() == small + 1; });
  CHECK(done == small);
  CHECK(server.messages.back() == "behind");
}

TEST_CASE("CON-25: what is held back for one peer does not go to the next one", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  silent_server first(io, directory.path() + "/first");
  silent_server second(io, directory.path() + "/second");
  auto client = dgram::create_unix_socket(io, {.queue_datagrams = 10});
  client.connect(directory.path() + "/first");
  test::run_ready(io);
  int drained = 0;
  int lost = 0;
  client.on<test::event::drain>([&] { ++drained; });
  for (int i = 0; i < 600; ++i)
    client.send("for the first", [&](dgram::error_code ec) {
      if (ec == asio::error::not_connected) ++lost;
    });
  test::run_ready(io);
  const auto held = static_cast<int>(client.get_send_queue_count());
  CHECK(held > 0);
  CHECK_FALSE(client.send("one too many"));
  client.once<test::event::error>(
      [](const dgram::failure& what) { CHECK(what.code == asio::error::not_connected); });
  client.disconnect();
  CHECK(client.get_send_queue_count() == 0);
  client.connect(directory.path() + "/second", [&] { client.send("for the second"); });
  second.socket.recv_start();
  test::run_until(io, [&] { return !second.messages.empty(); });
  CHECK(second.messages == trace{"for the second"});
  CHECK(lost == held);
  CHECK(drained == 1);
}

TEST_CASE(
    "Unix datagrams arrive whole up to the system's default send buffer, and beyond if asked to",
    "[emitter][unix][F10]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  const std::size_t asked = GENERATE(std::size_t{0}, std::size_t{600'000});
  const std::size_t size = asked == 0 ? 200'000 : 600'000;
  dgram::unix_dgram::socket sender{io, dgram::unix_dgram{}};
  dgram::error_code refused;
  sender.set_option(asio::socket_base::send_buffer_size(4 << 20), refused);
  const std::string large(size, 'x');

  auto target = dgram::create_unix_socket(io, {.receive_size = asked});
  std::size_t got = 0;
  bool truncated = true;
  target.on<test::event::message>(
      [&](dgram::bytes_view message, const dgram::unix_remote_info& from) {
        got = message.size();
        truncated = from.truncated;
      });
  target.bind_sync(path);
  dgram::error_code ec;
  sender.send_to(asio::buffer(large), path, 0, ec);
  if (ec) SKIP("this system sends no such datagram: " << ec.message());
  test::run_until(io, [&] { return got > 0; });
  CHECK(got == size);
  CHECK_FALSE(truncated);
}

#if defined(__linux__)

TEST_CASE("an emitter brings descriptors and credentials of its peers, and closes the rest",
          "[emitter][unix]")
{
  if (!dgram::supports<dgram::option::receive_credentials>(dgram::unix_dgram()))
    SKIP("no credentials here");
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  const auto open_descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  auto server = dgram::create_unix_socket(io, {.control_size = 64, .credentials = true});
  std::size_t heard = 0;
  std::vector<dgram::owned_descriptor> taken;
  std::vector<dgram::unix_remote_info> kept;
  const bool throws = GENERATE(false, true);
  server.on<test::event::message>([&](dgram::bytes_view, const dgram::unix_remote_info& rinfo) {
    CHECK(rinfo.credentials == dgram::peer_credentials{::getpid(), ::getuid(), ::getgid()});
    CHECK_FALSE(rinfo.control_messages().empty());
    kept.push_back(rinfo);
    CHECK_FALSE(kept.back().take_descriptor());
    CHECK(kept.back().control_messages().empty());
    CHECK(kept.back().credentials == rinfo.credentials);
    if (++heard == 2) taken.push_back(rinfo.take_descriptor());
    if (throws) throw std::runtime_error("from a listener");
  });
  auto messages = server.stream<test::event::message>();
  server.bind_sync(path);
  dgram::unix_dgram::socket client{io, dgram::unix_dgram{}};
  dgram::control_writer extra;
  REQUIRE(extra.add(SOL_SOCKET, SCM_RIGHTS, std::array<int, 2>{0, 1}));
  const auto send = [&] {
    client.send_to(asio::buffer("x", 1), path, dgram::send_options{.control = extra.bytes()});
  };
  const auto run = [&](auto until) {
    while (!until()) {
      try {
        io.restart();
        if (io.run_one_for(test::seconds(10)) == 0) FAIL("nothing happened any more");
      } catch (const std::runtime_error&) {
      }
    }
  };
  const auto before = open_descriptors();
  for (int i = 0; i < 3; ++i)
    send();
  run([&] { return heard == 3; });
  REQUIRE(taken.size() == 1);
  CHECK(open_descriptors() == before + 1);
  taken.clear();

  // What was received and not handed over goes when the socket is closed.
  server.prepend<test::event::message>([&] { server.close(); });
  send();
  send();
  run([&] { return heard == 4; });
  CHECK(open_descriptors() == before - 1);
}

TEST_CASE("emitters refuse what only the other kind of socket has", "[emitter][unix]")
{
  asio::io_context io;
  auto server = dgram::create_unix_socket(io);
  CHECK(thrown([&] { server.bind({.port = 1, .address = "/tmp/never"}); }) ==
        asio::error::invalid_argument);
  CHECK(thrown([&] { server.bind({.address = "/tmp/never", .exclusive = false}); }) ==
        asio::error::operation_not_supported);
  // A descriptor has its file already.
  auto with_mode = dgram::create_unix_socket(io, {.file_mode = 0600});
  dgram::unix_dgram::socket given(io, dgram::unix_dgram{});
  CHECK(thrown([&] { with_mode.bind({.fd = given.native_handle()}); }) ==
        asio::error::invalid_argument);
  CHECK(given.is_open());
  auto udp = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { udp.bind_sync({.exclusive = false}); }) ==
        asio::error::operation_not_supported);
  CHECK(udp.bind_sync({.exclusive = true}).port != 0);
  CHECK(thrown([&] { dgram::create_socket(io, {.type = dgram::udp4, .file_mode = 0600}); }) ==
        asio::error::operation_not_supported);
  CHECK(thrown([&] { dgram::create_socket(io, {.type = dgram::udp4, .control_size = 64}); }) ==
        asio::error::operation_not_supported);
  CHECK(thrown([&] { dgram::create_socket(io, {.type = dgram::udp4, .credentials = true}); }) ==
        asio::error::operation_not_supported);
}

TEST_CASE("what was sent before and after a bind that fails leaves nevertheless", "[emitter][unix]")
{
  asio::io_context io;
  const test::temporary_directory directory;
  const std::string path = directory / "server";
  auto server = dgram::create_unix_socket(io);
  trace heard;
  server.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  server.bind_sync(path);
  auto client = dgram::create_unix_socket(io);
  client.send("one", path);
  CHECK(thrown([&] { client.bind_sync(path); }) == asio::error::address_in_use);
  client.send("two", path);
  test::run_until(io, [&] { return heard.size() == 2; });
  CHECK(heard == trace{"one", "two"});
}

#endif

}  // namespace unix_test
