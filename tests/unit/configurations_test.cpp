// SPDX-License-Identifier: BSL-1.0
// The numbers of each configuration at their ends: each works as documented, or is refused when the
// object is made.
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <asio/buffer.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>

namespace configurations_test {

namespace {

constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();

struct traffic {
  asio::io_context io;
  dgram::udp::socket to{io, test::loopback_v4()};
  dgram::udp::socket from{io, test::loopback_v4()};

  void send(int count)
  {
    for (int i = 0; i < count; ++i)
      from.send_to(asio::buffer("hello", 5), to.local_endpoint());
  }
};

/// The reader, or nothing if it refuses the configuration.
std::optional<dgram::udp::reader> reader_of(traffic& host, const dgram::reader_config& config)
{
  const bool refused = config.slots == 0 || config.yield_after == 0;
  const bool too_much = config.slots == largest || config.slot_size == largest;
  if (refused)
    CHECK_THROWS_AS(dgram::udp::reader(host.to, config), std::invalid_argument);
  else if (too_much)
    CHECK_THROWS_AS(dgram::udp::reader(host.to, config), std::length_error);
  else
    return dgram::udp::reader(host.to, config);
  return std::nullopt;
}

dgram::reader_config any_reader_config()
{
  return GENERATE(
      dgram::reader_config{}, dgram::reader_config{.slots = 0}, dgram::reader_config{.slots = 1},
      dgram::reader_config{.slots = largest}, dgram::reader_config{.slot_size = 0},
      dgram::reader_config{.slot_size = 1}, dgram::reader_config{.slot_size = 65535},
      dgram::reader_config{.slot_size = largest}, dgram::reader_config{.yield_after = 0},
      dgram::reader_config{.yield_after = 1}, dgram::reader_config{.yield_after = largest},
      dgram::reader_config{.slots = 1, .slot_size = 1, .yield_after = 1});
}

dgram::writer_config any_writer_config()
{
  return GENERATE(
      dgram::writer_config{}, dgram::writer_config{.datagrams = 0},
      dgram::writer_config{.datagrams = 1}, dgram::writer_config{.datagrams = largest},
      dgram::writer_config{.bytes = 0}, dgram::writer_config{.bytes = 1},
      dgram::writer_config{.bytes = 5}, dgram::writer_config{.bytes = largest},
      dgram::writer_config{.datagrams = 1, .bytes = 5},
      dgram::writer_config{.datagrams = 1, .when_full = dgram::full_policy::drop_newest});
}

/// How much of five bytes a slot holds; 0 is the default size.
std::size_t received_of(const dgram::reader_config& config)
{
  return config.slot_size == 0 ? 5 : std::min<std::size_t>(5, config.slot_size);
}

}  // namespace

TEST_CASE("a reader of any configuration hands over each datagram, one by one or by batch",
          "[configurations][F11]")
{
  const dgram::reader_config config = any_reader_config();
  const bool by_batch = GENERATE(false, true);
  CAPTURE(config.slots, config.slot_size, config.yield_after, by_batch);
  traffic host;
  auto reader = reader_of(host, config);
  if (!reader) return;
  constexpr int sent = 7;
  host.send(sent);
  int received = 0;
  test::run(host.io, [&]() -> asio::awaitable<void> {
    while (received < sent) {
      if (by_batch) {
        const auto datagrams = co_await reader->next_batch();
        for (const dgram::datagram& datagram : datagrams) {
          CHECK(datagram.payload().size() == received_of(config));
          ++received;
        }
      } else {
        const auto datagram = co_await reader->next();
        REQUIRE(datagram);
        CHECK(datagram->payload().size() == received_of(config));
        ++received;
      }
    }
  }());
  CHECK(received == sent);
}

TEST_CASE(
    "async_for_each of any configuration hands over each datagram, and others have their turn",
    "[configurations][F11]")
{
  const dgram::reader_config config = any_reader_config();
  CAPTURE(config.slots, config.slot_size, config.yield_after);
  traffic host;
  auto reader = reader_of(host, config);
  if (!reader) return;
  constexpr int sent = 7;
  host.send(sent);
  int received = 0;
  bool had_turn = false;
  dgram::error_code ended = asio::error::fault;
  reader->async_for_each(
      [&](const dgram::datagram&) {
        if (++received == sent) reader->stop();
      },
      [&](dgram::error_code ec) { ended = ec; });
  asio::post(host.io, [&] { had_turn = true; });
  test::run(host.io);
  CHECK(received == sent);
  CHECK(had_turn);
  CHECK_FALSE(ended);
}

TEST_CASE("a writer of any configuration sends, or says that there is never room",
          "[configurations][F11]")
{
  const dgram::writer_config config = any_writer_config();
  CAPTURE(config.datagrams, config.bytes);
  traffic host;
  if (config.datagrams == 0 || config.bytes == 0) {
    CHECK_THROWS_AS(dgram::writer(host.from, config), std::invalid_argument);
    return;
  }
  if (config.datagrams == largest || config.bytes == largest) {
    CHECK_THROWS_AS(dgram::writer(host.from, config), std::length_error);
    return;
  }
  dgram::writer writer(host.from, config);
  const auto peer = host.to.local_endpoint();
  constexpr int sent = 5;
  dgram::error_code ec;
  test::run(host.io, [&]() -> asio::awaitable<void> {
    try {
      for (int i = 0; i < sent; ++i) {
        co_await writer.send("hello", peer);
        if (config.when_full != dgram::full_policy::wait) co_await writer.flush();
      }
      co_await writer.flush();
    } catch (const dgram::system_error& error) {
      ec = error.code();
    }
  }());
  const bool never = config.bytes == 1;
  CHECK(ec == (never ? dgram::error_code(asio::error::message_size) : dgram::error_code()));
  CHECK(writer.statistics().sent == (never ? 0 : sent));
  dgram::receive_batch in{2 * sent, 64};
  const auto arrived = host.to.try_receive_batch(in);
  CHECK(arrived.value_or(0) == (never ? 0 : sent));
}

TEST_CASE("a batch to send of any configuration takes as much as it says", "[configurations][F11]")
{
  const bool copy = GENERATE(false, true);
  const std::size_t datagrams = GENERATE(as<std::size_t>(), 0, 1, 2, largest);
  const std::size_t bytes = GENERATE(as<std::size_t>(), 0, 1, 5, largest);
  CAPTURE(copy, datagrams, bytes);
  const dgram::send_batch_config config{.datagrams = datagrams, .bytes = bytes, .copy = copy};
  if (datagrams == 0) {
    CHECK_THROWS_AS(dgram::send_batch(config), std::invalid_argument);
    return;
  }
  if (datagrams == largest || (copy && bytes == largest)) {
    CHECK_THROWS_AS(dgram::send_batch(config), std::length_error);
    return;
  }
  traffic host;
  dgram::send_batch batch(config);
  const auto peer = host.to.local_endpoint();
  const bool has_room = bytes != 1;
  CHECK(batch.has_room(5) == has_room);
  if (has_room)
    batch.push("hello", peer);
  else
    CHECK_THROWS_AS(batch.push("hello", peer), std::length_error);
  CHECK(batch.has_room(5) == (has_room && datagrams > 1 && bytes != 5));
  CHECK(host.from.try_send_batch(batch).sent == (has_room ? 1 : 0));
}

TEST_CASE("an emitter of any queue sends what it is given, or reports that it was dropped",
          "[configurations][F11]")
{
  const std::size_t datagrams = GENERATE(as<std::size_t>(), 0, 1, largest);
  const std::size_t bytes = GENERATE(as<std::size_t>(), 0, 1, largest);
  const auto policy = GENERATE(dgram::full_policy::wait, dgram::full_policy::drop_newest);
  CAPTURE(datagrams, bytes, static_cast<int>(policy));
  traffic host;
  const dgram::socket_options options{
      .type = dgram::udp4, .queue_datagrams = datagrams, .queue_bytes = bytes, .when_full = policy};
  if (datagrams == 0 || bytes == 0) {
    CHECK_THROWS_AS(dgram::create_socket(host.io, options), dgram::system_error);
    return;
  }
  auto emitter = dgram::create_socket(host.io, options);
  constexpr int asked = 3;
  int sent = 0;
  int dropped = 0;
  for (int i = 0; i < asked; ++i)
    emitter.send("hello", host.to.local_endpoint().port(), "127.0.0.1",
                 [&](dgram::error_code ec, std::size_t) {
                   ++(ec ? dropped : sent);
                   if (sent + dropped == asked) emitter.close();
                 });
  test::run(host.io);
  CHECK(sent + dropped == asked);
  // There is always room for one.
  const bool has_room = datagrams == largest && bytes == largest;
  CHECK(sent == (policy == dgram::full_policy::wait || has_room ? asked : 1));
}

TEST_CASE("buffer sizes of an emitter are set, or refused when it is made or bound",
          "[configurations][F11]")
{
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  const std::int64_t size = GENERATE_COPY(as<std::int64_t>(), -most - 1, -1, 0, 1,
                                          std::numeric_limits<int>::max(), 0xffffffff, most);
  const bool receives = GENERATE(false, true);
  CAPTURE(size, receives);
  asio::io_context io;
  dgram::socket_options options{.type = dgram::udp4};
  (receives ? options.recv_buffer_size : options.send_buffer_size) = size;
  if (size < 0 || size > 0xffffffff) {
    CHECK_THROWS_AS(dgram::create_socket(io, options), dgram::system_error);
    return;
  }
  auto emitter = dgram::create_socket(io, options);
  if (size > std::numeric_limits<int>::max()) {
    // As with Node, which takes 32 bits and hears of the system's limit from the bind.
    CHECK_THROWS_AS(emitter.bind_sync(0, "127.0.0.1"), dgram::system_error);
    return;
  }
  emitter.bind_sync(0, "127.0.0.1");
  CHECK((receives ? emitter.get_recv_buffer_size() : emitter.get_send_buffer_size()) > 0);
  emitter.close();
  test::run(io);
}

}  // namespace configurations_test
