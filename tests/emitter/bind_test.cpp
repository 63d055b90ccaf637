// SPDX-License-Identifier: BSL-1.0
// The emitter: creating and binding.
#include "emitter/helpers.hpp"

#include <asio/cancellation_signal.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <stop_token>

namespace bind_test {

using test::thrown;
using test::trace;

TEST_CASE("CRE-01: a type that is none is refused", "[emitter]")
{
  asio::io_context io;
  CHECK(thrown([&] { dgram::create_socket(io, {}); }) == dgram::error::bad_type);
  CHECK(thrown([&] { dgram::create_socket(io, static_cast<dgram::socket_type>(47)); }) ==
        dgram::error::bad_type);
}

TEST_CASE("CRE-02: sockets of both types, closed unbound", "[emitter]")
{
  asio::io_context io;
  trace events;
  auto four = dgram::create_socket(io, dgram::udp4);
  auto six = dgram::create_socket(io, {.type = dgram::udp6});
  test::record(four, events);
  test::record(six, events);
  four.close();
  six.close();
  CHECK(events.empty());
  test::run(io);
  CHECK(events == trace{"close", "close"});
}

TEST_CASE("CRE-03: before it is bound it has no descriptor, no address and an empty queue",
          "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(socket.native_handle() == -1);
  CHECK(thrown([&] { socket.address(); }) == asio::error::bad_descriptor);
  CHECK(test::thrown_text([&] { socket.address(); }).starts_with("getsockname EBADF"));
  CHECK(socket.get_send_queue_size() == 0);
  CHECK(socket.get_send_queue_count() == 0);
  CHECK_FALSE(socket.state().bound);
}

TEST_CASE("CRE-06, SND-32: a handler given at creation is a message listener, and may reply",
          "[emitter]")
{
  asio::io_context io;
  dgram::emitter_socket* self = nullptr;
  auto server = dgram::create_socket(
      io, dgram::udp4, [&](dgram::bytes_view message, const dgram::remote_info& from) {
        self->send(message, from.port, from.address);
        self->close();
      });
  self = &server;
  server.bind_sync(0, "127.0.0.1");
  test::listener client(io);
  client.socket.once<test::event::message>([&] { client.socket.close(); });
  client.socket.send("ping", server.address().port);
  const auto port = server.address().port;
  test::run(io);
  CHECK(client.messages == trace{"ping"});
  CHECK(client.senders.front().port == port);
}

TEST_CASE("CRE-07: buffer sizes hold when 'listening' is emitted", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4, .recv_buffer_size = 10000, .send_buffer_size = 15000});
  std::size_t receive = 0;
  std::size_t send = 0;
  socket.bind([&] {
    receive = socket.get_recv_buffer_size();
    send = socket.get_send_buffer_size();
    socket.close();
  });
  test::run(io);
  CHECK((receive == 10000 || receive == 20000));
  CHECK((send == 15000 || send == 30000));
}

TEST_CASE("CRE-08: buffer sizes that are none are refused at creation", "[emitter]")
{
  asio::io_context io;
  CHECK(thrown([&] { dgram::create_socket(io, {.type = dgram::udp4, .recv_buffer_size = -1}); }) ==
        dgram::error::out_of_range);
  CHECK(thrown([&] {
          dgram::create_socket(io, {.type = dgram::udp4, .send_buffer_size = 0x100000000});
        }) == dgram::error::out_of_range);
}

TEST_CASE("CRE-09: a lookup of one's own is asked once for a bind without address", "[emitter]")
{
  asio::io_context io;
  trace asked;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4,
           .lookup = [&](const std::string& name, dgram::socket_type, dgram::lookup_result report) {
             asked.push_back(name);
             report({}, asio::ip::make_address(name));
           }});
  socket.bind([&] { socket.close(); });
  test::run(io);
  CHECK(asked == trace{"0.0.0.0"});
}

TEST_CASE("CRE-11: diagnostics tell of each socket before its events", "[emitter]")
{
  asio::io_context io;
  std::vector<dgram::diagnostic_channel> seen;
  const void* told = nullptr;
  {
    const dgram::diagnostics_subscription watch([&](const dgram::diagnostic& what) {
      seen.push_back(what.channel);
      told = what.socket;
    });
    auto socket = dgram::create_socket(io, dgram::udp4);
    CHECK(told == socket.id());
    socket.on<test::event::message>([&] { socket.close(); });
    socket.bind([&] { socket.connect(socket.address().port, [&] { socket.send("x"); }); });
    test::run(io);
  }
  dgram::create_socket(io, dgram::udp4);
  using enum dgram::diagnostic_channel;
  CHECK(seen == std::vector{create, bind, connect, send, message, close});
}

TEST_CASE("BND-01, BND-02: port 0 and no address", "[emitter]")
{
  asio::io_context io;
  auto one = dgram::create_socket(io, dgram::udp4);
  auto all = dgram::create_socket(io, dgram::udp4);
  int listening = 0;
  one.on<test::event::listening>([&] { ++listening; });
  one.bind(0, "127.0.0.1", [&] {
    CHECK(one.address().address == asio::ip::address_v4::loopback());
    CHECK(one.address().family == "IPv4");
    CHECK(one.address().port > 0);
    one.close();
  });
  all.bind([&] {
    CHECK(all.address().address.is_unspecified());
    CHECK(all.address().port > 0);
    all.close();
  });
  test::run(io);
  CHECK(listening == 1);
}

TEST_CASE("BND-01, BND-02: IPv6", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp6);
  CHECK(socket.bind_sync(0, "::1").family == "IPv6");
  auto all = dgram::create_socket(io, dgram::udp6);
  CHECK(all.bind_sync().address == asio::ip::address_v6::any());
}

TEST_CASE("BND-03: bind returns the socket, and emits later, in order", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::string order;
  socket.on<test::event::listening>([&] { order += '1'; });
  CHECK(&socket.bind(0, "127.0.0.1", [&] { order += 'c'; }) == &socket);
  socket.on<test::event::listening>([&] {
    order += '2';
    socket.close();
  });
  CHECK(order.empty());
  test::run(io);
  CHECK(order == "1c2");
}

TEST_CASE("BND-04, BND-05, BND-06: a second bind, and one after close", "[emitter]")
{
  asio::io_context io;
  trace events;
  auto socket = dgram::create_socket(io, dgram::udp4);
  test::record(socket, events);
  socket.bind(0, "127.0.0.1");
  CHECK(thrown([&] { socket.bind(0, "127.0.0.1"); }) == dgram::error::already_bound);
  test::run_until(io, [&] { return events.size() == 1; });
  CHECK(thrown([&] { socket.bind(0, "127.0.0.1"); }) == dgram::error::already_bound);
  CHECK(thrown([&] { socket.bind_sync(); }) == dgram::error::already_bound);
  socket.close();
  CHECK(thrown([&] { socket.bind(0); }) == dgram::error::not_running);
  test::run(io);
  CHECK(events == trace{"listening", "close"});
}

TEST_CASE("A second bind says to what the socket is bound, or that a bind is pending", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  const std::string reason = ": " + make_error_code(dgram::error::already_bound).message();
  socket.bind(0, "127.0.0.1");
  CHECK(test::thrown_text([&] { socket.bind(0); }) == "bind (a bind is pending)" + reason);
  CHECK(test::thrown_text([&] { socket.connect_sync(9); }) ==
        "connect (a bind is pending)" + reason);
  test::run_until(io, [&] { return socket.state().bound; });
  const std::string bound = "(bound to " + to_string(socket.address()) + ")";
  CHECK(test::thrown_text([&] { socket.bind(0); }) == "bind " + bound + reason);
  CHECK(test::thrown_text([&] { socket.bind_sync(9, "127.0.0.1"); }) == "bind " + bound + reason);
  socket.close();
}

TEST_CASE("BND-07, ERR-13: a taken port is an 'error' event that names it", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.bind(taken.port, "127.0.0.1", [&] { events.push_back("callback"); });
  test::run_until(io, [&] { return !events.empty(); });
  CHECK(events == trace{"error bind EADDRINUSE 127.0.0.1:" + std::to_string(taken.port)});
  socket.bind(0, "127.0.0.1");
  test::run_until(io, [&] { return events.size() == 2; });
  CHECK(events.back() == "listening");
}

TEST_CASE("BND-09, BND-10: addresses of others, and of the other family", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.bind(0, "1.1.1.1");
  test::run(io);
  socket.bind(0, "::1");
  test::run(io);
  CHECK(events == trace{"error bind EADDRNOTAVAIL 1.1.1.1",
                        "error bind EINVAL ::1 (an IPv6 address on a udp4 socket)"});
}

TEST_CASE("BND-11: a name is looked up in the family of the socket", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind(0, "localhost", [&] {
    CHECK(socket.address().address == asio::ip::address_v4::loopback());
    socket.close();
  });
  test::run(io);
  CHECK(socket.state().closed);
}

TEST_CASE("BND-12: a lookup that fails is an 'error' event, and the socket can be bound again",
          "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(
      io, {.type = dgram::udp4,
           .lookup = [](const std::string&, dgram::socket_type, dgram::lookup_result report) {
             report(asio::error::host_not_found, {});
           }});
  trace events;
  test::record(socket, events);
  socket.bind(0, "server.test");
  test::run(io);
  CHECK(events == trace{"error getaddrinfo ENOTFOUND server.test"});
  socket.bind(0, "127.0.0.1", [&] { socket.close(); });
  test::run(io);
  CHECK(events.back() == "close");
}

TEST_CASE("BND-14, BND-15: a synchronous bind returns the address and emits later", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  const auto local = socket.bind_sync(0, "127.0.0.1");
  CHECK(local.port > 0);
  CHECK(socket.address() == local);
  test::record(socket, events);
  test::run_ready(io);
  CHECK(events == trace{"listening"});

  auto closed = dgram::create_socket(io, dgram::udp4);
  test::record(closed, events);
  closed.bind_sync();
  closed.close();
  test::run_ready(io);
  CHECK(events == trace{"listening", "close"});
}

TEST_CASE("BND-16, BND-17: a synchronous bind that fails", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.bind_sync(taken.port, "127.0.0.1"); }) == asio::error::address_in_use);
  CHECK(test::thrown_text([&] {
          socket.bind_sync(taken.port, "127.0.0.1");
        }).starts_with("bind EADDRINUSE 127.0.0.1:"));
  CHECK(thrown([&] { socket.bind_sync(0, "localhost"); }) == asio::error::invalid_argument);
  CHECK(thrown([&] { socket.bind_sync(-1); }) == dgram::error::bad_port);
  CHECK(socket.bind_sync().port > 0);
}

TEST_CASE("BND-17, BND-19: a scope, and IPv6 only", "[emitter]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  auto scoped = dgram::create_socket(io, dgram::udp6);
  CHECK(scoped.bind_sync(0, "::1%lo").address == asio::ip::address_v6::loopback());
  auto only = dgram::create_socket(io, {.type = dgram::udp6, .ipv6_only = true});
  const test::reserved_port port;
  only.bind_sync(port.number());
  auto four = dgram::create_socket(io, dgram::udp4);
  CHECK(four.bind_sync(port.number()).port == port.number());  // BND-24
}

TEST_CASE("BND-20, BND-22, BND-23: sharing an address", "[emitter]")
{
  asio::io_context io;
  auto first = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});
  const test::reserved_port reserved;
  const auto port = first.bind_sync(reserved.number(), "127.0.0.1").port;
  auto second = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});
  second.bind_sync(port, "127.0.0.1");
  auto third = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { third.bind_sync(port, "127.0.0.1"); }) == asio::error::address_in_use);

  auto spread =
      dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true, .reuse_port = true});
  const test::reserved_port of_spread;
  const auto shared = spread.bind_sync(of_spread.number(), "127.0.0.1").port;
  auto other = dgram::create_socket(io, {.type = dgram::udp4, .reuse_port = true});
  CHECK(other.bind_sync(shared, "127.0.0.1").port == shared);
}

TEST_CASE("BND-25: IPv6 only is nothing for udp4", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .ipv6_only = true});
  CHECK(thrown([&] { socket.bind_sync(); }) == asio::error::invalid_argument);
}

TEST_CASE("BND-26, BND-27: a descriptor is taken over, and 'listening' comes later", "[emitter]")
{
  asio::io_context io;
  asio::ip::udp::socket given(io, {asio::ip::address_v4::loopback(), 0});
  const auto port = given.local_endpoint().port();
  const int descriptor = ::dup(given.native_handle());
  given.close();
  test::listener peer(io);
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .recv_buffer_size = 4096});
  trace events;
  socket.bind({.port = 1, .address = "1.1.1.1", .fd = descriptor},
              [&] { events.push_back("callback"); });
  test::record(socket, events);
  CHECK(events.empty());
  CHECK(socket.address().port == port);
  CHECK(socket.get_recv_buffer_size() == 8192);
  socket.on<test::event::message>([&] { socket.close(); });
  peer.socket.send("x", port, [&] { peer.socket.close(); });
  test::run(io);
  CHECK(events == trace{"callback", "listening", "close"});

  auto normal = dgram::create_socket(io, dgram::udp4);
  normal.bind({.fd = 0}, [&] { normal.close(); });
  test::run(io);
  CHECK(normal.state().closed);
}

TEST_CASE("BND-29: one descriptor, two sockets", "[emitter]")
{
  asio::io_context io;
  auto first = dgram::create_socket(io, dgram::udp4);
  first.bind_sync();
  auto second = dgram::create_socket(io, dgram::udp4);
  CHECK(test::thrown_text([&] {
          second.bind({.fd = first.native_handle()});
        }).starts_with("open EEXIST"));
  CHECK(first.address().port > 0);
}

TEST_CASE("BND-31, CON-19, RCV-16: descriptors that are unbound, connected, or of the other family",
          "[emitter]")
{
  asio::io_context io;
  test::listener peer(io);
  {
    asio::ip::udp::socket given(io, asio::ip::udp::v4());
    given.connect({asio::ip::address_v4::loopback(), peer.port});
    auto socket = dgram::create_socket(io, dgram::udp6);
    socket.bind({.fd = ::dup(given.native_handle())});
    CHECK(socket.state().connected);
    CHECK(socket.remote_address().port == peer.port);
    socket.send("x");
    test::run_until(io, [&] { return peer.messages.size() == 1; });
  }
  auto refused = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { refused.bind({.fd = 1 << 20}); }) == asio::error::bad_descriptor);
  const int stream = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK(thrown([&] { refused.bind({.fd = stream}); }) == dgram::error::wrong_descriptor);
  CHECK(::close(stream) == 0);
  CHECK(refused.bind_sync().port > 0);
}

TEST_CASE("BND-31: a token for the bind to a descriptor gets the result", "[emitter]")
{
  asio::io_context io;
  asio::ip::udp::socket given(io, {asio::ip::address_v4::loopback(), 0});
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::vector<dgram::error_code> results;
  trace events;
  test::record(socket, events);
  const auto bind = [&](int descriptor) -> asio::awaitable<void> {
    dgram::error_code ec;
    const dgram::bind_options options{.fd = descriptor};  // GCC 12 wants a name for it
    co_await socket.bind(options, asio::redirect_error(asio::use_awaitable, ec));
    results.push_back(ec);
  };
  asio::co_spawn(io, bind(1 << 20), asio::detached);
  test::run_ready(io);
  CHECK(events.empty());
  asio::co_spawn(io, bind(::dup(given.native_handle())), asio::detached);
  test::run_ready(io);
  CHECK(results == std::vector<dgram::error_code>{asio::error::bad_descriptor, {}});
  CHECK(events == trace{"listening"});
  CHECK(socket.address().port == given.local_endpoint().port());
}

TEST_CASE("BND-33: two sends bind once", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.send("one", target.port);
  socket.send("two", target.port);
  CHECK(thrown([&] { socket.bind(0); }) == dgram::error::already_bound);
  test::run_until(io, [&] { return target.messages.size() == 2; });
  CHECK(events == trace{"listening"});
  CHECK(socket.address().address.is_unspecified());
}

TEST_CASE("BND-35: ports outside the range are refused", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.bind(-1); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.bind(65536, "127.0.0.1"); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.bind(4294967377); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.bind(~0ULL); }) == dgram::error::bad_port);
  CHECK_FALSE(socket.state().bound);
}

TEST_CASE("TMO-04: 'listening' needs no waiting", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  trace events;
  test::record(socket, events);
  socket.bind(0, "127.0.0.1");
  test::run_ready(io);
  CHECK(events == trace{"listening"});
}

TEST_CASE("BND-14: bind_sync with its arguments by name", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  const auto bound = socket.bind_sync({.port = 0, .address = "127.0.0.1"});
  CHECK(bound.address.to_string() == "127.0.0.1");
  CHECK(bound.port > 0);
  CHECK(bound == socket.address());
  auto second = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { second.bind_sync({.port = bound.port, .address = "127.0.0.1"}); }) ==
        asio::error::address_in_use);
  asio::ip::udp::socket plain(io, {asio::ip::address_v4::loopback(), 0});
  const auto port = plain.local_endpoint().port();
  CHECK(second.bind_sync({.fd = plain.release()}).port == port);
}

TEST_CASE("CRE-10: no stop token, no slot and no block lists are as good as none given",
          "[emitter]")
{
  asio::io_context io;
  test::listener target(io, {.type = dgram::udp4,
                             .signal = std::stop_token(),
                             .slot = asio::cancellation_slot(),
                             .receive_block_list = nullptr,
                             .send_block_list = nullptr});
  target.socket.send("x", target.port);
  test::run_until(io, [&] { return target.messages.size() == 1; });
  target.socket.close();
  test::run(io);
  CHECK(target.socket.state().closed);
}

TEST_CASE("BND-31, CRE-01: a descriptor that is no socket", "[emitter]")
{
  asio::io_context io;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.bind({.fd = ends[0]}); }) == dgram::error::wrong_descriptor);
  auto by_path = dgram::create_unix_socket(io);
  CHECK(thrown([&] { by_path.bind({.fd = ends[0]}); }) == dgram::error::wrong_descriptor);
  CHECK(::close(ends[0]) == 0);  // still the caller's
  CHECK(::close(ends[1]) == 0);
  socket.bind_sync();
}

}  // namespace bind_test
