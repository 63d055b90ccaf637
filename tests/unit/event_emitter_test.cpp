// SPDX-License-Identifier: BSL-1.0
// Events by themselves: order, once, removal, and what listeners may do to the emitter.
#include <dgram/event_emitter.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace event_emitter_test {

namespace {

struct number {
  using signature = void(int);
};
struct text {
  using signature = void(const std::string&, int&);
};
struct end {
  using signature = void();
};

using emitter = dgram::event_emitter<number, text, end>;

auto note(std::string& trace, char c)
{
  return [&trace, c] { trace += c; };
}

}  // namespace

TEST_CASE("Events: listeners are called in order, with what is emitted", "[event_emitter]")
{
  emitter events;
  std::string trace;
  events.on<number>([&](int n) { trace += "a" + std::to_string(n); });
  events.on<number>([&](int n) { trace += "b" + std::to_string(n); });
  events.prepend<number>(note(trace, 'p'));
  CHECK(events.emit<number>(1));
  CHECK(events.emit<number>(2));
  CHECK(trace == "pa1b1pa2b2");
  CHECK_FALSE(events.emit<end>());
  CHECK(events.listener_count<number>() == 3);
  CHECK(events.listener_count<end>() == 0);
}

TEST_CASE("Events: references are passed on as references", "[event_emitter]")
{
  emitter events;
  events.on<text>([](const std::string& s, int& n) { n += static_cast<int>(s.size()); });
  events.on<text>([](const std::string&, int& n) { n *= 2; });
  int n = 1;
  events.emit<text>("four", n);
  CHECK(n == 10);
}

TEST_CASE("Events: once is removed before it is called", "[event_emitter]")
{
  emitter events;
  std::string trace;
  events.once<end>([&] {
    trace += 'o';
    events.emit<end>();
  });
  events.prepend_once<end>(note(trace, 'p'));
  events.on<end>(note(trace, 'e'));
  events.emit<end>();
  CHECK(trace == "poee");
  CHECK(events.listener_count<end>() == 1);
}

TEST_CASE("Events: off removes one, remove_all the rest", "[event_emitter]")
{
  emitter events;
  std::string trace;
  const auto first = events.on<end>(note(trace, '1'));
  events.on<end>(note(trace, '2'));
  events.on<number>(note(trace, 'n'));
  CHECK(static_cast<bool>(first));
  CHECK(events.off(first));
  CHECK_FALSE(events.off(first));
  CHECK_FALSE(events.off({}));
  events.emit<end>();
  events.remove_all<end>();
  events.emit<end>();
  events.emit<number>(0);
  events.remove_all();
  events.emit<number>(0);
  CHECK(trace == "2n");
}

TEST_CASE("Events: the list is the one at the start of the emission", "[event_emitter]")
{
  emitter events;
  std::string trace;
  dgram::listener_id second;
  events.on<end>([&] {
    trace += '1';
    events.off(second);
    events.on<end>(note(trace, '3'));
  });
  second = events.on<end>(note(trace, '2'));
  events.emit<end>();
  CHECK(trace == "12");
  trace.clear();
  events.remove_all<number>();
  events.emit<end>();
  CHECK(trace == "13");
}

TEST_CASE("Events: remove_all inside a listener lets the emission end", "[event_emitter]")
{
  emitter events;
  std::string trace;
  events.on<end>([&] {
    trace += '1';
    events.remove_all();
  });
  events.on<end>(note(trace, '2'));
  events.emit<end>();
  events.emit<end>();
  CHECK(trace == "12");
}

TEST_CASE("Events: a listener may destroy the emitter", "[event_emitter]")
{
  std::optional<emitter> events(std::in_place);
  std::string trace;
  const auto captured = std::make_shared<int>(1);
  events->on<end>([&, captured] {
    events.reset();
    trace += std::to_string(*captured);
  });
  events->on<end>(note(trace, '2'));
  events->emit<end>();
  CHECK(trace == "1");
  CHECK(captured.use_count() == 1);
}

TEST_CASE("Events: what a listener throws leaves emit, and the emitter goes on", "[event_emitter]")
{
  emitter events;
  std::string trace;
  events.once<end>([] { throw std::runtime_error("x"); });
  events.on<end>(note(trace, 'e'));
  CHECK_THROWS_AS(events.emit<end>(), std::runtime_error);
  CHECK(trace.empty());
  events.emit<end>();
  CHECK(trace == "e");
}

TEST_CASE("Events: listeners may be moved only, and go when they are removed", "[event_emitter]")
{
  emitter events;
  auto owned = std::make_unique<int>(7);
  const auto counted = std::make_shared<int>(0);
  int seen = 0;
  events.on<number>([owned = std::move(owned), counted, &seen](int n) { seen = n + *owned; });
  CHECK(counted.use_count() == 2);
  events.emit<number>(1);
  CHECK(seen == 8);
  events.remove_all();
  CHECK(counted.use_count() == 1);
}

TEST_CASE("Events: a moved emitter takes its listeners along", "[event_emitter]")
{
  emitter first;
  std::string trace;
  first.on<end>(note(trace, 'a'));
  emitter second(std::move(first));
  second.emit<end>();
  emitter third;
  third.on<end>(note(trace, 'x'));
  third = std::move(second);
  third.emit<end>();
  CHECK(trace == "aa");
}

}  // namespace event_emitter_test
