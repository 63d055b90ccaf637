// SPDX-License-Identifier: BSL-1.0
// Unix datagrams: socket files and who removes them, senders, abstract names, full peers, batches.
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace unix_dgram_test {

namespace {

using dgram::unix_dgram;
using unix_socket = unix_dgram::socket;
using unix_endpoint = unix_socket::endpoint_type;
using unix_other = unix_socket::rebind_executor<asio::io_context::executor_type>::other;
namespace fs = std::filesystem;

struct unix_test {
  test::temporary_directory folder;
  const std::string path = folder / "server";
  asio::io_context io;

  unix_socket open() { return unix_socket(io, unix_dgram{}); }
};

/// A socket file that no socket listens on.
void leave_behind(const std::string& path)
{
  asio::io_context io;
  asio::local::datagram_protocol::socket gone(io, unix_endpoint(path));
}

dgram::error_code bind_error(unix_socket& socket, const unix_endpoint& local)
{
  dgram::error_code ec;
  socket.bind(local, ec);
  return ec;
}

template <class Socket>
std::string received(Socket& socket, unix_endpoint& sender)
{
  std::array<char, 256> storage{};
  const auto size = socket.try_receive_from(asio::buffer(storage), sender);
  return size ? std::string(storage.data(), *size) : "(nothing)";
}

/// Whether a datagram from somebody else still arrives there.
template <class Socket>
bool serves(asio::io_context& io, Socket& socket, const std::string& path)
{
  unix_socket client(io, unix_dgram{});
  dgram::error_code ec;
  client.send_to(asio::buffer("there?", 6), path, 0, ec);
  unix_endpoint sender;
  return !ec && received(socket, sender) == "there?";
}

/// Sends until the peer takes no more.
std::size_t fill(unix_socket& from, const std::string& path)
{
  std::size_t count = 0;
  while (from.try_send_to(asio::buffer("full", 4), path))
    ++count;
  return count;
}

/// Sends a datagram with descriptors, to which nothing but the kernel's own references are left.
void send_descriptors(const std::string& path)
{
  const int from = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  ::sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path.data(), path.size());
  char byte = 'x';
  ::iovec bytes{&byte, 1};
  const std::array<int, 4> descriptors{};
  alignas(::cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof descriptors)> control{};
  ::msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ::cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
  CHECK(::sendmsg(from, &message, 0) == 1);
  ::close(from);
}

std::ptrdiff_t open_descriptors()
{
  return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}

std::size_t drain(unix_socket& socket)
{
  unix_endpoint sender;
  std::size_t count = 0;
  while (received(socket, sender) != "(nothing)")
    ++count;
  return count;
}

}  // namespace

TEST_CASE_METHOD(unix_test, "BND-34 a Unix socket is bound to a path", "[unix]")
{
  auto socket = open();
  CHECK(dgram::is_unnamed(socket.local_endpoint()));
  socket.bind(path);
  CHECK(socket.local_endpoint() == unix_endpoint(path));
  CHECK(serves(io, socket, path));
  socket.close();
  CHECK_FALSE(test::exists(path));
}

TEST_CASE_METHOD(unix_test, "UNX-01 who binds over a stale socket file gets the path", "[unix]")
{
  leave_behind(path);
  REQUIRE(test::exists(path));
  unix_socket socket(io, path);
  CHECK(serves(io, socket, path));
}

TEST_CASE_METHOD(unix_test, "UNX-02 what is not a stale socket file is left alone", "[unix]")
{
  auto socket = open();
  SECTION("a regular file")
  {
    std::ofstream(path) << "precious";
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    std::string text;
    std::ifstream(path) >> text;
    CHECK(text == "precious");
  }
  SECTION("a folder")
  {
    fs::create_directory(path);
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    CHECK(fs::is_directory(path));
  }
  SECTION("a live socket")
  {
    unix_socket live(io, path);
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    CHECK(serves(io, live, path));
  }
  SECTION("a live socket that is connected to somebody else, and takes nobody's datagrams")
  {
    unix_socket other(io, folder / "other");
    unix_socket live(io, path);
    live.connect(folder / "other");
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    other.send_to(asio::buffer("x", 1), path);
    unix_endpoint sender;
    CHECK(received(live, sender) == "x");
  }
  SECTION("a live socket whose queue is full")
  {
    unix_socket live(io, path);
    auto client = open();
    const auto count = fill(client, path);
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    CHECK(drain(live) == count);
  }
  SECTION("a stream socket")
  {
    const int stream = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const unix_endpoint local(path);
    REQUIRE(::bind(stream, local.data(), static_cast<::socklen_t>(local.size())) == 0);
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    CHECK(test::exists(path));
    ::close(stream);
  }
  SECTION("a link to a stale socket file")
  {
    leave_behind(folder / "stale");
    fs::create_symlink(folder / "stale", path);
    CHECK(bind_error(socket, path) == asio::error::address_in_use);
    CHECK(fs::is_symlink(path));
    CHECK(test::exists(folder / "stale"));
  }
  SECTION("a stale socket file, where the socket has an address already")
  {
    leave_behind(path);
    socket.bind(folder / "first");
    CHECK(bind_error(socket, path));
    CHECK(test::exists(path));
    CHECK(bind_error(socket, folder / "first") == asio::error::address_in_use);
    CHECK(serves(io, socket, folder / "first"));
  }
  const bool was_there = test::exists(path);
  socket.close();
  CHECK(test::exists(path) == was_there);
}

TEST_CASE_METHOD(unix_test, "UNX-03 a socket removes its file, whatever its end", "[unix]")
{
  std::optional<unix_socket> socket(std::in_place, io, path);
  SECTION("close")
  {
    socket->close();
  }
  SECTION("destruction")
  {
    socket.reset();
  }
  SECTION("another is moved over it")
  {
    *socket = open();
  }
  SECTION("it was moved")
  {
    {
      unix_socket moved(std::move(*socket));
      socket.reset();
      CHECK(serves(io, moved, path));
    }
  }
  SECTION("it was moved over another")
  {
    unix_socket moved(io, folder / "other");
    moved = std::move(*socket);
    CHECK_FALSE(test::exists(folder / "other"));
    socket.reset();
    CHECK(serves(io, moved, path));
    moved.close();
  }
  SECTION("it was moved to another executor type, and back")
  {
    unix_other other(io, unix_dgram{});
    other.bind(folder / "other");
    unix_socket converted(std::move(other));
    CHECK(serves(io, converted, folder / "other"));
    converted.close();
    CHECK_FALSE(test::exists(folder / "other"));
    socket->close();
  }
  SECTION("the working directory has changed")
  {
    socket->close();
    const auto before = fs::current_path();
    fs::current_path(folder.path());
    socket->open();
    socket->bind("server");
    CHECK(test::exists(path));
    fs::current_path(before);
    socket->close();
  }
  SECTION("operations are pending")
  {
    std::array<char, 16> storage;
    std::optional<dgram::error_code> result;
    socket->async_receive(asio::buffer(storage),
                          [&](dgram::error_code ec, std::size_t) { result = ec; });
    socket.reset();
    CHECK_FALSE(test::exists(path));
    test::run(io);
    CHECK(result == asio::error::operation_aborted);
  }
  CHECK_FALSE(test::exists(path));
}

TEST_CASE_METHOD(unix_test, "UNX-04 a socket removes no file but its own", "[unix]")
{
  unix_socket socket(io, path);
  SECTION("release gives the duty up")
  {
    const int descriptor = socket.release();
    CHECK(test::exists(path));
    unix_socket adopted(io, unix_dgram{}, descriptor);
    CHECK(serves(io, adopted, path));
    adopted.close();  // which made no file, so it removes none
    CHECK(test::exists(path));
    socket.open();
    socket.close();
  }
  SECTION("another socket's")
  {
    fs::remove(path);
    unix_socket other(io, path);
    socket.close();
    CHECK(serves(io, other, path));
    CHECK(test::exists(path));
    other.release();
  }
  SECTION("a regular file in its place")
  {
    fs::remove(path);
    std::ofstream(path) << "precious";
    socket.close();
  }
  SECTION("that of a socket that it replaced is gone, and the replaced one leaves the new one")
  {
    const auto moved_away = folder / "moved";
    fs::rename(path, moved_away);
    unix_socket other(io, path);
    socket.close();
    CHECK(serves(io, other, path));
    CHECK(test::exists(moved_away));
    other.release();
  }
  CHECK(test::exists(path));
}

TEST_CASE_METHOD(unix_test,
                 "UNX-05 a file that is gone already does not keep a socket from closing", "[unix]")
{
  unix_socket socket(io, path);
  fs::remove_all(folder.path());
  dgram::error_code ec;
  socket.close(ec);
  CHECK_FALSE(ec);
}

TEST_CASE_METHOD(unix_test, "UNX-06 a path that cannot be bound to is named in the error", "[unix]")
{
  auto socket = open();
  const auto text_of = [&](const std::string& local) {
    try {
      socket.bind(local);
    } catch (const dgram::system_error& failure) {
      return std::string(failure.what());
    }
    return std::string("(no error)");
  };
  CHECK(bind_error(socket, folder / "no/server") ==
        asio::error::make_error_code(static_cast<asio::error::basic_errors>(ENOENT)));
  CHECK(text_of(folder / "no/server").find("bind \"" + (folder / "no/server") + "\"") !=
        std::string::npos);
  const std::string longest = folder / std::string(107 - folder.path().size() - 1, 'x');
  CHECK(text_of(longest) == "(no error)");
  CHECK(socket.local_endpoint().path() == longest);
  CHECK_THROWS_AS(unix_endpoint(longest + "x"), dgram::system_error);
  dgram::error_code ec;
  CHECK(dgram::is_unnamed(dgram::parse_unix_endpoint(longest + "x", ec)));
  CHECK(ec == asio::error::name_too_long);
  CHECK_THROWS_WITH(dgram::parse_unix_endpoint(longest + "x"),
                    Catch::Matchers::ContainsSubstring(longest + "x"));
}

TEST_CASE_METHOD(unix_test, "UNX-06 a socket that cannot be made for a path names it", "[unix]")
{
  const std::string longest = folder / std::string(107 - folder.path().size() - 1, 'x');
  const std::string too_long = longest + "x";
  const std::string text = "bind \"" + too_long + "\" (allowed are at most 107 bytes): " +
                           dgram::error_code(asio::error::name_too_long).message();
  CHECK_THROWS_WITH(unix_socket(io, too_long), Catch::Matchers::Equals(text));
  CHECK_THROWS_WITH(unix_socket(io, too_long.c_str()), Catch::Matchers::Equals(text));
  CHECK_THROWS_WITH(unix_socket(io.get_executor(), std::string_view(too_long)),
                    Catch::Matchers::Equals(text));
  // A path that is not too long makes the same socket as the endpoint does, with a configuration too.
  const unix_socket by_path(io, longest, {.receive_buffer_size = 4096});
  CHECK(by_path.local_endpoint().path() == longest);
  const std::string missing = folder / "no/server";
  const dgram::error_code no_entry(ENOENT, asio::error::get_system_category());
  CHECK_THROWS_WITH(unix_socket(io, missing),
                    Catch::Matchers::Equals("bind \"" + missing + "\": " + no_entry.message()));
}

TEST_CASE_METHOD(unix_test, "UNX-06 a folder without permission is named in the error", "[unix]")
{
  if (::geteuid() == 0) {
    // Root may write everywhere, so this thread is somebody else for a while.
    REQUIRE(::seteuid(65534) == 0);
  }
  auto socket = open();
  dgram::error_code ec;
  socket.bind("/usr/server", ec);
  const bool was_root = ::getuid() == 0;
  if (was_root) REQUIRE(::seteuid(0) == 0);
  CHECK(ec == asio::error::access_denied);
  CHECK_FALSE(test::exists("/usr/server"));
}

TEST_CASE_METHOD(unix_test, "UNX-07 the sender's path is where a reply goes", "[unix]")
{
  unix_socket server(io, path);
  unix_socket client(io, folder / "client");
  client.send_to(asio::buffer("ping", 4), path);
  unix_endpoint sender;
  CHECK(received(server, sender) == "ping");
  CHECK(sender == unix_endpoint(folder / "client"));
  CHECK(server.send_to(asio::buffer("pong", 4), sender) == 4);
  CHECK(received(client, sender) == "pong");
  CHECK(sender == unix_endpoint(path));
}

TEST_CASE_METHOD(unix_test, "UNX-08 an unbound sender has no address", "[unix]")
{
  unix_socket server(io, path);
  auto client = open();
  unix_endpoint sender(folder / "somebody");
  client.send_to(asio::buffer("hello", 5), path);
  CHECK(received(server, sender) == "hello");
  CHECK(dgram::is_unnamed(sender));
  CHECK(dgram::to_string(sender) == "(unnamed)");
  dgram::error_code ec;
  CHECK(server.send_to(asio::buffer("?", 1), sender, 0, ec) == 0);
  CHECK(ec == asio::error::invalid_argument);
}

TEST_CASE_METHOD(unix_test, "UNX-09 a sender whose path fills its room is taken as it is", "[unix]")
{
  // Asio makes no endpoint of 108 bytes; unix(7) allows it, and the kernel counts a zero behind it.
  ::sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  const std::string longest =
      folder / std::string(sizeof raw.sun_path - folder.path().size() - 1, 'y');
  std::memcpy(raw.sun_path, longest.data(), sizeof raw.sun_path);
  const int client = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  if (::bind(client, reinterpret_cast<const ::sockaddr*>(&raw), sizeof raw) != 0) {
    ::close(client);
    SKIP("this system binds to no path of 108 bytes");
  }
  unix_socket server(io, path);
  const unix_endpoint to(path);
  for (int i = 0; i < 4; ++i)
    REQUIRE(::sendto(client, "x", 1, 0, to.data(), static_cast<::socklen_t>(to.size())) == 1);
  ::close(client);
  unix_endpoint sender;
  CHECK(received(server, sender) == "x");
  CHECK(sender.path() == longest);
  std::array<char, 4> storage;
  sender = {};
  CHECK(server.receive_from(asio::buffer(storage), sender) == 1);
  CHECK(sender.path() == longest);
  sender = {};
  server.async_receive_from(asio::buffer(storage), sender,
                            [](dgram::error_code ec, std::size_t) { CHECK_FALSE(ec); });
  test::run(io);
  CHECK(sender.path() == longest);
  unix_dgram::receive_batch batch(2, 16);
  REQUIRE(server.try_receive_batch(batch) == 1);
  CHECK(batch[0].sender().path() == longest);
}

#if defined(__linux__)
TEST_CASE_METHOD(unix_test, "UNX-10 Linux' abstract names are addresses without a file", "[unix]")
{
  const auto name = dgram::parse_unix_endpoint("@dgram test " + folder.path());
  unix_socket server(io, name);
  CHECK(dgram::is_abstract(server.local_endpoint()));
  CHECK(dgram::to_string(server.local_endpoint()) == "@dgram test " + folder.path());
  auto taken = open();
  CHECK(bind_error(taken, name) == asio::error::address_in_use);
  unix_socket client(io, unix_endpoint());
  const auto chosen = client.local_endpoint();
  CHECK(dgram::is_abstract(chosen));
  CHECK(chosen.path().size() == 6);
  client.send_to(asio::buffer("ping", 4), name);
  unix_endpoint sender;
  CHECK(received(server, sender) == "ping");
  CHECK(sender == chosen);
  CHECK(server.send_to(asio::buffer("pong", 4), sender) == 4);
  CHECK(received(client, sender) == "pong");
  server.close();
  CHECK_FALSE(bind_error(taken, name));
}
#endif

TEST_CASE("UNX-11 Unix endpoints and text are the same both ways", "[unix]")
{
  for (const std::string_view text :
       {"/run/x.sock", "relative", "@abstract", "./@file", "./(file"}) {
    const auto endpoint = dgram::parse_unix_endpoint(text);
    CHECK(dgram::to_string(endpoint) == text);
    CHECK(fmt::format("{}", endpoint) == text);
  }
  CHECK(dgram::to_string(unix_endpoint("@file")) == "./@file");
  CHECK(dgram::to_string(unix_endpoint("(unnamed)")) == "./(unnamed)");
  CHECK(fmt::format("{:>11}", unix_endpoint()) == "  (unnamed)");
  dgram::error_code ec;
  for (const std::string& text : {std::string(), std::string("a\0b", 3)}) {
    CHECK(dgram::is_unnamed(dgram::parse_unix_endpoint(text, ec)));
    CHECK(ec == asio::error::invalid_argument);
  }
  const std::string with_zero("@a\0b", 4);
  CHECK(dgram::to_string(dgram::parse_unix_endpoint(with_zero)) == with_zero);
  CHECK(dgram::is_abstract(dgram::parse_unix_endpoint("@" + std::string(106, 'x'), ec)));
  CHECK(dgram::is_unnamed(dgram::parse_unix_endpoint("@" + std::string(107, 'x'), ec)));
}

TEST_CASE_METHOD(unix_test,
                 "UNX-12 batches of Unix datagrams keep their boundaries and their sizes", "[unix]")
{
  unix_socket server(io, path);
  unix_socket client(io, folder / "client");
  unix_dgram::send_batch out({.datagrams = 8, .copy = GENERATE(false, true)});
  for (const std::string_view text : {"same", "size", "all ", "", "longer than its slot"})
    out.push(text, path);
  CHECK(client.send_batch(out).sent == 5);
  unix_dgram::receive_batch in(8, 8);
  REQUIRE(server.receive_batch(in) == 5);
  std::vector<std::string> texts;
  for (const unix_dgram::datagram& datagram : in) {
    texts.emplace_back(datagram.payload().text());
    CHECK(datagram.sender() == unix_endpoint(folder / "client"));
    CHECK(datagram.truncated() == (datagram.payload().size() == 8));
  }
  CHECK(texts == std::vector<std::string>{"same", "size", "all ", "", "longer t"});
  if (dgram::platform::backend::reports_wire_size) CHECK(in[4].wire_size() == 20);

  client.async_send_segments("abcabcab", 3, path, [](dgram::error_code ec, dgram::send_result r) {
    CHECK_FALSE(ec);
    CHECK(r.sent == 3);
  });
  test::run(io);
  REQUIRE(server.receive_batch(in) == 3);
  CHECK(in[2].payload().text() == "ab");
  unix_dgram::send_batch replies(8);
  replies.push_replies(in);
  CHECK(server.send_batch(replies).sent == 3);
  CHECK(drain(client) == 3);

  dgram::error_code ec;
  server.set_option(dgram::option::coalescing(true), ec);
  CHECK(ec == asio::error::operation_not_supported);
}

TEST_CASE_METHOD(unix_test, "UNX-13 reader and writer work on Unix datagrams", "[unix]")
{
  unix_socket server(io, path);
  unix_socket client(io, folder / "client");
  std::vector<std::string> refused;
  test::run(io, [&]() -> asio::awaitable<void> {
    for (const std::string_view text : {"one", "two", "three"})
      client.send_to(asio::buffer(text), path);
    open().send_to(asio::buffer("nobody", 6), path);
    dgram::reader reader{server};
    dgram::writer writer{reader};
    writer.on_error([&](dgram::error_code ec, const unix_endpoint& peer, std::size_t) {
      refused.push_back(
          fmt::format("{} {}", dgram::to_string(peer), ec == asio::error::invalid_argument));
    });
    for (int i = 0; i < 4; ++i) {
      const auto datagram = co_await reader.next();
      co_await writer.send(datagram->payload(), datagram->sender());
    }
    co_await writer.flush();
    CHECK(writer.statistics().sent == 3);
  }());
  CHECK(refused == std::vector<std::string>{"(unnamed) true"});
  CHECK(drain(client) == 3);
}

TEST_CASE_METHOD(unix_test, "UNX-14 a peer that is gone refuses its own datagrams only", "[unix]")
{
  unix_socket server(io, path);
  leave_behind(folder / "gone");
  auto client = open();
  unix_dgram::send_batch batch(4);
  std::vector<dgram::error_code> errors;
  batch.on_refused(
      [&](dgram::error_code ec, const unix_endpoint&, std::size_t) { errors.push_back(ec); });
  batch.push("1", path);
  batch.push("2", folder / "gone");
  batch.push("3", folder / "never");
  batch.push("4", path);
  const auto result = client.send_batch(batch);
  CHECK(result.sent == 2);
  CHECK(result.refused == 2);
  CHECK_FALSE(result.error);
  REQUIRE(errors.size() == 2);
  CHECK(errors[0] == asio::error::connection_refused);
  CHECK(drain(server) == 2);
}

TEST_CASE_METHOD(unix_test,
                 "UNX-15 a connected Unix socket whose peer has gone can be connected again",
                 "[unix]")
{
  auto client = open();
  {
    const unix_socket server(io, path);
    client.connect(path);
  }
  dgram::error_code ec;
  client.send(asio::buffer("x", 1), 0, ec);
  CHECK(ec == asio::error::connection_refused);
  unix_socket again(io, path);
  client.disconnect();
  client.connect(path);
  CHECK(client.send(asio::buffer("x", 1)) == 1);
  CHECK(drain(again) == 1);
}

TEST_CASE_METHOD(unix_test, "UNX-16 what is larger than the send buffer is message_size", "[unix]")
{
  unix_socket server(io, path);
  auto client = open();
  client.set_send_buffer_size(8192);
  const std::string large(1 << 20, 'x');
  dgram::error_code ec;
  client.send_to(asio::buffer(large), path, 0, ec);
  CHECK(ec == asio::error::message_size);
}

TEST_CASE_METHOD(unix_test, "UNX-17 what only IP has is refused by name", "[unix]")
{
  auto socket = unix_socket(io);
  dgram::error_code ec;
  socket.open(unix_dgram{}, {.dual_stack = true}, ec);
  CHECK(ec == asio::error::invalid_argument);
  socket.open(unix_dgram{}, {.v6_only = true}, ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_FALSE(socket.is_open());
  socket.open();
  socket.set_option(dgram::option::hop_limit(4), ec);
  CHECK(ec == asio::error::operation_not_supported);
  socket.join(dgram::multicast_group("239.1.2.3"), ec);
  CHECK(ec == asio::error::operation_not_supported);
  socket.close();
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM, 0);
  socket.assign(unix_dgram{}, descriptor, ec);
  CHECK(ec == dgram::error::wrong_descriptor);
  ::close(descriptor);
}

TEST_CASE_METHOD(unix_test, "UNX-18 a send waits for a full peer and does not spin", "[unix]")
{
  unix_socket server(io, path);
  auto client = open();
  const auto queued = fill(client, path);
  REQUIRE(queued > 0);
  std::optional<dgram::error_code> result;
  SECTION("asynchronous")
  {
    client.async_send_to(asio::buffer("late", 4), path,
                         [&](dgram::error_code ec, std::size_t) { result = ec; });
    io.run_for(test::milliseconds(20));
    CHECK_FALSE(result);
    CHECK(drain(server) == queued);
    test::run(io);
  }
  SECTION("connected")
  {
    client.connect(path);
    client.async_send(asio::buffer("late", 4),
                      [&](dgram::error_code ec, std::size_t) { result = ec; });
    io.run_for(test::milliseconds(20));
    CHECK_FALSE(result);
    CHECK(drain(server) == queued);
    test::run(io);
  }
  SECTION("cancelled")
  {
    client.async_send_to(asio::buffer("late", 4), path,
                         [&](dgram::error_code ec, std::size_t) { result = ec; });
    io.run_for(test::milliseconds(5));
    client.cancel();
    test::run(io);
    CHECK(result == asio::error::operation_aborted);
    CHECK(drain(server) == queued);
    return;
  }
  SECTION("blocking")
  {
    std::size_t drained = 0;
    std::thread reader([&] { drained = drain(server); });
    dgram::error_code ec;
    client.native_non_blocking(true);
    client.send_to(asio::buffer("late", 4), path, 0, ec);
    reader.join();
    CHECK(drained >= queued);
    result = ec;
    drain(server);
    server.close();
    CHECK_FALSE(*result);
    return;
  }
  SECTION("blocking, a batch")
  {
    std::size_t drained = 0;
    std::thread reader([&] { drained = drain(server); });
    unix_dgram::send_batch batch(1);
    batch.push("late", path);
    result = client.send_batch(batch).error;
    reader.join();
    CHECK(drained >= queued);
    drain(server);
    CHECK_FALSE(*result);
    return;
  }
  SECTION("not waiting where the caller wants none")
  {
    client.non_blocking(true);
    dgram::error_code ec;
    client.send_to(asio::buffer("late", 4), path, 0, ec);
    CHECK(ec == asio::error::would_block);
    return;
  }
  REQUIRE(result);
  CHECK_FALSE(*result);
  CHECK(drain(server) == 1);
}

TEST_CASE_METHOD(unix_test, "asking a Unix socket for reports takes none of its datagrams",
                 "[unix]")
{
  unix_socket server(io, path);
  auto client = open();
  for (int i = 0; i < 3; ++i)
    client.send_to(asio::buffer("kept", 4), path);
  dgram::error_code ec;
  server.try_send_timestamp(ec);
  CHECK(ec == asio::error::operation_not_supported);
  server.try_receive_error(ec);
  CHECK(ec == asio::error::operation_not_supported);
  std::optional<dgram::error_code> result;
  server.async_send_timestamp(
      [&](dgram::error_code failure, const dgram::send_timestamp&) { result = failure; });
  test::run(io);
  CHECK(result == asio::error::operation_not_supported);
  // A send that was refused leaves nothing behind that would make a later error look for reports.
  server.send_to(asio::buffer("x", 1), path, dgram::send_options{.timestamp = true}, ec);
  CHECK(ec == asio::error::operation_not_supported);
  server.try_send_to(asio::buffer("x", 1), path + "/nobody", ec);
  CHECK(ec);
  CHECK(drain(server) == 3);
  CHECK(server.statistics().path_errors == 0);
}

TEST_CASE_METHOD(unix_test, "descriptors that a peer sends are not left open", "[unix]")
{
  if (!fs::exists("/proc/self/fd")) SKIP("this system does not list open descriptors");
  unix_socket server(io, path);
  server.set_option(dgram::option::receive_timestamp(true));
  const auto before = open_descriptors();
  send_descriptors(path);
  std::array<char, 8> storage{};
  dgram::basic_datagram_info<unix_dgram> info;
  CHECK(server.receive_from(asio::buffer(storage), info) == 1);
  send_descriptors(path);
  unix_dgram::receive_batch batch(2);
  CHECK(server.receive_batch(batch) == 1);
  CHECK(open_descriptors() == before);
  // A program that asks for them gets them, and its child processes do not.
  batch.reserve_control(64);
  send_descriptors(path);
  CHECK(server.receive_batch(batch) == 1);
  int taken = 0;
  for (; const auto descriptor = batch[0].take_descriptor(); ++taken) {
    CHECK((::fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(taken == 4);
  CHECK(open_descriptors() == before);
}

TEST_CASE_METHOD(unix_test, "descriptors that were not taken are closed with their batch", "[unix]")
{
  if (!fs::exists("/proc/self/fd")) SKIP("this system does not list open descriptors");
  unix_socket server(io, path);
  unix_dgram::receive_batch batch(4);
  batch.reserve_control(64);
  const auto before = open_descriptors();
  const auto receive_two = [&](unix_dgram::receive_batch& into) {
    send_descriptors(path);
    send_descriptors(path);
    CHECK(server.receive_batch(into) == 2);
  };
  receive_two(batch);
  CHECK(open_descriptors() == before + 8);
  SECTION("when it is used again")
  {
    // Its messages stay where they are, and what was taken stays open.
    const int mine = batch[1].take_descriptor().release();
    receive_two(batch);
    CHECK(open_descriptors() == before + 9);
    CHECK(::close(mine) == 0);
    dgram::error_code ec;
    server.try_receive_batch(batch, ec);
    CHECK(ec == asio::error::would_block);
  }
  SECTION("when it is cleared")
  {
    batch.clear();
  }
  SECTION("when another is moved over it")
  {
    unix_dgram::receive_batch other(4);
    other.reserve_control(64);
    receive_two(other);
    batch = std::move(other);
    CHECK(open_descriptors() == before + 8);
    const auto mine = batch[0].take_descriptor();
    CHECK(mine);
    batch = unix_dgram::receive_batch(1);
    CHECK(open_descriptors() == before + 1);
    return;
  }
  SECTION("when it is destroyed")
  {
    const auto gone = std::move(batch);
  }
  SECTION("when a stored datagram follows, and there is less room")
  {
    CHECK(batch.store("stored", path));
    CHECK_FALSE(batch[2].take_descriptor());
    batch.reserve_control(0);
    dgram::error_code ec;
    server.try_receive_batch(batch, ec);
    CHECK(ec == asio::error::would_block);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE_METHOD(unix_test, "a reader brings descriptors and credentials", "[unix]")
{
  if (!fs::exists("/proc/self/fd")) SKIP("this system does not list open descriptors");
  unix_socket server(io, path);
  dgram::error_code ec;
  server.set_option(dgram::option::receive_credentials(true), ec);
  if (ec) SKIP("this system knows no credentials of a datagram");
  const auto before = open_descriptors();
  const dgram::peer_credentials me{::getpid(), ::getuid(), ::getgid()};
  {
    unix_dgram::reader reader{server, {.control_size = 1}};
    send_descriptors(path);
    send_descriptors(path);
    int seen = 0;
    std::vector<dgram::basic_owned_datagram<unix_dgram>> kept;
    reader.async_for_each(
        [&](const unix_dgram::datagram& datagram) {
          CHECK(datagram.credentials() == me);
          CHECK_FALSE(datagram.control_truncated());
          kept.push_back(datagram.to_owned());
          // The first datagram's are left to the reader.
          if (++seen < 2) return;
          while (const auto descriptor = datagram.take_descriptor())
            CHECK(::fcntl(descriptor.get(), F_GETFD) != -1);
          reader.stop();
        },
        [](dgram::error_code) {});
    io.run_for(std::chrono::seconds(10));
    REQUIRE(seen == 2);
    CHECK(kept[0].credentials() == me);
  }
  CHECK(open_descriptors() == before);

  // Without room there are none of either.
  unix_dgram::reader reader{server};
  send_descriptors(path);
  unix_dgram::receive_batch batch(1);
  CHECK(server.receive_batch(batch) == 1);
  CHECK_FALSE(batch[0].credentials());
  CHECK_FALSE(batch[0].take_descriptor());
  CHECK(open_descriptors() == before);
}

TEST_CASE_METHOD(unix_test, "a socket file has the permissions that were asked for", "[unix]")
{
  const auto permissions = [](const std::string& of) {
    return static_cast<unsigned>(fs::status(of).permissions());
  };
  for (const ::mode_t umask : {0U, 022U, 0777U}) {
    const ::mode_t before = ::umask(umask);
    for (const unsigned mode : {0600U, 0660U, 0777U, 0222U}) {
      unix_socket server(io, path, {.file_mode = mode});
      CHECK(permissions(path) == mode);
      // An abandoned file is replaced by one with the new permissions.
      fs::rename(path, path + "_old");
      server.close();
      fs::rename(path + "_old", path);
      unix_socket next(io, path, {.file_mode = mode ^ 0077U});
      CHECK(permissions(path) == (mode ^ 0077U));
    }
    unix_socket usual(io, path);
    CHECK(permissions(path) == (0777U & ~umask));
    auto emitter = dgram::create_unix_socket(io, {.file_mode = 0640});
    emitter.bind_sync(path + "_emitter");
    CHECK(permissions(path + "_emitter") == 0640);
    ::umask(before);
  }
  // The mode belongs to one descriptor.
  unix_socket socket(io, path, {.file_mode = 0600});
  socket.close();
  socket.open(unix_dgram());
  socket.bind(path);
  CHECK(permissions(path) != 0600);
}

TEST_CASE_METHOD(unix_test, "permissions that cannot be had are refused", "[unix]")
{
  dgram::error_code ec;
  unix_socket socket(io);
  socket.open(unix_dgram(), {.file_mode = 01777}, ec);
  CHECK(ec == dgram::error::out_of_range);
  CHECK_FALSE(socket.is_open());
  CHECK_THROWS_WITH(unix_socket(io, path, {.file_mode = 01777}),
                    Catch::Matchers::ContainsSubstring("file_mode{01777}"));
  for (const auto& name : {unix_endpoint(), dgram::parse_unix_endpoint("@no file")}) {
    unix_socket nameless(io, unix_dgram(), {.file_mode = 0600});
    nameless.bind(name, ec);
    CHECK(ec == asio::error::invalid_argument);
  }
  dgram::udp::socket udp(io);
  udp.open(dgram::udp::v4(), {.file_mode = 0600}, ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_FALSE(udp.is_open());
}

TEST_CASE("an option of Unix sockets is refused by other sockets", "[unix]")
{
  asio::io_context io;
  for (const auto& protocol : {dgram::udp::v4(), dgram::udp::v6(), dgram::udp::dual()}) {
    dgram::udp::socket socket(io);
    dgram::error_code ec;
    socket.open(protocol, ec);
    if (ec) continue;
    socket.set_option(dgram::option::receive_credentials(true), ec);
    CHECK(ec == asio::error::operation_not_supported);
  }
}

TEST_CASE_METHOD(unix_test, "a Unix datagram that asks for what only IP has is refused", "[unix]")
{
  using dgram::send_options;
  unix_socket server(io, path);
  auto client = open();
  auto connected = open();
  connected.connect(path);
  unix_dgram::send_batch batch(8);
  const std::string payload(30, 'x');
  const auto now = std::chrono::steady_clock::now();
  for (const send_options& options :
       {send_options{.source = asio::ip::make_address("127.0.0.1")},
        send_options{.interface_index = 1}, send_options{.ecn = dgram::ecn_codepoint::ect_0},
        send_options{.dscp = std::uint8_t{1}}, send_options{.hop_limit = 4},
        send_options{.do_not_fragment = true}, send_options{.transmit_time = now},
        send_options{.timestamp = true}}) {
    dgram::error_code ec;
    client.send_to(asio::buffer(payload), path, options, ec);
    CHECK(ec == asio::error::operation_not_supported);
    CHECK_THROWS_AS(batch.push(payload, path, options), dgram::system_error);
    // Without a peer the batch says so when it is sent, of this datagram alone.
    batch.push("before");
    batch.push(payload, options);
    batch.push("behind");
    const auto result = connected.send_batch(batch);
    CHECK(result.sent == 1);
    CHECK(result.error == asio::error::operation_not_supported);
    batch.drop_front();
    CHECK(connected.send_batch(batch).sent == 1);
    CHECK(drain(server) == 2);
  }
  CHECK(client.statistics().sent == 0);
  dgram::error_code ec;
  client.send_to(asio::buffer(payload), path, send_options{.segment_size = 10}, ec);
  CHECK(ec == asio::error::operation_not_supported);
  // A batch needs no kernel for that.
  batch.push(payload, path, send_options{.segment_size = 10});
  CHECK(client.send_batch(batch).sent == 3);
  CHECK(client.statistics().sent == 3);
  CHECK(client.statistics().segmented == 0);
  CHECK(drain(server) == 3);
}

TEST_CASE("reader: Unix datagrams arrive whole up to the system's default send buffer",
          "[unix][F10]")
{
  asio::io_context io;
  dgram::unix_dgram::socket receiver{io, dgram::unix_dgram{}};
  receiver.bind({});
  dgram::unix_dgram::socket sender{io, dgram::unix_dgram{}};
  dgram::error_code ec;
  const std::string large(200'000, 'x');
  sender.send_to(asio::buffer(large), receiver.local_endpoint(), 0, ec);
  if (ec) SKIP("this system sends no such datagram: " << ec.message());
  std::size_t got = 0;
  test::run(io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{receiver};
    const auto datagram = co_await reader.next();
    got = datagram->truncated() ? 1 : datagram->payload().size();
  }());
  CHECK(got == large.size());
}

}  // namespace unix_dgram_test
