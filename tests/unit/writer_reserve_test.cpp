// SPDX-License-Identifier: BSL-1.0
// Packets that the program writes into the writer's queue, and numbers that reports give back.
#include <dgram/writer.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <asio/bind_executor.hpp>
#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace writer_reserve_test {

using namespace std::chrono_literals;

namespace {

using dgram::error_code;
using texts = std::vector<std::string>;
using numbers = std::vector<std::uint64_t>;

void write(std::span<std::byte> room, std::string_view text)
{
  REQUIRE(room.size() >= text.size());
  const auto bytes = std::as_bytes(std::span(text));
  std::copy(bytes.begin(), bytes.end(), room.begin());
}

struct host {
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::udp::socket client{io, test::loopback_v4()};
  error_code ec;
  std::optional<dgram::udp::writer> writer{socket};

  test::endpoint peer() { return client.local_endpoint(); }

  /// Writes a text into the queue and commits it.
  void queue(std::string_view text, const dgram::send_options& options = {})
  {
    write(writer->reserve(text.size()), text);
    writer->commit(text.size(), peer(), options);
  }

  texts arrived()
  {
    test::run(io);
    texts all;
    dgram::receive_batch batch{64};
    while (client.try_receive_batch(batch, ec) > 0)
      for (const dgram::datagram& datagram : batch)
        all.emplace_back(datagram.payload().text());
    return all;
  }
};

}  // namespace

TEST_CASE("writer: a packet that is written into the queue leaves without a copy")
{
  host on;
  const auto room = on.writer->reserve(100);
  REQUIRE(room.size() == 100);
  write(room, "before");
  on.writer->commit(6, on.peer());
  write(room, "behind");  // a copy would not have this
  CHECK(on.writer->size() == 1);
  CHECK(on.arrived() == texts{"behind"});
  CHECK(on.writer->statistics().queued == 1);
  CHECK(on.writer->statistics().sent == 1);
}

TEST_CASE("writer: packets of one size that are written into the queue leave as one message")
{
  host on;
  texts expected;
  const auto options = GENERATE(dgram::send_options{}, dgram::send_options{.number = 5},
                                dgram::send_options{.ecn = dgram::ecn_codepoint::ect_0});
  for (int i = 10; i < 60; ++i) {
    expected.push_back(std::to_string(i));
    auto each = options;
    if (each.number != 0) each.number += static_cast<std::uint64_t>(i);
    on.queue(expected.back(), each);
  }
  CHECK(on.arrived() == expected);
  CHECK(on.socket.statistics().send_calls == 1);
  if (dgram::capabilities().max_segments > 1) CHECK(on.socket.statistics().segmented == 50);
}

TEST_CASE("writer: a train is written into the queue at once, and mixes with copied datagrams")
{
  host on;
  CHECK(on.writer->try_send("first", on.peer()));
  const auto room = on.writer->reserve(40, 10);
  write(room, "aaaabbbbccccdd");
  on.writer->commit(14, on.peer(), {.segment_size = 4, .number = 3});
  CHECK(on.writer->try_send("last", on.peer()));
  on.queue("written");
  CHECK(on.writer->size() == 7);
  CHECK(on.arrived() == texts{"first", "aaaa", "bbbb", "cccc", "dd", "last", "written"});
}

TEST_CASE("writer: answers that are written into the queue leave by their paths")
{
  host on;
  on.socket.set_option(dgram::option::packet_info(true));
  on.client.send_to(asio::buffer("?", 1), on.socket.local_endpoint());
  dgram::receive_batch batch{1};
  REQUIRE(on.socket.receive_batch(batch) == 1);
  write(on.writer->reserve(2), "!");
  on.writer->commit(1, batch[0].reply_path(), {.ecn = dgram::ecn_codepoint::ect_1});
  CHECK(on.arrived() == texts{"!"});

  on.socket.connect(on.peer());
  write(on.writer->reserve(2), "c");
  on.writer->commit(1, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::already_connected);
  on.writer->commit(1);
  write(on.writer->reserve(2), "d");
  on.writer->commit(1, dgram::send_options{.number = 2});
  CHECK(on.arrived() == texts{"c", "d"});
  on.socket.disconnect();
  write(on.writer->reserve(2), "e");
  on.writer->commit(1, dgram::send_options{}, on.ec);
  CHECK(on.ec == dgram::platform::destination_required());
}

TEST_CASE("writer: room that the queue can never have is refused with the reason")
{
  host on;
  on.writer.emplace(on.socket, dgram::writer_config{.datagrams = 4, .bytes = 1000});
  CHECK(on.writer->reserve(1000).size() == 1000);
  CHECK(on.writer->reserve(1001, on.ec).empty());
  CHECK(on.ec == asio::error::message_size);
  CHECK(on.writer->reserve(10, 5, on.ec).empty());
  CHECK(on.ec == asio::error::message_size);
  CHECK(on.writer->reserve(0, on.ec).empty());
  CHECK(on.ec == asio::error::invalid_argument);
  CHECK(on.writer->reserve(10, 0, on.ec).empty());
  CHECK(on.ec == asio::error::invalid_argument);
  CHECK_THROWS_AS(on.writer->reserve(1001), dgram::system_error);
  // Nothing is left of a reservation after a refused one.
  on.writer->commit(1, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::invalid_argument);
}

TEST_CASE("writer: room in a queue that is full is made by a flush")
{
  host on;
  on.writer.emplace(on.socket, dgram::writer_config{.datagrams = 2});
  for (const char* text : {"a", "b", "c", "d", "e"})
    on.queue(text);
  CHECK(on.arrived() == texts{"a", "b", "c", "d", "e"});
}

TEST_CASE(
    "writer: while the kernel is full there is no room, whatever the policy, and none is lost")
{
  asio::io_context io;
  dgram::sim::network net{io, {.delay = 1ms, .rate = 8'000'000}};
  dgram::sim::socket server{net, {"10.0.0.1", 7000}};
  dgram::sim::socket client{net, {"10.0.0.2", 0}};
  client.set_option(dgram::option::send_buffer_size(1000));
  const auto policy = GENERATE(dgram::full_policy::wait, dgram::full_policy::drop_newest);
  dgram::writer writer{client, {.datagrams = 100, .bytes = 3000, .when_full = policy}};
  const auto to = server.local_endpoint();
  error_code ec;
  std::size_t queued = 0;
  while (!writer.reserve(500, ec).empty()) {
    writer.commit(500, to);
    ++queued;
  }
  CHECK(ec == asio::error::would_block);
  CHECK(writer.reserve(500).empty());
  CHECK(writer.is_blocked());
  CHECK(writer.statistics().dropped == 0);
  bool flushed = false;
  writer.async_flush([&](error_code why) {
    CHECK_FALSE(why);
    flushed = true;
    CHECK(writer.reserve(500).size() == 500);
    writer.commit(500, to);
  });
  net.run();
  CHECK(flushed);
  CHECK(writer.statistics().sent == queued + 1);
  CHECK(net.counters().delivered == queued + 1);
}

TEST_CASE("writer: a flush looks at the queue on the socket's executor, wherever its handler runs")
{
  asio::io_context io;
  dgram::sim::network net{io, {.delay = 1ms, .rate = 8'000'000}};
  dgram::sim::socket server{net, {"10.0.0.1", 7000}};
  dgram::sim::socket client{net, {"10.0.0.2", 0}};
  client.set_option(dgram::option::send_buffer_size(1000));
  dgram::writer writer{client, {.datagrams = 100, .bytes = 3000}};
  const auto fill = [&] {
    error_code ec;
    while (!writer.reserve(500, ec).empty())
      writer.commit(500, server.local_endpoint());
    REQUIRE(writer.is_blocked());
  };
  fill();
  asio::io_context other;
  std::optional<error_code> flushed;
  writer.async_flush(asio::bind_executor(other, [&](error_code why) { flushed = why; }));
  net.run();
  // The flush is over, whatever is queued before its handler runs.
  CHECK_FALSE(flushed);
  fill();
  other.poll();
  CHECK(flushed == error_code());
}

TEST_CASE("writer: more than was reserved is refused, and the room stays reserved")
{
  host on;
  write(on.writer->reserve(8, 2), "12345678");
  on.writer->commit(9, on.peer(), {}, on.ec);
  CHECK(on.ec == dgram::error::out_of_range);
  on.writer->commit(8, on.peer(), {.segment_size = 2}, on.ec);
  CHECK(on.ec == dgram::error::out_of_range);
  on.writer->commit(8, on.peer(), {.dscp = 64}, on.ec);
  CHECK(on.ec == dgram::error::out_of_range);
  on.writer->commit(8, on.peer(), {.segment_size = 0}, on.ec);
  CHECK(on.ec == asio::error::invalid_argument);
  CHECK_THROWS_AS(on.writer->commit(9, on.peer()), dgram::system_error);
  CHECK(on.writer->size() == 0);
  on.writer->commit(8, on.peer(), {.segment_size = 4}, on.ec);
  CHECK_FALSE(on.ec);
  CHECK(on.arrived() == texts{"1234", "5678"});
}

TEST_CASE("writer: room is reserved once, until something else is queued")
{
  host on;
  on.writer->commit(0, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::invalid_argument);

  write(on.writer->reserve(10), "lost");
  write(on.writer->reserve(6), "second");
  on.writer->commit(7, on.peer(), {}, on.ec);
  CHECK(on.ec == dgram::error::out_of_range);
  on.writer->commit(6, on.peer());
  on.writer->commit(6, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::invalid_argument);

  write(on.writer->reserve(10), "lost");
  CHECK(on.writer->try_send("other", on.peer()));
  on.writer->commit(4, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::invalid_argument);
  CHECK(on.arrived() == texts{"second", "other"});

  // An empty datagram is one too.
  on.writer->reserve(10);
  on.writer->commit(0, on.peer());
  CHECK(on.arrived() == texts{""});
}

TEST_CASE("writer: a flush leaves what is written into reserved room alone")
{
  host on;
  for (int i = 0; i < 3; ++i)
    CHECK(on.writer->try_send("queued before", on.peer()));
  const auto room = on.writer->reserve(1000);
  write(room, "written before the flush");
  CHECK(on.arrived().size() == 3);
  CHECK(on.writer->size() == 0);
  on.writer->commit(24, on.peer());
  CHECK(on.arrived() == texts{"written before the flush"});

  // The whole queue, as far as it is free, moves by less than its size.
  CHECK(on.writer->try_send("0123456789", on.peer()));
  const auto large = on.writer->reserve(60000);
  std::fill(large.begin(), large.end(), std::byte{'x'});
  CHECK(on.arrived().size() == 1);
  on.writer->commit(60000, on.peer());
  CHECK(on.arrived() == texts{std::string(60000, 'x')});
}

TEST_CASE("writer: room that is never committed costs nothing")
{
  host on;
  write(on.writer->reserve(100), "never sent");
  CHECK(on.arrived().empty());
  on.writer->reserve(100);
  on.writer->close();
  CHECK(on.writer->reserve(10, on.ec).empty());
  CHECK(on.ec == asio::error::operation_aborted);
  on.writer->commit(1, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::operation_aborted);
  CHECK(on.writer->statistics().queued == 0);
  CHECK(on.writer->statistics().lost == 0);
  on.writer.reset();
  on.writer.emplace(on.socket);
  on.writer->reserve(10);
  on.writer.reset();
  CHECK(on.arrived().empty());
}

TEST_CASE("writer: a socket that is closed and opened again takes what was written before")
{
  host on;
  CHECK(on.writer->try_send("of the old descriptor", on.peer()));
  const auto room = on.writer->reserve(10);
  write(room, "kept");
  on.socket.close();
  on.writer->commit(4, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::bad_descriptor);
  CHECK(on.writer->reserve(10, on.ec).empty());
  CHECK(on.ec == asio::error::bad_descriptor);
  on.socket.open(dgram::udp::v4());
  CHECK_FALSE(on.writer->reserve(10).empty());
  write(on.writer->reserve(10), "kept");
  on.writer->commit(4, on.peer());
  CHECK(on.writer->statistics().lost == 1);
  CHECK(on.arrived() == texts{"kept"});
}

TEST_CASE("writer: a handler for lost datagrams may close the socket of the one that comes")
{
  host on;
  on.queue("lost");
  on.writer->on_error([&](error_code, const auto&, std::size_t) { on.socket.close(); });
  write(on.writer->reserve(4), "late");
  on.socket.close();
  on.socket.open(dgram::udp::v4());
  on.writer->commit(4, on.peer(), {}, on.ec);
  CHECK(on.ec == asio::error::bad_descriptor);
  CHECK(on.writer->size() == 0);
  CHECK(on.arrived().empty());
}

TEST_CASE("writer: a handler for lost datagrams may take the room of the one that comes")
{
  host on;
  on.writer.emplace(on.socket, dgram::writer_config{.datagrams = 2});
  on.queue("lost");
  int lost = 0;
  on.writer->on_error([&](error_code ec, const auto&, std::size_t) {
    CHECK(ec == asio::error::operation_aborted);
    ++lost;
    CHECK(on.writer->try_send("one", on.peer()));
    CHECK(on.writer->try_send("two", on.peer()));
  });
  const auto reopen = [&] {
    on.socket.close();
    on.socket.open(dgram::udp::v4());
  };
  SECTION("a packet that was written")
  {
    write(on.writer->reserve(4), "late");
    reopen();
    on.writer->commit(4, on.peer(), {}, on.ec);
    CHECK(on.ec);
  }
  SECTION("a packet that is pushed")
  {
    reopen();
    CHECK_THROWS_AS(on.writer->push("late", on.peer()), dgram::system_error);
  }
  CHECK(lost == 1);
  CHECK(on.arrived() == texts{"one", "two"});
  CHECK(on.writer->statistics().lost == 1);
  CHECK(on.writer->statistics().sent == 2);
}

TEST_CASE("writer: the number of a datagram that was refused, lost or dropped comes back")
{
  numbers got;
  host on;
  on.writer.emplace(on.socket, dgram::writer_config{.datagrams = 64});
  const auto listen = [&] {
    on.writer->on_error([&](error_code, const test::endpoint&, std::size_t, std::uint64_t number) {
      got.push_back(number);
    });
  };
  listen();
  const test::endpoint nowhere(asio::ip::address_v4::loopback(), 0);  // no datagram gets there
  for (std::uint64_t i = 1; i <= 40; ++i) {
    const bool refused = i % 10 == 0;
    if (i % 2 == 0)
      CHECK(on.writer->try_send("12", refused ? nowhere : on.peer(), {.number = i}));
    else
      on.queue("34", {.number = i});
    if (i == 20) CHECK(on.writer->try_send("without", nowhere));
  }
  CHECK(on.arrived().size() == 36);
  CHECK(got == numbers{10, 20, 0, 30, 40});

  // A train is refused one datagram after the other.
  got.clear();
  CHECK(on.writer->try_send("aabbc", nowhere, {.segment_size = 2, .number = 7}));
  CHECK(on.writer->try_send("x", nowhere));
  CHECK(on.arrived().empty());
  CHECK(got == numbers{7, 7, 7, 0});

  got.clear();
  CHECK(on.writer->try_send("x", on.peer(), {.number = 8}));
  CHECK(on.writer->try_send("x", on.peer()));
  on.queue("x", {.number = 9});
  on.socket.close();
  on.writer->close();
  CHECK(got == numbers{8, 0, 9});
}

TEST_CASE("writer: the number of a datagram that a full queue drops comes back")
{
  asio::io_context io;
  dgram::sim::network net{io, {.rate = 8'000'000}};
  dgram::sim::socket server{net, {"10.0.0.1", 7000}};
  dgram::sim::socket client{net, {"10.0.0.2", 0}};
  client.set_option(dgram::option::send_buffer_size(1));
  numbers got;
  dgram::writer writer{client, {.datagrams = 2, .when_full = dgram::full_policy::drop_newest}};
  writer.on_error([&](error_code ec, const auto&, std::size_t, std::uint64_t number) {
    if (ec == asio::error::no_buffer_space) got.push_back(number);
  });
  const auto to = server.local_endpoint();
  for (std::uint64_t i = 1; i <= 6; ++i)
    writer.push("x", to, {.number = i});
  CHECK(got.size() == writer.statistics().dropped);
  CHECK(got.size() >= 3);
  CHECK(got.back() == 6);
}

TEST_CASE("send_batch: the number of a refused datagram comes back, and handlers without one stay")
{
  host on;
  const test::endpoint nowhere(asio::ip::address_v4::loopback(), 0);
  dgram::send_batch batch{{.datagrams = 64, .copy = GENERATE(true, false)}};
  numbers got;
  const auto fill = [&] {
    for (std::uint64_t i = 1; i <= 20; ++i)
      batch.push("x", i % 5 == 0 ? nowhere : on.peer(), {.number = i});
  };
  fill();
  batch.on_refused([&](error_code, const test::endpoint&, std::size_t, std::uint64_t number) {
    got.push_back(number);
  });
  CHECK(on.socket.send_batch(batch).sent == 16);
  CHECK(got == numbers{5, 10, 15, 20});

  std::size_t refused = 0;
  fill();
  batch.on_refused([&](error_code, const test::endpoint&, std::size_t size) { refused += size; });
  CHECK(on.socket.send_batch(batch).refused == 4);
  CHECK(refused == 4);
  fill();
  batch.on_refused(nullptr);
  CHECK(on.socket.try_send_batch(batch).error);
  CHECK(got.size() == 4);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("writer: packets for a Unix peer that is full are copied, and keep their numbers")
{
  test::temporary_directory directory;
  asio::io_context io;
  using unix_socket = dgram::unix_dgram::socket;
  unix_socket full(io, directory / "full");
  unix_socket good(io, directory / "good");
  unix_socket server(io, directory / "server");
  unix_socket filler(io, dgram::unix_dgram{});
  while (filler.try_send_to(asio::buffer("full", 4), directory / "full")) {}
  numbers got;
  dgram::writer writer{server};
  writer.on_error(
      [&](error_code, const auto&, std::size_t, std::uint64_t number) { got.push_back(number); });
  const unix_socket::endpoint_type to_full(directory / "full");
  const unix_socket::endpoint_type to_good(directory / "good");
  for (std::uint64_t i = 1; i <= 3; ++i) {
    write(writer.reserve(2), "f" + std::to_string(i));
    writer.commit(2, to_full, {.number = i});
    write(writer.reserve(2), "g" + std::to_string(i));
    writer.commit(2, to_good, {.number = 10 + i});
    while (io.poll() > 0) {}
    io.restart();
  }
  CHECK(writer.size() == 3);
  std::array<char, 64> storage{};
  for (int i = 1; i <= 3; ++i) {
    const std::size_t size = good.receive(asio::buffer(storage));
    CHECK(std::string(storage.data(), size) == "g" + std::to_string(i));
  }
  writer.close();
  CHECK(got == numbers{1, 2, 3});
}
#endif

}  // namespace writer_reserve_test
