// SPDX-License-Identifier: BSL-1.0
// A Unix peer that does not read: the other peers get everything, and its own datagrams wait.
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace full_peers_test {

namespace {

using dgram::unix_dgram;
using unix_socket = unix_dgram::socket;
using unix_endpoint = unix_socket::endpoint_type;
using texts = std::vector<std::string>;

/// A peer under a path, which reads only when it is told to.
struct peer {
  peer(asio::io_context& io, std::string where) : path(std::move(where)), socket(io, path) {}

  /// Everything that has arrived, in order, without what filled the queue.
  texts read()
  {
    std::array<char, 4096> storage;
    while (const auto size = socket.try_receive(asio::buffer(storage)))
      if (std::string text(storage.data(), *size); text != "full") got.push_back(std::move(text));
    return got;
  }

  std::string path;
  unix_socket socket;
  texts got;
};

/// The text of the n-th datagram for a peer; the sizes differ.
std::string text_of(const std::string& name, int n)
{
  return name + std::to_string(n) + std::string(static_cast<std::size_t>(n % 7), '.');
}

texts texts_of(const std::string& name, int count)
{
  texts all;
  for (int i = 0; i < count; ++i)
    all.push_back(text_of(name, i));
  return all;
}

struct one_full : test::temporary_directory {
  one_full() { fill(full); }

  /// Another socket fills the queue, so that the server's own send buffer is empty.
  void fill(peer& which)
  {
    while (filler.try_send_to(asio::buffer("full", 4), which.path)) {}
  }

  void run_ready()
  {
    io.restart();
    while (io.poll() > 0) {}
  }

  template <class Condition>
  void run_until(Condition condition)
  {
    const auto deadline = std::chrono::steady_clock::now() + test::seconds(10);
    io.restart();
    while (!condition())
      if (io.run_one_until(deadline) == 0) FAIL("nothing happened any more, or not in time");
  }

  asio::io_context io;
  peer full{io, *this / "full"};
  peer good{io, *this / "good"};
  peer other{io, *this / "other"};
  unix_socket filler{io, unix_dgram{}};
  unix_socket server{io, *this / "server"};
};

/// A batch with `count` datagrams for each of the peers in turn.
void push_mixed(unix_dgram::send_batch& batch, const texts& paths, const texts& names, int count)
{
  for (int i = 0; i < count; ++i)
    for (std::size_t k = 0; k < paths.size(); ++k)
      batch.push(text_of(names[k], i), unix_endpoint(paths[k]));
}

}  // namespace

TEST_CASE_METHOD(one_full,
                 "UNX-20 try_send_batch sends past a full peer and keeps that peer's in order",
                 "[unix][F7]")
{
  unix_dgram::send_batch batch({.datagrams = 64, .copy = true});
  SECTION("the full peer is first")
  {
    push_mixed(batch, {full.path, good.path, other.path}, {"f", "g", "o"}, 5);
  }
  SECTION("in the middle")
  {
    push_mixed(batch, {good.path, full.path, other.path}, {"g", "f", "o"}, 5);
  }
  SECTION("last")
  {
    push_mixed(batch, {good.path, other.path, full.path}, {"g", "o", "f"}, 5);
  }
  const auto result = server.try_send_batch(batch);
  CHECK(result.sent == 10);
  CHECK(result.error == asio::error::would_block);
  CHECK(good.read() == texts_of("g", 5));
  CHECK(other.read() == texts_of("o", 5));
  CHECK(batch.size() == 5);
  CHECK(batch.front_peer() == unix_endpoint(full.path));
  // What is pushed now comes behind what stayed.
  batch.push(text_of("f", 5), full.path);
  batch.push(text_of("g", 5), good.path);
  CHECK(server.try_send_batch(batch).sent == 1);
  CHECK(good.read() == texts_of("g", 6));
  CHECK(batch.size() == 6);
  CHECK(full.read().empty());
  CHECK(server.try_send_batch(batch).sent == 6);
  CHECK(full.read() == texts_of("f", 6));
  CHECK(batch.empty());
}

TEST_CASE_METHOD(one_full,
                 "runs of equal datagrams survive a full peer between them, copied or not",
                 "[unix][F7]")
{
  unix_dgram::send_batch batch({.datagrams = 64, .copy = GENERATE(true, false)});
  const texts mine = {"g1", "g2", "g3", "g4", "g5", "g6"};
  const texts theirs = {"f1", "f2", "f3", "f4", "f5", "f6", "f7"};
  for (std::size_t i = 0; i < 3; ++i)
    batch.push(theirs[i], unix_endpoint(full.path));
  for (std::size_t i = 0; i < 3; ++i)
    batch.push(mine[i], unix_endpoint(good.path));
  batch.push_segments(asio::buffer("f4f5f6", 6), 2, full.path);
  for (std::size_t i = 3; i < 6; ++i)
    batch.push(mine[i], unix_endpoint(good.path));
  const auto result = server.try_send_batch(batch);
  CHECK(result.sent == 6);
  CHECK(result.error == asio::error::would_block);
  CHECK(good.read() == mine);
  CHECK(batch.size() == 6);
  CHECK(batch.bytes() == 12);
  batch.push(theirs[6], unix_endpoint(full.path));
  full.read();
  CHECK(server.try_send_batch(batch).sent == 7);
  CHECK(full.read() == theirs);
  CHECK(batch.empty());
  // The room of an empty batch is free again.
  CHECK(batch.has_room(1, 64));
}

TEST_CASE_METHOD(one_full, "a peer whose queue fills in the middle of a run keeps the rest of it",
                 "[unix][F7]")
{
  full.read();
  unix_dgram::send_batch batch({.datagrams = 2048, .copy = true});
  for (int i = 0; i < 1000; ++i)
    batch.push("same", full.path);
  for (int i = 0; i < 5; ++i)
    batch.push(text_of("g", i), good.path);
  const auto result = server.try_send_batch(batch);
  CHECK(result.error == asio::error::would_block);
  CHECK(good.read() == texts_of("g", 5));
  CHECK(result.sent + batch.size() == 1005);
  std::size_t arrived = 0;
  while (!batch.empty()) {
    arrived = full.read().size();
    server.try_send_batch(batch);
  }
  CHECK(full.read().size() == 1000);
  CHECK(arrived < 1000);
}

TEST_CASE_METHOD(one_full, "all peers are full: the batch keeps its order, and each gets its own",
                 "[unix][F7]")
{
  fill(good);
  unix_dgram::send_batch batch({.datagrams = 64, .copy = true});
  push_mixed(batch, {full.path, good.path}, {"f", "g"}, 4);
  CHECK(server.try_send_batch(batch).sent == 0);
  for (int i = 0; i < 2; ++i) {
    std::array<std::byte, 16> bytes;
    for (const std::string name : {"f", "g"}) {
      const auto text = text_of(name, i);
      CHECK(batch.front().copy_to(bytes) == text.size());
      CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), text.size()) == text);
      CHECK(batch.front_peer() == unix_endpoint(name == "f" ? full.path : good.path));
      batch.drop_front();
    }
  }
  good.read();
  CHECK(server.try_send_batch(batch).sent == 2);
  CHECK(good.read() == texts{text_of("g", 2), text_of("g", 3)});
  full.read();
  CHECK(server.try_send_batch(batch).sent == 2);
  CHECK(full.read() == texts{text_of("f", 2), text_of("f", 3)});
}

TEST_CASE_METHOD(one_full, "an error behind a full peer is that of the first datagram that stays",
                 "[unix][F7]")
{
  unix_dgram::send_batch batch({.datagrams = 64, .copy = true});
  push_mixed(batch, {full.path, *this / "missing", good.path}, {"f", "m", "g"}, 3);
  const bool drops = GENERATE(true, false);
  std::vector<std::string> refused;
  if (drops) {
    batch.on_refused([&](dgram::error_code, const unix_endpoint& to, std::size_t) {
      refused.push_back(to.path());
    });
    const auto result = server.try_send_batch(batch);
    CHECK(result.error == asio::error::would_block);
    CHECK(result.sent == 3);
    CHECK(result.refused == 3);
    CHECK(refused == texts(3, *this / "missing"));
  } else {
    for (int i = 0; i < 3; ++i) {
      const auto result = server.try_send_batch(batch);
      CHECK(result.error.value() == ENOENT);
      CHECK(batch.front_peer() == unix_endpoint(*this / "missing"));
      batch.drop_front();
    }
    CHECK(server.try_send_batch(batch).error == asio::error::would_block);
  }
  CHECK(good.read() == texts_of("g", 3));
  CHECK(batch.size() == 3);
  full.read();
  CHECK(server.try_send_batch(batch).sent == 3);
  CHECK(full.read() == texts_of("f", 3));
}

TEST_CASE_METHOD(one_full, "async_send_batch serves the other peers before it waits", "[unix][F7]")
{
  unix_dgram::send_batch batch({.datagrams = 64, .copy = true});
  push_mixed(batch, {full.path, good.path}, {"f", "g"}, 5);
  std::optional<dgram::send_result> result;
  server.async_send_batch(batch,
                          [&](dgram::error_code, dgram::send_result told) { result = told; });
  run_ready();
  CHECK(good.read() == texts_of("g", 5));
  CHECK_FALSE(result);
  full.read();
  run_until([&] { return result.has_value(); });
  CHECK(result->sent == 10);
  CHECK_FALSE(result->error);
  CHECK(full.read() == texts_of("f", 5));
}

TEST_CASE_METHOD(one_full, "a blocking send_batch serves the other peers before it waits",
                 "[unix][F7]")
{
  unix_dgram::send_batch batch({.datagrams = 64, .copy = true});
  push_mixed(batch, {full.path, good.path}, {"f", "g"}, 5);
  std::thread reader([this] {
    // Reads for the full peer only when the other one has everything.
    while (good.read().size() < 5)
      std::this_thread::yield();
    full.read();
  });
  const auto result = server.send_batch(batch);
  reader.join();
  CHECK(result.sent == 10);
  CHECK_FALSE(result.error);
  CHECK(full.read() == texts_of("f", 5));
}

TEST_CASE_METHOD(one_full, "a full peer takes no room from the other peers of a writer",
                 "[unix][F7]")
{
  const auto policy = GENERATE(dgram::full_policy::wait, dgram::full_policy::drop_newest);
  dgram::writer writer{server, {.datagrams = 16, .when_full = policy}};
  std::vector<std::string> failed;
  writer.on_error([&](dgram::error_code ec, const unix_endpoint& to, std::size_t) {
    CHECK(ec == asio::error::no_buffer_space);
    failed.push_back(to.path());
  });
  std::size_t for_full = 0;
  for (int i = 0; i < 200; ++i) {
    for_full += writer.try_send(text_of("f", i), unix_endpoint(full.path)) ? 1 : 0;
    REQUIRE(writer.try_send(text_of("g", i), unix_endpoint(good.path)));
    if (i % 5 == 4) {
      run_ready();
      good.read();
    }
  }
  CHECK(good.read() == texts_of("g", 200));
  // The first turn did not know yet that the peer is full.
  CHECK(for_full >= 8);
  CHECK(for_full <= 16);
  CHECK(writer.size() == for_full);
  CHECK(writer.statistics().sent == 200);
  CHECK(failed.empty());
  run_until([&] {
    full.read();
    return writer.size() == 0;
  });
  CHECK(full.read() == texts_of("f", static_cast<int>(for_full)));
  CHECK(writer.statistics().sent == 200 + for_full);
  CHECK(writer.statistics().lost == 0);
  // The peer is an ordinary one again.
  REQUIRE(writer.try_send("again", full.path));
  run_ready();
  CHECK(full.read().back() == "again");
}

TEST_CASE_METHOD(one_full, "drop_newest drops the full peer's datagrams and no other's",
                 "[unix][F7]")
{
  dgram::writer writer{server, {.datagrams = 16, .when_full = dgram::full_policy::drop_newest}};
  std::vector<std::string> dropped;
  writer.on_error([&](dgram::error_code ec, const unix_endpoint& to, std::size_t) {
    CHECK(ec == asio::error::no_buffer_space);
    dropped.push_back(to.path());
  });
  const bool pushes = GENERATE(true, false);
  for (int i = 0; i < 100; ++i) {
    for (const auto& [name, to] : {std::pair("f", full.path), std::pair("g", good.path)}) {
      const auto text = text_of(name, i);
      if (pushes) {
        CHECK(writer.push(text, unix_endpoint(to)));
      } else {
        bool done = false;
        asio::co_spawn(io, writer.send(text, unix_endpoint(to)),
                       [&](const std::exception_ptr& failure) { done = !failure; });
        run_ready();
        CHECK(done);
      }
    }
    run_ready();
    good.read();
  }
  CHECK(good.read() == texts_of("g", 100));
  CHECK(dropped == texts(92, full.path));
  CHECK(writer.statistics().dropped == 92);
  CHECK(writer.statistics().queued == 108);
  full.read();
  run_until([&] { return writer.size() == 0; });
  CHECK(full.read() == texts_of("f", 8));
}

TEST_CASE_METHOD(one_full, "a send to a full peer waits, and a send to another one does not",
                 "[unix][F7]")
{
  dgram::writer writer{server, {.datagrams = 16}};
  int sent = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 50; ++i) {
          co_await writer.send(text_of("f", i), unix_endpoint(full.path));
          ++sent;
        }
        co_await writer.flush();
      },
      asio::detached);
  run_ready();
  CHECK(sent >= 8);
  CHECK(sent <= 16);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(writer.try_send(text_of("g", i), unix_endpoint(good.path)));
    run_ready();
    good.read();
  }
  CHECK(good.read() == texts_of("g", 50));
  run_until([&] {
    full.read();
    return sent == 50 && writer.size() == 0;
  });
  CHECK(full.read() == texts_of("f", 50));
}

TEST_CASE_METHOD(one_full, "a peer that asks and does not read does not silence an echo server",
                 "[unix][F7]")
{
  const std::string how = GENERATE("send", "push and flush", "for_each", "to the sender");
  CAPTURE(how);
  dgram::reader reader{server};
  dgram::writer writer{reader, {.datagrams = 32}};
  const auto serve = [&]() -> asio::awaitable<void> {
    if (how == "for_each") {
      co_await reader.async_for_each(
          [&](const unix_dgram::datagram& datagram) {
            writer.try_send(datagram.payload(), datagram.reply_path());
          },
          asio::use_awaitable);
    } else if (how == "push and flush") {
      while (auto datagrams = co_await reader.next_batch()) {
        for (const auto& datagram : datagrams)
          if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
        co_await writer.flush();
      }
    } else {
      while (const auto datagram = co_await reader.next()) {
        if (how == "send")
          co_await writer.send(datagram->payload(), datagram->reply_path());
        else
          co_await writer.send(datagram->payload(), datagram->sender());
      }
    }
  };
  asio::co_spawn(io, serve(), asio::detached);
  for (int i = 0; i < 300; ++i) {
    REQUIRE(full.socket.try_send_to(asio::buffer(text_of("f", i)), *this / "server"));
    REQUIRE(good.socket.try_send_to(asio::buffer(text_of("g", i)), *this / "server"));
    run_ready();
    CHECK(good.read().size() == static_cast<std::size_t>(i) + 1);
  }
  CHECK(good.got == texts_of("g", 300));
  CHECK(writer.size() == 16);
  run_until([&] {
    full.read();
    return writer.size() == 0;
  });
  CHECK(full.read() == texts_of("f", 16));
  reader.stop();
  run_ready();
}

TEST_CASE_METHOD(one_full, "when_peer_full decides for a writer of a reader too", "[unix][F7]")
{
  dgram::reader reader{server};
  dgram::writer writer{reader, {.datagrams = 16, .when_peer_full = dgram::full_policy::wait}};
  // The queue learns from a flush that the peer is full.
  for (int i = 0; i < 8; ++i)
    REQUIRE(writer.try_send(text_of("f", i), unix_endpoint(full.path)));
  run_ready();
  CHECK_FALSE(writer.try_send("more", full.path));
  CHECK_FALSE(writer.push("g", good.path));
  bool flushed = false;
  asio::co_spawn(io, writer.flush(),
                 [&](const std::exception_ptr& failure) { flushed = !failure; });
  run_ready();
  CHECK(good.read() == texts{"g"});
  CHECK_FALSE(flushed);
  full.read();
  run_until([&] { return flushed; });
  CHECK(full.read() == texts_of("f", 8));
}

TEST_CASE_METHOD(one_full, "what waits for a full peer is lost with the socket, and is counted",
                 "[unix][F7]")
{
  dgram::writer writer{server};
  std::vector<dgram::error_code> failed;
  writer.on_error([&](dgram::error_code ec, const unix_endpoint& to, std::size_t size) {
    CHECK(to == unix_endpoint(full.path));
    CHECK(size == 2);
    failed.push_back(ec);
  });
  for (int i = 0; i < 5; ++i)
    REQUIRE(writer.try_send("f1", full.path));
  run_ready();
  REQUIRE(writer.size() == 5);
  std::size_t lost = 5;
  SECTION("the socket is closed")
  {
    server.close();
    test::run(io);
  }
  SECTION("the socket is replaced")
  {
    server.close();
    server.open();
    REQUIRE(writer.try_send("g1", good.path));
    CHECK(writer.size() == 1);
    test::run(io);
    CHECK(good.read() == texts{"g1"});
  }
  SECTION("the writer is closed")
  {
    writer.close();
    test::run(io);
  }
  SECTION("the writer is closed when there is room again")
  {
    full.read();
    writer.close();
    CHECK(full.read() == texts(5, "f1"));
    lost = 0;
    test::run(io);
  }
  CHECK(writer.size() == 0);
  CHECK(writer.statistics().lost == lost);
  CHECK(failed == std::vector<dgram::error_code>(lost, asio::error::operation_aborted));
}

TEST_CASE_METHOD(one_full, "a full peer that goes away ends its datagrams, and no other's",
                 "[unix][F7]")
{
  dgram::writer writer{server};
  std::vector<std::string> failed;
  writer.on_error([&](dgram::error_code ec, const unix_endpoint& to, std::size_t) {
    CHECK(ec.value() == ENOENT);
    failed.push_back(to.path());
  });
  fill(other);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(writer.try_send(text_of("f", i), full.path));
    REQUIRE(writer.try_send(text_of("o", i), other.path));
  }
  run_ready();
  REQUIRE(writer.size() == 10);
  full.socket.close();
  run_until([&] { return writer.size() == 5; });
  CHECK(failed == texts(5, full.path));
  CHECK(writer.statistics().refused == 5);
  other.read();
  run_until([&] { return writer.size() == 0; });
  CHECK(other.read() == texts_of("o", 5));
}

TEST_CASE_METHOD(one_full, "options stay with a datagram that waits for a full peer", "[unix][F7]")
{
  // A bad control message is refused when the datagram is offered, which shows that it is kept.
  dgram::writer writer{server};
  REQUIRE(writer.try_send("plain", full.path));
  run_ready();
  std::vector<std::size_t> refused;
  writer.on_error([&](dgram::error_code ec, const unix_endpoint&, std::size_t size) {
    CHECK(ec == asio::error::invalid_argument);
    refused.push_back(size);
  });
  dgram::send_options options;
  std::array<std::byte, 16> header{};
  header[0] = std::byte{1};  // a length that is shorter than the header itself
  options.control = header;
  REQUIRE(writer.try_send("asks", full.path, options));
  REQUIRE(writer.try_send("plain", full.path));
  full.read();
  run_until([&] { return writer.size() == 0; });
  CHECK(full.read() == texts{"plain", "plain"});
  CHECK(refused == std::vector<std::size_t>{4});
}

}  // namespace full_peers_test
