// SPDX-License-Identifier: BSL-1.0
// What work costs: twice the datagrams, at most twice the system calls and prepared messages.
#include "faults/operations.hpp"
#include "support/loopback.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace cost_test {

namespace {

using faults::place;
using faults::world;
using test::script;

/// What the kernel says of the messages.
enum class answer : std::uint8_t { all_good, all_refused, every_other_refused, full_now_and_then };

void script_answers(answer what)
{
  script.verdict = [what, full_at = std::size_t{0}, told = 0](const test::offered_message& message,
                                                              std::size_t before) mutable {
    switch (what) {
    case answer::all_good: return 0;
    case answer::all_refused: return EPERM;
    case answer::every_other_refused: return message.peer.port() % 2 == 1 ? EPERM : 0;
    case answer::full_now_and_then:
      // Behind others a full queue only ends the call, and the next call reports that.
      if (before % 5 != 0 || before == 0) return 0;
      if (std::exchange(full_at, before) != before) told = 0;
      return ++told <= 2 ? EAGAIN : 0;
    }
    return 0;
  };
}

test::endpoint destination(const world& w, std::size_t i)
{
  // To ports without a socket: what arrives does not matter.
  return {w.to_peer.address(), static_cast<std::uint16_t>(10 + i % 2)};
}

void drop(dgram::error_code, const test::endpoint&, std::size_t)
{
}

void send_batch(world& w, std::size_t count)
{
  dgram::send_batch batch(count);
  batch.on_refused(drop);
  for (std::size_t i = 0; i < count; ++i)
    batch.push(w.text, destination(w, i));
  for (std::size_t left = 2 * count; left > 0 && !batch.empty(); --left)
    w.socket->try_send_batch(batch);
  CHECK(batch.empty());
}

void send_segments(world& w, std::size_t count)
{
  // Many segments leave as one message.
  constexpr std::size_t times = 50;
  const std::size_t segments = times * count;
  const std::string all(count, 'x');
  dgram::send_batch batch(segments);
  batch.on_refused(drop);
  for (std::size_t i = 0; i < times; ++i)
    batch.push_segments(all, 1, destination(w, i));
  for (std::size_t left = 2 * segments; left > 0 && !batch.empty(); --left)
    w.socket->try_send_batch(batch);
  CHECK(batch.empty());
}

void write_all(world& w, std::size_t count)
{
  w.writer.emplace(*w.reader, dgram::writer_config{.datagrams = count, .bytes = 64 * count});
  for (std::size_t i = 0; i < count; ++i)
    CHECK(w.writer->try_send(w.text, destination(w, i)));
  while (w.writer->size() > 0)
    w.run_one_for(test::milliseconds(100));
}

void emit_all(world& w, std::size_t count)
{
  std::size_t told = 0;
  for (std::size_t i = 0; i < count; ++i)
    w.emitter->send(w.text, destination(w, i), [&](dgram::error_code, std::size_t) { ++told; });
  while (told < count)
    w.run_one_for(test::milliseconds(100));
}

/// As many as the kernel's queue holds, again and again.
template <class Receive>
void receive_in_parts(world& w, std::size_t count, Receive receive)
{
  constexpr std::size_t part = 50;
  for (std::size_t i = 0; i < count; i += part) {
    for (std::size_t j = 0; j < part; ++j)
      w.supply(faults::need::datagram);
    receive(part);
  }
}

void receive_batches(world& w, std::size_t count)
{
  dgram::receive_batch batch(16, 64);
  receive_in_parts(w, count, [&](std::size_t part) {
    std::size_t received = 0;
    while (received < part)
      received += w.socket->receive_batch(batch);
  });
}

void read_all(world& w, std::size_t count)
{
  std::size_t received = 0;
  w.reader->async_for_each([&](const dgram::datagram&) { ++received; }, asio::detached);
  receive_in_parts(w, count, [&, goal = std::size_t{0}](std::size_t part) mutable {
    goal += part;
    while (received < goal)
      w.run_one_for(test::milliseconds(100));
  });
}

void listen_to_all(world& w, std::size_t count)
{
  receive_in_parts(w, count, [&, goal = std::size_t{0}](std::size_t part) mutable {
    goal += part;
    while (w.messages < goal)
      w.run_one_for(test::milliseconds(100));
  });
}

struct work {
  const char* name;
  place on;
  bool sends;
  void (*run)(world&, std::size_t count);
};

/// A new kind of work is one line.
constexpr work table[] = {
    {"send_batch", place::socket, true, send_batch},
    {"send_batch, dual stack", place::dual, true, send_batch},
    {"segments of one byte", place::socket, true, send_segments},
    {"writer", place::reader, true, write_all},
    {"emitter", place::bound, true, emit_all},
    {"receive_batch", place::socket, false, receive_batches},
    {"for_each", place::reader, false, read_all},
    {"messages of an emitter", place::bound, false, listen_to_all},
};

/// Calls, handlers, and messages that were described for the kernel.
std::size_t cost(const work& which, answer what, std::size_t count)
{
  const test::scripted guard;
  world w(which.on);
  script_answers(what);
  const std::size_t before = script.send().calls() + script.receive().calls();
  which.run(w, count);
  const std::size_t calls = script.send().calls() + script.receive().calls() - before;
  return calls + w.turns + script.offered.size();
}

}  // namespace

TEST_CASE("twice the datagrams cost at most twice the calls, turns and messages", "[faults][F4]")
{
  for (const work& which : table)
    for (const answer what : {answer::all_good, answer::all_refused, answer::every_other_refused,
                              answer::full_now_and_then}) {
      if (!which.sends && what != answer::all_good) continue;
      INFO(which.name << ", answer " << static_cast<int>(what));
      // More than one call describes at most, which bounds what is described again.
      constexpr std::size_t count = 1000;
      const std::size_t once = cost(which, what, count);
      const std::size_t twice = cost(which, what, 2 * count);
      CAPTURE(once, twice);
      CHECK(twice <= 2 * once + once / 4 + 8);
    }
}

}  // namespace cost_test
