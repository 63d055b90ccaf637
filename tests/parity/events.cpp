// SPDX-License-Identifier: BSL-1.0
// Listeners that come and go, and errors with and without a listener.

#include "trace.hpp"

#include <stdexcept>

namespace {

using namespace parity;

void send_to_itself(emitter& a, std::initializer_list<const char*> texts)
{
  for (const auto* text : texts)
    a.send(text, port_of(a));
}

PARITY_SCENARIO(event_once_and_prepend)
{
  auto& a = open("a");
  a.once<message>([&] { say(a, "once"); });
  a.prepend<message>([&] { say(a, "prepended"); });
  a.prepend_once<message>([&] { say(a, "prepended, once"); });
  after(a, 2, [&] { close(a); });
  ready({&a}, [&] {
    say(a, fmt::format("{} listeners", a.listener_count<message>()));
    send_to_itself(a, {"one", "two"});
  });
  a.on<closed>([&] { say(a, fmt::format("{} listeners", a.listener_count<message>())); });
  run();
}

PARITY_SCENARIO(event_off)
{
  auto& a = open("a");
  const auto listener = [&] { say(a, "listener"); };
  const auto first = a.on<message>(listener);
  const auto second = a.on<message>(listener);
  after(a, 3, [&] { close(a); });
  after(a, 1, [&] { a.off(second); });
  after(a, 2, [&] { a.off(first); });
  ready({&a}, [&] { send_to_itself(a, {"one", "two", "three"}); });
  run();
}

PARITY_SCENARIO(event_changes_while_emitting)
{
  auto& a = open("a");
  dgram::listener_id second;
  a.once<message>([&] {
    say(a, "first");
    a.off(second);
    a.on<message>([&] { say(a, "third"); });
  });
  second = a.on<message>([&] { say(a, "second"); });
  after(a, 2, [&] { close(a); });
  ready({&a}, [&] { send_to_itself(a, {"one", "two"}); });
  run();
}

PARITY_SCENARIO(event_remove_all)
{
  auto& a = open("a");
  a.on<message>([&] { say(a, "removed"); });
  ready({&a}, [&] {
    a.remove_all<message>();
    say(a, fmt::format("{} listeners", a.listener_count<message>()));
    a.on<message>([&] {
      say(a, "the only one");
      close(a);
    });
    send_to_itself(a, {"text"});
  });
  run();
}

PARITY_SCENARIO(error_without_listener)
{
  auto& a = quiet("a");
  auto& b = quiet("b");
  ready({&a}, [&] {
    b.bind(port_of(a), "127.0.0.1");
    later(50, [&] {
      say(b, "goes on");
      close(a, b);
    });
  });
  run();
}

PARITY_SCENARIO(error_refused_without_listener)
{
  auto& a = quiet("a");
  auto& gone = open("gone");
  ready({&a, &gone}, [&] {
    gone.close(
        [&, port = port_of(gone)] { a.connect(port, [&] { a.send("hello?", done(a, "send")); }); });
    later(50, [&] { close(a); });
  });
  run();
}

PARITY_SCENARIO(error_monitor)
{
  auto& a = quiet("a");
  auto& b = quiet("b");
  b.on<dgram::event::error_monitor>(
      [&](const dgram::failure& failed) { say(b, "monitored " + failure(failed)); });
  ready({&a}, [&] {
    b.bind(port_of(a), "127.0.0.1");
    later(50, [&] {
      b.on<error>([&](const dgram::failure& failed) { say(b, "error " + failure(failed)); });
      b.on<error>([&] { close(a, b); });
      b.bind(port_of(a), "127.0.0.1");
    });
  });
  run();
}

PARITY_SCENARIO(error_in_a_listener)
{
  auto& a = open("a");
  a.once<message>([] { throw std::runtime_error("ERR_OF_A_LISTENER"); });
  after(a, 2, [&] { close(a); });
  ready({&a}, [&] { send_to_itself(a, {"one", "two", "three"}); });
  run();
}

PARITY_SCENARIO(error_port_in_use_text)
{
  auto& a = quiet("a");
  auto& b = quiet("b");
  b.on<error>([&](const dgram::failure& f) {
    say(b, fmt::format("{} in {} of {}, {} the port", name_of(f.code), f.operation, f.address,
                       f.port == port_of(a) ? "with" : "without"));
    close(a, b);
  });
  ready({&a}, [&] { b.bind(port_of(a), "127.0.0.1"); });
  run();
}

PARITY_SCENARIO(error_bad_type)
{
  for (const int type : {5, -1, 7}) {
    attempt("test", "type", [&] { open("a", {.type = static_cast<dgram::socket_type>(type)}); });
  }
  run();
}

}  // namespace
