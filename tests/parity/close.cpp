// SPDX-License-Identifier: BSL-1.0
// Closing, from everywhere and by a stop request, and what a closed socket answers.

#include "trace.hpp"

#include <stop_token>

namespace {

using namespace parity;

PARITY_SCENARIO(close_order_of_listeners)
{
  auto& a = open("a");
  ready({&a}, [&] {
    a.on<closed>([&] { say(a, "attached before"); });
    attempt(a, "close", [&]() -> auto& { return a.close(heard(a, "close")); });
    a.on<closed>([&] { say(a, "attached after"); });
  });
  run();
}

PARITY_SCENARIO(close_twice)
{
  auto& a = open("a");
  ready({&a}, [&] {
    a.close(heard(a, "close", [&] { attempt(a, "close when closed", [&] { a.close(); }); }));
    attempt(a, "close while closing", [&] { a.close(heard(a, "second close")); });
  });
  run();
}

PARITY_SCENARIO(close_unbound)
{
  auto& a = open("a");
  a.close(heard(a, "close"));
  run();
}

PARITY_SCENARIO(close_while_listening)
{
  auto& a = open("a");
  a.on<listening>([&] { close(a); });
  a.on<listening>([&] { attempt(a, "address", [&] { return port_of(a); }); });
  a.bind(0, "127.0.0.1", heard(a, "bind"));
  run();
}

PARITY_SCENARIO(close_on_message)
{
  auto& a = open("a");
  auto& b = open("b");
  a.on<message>([&] { close(a); });
  a.on<message>([&] { say(a, "the next listener"); });
  ready({&a, &b}, [&] {
    a.on<closed>([&] { close(b); });
    for (const auto* text : {"one", "two", "three"})
      b.send(text, port_of(a));
  });
  run();
}

PARITY_SCENARIO(close_while_binding)
{
  emitter* self = nullptr;
  auto& a = open("a", {.lookup = looks_up([&](std::string_view name) {
                         say(*self, fmt::format("lookup {}", name));
                         return "127.0.0.1";
                       })});
  self = &a;
  a.bind(0, "server.test", heard(a, "bind"));
  close(a);
  run();
}

PARITY_SCENARIO(close_behind_queued_sends)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&b}, [&] {
    a.send("one", port_of(b), done(a, "first"));
    a.send("two", port_of(b), done(a, "second"));
    a.close(heard(a, "close", [&] { later(50, [&] { close(b); }); }));
    say(a, "close has returned");
  });
  run();
}

PARITY_SCENARIO(close_after_send)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&a, &b}, [&] {
    a.send("text", port_of(b), done(a, "send"));
    a.close(heard(a, "close", [&] { later(50, [&] { close(b); }); }));
  });
  run();
}

PARITY_SCENARIO(close_after_connected_send)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 1, [&] { close(b); });
  ready({&a, &b}, [&] {
    a.connect(port_of(b), [&] {
      a.send("text", done(a, "send"));
      a.close(heard(a, "close"));
    });
  });
  run();
}

PARITY_SCENARIO(close_on_error)
{
  auto& a = open("a");
  auto& b = open("b");
  b.on<error>([&] { b.close(heard(b, "close", [&] { close(a); })); });
  ready({&a}, [&] { b.bind(port_of(a), "127.0.0.1"); });
  run();
}

PARITY_SCENARIO(close_in_send_callback)
{
  auto& a = open("a");
  ready({&a}, [&] { a.send("text", 9, done(a, "send", [&] { a.close(heard(a, "close")); })); });
  run();
}

PARITY_SCENARIO(closed_socket)
{
  auto& a = open("a");
  ready({&a}, [&] {
    a.close([&] {
      attempt(a, "bind", [&] { a.bind(0, heard(a, "bind")); });
      attempt(a, "connect", [&] { a.connect(9, done(a, "connect")); });
      attempt(a, "disconnect", [&] { a.disconnect(); });
      attempt(a, "send", [&] { a.send("text", 9, done(a, "send")); });
      attempt(a, "send to a bad port", [&] { a.send("text", 0, done(a, "send")); });
      attempt(a, "address", [&] { return place(a.address()); });
      attempt(a, "peer", [&] { return place(a.remote_address()); });
      attempt(a, "join", [&] { a.add_membership("239.255.77.1"); });
      attempt(a, "leave", [&] { a.drop_membership("239.255.77.1"); });
      attempt(a, "join a source",
              [&] { a.add_source_specific_membership("127.0.0.1", "232.1.1.1"); });
      attempt(a, "leave a source",
              [&] { a.drop_source_specific_membership("127.0.0.1", "232.1.1.1"); });
      attempt(a, "multicast interface", [&] { a.set_multicast_interface("127.0.0.1"); });
      attempt(a, "ref", [&]() -> auto& { return a.ref(); });
      attempt(a, "unref", [&]() -> auto& { return a.unref(); });
    });
  });
  run();
}

PARITY_SCENARIO(closed_socket_options)
{
  auto& a = open("a");
  ready({&a}, [&] {
    a.close([&] {
      attempt(a, "broadcast", [&] { a.set_broadcast(true); });
      attempt(a, "TTL", [&] { a.set_ttl(3); });
      attempt(a, "multicast TTL", [&] { a.set_multicast_ttl(3); });
      attempt(a, "loopback", [&] { a.set_multicast_loopback(true); });
      attempt(a, "receive buffer", [&] { a.set_recv_buffer_size(4096); });
      attempt(a, "send buffer", [&] { return a.get_send_buffer_size(); });
      attempt(a, "queue size", [&] { return a.get_send_queue_size(); });
      attempt(a, "queue count", [&] { return a.get_send_queue_count(); });
    });
  });
  run();
}

PARITY_SCENARIO(abort_closes)
{
  std::stop_source controller;
  auto& a = open("a", {.signal = controller.get_token()});
  a.bind(0, "127.0.0.1", heard(a, "bind", [&] {
           controller.request_stop();
           attempt(a, "close", [&] { a.close(); });
         }));
  run();
}

PARITY_SCENARIO(abort_before_creation)
{
  std::stop_source controller;
  controller.request_stop();
  auto& a = open("a", {.signal = controller.get_token()});
  attempt(a, "bind", [&] { a.bind(0); });
  run();
}

PARITY_SCENARIO(abort_when_closed)
{
  std::stop_source controller;
  auto& a = open("a", {.signal = controller.get_token()});
  ready({&a}, [&] { close(a); });
  a.on<closed>([&] {
    controller.request_stop();
    say(a, "aborted");
  });
  run();
}

PARITY_SCENARIO(abort_while_binding)
{
  std::stop_source controller;
  auto& a = open("a", {.signal = controller.get_token()});
  a.bind(0, "127.0.0.1", heard(a, "bind"));
  controller.request_stop();
  run();
}

PARITY_SCENARIO(close_behind_a_failing_bind)
{
  auto& a = open("a");
  a.bind(0, "1.1.1.1");
  a.send("text", 9, "127.0.0.1", done(a, "send"));
  a.close(heard(a, "close"));
  run();
}

}  // namespace
