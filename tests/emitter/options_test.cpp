// SPDX-License-Identifier: BSL-1.0
// The emitter: options and groups.
#include "emitter/helpers.hpp"

#include <asio/ip/unicast.hpp>

namespace options_test {

using test::thrown;
using test::trace;

namespace {

const auto invalid = dgram::error_code(asio::error::invalid_argument);

}  // namespace

TEST_CASE("MCT-14, MCT-18, OPT-01, OPT-03: options need a bound socket", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  const auto unbound = [](auto call) { return thrown(call) == asio::error::bad_descriptor; };
  CHECK(unbound([&] { socket.set_broadcast(true); }));
  CHECK(unbound([&] { socket.set_ttl(3); }));
  CHECK(unbound([&] { socket.set_multicast_ttl(3); }));
  CHECK(unbound([&] { socket.set_multicast_loopback(true); }));
  CHECK(unbound([&] { socket.set_multicast_interface("127.0.0.1"); }));
  CHECK(unbound([&] { socket.set_recv_buffer_size(1000); }));
  CHECK(unbound([&] { socket.set_send_buffer_size(1000); }));
  CHECK(unbound([&] { socket.get_recv_buffer_size(); }));
  CHECK(unbound([&] { socket.get_send_buffer_size(); }));
  CHECK(test::thrown_text([&] { socket.set_ttl(3); }).starts_with("set_ttl EBADF"));
}

TEST_CASE("OPT-01, MCT-14, MCT-15, S2.24: values that are and that are none", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  for (const bool on : {true, true, false, false})
    socket.set_broadcast(on);
  CHECK(socket.set_multicast_loopback(true));
  CHECK_FALSE(socket.set_multicast_loopback(false));
  for (const int hops : {1, 64, 255})
    CHECK(socket.set_ttl(hops) == hops);
  for (const int hops : {0, 1, 255})
    CHECK(socket.set_multicast_ttl(hops) == hops);
  for (const int hops : {0, 256, -1})
    CHECK(thrown([&] { socket.set_ttl(hops); }) == invalid);
  for (const int hops : {256, 1000, -1})
    CHECK(thrown([&] { socket.set_multicast_ttl(hops); }) == invalid);
  CHECK(test::thrown_text([&] { socket.set_ttl(0); }).starts_with("set_ttl EINVAL"));
}

TEST_CASE("OPT-04, OPT-05, OPT-06: buffer sizes", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  for (const std::int64_t size : {-1LL, 0LL, 4294967296LL}) {
    CHECK(thrown([&] { socket.set_recv_buffer_size(size); }) == dgram::error::out_of_range);
    CHECK(thrown([&] { socket.set_send_buffer_size(size); }) == dgram::error::out_of_range);
  }
  CHECK(thrown([&] { socket.set_recv_buffer_size(2147483648); }) == invalid);
  CHECK(thrown([&] { socket.set_send_buffer_size(2147483648); }) == invalid);
  socket.set_recv_buffer_size(10000);
  socket.set_send_buffer_size(15000);
  CHECK((socket.get_recv_buffer_size() == 20000 || socket.get_recv_buffer_size() == 10000));
  CHECK((socket.get_send_buffer_size() == 30000 || socket.get_send_buffer_size() == 15000));
  socket.set_recv_buffer_size(1);
  CHECK(socket.get_recv_buffer_size() > 1);
}

TEST_CASE("MCT-02, MCT-03, MCT-04, MCT-07, MCT-08: groups and interfaces that are none",
          "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  for (const auto* group : {"", "256.256.256.256", "zzz", "0.0.0.0", "10.0.0.1", "fe00::"}) {
    CHECK(thrown([&] { socket.add_membership(group); }) == invalid);
    CHECK(thrown([&] { socket.drop_membership(group); }) == invalid);
  }
  CHECK(test::thrown_text([&] {
          socket.add_membership("zzz");
        }).starts_with("add_membership EINVAL"));
  CHECK(thrown([&] { socket.add_membership("239.255.77.1", "zzz"); }) == invalid);
  CHECK(test::thrown_text([&] {
          socket.add_membership("239.255.77.1", "9.9.9.9");
        }).starts_with("add_membership ENODEV"));
  CHECK(thrown([&] { socket.add_membership("ff02::1:77"); }) == asio::error::no_protocol_option);
  for (const auto* group : {"0", "10.0.0.1"}) {
    CHECK(thrown([&] { socket.add_source_specific_membership("127.0.0.1", group); }) == invalid);
    CHECK(thrown([&] { socket.drop_source_specific_membership("127.0.0.1", group); }) == invalid);
  }
}

TEST_CASE("MCT-07, MCT-09: twice in, and twice out", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  socket.add_membership("239.255.77.1", "127.0.0.1");
  CHECK(thrown([&] { socket.add_membership("239.255.77.1", "127.0.0.1"); }) ==
        asio::error::address_in_use);
  socket.drop_membership("239.255.77.1", "127.0.0.1");
  CHECK(static_cast<bool>(thrown([&] { socket.drop_membership("239.255.77.1", "127.0.0.1"); })));
  socket.set_membership("239.255.77.1", "127.0.0.1", dgram::membership_operation::join);
  socket.set_membership("239.255.77.1", "127.0.0.1", dgram::membership_operation::leave);
  const auto join = [&] {
    socket.add_source_specific_membership("127.0.0.1", "232.1.77.1", "127.0.0.1");
  };
  join();
  CHECK(static_cast<bool>(thrown(join)));
  socket.drop_source_specific_membership("127.0.0.1", "232.1.77.1", "127.0.0.1");
}

TEST_CASE("N39: joining binds an unbound socket", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.add_membership("239.255.77.1", "127.0.0.1");
  CHECK(socket.address().port > 0);
  test::run_ready(io);
  CHECK(events == trace{"listening"});
}

TEST_CASE("MCT-10, MCT-11, MCT-13: what is sent to a group, and by a source", "[emitter]")
{
  asio::io_context io;
  test::listener first(io, {.type = dgram::udp4, .reuse_addr = true});
  auto open = [&] { return dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true}); };
  auto a = open();
  auto b = open();
  auto sourced = open();
  std::size_t heard_a = 0;
  std::size_t heard_b = 0;
  trace heard_sourced;
  a.on<test::event::message>([&] { ++heard_a; });
  b.on<test::event::message>([&] { ++heard_b; });
  sourced.on<test::event::message>(
      [&](dgram::bytes_view m) { heard_sourced.emplace_back(m.text()); });
  // The kernel gives one free port to two sockets that both share addresses.
  const test::reserved_port of_a;
  const test::reserved_port of_sourced;
  const auto port = a.bind_sync(of_a.number()).port;
  b.bind_sync(port);
  const auto other_port = sourced.bind_sync(of_sourced.number()).port;
  for (auto* socket : {&a, &b})
    socket->add_membership("239.255.77.2", "127.0.0.1");
  sourced.add_source_specific_membership("127.0.0.1", "232.1.77.1", "127.0.0.1");
  auto sender = dgram::create_socket(io, dgram::udp4);
  auto other = dgram::create_socket(io, dgram::udp4);
  sender.bind_sync(0, "127.0.0.1");
  other.bind_sync(0, "127.0.0.2");
  for (auto* socket : {&sender, &other}) {
    socket->set_multicast_interface("127.0.0.1");
    socket->set_multicast_ttl(1);
    socket->set_multicast_loopback(true);
  }
  for (int i = 0; i < 4; ++i)
    sender.send("to all", port, "239.255.77.2");
  other.send("not this", other_port, "232.1.77.1");
  sender.send("but this", other_port, "232.1.77.1");
  test::run_until(io, [&] { return heard_a == 4 && heard_b == 4 && !heard_sourced.empty(); });
  test::run_ready(io);
  CHECK(heard_sourced == trace{"but this"});
  a.drop_membership("239.255.77.2", "127.0.0.1");
}

TEST_CASE("MCT-16: outgoing interfaces", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  socket.set_multicast_interface("127.0.0.1");
  socket.set_multicast_interface("0.0.0.0");
  CHECK(test::thrown_text([&] {
          socket.set_multicast_interface("224.0.0.2");
        }).starts_with("set_multicast_interface EADDRNOTAVAIL"));
  CHECK(thrown([&] { socket.set_multicast_interface("::"); }) == asio::error::no_protocol_option);
  CHECK(thrown([&] { socket.set_multicast_interface("undefined"); }) == invalid);
  CHECK(thrown([&] { socket.set_multicast_interface(""); }) == invalid);
  CHECK(test::thrown_text([&] {
          socket.set_multicast_interface("::1");
        }).starts_with("set_multicast_interface ENOPROTOOPT"));
}

TEST_CASE("MCT-16: outgoing interfaces of IPv6", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp6);
  socket.bind_sync();
  for (const auto* known : {"::", "::%lo", "::%1", "::%unknown0"})
    socket.set_multicast_interface(known);
  CHECK(thrown([&] { socket.set_multicast_interface(""); }) == invalid);
  socket.add_membership("ff01::77:1", "::1%lo");
  CHECK(thrown([&] { socket.add_membership("ff01::77:1", "::1%lo"); }) ==
        asio::error::address_in_use);
}

TEST_CASE("MCT-10: a udp6 socket is a member of groups of both families, also after a pause",
          "[emitter][F13]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp6);
  trace heard;
  socket.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  const test::reserved_port reserved;
  const auto port = reserved.number();
  socket.bind_sync(port);
  socket.add_membership("239.255.77.5", "127.0.0.1");
  socket.add_membership("ff01::77:5", "::1%lo");
  socket.set_multicast_interface("127.0.0.1");
  test::run_ready(io);
  CHECK(thrown([&] { socket.add_membership("239.255.77.5", "127.0.0.1"); }) ==
        asio::error::address_in_use);

  auto four = dgram::create_socket(io, dgram::udp4);
  const test::reserved_port of_four;
  four.bind_sync(of_four.number());
  four.set_multicast_interface("127.0.0.1");
  four.send("four", port, "239.255.77.5");
  test::run_until(io, [&] { return heard.size() == 1; });

  dgram::pause_sockets(io);
  dgram::resume_sockets(io);
  four.send("four", port, "239.255.77.5");
  test::run_until(io, [&] { return heard.size() == 2; });
  CHECK(thrown([&] { socket.add_membership("ff01::77:5", "::1%lo"); }) ==
        asio::error::address_in_use);

  socket.drop_membership("239.255.77.5", "127.0.0.1");
  four.send("four", port, "239.255.77.5");
  four.send("straight", port, "127.0.0.1");
  test::run_until(io, [&] { return heard.size() == 3; });
  CHECK(heard.back() == "straight");
  CHECK(thrown([&] { socket.drop_membership("239.255.77.5", "127.0.0.1"); }) ==
        dgram::platform::address_not_available());
}

TEST_CASE("S1.59: sockets of a context are paused, and resume as they were", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  trace heard;
  test::record(socket, events);
  socket.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  const test::reserved_port reserved;
  const auto port = reserved.number();
  socket.bind_sync(port);
  socket.set_ttl(7);
  socket.add_membership("239.255.77.3", "127.0.0.1");
  socket.add_membership("239.255.77.4", "127.0.0.1");
  socket.drop_membership("239.255.77.4", "127.0.0.1");
  test::run_ready(io);

  dgram::pause_sockets(io);
  CHECK(socket.state().paused);
  CHECK(socket.address().port == port);
  CHECK(socket.native_handle() == -1);
  socket.send("meanwhile", target.port);
  test::run(io);
  CHECK(target.messages.empty());

  dgram::resume_sockets(io);
  CHECK_FALSE(socket.state().paused);
  CHECK(socket.address().port == port);
  test::run_until(io, [&] { return target.messages.size() == 1; });
  asio::ip::unicast::hops hops;
  socket.next_layer().get_option(hops);
  CHECK(hops.value() == 7);
  target.socket.set_multicast_interface("127.0.0.1");
  target.socket.send("to the group", port, "239.255.77.3");
  target.socket.send("straight", port);
  test::run_until(io, [&] { return heard.size() == 2; });
  CHECK(events == trace{"listening"});
  CHECK(thrown([&] { socket.add_membership("239.255.77.3", "127.0.0.1"); }) ==
        asio::error::address_in_use);
  socket.add_membership("239.255.77.4", "127.0.0.1");

  dgram::pause_sockets(io);
  const asio::ip::udp::socket thief(io, {asio::ip::address_v4::any(), port});
  dgram::resume_sockets(io);
  test::run_until(io, [&] { return events.size() > 1; });
  CHECK(events.back() == "error bind EADDRINUSE 0.0.0.0:" + std::to_string(port));
  CHECK_FALSE(socket.state().bound);
}

}  // namespace options_test
