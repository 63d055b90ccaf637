// SPDX-License-Identifier: BSL-1.0
// Every number and duration that a caller chooses, at its ends: refused, or the object works.
#include "faults/operations.hpp"
#include "support/loopback.hpp"
#include "support/sanitizers.hpp"

#include <dgram/hand_over.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace numbers_test {

namespace {

using faults::place;
using faults::world;

/// So that sums and products wrap; none is so small that memory for it exists.
constexpr std::uint64_t ends[] = {
    0,
    1,
    2,
    std::numeric_limits<std::uint64_t>::max() / 2,
    std::numeric_limits<std::uint64_t>::max() / 2 + 1,
    std::numeric_limits<std::uint64_t>::max() - 1,
    std::numeric_limits<std::uint64_t>::max(),
};

std::size_t size(std::uint64_t value)
{
  return static_cast<std::size_t>(value);
}

/// The same ends of a signed type: 0, 1, 2, its greatest, its least, -2, -1.
template <class Number>
Number number(std::uint64_t value)
{
  using limits = std::numeric_limits<Number>;
  if (value == ends[3]) return limits::max();
  if (value == ends[4]) return limits::min();
  return static_cast<Number>(value);
}

template <class Duration>
Duration duration(std::uint64_t value)
{
  return Duration(number<typename Duration::rep>(value));
}

void wait_for_datagram(world& w, std::chrono::nanoseconds limit)
{
  asio::co_spawn(
      w.io,
      [](world& all, std::chrono::nanoseconds most) -> asio::awaitable<void> {
        dgram::error_code ec;
        co_await all.reader->next_for(most, ec);
      }(w, limit),
      asio::detached);
  w.supply(faults::need::datagram);
  w.run_one_for(std::chrono::milliseconds(1));
  while (w.run_one_for(std::chrono::milliseconds(5))) {}
}

void read_by(world& w, const dgram::reader_config& config)
{
  const auto emplace = [&](const dgram::reader_config& with) {
    world::udp_reader made(*w.socket, with);
    w.writer.reset();
    w.reader.emplace(std::move(made));
    w.writer.emplace(*w.reader);
  };
  emplace(config);
  wait_for_datagram(w, std::chrono::hours(1));
  emplace({.slots = 4, .coalesce = false});
}

void emplace_writer(world& w, const dgram::writer_config& config)
{
  world::udp_writer made(*w.reader, config);
  w.writer.emplace(std::move(made));
}

void send_with(world& w, const dgram::send_options& options)
{
  w.socket->try_send_to(asio::buffer(w.text), w.to_peer, options);
}

void exchange_by(world& w, dgram::exchanger_config config)
{
  const auto replace = [&](dgram::exchanger_config with) {
    with.slot_size = 256;
    with.coalesce = false;
    *w.exchanger = dgram::udp::exchanger(*w.socket, dgram::same_bytes{0, 2}, std::move(with));
  };
  replace(std::move(config));
  w.exchanger->async_exchange(w.text, w.to_peer, asio::detached);
  w.run_ready();
  w.supply(faults::need::datagram);
  w.run_one_for(std::chrono::milliseconds(1));
  while (w.run_one_for(std::chrono::milliseconds(5))) {}
  replace({.slots = 4});
}

void make_emitter(world& w, dgram::socket_options options)
{
  options.type = dgram::udp4;
  auto made = dgram::create_socket(w.io, std::move(options));
  made.bind_sync(0, "127.0.0.1");
  w.run_ready();
  made.on<dgram::event::error>([](const dgram::failure&) {});
  made.send("hello", w.to_peer.port(), "127.0.0.1");
  w.run_ready();
}

/// Queues what was reserved, and fits.
void write_in_place(world& w, std::size_t bytes, std::size_t datagrams)
{
  const auto room = w.writer->reserve(bytes, datagrams);
  if (!room.empty()) w.writer->commit(1, w.to_peer, {});
  w.run_ready();
}

void commit(world& w, std::size_t bytes)
{
  w.writer->reserve(4);
  w.writer->commit(bytes, w.to_peer, {});
}

/// A listener takes a session, which answers.
void listen_with(world& w, dgram::listener_config config)
{
  config.coalesce = false;
  dgram::udp::listener made(*w.socket, config);
  w.supply(faults::need::datagram);
  made.async_accept([&](dgram::error_code, std::optional<dgram::udp::session> from) {
    if (from) from->try_send("answer");
  });
  w.run_one_for(std::chrono::milliseconds(1));
  w.run_ready();
}

void drain_within(world& w, std::chrono::nanoseconds limit)
{
  w.listener->async_drain_for(limit, asio::detached);
  w.run_ready();
}

/// The socket goes to another one of this process, if there is time.
void hand_over_with(world& w, const dgram::hand_over_config& given,
                    const dgram::take_over_config& taken)
{
  dgram::async_hand_over(*w.socket, w.hand_over_path(), given, asio::detached);
  dgram::async_take_over(w.io, w.hand_over_path(), taken, asio::detached);
  w.run_ready();
  w.socket->cancel();
  w.run_ready();
}

struct setting {
  const char* name;
  place on;
  void (*set)(world&, std::uint64_t);
};

#define DGRAM_NUMBER(on, ...) \
  {#__VA_ARGS__, place::on, [](world& w, std::uint64_t n) { __VA_ARGS__; }}

/// Every number that a caller chooses. A new one is one line.
const setting table[] = {
    DGRAM_NUMBER(reader, read_by(w, {.slots = size(n)})),
    DGRAM_NUMBER(reader, read_by(w, {.slot_size = size(n)})),
    DGRAM_NUMBER(reader, read_by(w, {.slots = size(n), .slot_size = size(n)})),
    DGRAM_NUMBER(reader, read_by(w, {.slots = 4, .yield_after = size(n)})),
    DGRAM_NUMBER(reader, emplace_writer(w, {.datagrams = 8, .bytes = size(n) < 9 ? 512 : size(n)})),
    DGRAM_NUMBER(reader, emplace_writer(w, {.datagrams = size(n)})),
    DGRAM_NUMBER(reader, wait_for_datagram(w, duration<std::chrono::nanoseconds>(n))),
    DGRAM_NUMBER(reader, read_by(w, {.slots = 4, .control_size = size(n)})),
    DGRAM_NUMBER(reader, write_in_place(w, size(n), 1)),
    DGRAM_NUMBER(reader, write_in_place(w, 1, size(n))),
    DGRAM_NUMBER(reader, commit(w, size(n))),
    DGRAM_NUMBER(socket, listen_with(w, {.idle_timeout = duration<std::chrono::nanoseconds>(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.max_sessions = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.max_keys = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.max_unaccepted = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.inbox_datagrams = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.inbox_bytes = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.all_inboxes_bytes = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.amplification = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.slots = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.slot_size = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.yield_after = size(n)})),
    DGRAM_NUMBER(socket, listen_with(w, {.queue = {.datagrams = size(n)}})),
    DGRAM_NUMBER(socket, listen_with(w, {.queue = {.bytes = size(n)}})),
    DGRAM_NUMBER(listening, drain_within(w, duration<std::chrono::nanoseconds>(n))),
    DGRAM_NUMBER(socket,
                 hand_over_with(w, {.time_limit = duration<std::chrono::nanoseconds>(n)}, {})),
    DGRAM_NUMBER(socket,
                 hand_over_with(w, {}, {.time_limit = duration<std::chrono::nanoseconds>(n)})),
    DGRAM_NUMBER(socket, hand_over_with(w, {.file_mode = number<unsigned>(n)}, {})),
    DGRAM_NUMBER(socket, dgram::receive_batch batch(size(n)); dgram::error_code ec;
                 w.supply(faults::need::datagram); w.socket->try_receive_batch(batch, ec)),
    DGRAM_NUMBER(socket, dgram::receive_batch batch(4, size(n)); dgram::error_code ec;
                 w.supply(faults::need::datagram); w.socket->try_receive_batch(batch, ec)),
    DGRAM_NUMBER(socket, dgram::receive_batch batch(4); batch.reserve_control(size(n));
                 dgram::error_code ec; w.socket->try_receive_batch(batch, ec)),
    DGRAM_NUMBER(socket, dgram::send_batch batch({.datagrams = size(n)});
                 batch.push(w.text, w.to_peer); w.socket->try_send_batch(batch)),
    DGRAM_NUMBER(socket, dgram::send_batch batch({.datagrams = 4, .bytes = size(n), .copy = true});
                 batch.push(w.text, w.to_peer); w.socket->try_send_batch(batch)),
    DGRAM_NUMBER(socket, dgram::send_batch batch(4);
                 batch.push_segments(w.text, size(n), w.to_peer); w.socket->try_send_batch(batch)),
    DGRAM_NUMBER(socket, w.socket->async_send_segments(w.text, size(n), w.to_peer, asio::detached);
                 w.run_ready()),
    DGRAM_NUMBER(socket, send_with(w, {.dscp = number<std::uint8_t>(n)})),
    DGRAM_NUMBER(socket, send_with(w, {.hop_limit = number<int>(n)})),
    DGRAM_NUMBER(socket, send_with(w, {.segment_size = size(n)})),
    DGRAM_NUMBER(socket, w.socket->set_receive_buffer_size(number<int>(n))),
    DGRAM_NUMBER(socket, w.socket->set_option(dgram::option::hop_limit(number<int>(n)))),
    DGRAM_NUMBER(socket, w.socket->set_option(dgram::option::multicast_hop_limit(number<int>(n)))),
    DGRAM_NUMBER(socket, dgram::network_interface all(number<unsigned>(n));
                 w.socket->join(dgram::multicast_group{"239.255.77.8"}, all)),
    DGRAM_NUMBER(closed, w.socket->open(dgram::udp::v4(), {.receive_buffer_size = number<int>(n)})),
    DGRAM_NUMBER(closed, w.socket->assign(dgram::udp::v4(), n < 3 ? -1 - number<int>(n) : -1)),
    DGRAM_NUMBER(exchanging,
                 exchange_by(w, {.retry = {.first_wait = duration<std::chrono::nanoseconds>(n)}})),
    DGRAM_NUMBER(
        exchanging,
        exchange_by(w, {.retry = {.longest_wait = duration<std::chrono::nanoseconds>(n)}})),
    DGRAM_NUMBER(exchanging,
                 exchange_by(w, {.retry = {.deadline = duration<std::chrono::nanoseconds>(n)}})),
    DGRAM_NUMBER(exchanging, exchange_by(w, {.retry = {.tries = size(n)}})),
    DGRAM_NUMBER(exchanging, exchange_by(w, {.max_outstanding = size(n)})),
    DGRAM_NUMBER(exchanging, exchange_by(w, {.max_request_bytes = size(n)})),
    DGRAM_NUMBER(exchanging, exchange_by(w, {.max_answer_bytes = size(n)})),
    DGRAM_NUMBER(exchanging,
                 exchange_by(w, {.remember_for = duration<std::chrono::nanoseconds>(n)})),
    DGRAM_NUMBER(exchanging, exchange_by(w, {.max_remembered = size(n)})),
    DGRAM_NUMBER(exchanging, exchange_by(w, {.slots = size(n)})),
    DGRAM_NUMBER(exchanging, w.exchanger->unused_key(w.to_peer, size(n))),
    DGRAM_NUMBER(socket, dgram::shard_group group("127.0.0.1:0", {.reserve = size(n)});
                 group.open(w.io)),
    DGRAM_NUMBER(socket,
                 dgram::shard_group group("127.0.0.1:0",
                                          {.steering = dgram::steer_by_payload{.offset = size(n)}});
                 const auto first = group.open(w.io); group.open(w.io)),
    DGRAM_NUMBER(socket, dgram::shard_group group(
                             "127.0.0.1:0", {.steering = dgram::steer_by_payload{.size = size(n)}});
                 const auto first = group.open(w.io); group.open(w.io)),
    DGRAM_NUMBER(bound, make_emitter(w, {.recv_buffer_size = number<std::int64_t>(n)})),
    DGRAM_NUMBER(bound, make_emitter(w, {.send_buffer_size = number<std::int64_t>(n)})),
    DGRAM_NUMBER(bound,
                 make_emitter(w, {.lookup_lifetime = duration<std::chrono::milliseconds>(n)})),
    DGRAM_NUMBER(bound, make_emitter(w, {.queue_datagrams = size(n)})),
    DGRAM_NUMBER(bound, make_emitter(w, {.queue_bytes = size(n)})),
    DGRAM_NUMBER(bound, make_emitter(w, {.queue_datagrams = size(n),
                                         .when_full = dgram::full_policy::drop_newest})),
    DGRAM_NUMBER(bound, make_emitter(w, {.receive_size = size(n)})),
    DGRAM_NUMBER(bound, auto messages = w.emitter->stream<dgram::event::message>(size(n));
                 w.supply(faults::need::datagram); w.run_ready()),
    DGRAM_NUMBER(bound, auto messages = w.emitter->stream<dgram::event::message>(8, size(n));
                 w.supply(faults::need::datagram); w.run_ready()),
    DGRAM_NUMBER(bound, w.emitter->set_timeout(duration<std::chrono::milliseconds>(n));
                 w.run_ready()),
    DGRAM_NUMBER(bound, w.emitter->set_ttl(number<int>(n))),
    DGRAM_NUMBER(bound, w.emitter->set_multicast_ttl(number<int>(n))),
    DGRAM_NUMBER(bound, w.emitter->set_recv_buffer_size(number<std::int64_t>(n))),
    DGRAM_NUMBER(bound, w.emitter->send(w.text, number<std::int64_t>(n), number<std::int64_t>(n),
                                        w.to_peer.port(), "127.0.0.1")),
    DGRAM_NUMBER(bound, w.emitter->send(w.text, number<std::int64_t>(n), "127.0.0.1")),
    DGRAM_NUMBER(bound, w.emitter->connect(number<std::int64_t>(n), "127.0.0.1"); w.run_ready();
                 w.emitter->disconnect()),
    DGRAM_NUMBER(
        emitter,
        w.emitter->bind(number<std::int64_t>(n) == 1 ? 0 : number<std::int64_t>(n), "127.0.0.1");
        w.run_ready()),
};

}  // namespace

TEST_CASE("a number at the end of its range is refused, or the object works with it",
          "[faults][F11][F16][F17]")
{
  const test::scripted guard;
  for (const setting& each : table)
    for (const std::uint64_t value : ends) {
#if defined(DGRAM_TESTS_SANITIZED_HEAP)
      if (value > 2) break;  // a sanitizer's heap ends the program if there is no memory
#endif
      INFO(each.name << ", " << value);
      world w(each.on);
      try {
        each.set(w, value);
      } catch (const std::exception& refused) {
        // What is refused says why.
        CHECK(std::string(refused.what()).size() > 4);
      }
      CHECK(w.turns < 1000);
      w.check_that_it_works();
    }
}

}  // namespace numbers_test
