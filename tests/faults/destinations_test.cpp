// SPDX-License-Identifier: BSL-1.0
// Good and bad destinations in one series of sends, in random order, through each way to send.
#include "faults/rounds.hpp"
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace destinations_test {

namespace {

using test::script;
using strings = std::vector<std::string>;

/// What is sent where. A datagram is known by its size, since reports have no more than that.
struct letter {
  std::string text;
  test::endpoint to;
  int refusal = 0;  ///< the errno of its destination
};

struct scene : test::scripted {
  explicit scene(std::uint32_t seed)
  {
    // What the kernel says of a destination, not of the socket or of all destinations.
    static constexpr int refusals[] = {EPERM, EACCES, ENETUNREACH, EHOSTUNREACH, EINVAL, EMSGSIZE};
    faults::dice random(seed);
    const std::size_t count = 1 + random.below(40);
    const std::size_t bad = 1 + random.below(5);
    for (std::size_t i = 0; i < count; ++i) {
      letter next;
      // Runs of equal sizes leave as one message, so both equal and different sizes are tried.
      next.text = std::string(1 + random.below(3), static_cast<char>('a' + i % 26));
      next.to = peer.endpoint();
      if (random.below(5) < bad) {
        const std::size_t which = random.below(std::size(refusals));
        next.refusal = refusals[which];
        next.to.port(static_cast<std::uint16_t>(1 + which));
      }
      letters.push_back(next);
    }
    script.verdict = [](const test::offered_message& message, std::size_t) {
      const auto port = message.peer.port();
      return port <= std::size(refusals) ? refusals[port - 1] : 0;
    };
  }

  auto note()
  {
    return [this](dgram::error_code ec, const test::endpoint& to, std::size_t size) {
      refused.push_back({std::string(size, '?'), to, ec.value()});
    };
  }

  void check()
  {
    strings good;
    std::vector<letter> bad;
    for (const letter& each : letters)
      if (each.refusal == 0)
        good.push_back(each.text);
      else
        bad.push_back(each);
    CHECK(peer.received(good.size()) == good);
    REQUIRE(refused.size() == bad.size());
    for (std::size_t i = 0; i < bad.size(); ++i) {
      CHECK(refused[i].to == bad[i].to);
      CHECK(refused[i].text.size() == bad[i].text.size());
      CHECK(refused[i].refusal == bad[i].refusal);
    }
  }

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  std::vector<letter> letters;
  std::vector<letter> refused;
};

void fill(scene& s, dgram::send_batch& batch)
{
  for (const letter& each : s.letters)
    batch.push(each.text, each.to);
}

void by_batch(scene& s)
{
  dgram::send_batch batch(64);
  batch.on_refused(s.note());
  fill(s, batch);
  CHECK_FALSE(s.socket.send_batch(batch).error);
}

void by_batch_one_refusal_a_call(scene& s)
{
  dgram::send_batch batch(64);
  fill(s, batch);
  while (!batch.empty()) {
    const auto result = s.socket.try_send_batch(batch);
    if (!result.error) continue;
    s.note()(result.error, batch.front_peer(), batch.front_size());
    batch.drop_front();
  }
}

void by_async_batch(scene& s)
{
  dgram::send_batch batch(64);
  batch.on_refused(s.note());
  fill(s, batch);
  s.socket.async_send_batch(batch,
                            [](dgram::error_code ec, dgram::send_result) { CHECK_FALSE(ec); });
  test::run(s.io);
}

void by_single_sends(scene& s)
{
  for (const letter& each : s.letters) {
    dgram::error_code ec;
    s.socket.try_send_to(asio::buffer(each.text), each.to, ec);
    if (ec) s.note()(ec, each.to, each.text.size());
  }
}

void by_writer(scene& s)
{
  dgram::writer writer{s.socket, {.datagrams = 8}};
  writer.on_error(s.note());
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (const letter& each : s.letters)
      co_await writer.send(each.text, each.to);
    co_await writer.flush();
  }());
}

void by_pushes(scene& s)
{
  dgram::writer writer{s.socket, {.datagrams = 8}};
  writer.on_error(s.note());
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (const letter& each : s.letters)
      if (!writer.push(each.text, each.to)) co_await writer.flush();
    co_await writer.flush();
  }());
}

void by_emitter(scene& s)
{
  auto emitter = dgram::create_socket(s.io, dgram::udp4);
  emitter.bind_sync(0, "127.0.0.1");
  for (const letter& each : s.letters)
    emitter.send(each.text, each.to, [&](dgram::error_code ec, std::size_t) {
      if (ec) s.note()(ec, each.to, each.text.size());
    });
  emitter.close();
  test::run(s.io);
}

struct way {
  const char* name;
  void (*send)(scene&);
};

/// A new way to send is one line.
constexpr way ways[] = {
    {"send_batch", by_batch},
    {"try_send_batch without on_refused", by_batch_one_refusal_a_call},
    {"async_send_batch", by_async_batch},
    {"try_send_to", by_single_sends},
    {"writer::send", by_writer},
    {"writer::push", by_pushes},
    {"emitter", by_emitter},
};

}  // namespace

TEST_CASE("what a destination refuses is told once, and what goes elsewhere arrives in order",
          "[faults][F4]")
{
  const std::uint32_t first = faults::first_seed();
  for (std::uint32_t seed = first; seed < first + faults::rounds(60); ++seed)
    for (const way& each : ways) {
      INFO(each.name << ", DGRAM_FAULT_SEED=" << seed << " DGRAM_FAULT_ROUNDS=1");
      scene s(seed);
      each.send(s);
      s.check();
    }
}

}  // namespace destinations_test
