// SPDX-License-Identifier: BSL-1.0
// Binding, with and without being asked to.

#include "trace.hpp"

#include <unistd.h>

namespace {

using namespace parity;

PARITY_SCENARIO(bind_port_zero)
{
  auto& a = open("a");
  a.bind(0, "127.0.0.1", heard(a, "bind", [&] { close(a); }));
  run();
}

PARITY_SCENARIO(bind_without_address)
{
  auto& a = open("a");
  a.bind([&] { close(a); });
  run();
}

PARITY_SCENARIO(bind_without_address_v6)
{
  auto& a = open("a", {.type = dgram::udp6});
  a.bind(heard(a, "bind", [&] {
    say(a, a.address().family);
    close(a);
  }));
  run();
}

PARITY_SCENARIO(bind_order_of_listeners)
{
  auto& a = open("a");
  a.on<listening>([&] { say(a, "attached before"); });
  attempt(a, "bind", [&]() -> auto& { return a.bind(0, "127.0.0.1", heard(a, "bind")); });
  a.on<listening>([&] {
    say(a, "attached after");
    close(a);
  });
  run();
}

PARITY_SCENARIO(bind_twice)
{
  auto& a = open("a");
  a.bind(0, "127.0.0.1", [&] {
    attempt(a, "bind while bound", [&] { a.bind(0, "127.0.0.1", heard(a, "second bind")); });
    close(a);
  });
  attempt(a, "bind while binding", [&] { a.bind(0, "127.0.0.1", heard(a, "early bind")); });
  run();
}

PARITY_SCENARIO(bind_to_a_taken_port)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&a}, [&] {
    b.once<error>([&] { b.bind(0, "127.0.0.1", heard(b, "bind", [&] { close(a, b); })); });
    b.bind(port_of(a), "127.0.0.1", heard(b, "failed bind"));
  });
  run();
}

PARITY_SCENARIO(bind_to_a_foreign_address)
{
  auto& a = open("a");
  a.on<error>([&] { close(a); });
  a.bind(0, "1.1.1.1", heard(a, "bind"));
  run();
}

PARITY_SCENARIO(bind_to_the_other_family)
{
  auto& a = open("a");
  a.on<error>([&] { close(a); });
  a.bind(0, "::1", heard(a, "bind"));
  run();
}

PARITY_SCENARIO(bind_by_name)
{
  auto& a = open("a");
  a.bind(0, "localhost", heard(a, "bind", [&] { close(a); }));
  run();
}

PARITY_SCENARIO(bind_with_options)
{
  auto& a = open("a");
  a.bind({.port = 0, .address = "127.0.0.1", .exclusive = true},
         heard(a, "bind", [&] { close(a); }));
  run();
}

PARITY_SCENARIO(bind_lookup_fails)
{
  int failures = 1;
  emitter* self = nullptr;
  auto& a = open("a", {.lookup = looks_up([&](std::string_view name) {
                         say(*self, fmt::format("lookup {}", name));
                         return failures-- > 0 ? "" : "127.0.0.1";
                       })});
  self = &a;
  a.once<error>([&] { a.bind(0, "server.test", heard(a, "second bind", [&] { close(a); })); });
  a.bind(0, "server.test", heard(a, "bind"));
  run();
}

PARITY_SCENARIO(bind_bad_port)
{
  auto& a = open("a");
  attempt(a, "bind 65536", [&] { a.bind(65536, "127.0.0.1", [&] { close(a); }); });
  run();
}

PARITY_SCENARIO(bind_reuse_address)
{
  auto& a = open("a", {.reuse_addr = true});
  auto& b = open("b", {.reuse_addr = true});
  auto& c = open("c");
  a.bind(own_port(), "127.0.0.1", [&] {
    c.on<error>([&] { close(a, b, c); });
    b.bind(port_of(a), "127.0.0.1", [&] { c.bind(port_of(a), "127.0.0.1"); });
  });
  run();
}

PARITY_SCENARIO(bind_ipv6_only_v6)
{
  auto& a = open("a", {.type = dgram::udp6, .ipv6_only = true});
  auto& b = open("b");
  a.bind(own_port(), "::", [&] { b.bind(port_of(a), "0.0.0.0", [&] { close(a, b); }); });
  run();
}

PARITY_SCENARIO(bind_both_families_v6)
{
  auto& a = open("a", {.type = dgram::udp6});
  auto& b = open("b");
  b.on<error>([&] { close(a, b); });
  ready({&a}, [&] { b.bind(port_of(a), "0.0.0.0"); }, "::");
  run();
}

PARITY_SCENARIO(bind_a_descriptor)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&a}, [&] {
    a.recv_stop();
    after(b, 1, [&] { close(a, b); });
    b.bind({.fd = ::dup(a.native_handle())}, heard(b, "bind"));
    say(b, "bind has returned");
    b.send("to itself", port_of(b));
  });
  run();
}

PARITY_SCENARIO(bind_twice_one_descriptor)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&a}, [&] {
    attempt(b, "bind", [&] { b.bind({.fd = a.native_handle()}); });
    close(a, b);
  });
  run();
}

PARITY_SCENARIO(bind_buffer_sizes)
{
  auto& a = open("a", {.recv_buffer_size = 10000, .send_buffer_size = 15000});
  a.on<listening>([&] {
    say(a, fmt::format("receive {}, send {}", a.get_recv_buffer_size(), a.get_send_buffer_size()));
    close(a);
  });
  a.bind(0, "127.0.0.1");
  run();
}

PARITY_SCENARIO(bind_by_sending)
{
  auto& a = open("a");
  auto& b = open("b");
  after(a, 2, [&] { close(a, b); });
  ready({&a}, [&] {
    b.send("one", port_of(a), done(b, "first"));
    b.send("two", port_of(a), done(b, "second"));
    say(b, "both sends have returned");
  });
  run();
}

PARITY_SCENARIO(bind_by_connecting)
{
  auto& a = open("a");
  a.connect(9, done(a, "connect", [&] { close(a); }));
  say(a, "connect has returned");
  run();
}

PARITY_SCENARIO(bind_by_joining)
{
  auto& a = open("a");
  attempt(a, "join", [&] { a.add_membership("239.255.77.1", "127.0.0.1"); });
  later(50, [&] {
    attempt(a, "address", [&] { return place(a.address()); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(bind_as_an_operation)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&a}, [&] {
    b.bind(port_of(a), "127.0.0.1", done(b, "bind"));
    later(20, [&] { b.bind(0, "127.0.0.1", done(b, "second bind", [&] { close(a, b); })); });
  });
  run();
}

}  // namespace
