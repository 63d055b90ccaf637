// SPDX-License-Identifier: BSL-1.0
// Options of the socket, and whether it keeps the loop running.

#include "trace.hpp"

namespace {

using namespace parity;

PARITY_SCENARIO(option_before_bind)
{
  auto& a = open("a");
  attempt(a, "address", [&] { return place(a.address()); });
  attempt(a, "peer", [&] { return place(a.remote_address()); });
  attempt(a, "broadcast", [&] { a.set_broadcast(true); });
  attempt(a, "TTL", [&] { a.set_ttl(3); });
  attempt(a, "multicast TTL", [&] { a.set_multicast_ttl(3); });
  attempt(a, "loopback", [&] { a.set_multicast_loopback(true); });
  attempt(a, "multicast interface", [&] { a.set_multicast_interface("127.0.0.1"); });
  attempt(a, "set receive buffer", [&] { a.set_recv_buffer_size(4096); });
  attempt(a, "set send buffer", [&] { a.set_send_buffer_size(4096); });
  attempt(a, "receive buffer", [&] { return a.get_recv_buffer_size(); });
  attempt(a, "send buffer", [&] { return a.get_send_buffer_size(); });
  close(a);
  run();
}

PARITY_SCENARIO(option_ttl)
{
  auto& a = open("a");
  ready({&a}, [&] {
    for (const int ttl : {1, 64, 255, 0, 256, -1})
      attempt(a, fmt::format("TTL {}", ttl), [&] { a.set_ttl(ttl); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(option_broadcast)
{
  auto& a = open("a");
  a.bind(0, "127.0.0.1", [&] {
    a.send("text", 9, "255.255.255.255", done(a, "send", [&] {
             attempt(a, "broadcast on", [&] { a.set_broadcast(true); });
             a.send("text", 9, "127.255.255.255", done(a, "send", [&] {
                      attempt(a, "broadcast off", [&] { a.set_broadcast(false); });
                      a.send("text", 9, "127.255.255.255", done(a, "send", [&] { close(a); }));
                    }));
           }));
  });
  run();
}

PARITY_SCENARIO(option_broadcast_delivery)
{
  auto& a = open("a");
  auto& sender = open("sender");
  after(a, 1, [&] { close(a, sender); });
  a.bind(0, "0.0.0.0", [&] {
    sender.bind(0, "127.0.0.1", [&] {
      sender.set_broadcast(true);
      sender.send("to all", port_of(a), "127.255.255.255");
    });
  });
  run();
}

PARITY_SCENARIO(option_buffer_sizes)
{
  auto& a = open("a");
  ready({&a}, [&] {
    for (const int size : {10000, 123456, 1}) {
      attempt(a, fmt::format("set receive buffer {}", size), [&] { a.set_recv_buffer_size(size); });
      attempt(a, "receive buffer", [&] { return a.get_recv_buffer_size(); });
      attempt(a, fmt::format("set send buffer {}", size), [&] { a.set_send_buffer_size(size); });
      attempt(a, "send buffer", [&] { return a.get_send_buffer_size(); });
    }
    attempt(a, "set receive buffer -1", [&] { a.set_recv_buffer_size(-1); });
    attempt(a, "set send buffer 2147483648", [&] { a.set_send_buffer_size(2147483648); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(option_lookup)
{
  emitter* self = nullptr;
  auto& a = open("a", {.lookup = looks_up([&](std::string_view name) {
                         say(*self, fmt::format("lookup {}", name));
                         return "127.0.0.1";
                       })});
  self = &a;
  after(a, 2, [&] { close(a); });
  a.bind([&] {
    a.send("by name", port_of(a), "peer.test");
    a.send("by address", port_of(a), "127.0.0.1");
  });
  run();
}

PARITY_SCENARIO(option_message_listener)
{
  emitter* self = nullptr;
  auto a = dgram::create_socket(loop(), dgram::udp4,
                                [&](dgram::bytes_view, const dgram::remote_info& from) {
                                  say("a", fmt::format("got {} bytes from an {} address, {}",
                                                       from.size, from.family, from.address));
                                  self->close();
                                });
  self = &a;
  a.bind(0, "127.0.0.1", [&] { a.send("hello", port_of(a)); });
  run();
}

void loop_has_ended()
{
  say("test", "the loop has ended");
}

PARITY_SCENARIO(ref_unbound)
{
  auto& a = open("a");
  say(a, "is never bound");
  run();
  loop_has_ended();
}

PARITY_SCENARIO(ref_unref)
{
  auto& a = open("a");
  a.bind(0, "127.0.0.1", [&] {
    attempt(a, "unref", [&]() -> auto& { return a.unref(); });
    attempt(a, "unref again", [&]() -> auto& { return a.unref(); });
  });
  run();
  loop_has_ended();
}

PARITY_SCENARIO(ref_unref_before_bind)
{
  auto& a = open("a");
  attempt(a, "unref", [&]() -> auto& { return a.unref(); });
  a.bind(0, "127.0.0.1");
  run();
  loop_has_ended();
}

PARITY_SCENARIO(ref_again)
{
  auto& a = open("a");
  after(a, 1, [&] { close(a); });
  a.bind(0, "127.0.0.1", [&] {
    a.unref();
    attempt(a, "ref", [&]() -> auto& { return a.ref(); });
    a.send("still here", port_of(a));
  });
  run();
  loop_has_ended();
}

PARITY_SCENARIO(ref_send_unreferenced)
{
  auto& a = open("a");
  a.bind(0, "127.0.0.1", [&] {
    a.unref();
    a.send("text", 9, "127.0.0.1", done(a, "send"));
  });
  run();
  loop_has_ended();
}

}  // namespace
