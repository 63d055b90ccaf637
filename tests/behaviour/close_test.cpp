// SPDX-License-Identifier: BSL-1.0
// Closing: what is pending completes once, and what is closed says so.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/buffer.hpp>
#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace close_test {

namespace {

using test::udp_socket;
namespace option = dgram::option;

/// Checks that a function reports `bad_descriptor`, and that it sets the code at all.
template <class Function>
void check_closed(const char* what, Function function)
{
  CAPTURE(what);
  dgram::error_code ec;
  function(ec);
  CHECK(ec == asio::error::bad_descriptor);
}

/// A closed socket, and what its operations need beside it.
struct closed_socket {
  closed_socket()
  {
    socket.close();
    out.push("x", peer);
  }

  asio::io_context io;
  udp_socket socket{io, test::loopback_v4()};
  const test::endpoint peer = socket.local_endpoint();
  std::array<char, 16> storage{};
  const asio::mutable_buffer buffer = asio::buffer(storage);
  test::endpoint sender;
  dgram::receive_batch in{2, 64};
  dgram::send_batch out{2};
};

}  // namespace

TEST_CASE("CLS-01: closing completes what is pending, later and once", "[close]")
{
  asio::io_context io;
  udp_socket socket(io, test::loopback_v4());
  std::array<char, 16> storage{};
  test::endpoint sender;
  dgram::receive_batch batch(2, 64);
  std::string order;
  const auto note = [&](char which) {
    return [&order, which](dgram::error_code ec, auto...) {
      CHECK(ec == asio::error::operation_aborted);
      order += which;
    };
  };
  socket.async_receive(asio::buffer(storage), note('r'));
  socket.async_receive_from(asio::buffer(storage), sender, note('f'));
  socket.async_receive_batch(batch, note('b'));
  socket.async_wait(asio::socket_base::wait_read, note('w'));
  test::run_ready(io);
  CHECK(order.empty());
  socket.close();
  CHECK(order.empty());
  test::run(io);
  std::sort(order.begin(), order.end());
  CHECK(order == "bfrw");
}

TEST_CASE("CLS-02: a socket that was never bound closes", "[close]")
{
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  dgram::error_code ec;
  socket.close(ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(socket.is_open());
  CHECK(io.poll() == 0);
}

TEST_CASE("CLS-03: closing a closed socket does nothing", "[close]")
{
  // Not an error, as with Asio's socket: the wish is fulfilled.
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  socket.close();
  dgram::error_code ec = asio::error::fault;
  socket.close(ec);
  CHECK_FALSE(ec);
  CHECK_NOTHROW(udp_socket(io).close());
}

TEST_CASE_METHOD(closed_socket,
                 "CLS-04: a closed socket says so to everything but connect, which opens it",
                 "[close]")
{
  using ec_type = dgram::error_code;

  check_closed("local_endpoint", [&](ec_type& ec) { socket.local_endpoint(ec); });
  check_closed("remote_endpoint", [&](ec_type& ec) { socket.remote_endpoint(ec); });
  check_closed("bind", [&](ec_type& ec) { socket.bind(test::loopback_v4(), ec); });
  check_closed("disconnect", [&](ec_type& ec) { socket.disconnect(ec); });
  check_closed("cancel", [&](ec_type& ec) { socket.cancel(ec); });
  check_closed("release", [&](ec_type& ec) { socket.release(ec); });
  check_closed("shutdown", [&](ec_type& ec) { socket.shutdown(udp_socket::shutdown_both, ec); });
  check_closed("available", [&](ec_type& ec) { socket.available(ec); });
  check_closed("non_blocking", [&](ec_type& ec) { socket.non_blocking(true, ec); });
  check_closed("wait", [&](ec_type& ec) { socket.wait(udp_socket::wait_write, ec); });

  const dgram::multicast_group group("224.0.0.114");
  check_closed("join", [&](ec_type& ec) { socket.join(group, ec); });
  check_closed("leave", [&](ec_type& ec) { socket.leave(group, ec); });
  check_closed("set broadcast",
               [&](ec_type& ec) { socket.set_option(option::broadcast(true), ec); });
  check_closed("set hop limit", [&](ec_type& ec) { socket.set_option(option::hop_limit(1), ec); });
  check_closed("set multicast hop limit",
               [&](ec_type& ec) { socket.set_option(option::multicast_hop_limit(1), ec); });
  check_closed("set multicast loopback",
               [&](ec_type& ec) { socket.set_option(option::multicast_loopback(true), ec); });
  check_closed("set multicast interface",
               [&](ec_type& ec) { socket.set_option(option::multicast_interface(), ec); });
  option::broadcast broadcast;
  check_closed("get broadcast", [&](ec_type& ec) { socket.get_option(broadcast, ec); });
  check_closed("receive buffer", [&](ec_type& ec) { socket.get_receive_buffer_size(ec); });
  check_closed("set receive buffer",
               [&](ec_type& ec) { socket.set_receive_buffer_size(4096, ec); });
  check_closed("send buffer", [&](ec_type& ec) { socket.get_send_buffer_size(ec); });
  check_closed("set send buffer", [&](ec_type& ec) { socket.set_send_buffer_size(4096, ec); });

  check_closed("send", [&](ec_type& ec) { socket.send(buffer, 0, ec); });
  check_closed("send_to", [&](ec_type& ec) { socket.send_to(buffer, peer, 0, ec); });
  check_closed("receive", [&](ec_type& ec) { socket.receive(buffer, 0, ec); });
  check_closed("receive_from", [&](ec_type& ec) { socket.receive_from(buffer, sender, 0, ec); });
  check_closed("try_send", [&](ec_type& ec) { socket.try_send(buffer, ec); });
  check_closed("try_send_to", [&](ec_type& ec) { socket.try_send_to(buffer, peer, ec); });
  check_closed("try_receive", [&](ec_type& ec) { socket.try_receive(buffer, ec); });
  check_closed("try_receive_from",
               [&](ec_type& ec) { socket.try_receive_from(buffer, sender, ec); });
  check_closed("try_receive_batch", [&](ec_type& ec) { socket.try_receive_batch(in, ec); });
  check_closed("receive_batch", [&](ec_type& ec) { socket.receive_batch(in, ec); });
  check_closed("try_send_batch", [&](ec_type& ec) { ec = socket.try_send_batch(out).error; });
  check_closed("send_batch", [&](ec_type& ec) { ec = socket.send_batch(out).error; });
  CHECK(out.size() == 1);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE_METHOD(closed_socket,
                 "CLS-04: asynchronous operations of a closed socket complete with that", "[close]")
{
  std::string order;
  const auto note = [&](char which) {
    return [&order, which](dgram::error_code ec, auto...) {
      CAPTURE(which);
      CHECK(ec == asio::error::bad_descriptor);
      order += which;
    };
  };
  socket.async_receive(buffer, note('r'));
  socket.async_receive_from(buffer, sender, note('f'));
  socket.async_receive_batch(in, note('b'));
  socket.async_send(buffer, note('s'));
  socket.async_send_to(buffer, peer, note('t'));
  socket.async_send_batch(out, note('u'));
  socket.async_wait(udp_socket::wait_read, note('w'));
  CHECK(order.empty());
  test::run(io);
  std::sort(order.begin(), order.end());
  CHECK(order == "bfrstuw");
}

TEST_CASE("CLS-08: closing in the handler of an error keeps a second one away", "[close]")
{
#if defined(ASIO_HAS_IO_URING_AS_DEFAULT)
  SKIP("with io_uring the kernel has given both receives their results by then");
#endif
  asio::io_context io;
  udp_socket socket = test::connected_to_nobody(io);
  std::array<char, 16> storage{};
  int refused = 0;
  int aborted = 0;
  const auto handler = [&](dgram::error_code ec, std::size_t) {
    if (ec == asio::error::connection_refused) {
      ++refused;
      // The next refusal is there already.
      dgram::error_code ignored;
      socket.send(test::text_buffer("x"), 0, ignored);
      socket.close();
    } else {
      CHECK(ec == asio::error::operation_aborted);
      ++aborted;
    }
  };
  socket.async_receive(asio::buffer(storage), handler);
  socket.async_receive(asio::buffer(storage), handler);
  socket.send(test::text_buffer("x"));
  test::run(io);
  CHECK(refused == 1);
  CHECK(aborted == 1);
}

TEST_CASE_METHOD(test::bound_pair, "CLS-09: a socket may be closed in a send's completion",
                 "[close]")
{
  std::array<char, 16> storage{};
  const std::string too_big(65536, 'x');
  int completions = 0;
  int aborted = 0;
  sender.async_receive(asio::buffer(storage), [&](dgram::error_code ec, std::size_t) {
    CHECK(ec == asio::error::operation_aborted);
    ++aborted;
  });
  SECTION("of one that was sent")
  {
    sender.async_send_to(test::text_buffer("x"), receiver.local_endpoint(),
                         [&](dgram::error_code ec, std::size_t) {
                           CHECK_FALSE(ec);
                           ++completions;
                           sender.close();
                         });
  }
  SECTION("of one that was refused")
  {
    sender.async_send_to(asio::buffer(too_big), receiver.local_endpoint(),
                         [&](dgram::error_code ec, std::size_t) {
                           CHECK(ec == asio::error::message_size);
                           ++completions;
                           sender.close();
                         });
  }
  test::run(io);
  CHECK(completions == 1);
  CHECK(aborted == 1);
  CHECK_FALSE(sender.is_open());
}

TEST_CASE_METHOD(test::bound_pair,
                 "CLS-13: a send completes with its result though the socket is closed at once",
                 "[close]")
{
#if defined(ASIO_DISABLE_EPOLL) && !defined(ASIO_HAS_IO_URING_AS_DEFAULT)
  SKIP("with select Asio waits until the socket is ready, even before the first try");
#endif
  int completions = 0;
  const auto sent = [&](dgram::error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    CHECK(size == 4);
    ++completions;
  };
  const bool connected = GENERATE(false, true);
  CAPTURE(connected);
  if (connected) {
    sender.connect(receiver.local_endpoint());
    sender.async_send(test::text_buffer("last"), sent);
  } else {
    sender.async_send_to(test::text_buffer("last"), receiver.local_endpoint(), sent);
  }
  sender.close();
  CHECK(completions == 0);
  test::run(io);
  CHECK(completions == 1);
  CHECK(test::receive(io, receiver).text == "last");
}

TEST_CASE("CLS-17: a cancellation that comes after the close changes nothing", "[close]")
{
  asio::io_context io;
  udp_socket socket(io, test::loopback_v4());
  dgram::receive_batch batch(2, 64);
  asio::cancellation_signal signal;
  int completions = 0;
  socket.async_receive_batch(
      batch, asio::bind_cancellation_slot(signal.slot(), [&](dgram::error_code ec, std::size_t) {
        CHECK(ec == asio::error::operation_aborted);
        ++completions;
      }));
  test::run_ready(io);
  socket.close();
  signal.emit(asio::cancellation_type::terminal);
  test::run(io);
  CHECK(completions == 1);
  signal.emit(asio::cancellation_type::terminal);
  test::run(io);
  CHECK(completions == 1);
}

TEST_CASE("CLS-20: many sockets of one port close with sends and receives pending", "[close]")
{
  constexpr std::size_t count = 200;
  asio::io_context io;
  std::vector<std::unique_ptr<udp_socket>> sockets;
  const test::reserved_port port;
  const auto shared = test::loopback_v4(port.number());
  for (std::size_t i = 0; i < count; ++i)
    sockets.push_back(
        std::make_unique<udp_socket>(io, shared, dgram::socket_config{.reuse_address = true}));
  std::vector<std::array<char, 16>> storage(count);
  std::vector<int> sends(count, 0);
  std::vector<int> receives(count, 0);
  std::size_t received = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sockets[i]->async_receive(asio::buffer(storage[i]), [&, i](dgram::error_code ec, std::size_t) {
      ++receives[i];
      if (ec) {
        CHECK(ec == asio::error::operation_aborted);
        return;
      }
      ++received;
      for (const auto& socket : sockets)
        socket->close();
    });
    sockets[i]->async_send_to(test::text_buffer("x"), shared,
                              [&, i](dgram::error_code ec, std::size_t) {
                                CHECK_FALSE(ec);
                                ++sends[i];
                              });
  }
  test::run(io);
  CHECK(received == 1);
  CHECK(std::all_of(sends.begin(), sends.end(), [](int n) { return n == 1; }));
  CHECK(std::all_of(receives.begin(), receives.end(), [](int n) { return n == 1; }));
}

TEST_CASE("CLS-22: the context may be stopped and destroyed with datagrams queued", "[close]")
{
  const auto alive = std::make_shared<int>();
  int handled = 0;
  {
    asio::io_context io;
    udp_socket receiver(io, test::loopback_v4());
    udp_socket sender(io, test::loopback_v4());
    for (int i = 0; i < 16; ++i)
      sender.send_to(test::text_buffer("x"), receiver.local_endpoint());
    std::array<std::array<char, 16>, 16> storage{};
    dgram::receive_batch batch(4, 64);
    dgram::receive_batch waiting(4, 64);
    for (auto& part : storage)
      receiver.async_receive(asio::buffer(part), [&, alive](dgram::error_code, std::size_t) {
        ++handled;
        io.stop();
      });
    receiver.async_receive_batch(batch, [&, alive](dgram::error_code, std::size_t) { ++handled; });
    sender.async_receive_batch(waiting, [&, alive](dgram::error_code, std::size_t) { ++handled; });
    io.run();
    CHECK(handled >= 1);
    handled = 0;
  }
  // What was pending is gone without having been called.
  CHECK(handled == 0);
  CHECK(alive.use_count() == 1);
}

TEST_CASE("CLS-22: the socket may outlive what its context would have called", "[close]")
{
  const auto alive = std::make_shared<int>();
  bool called = false;
  auto io = std::make_unique<asio::io_context>();
  auto socket = std::make_unique<udp_socket>(*io, test::loopback_v4());
  dgram::receive_batch batch(4, 64);
  socket->async_receive_batch(batch,
                              [&called, alive](dgram::error_code, std::size_t) { called = true; });
  test::run_ready(*io);
  socket.reset();
  io.reset();
  CHECK_FALSE(called);
  CHECK(alive.use_count() == 1);
}

TEST_CASE("D1: every operation that was started completes exactly once", "[close]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  const auto to = peer.local_endpoint();
  std::array<char, 16> storage{};
  test::endpoint sender;
  dgram::receive_batch in(2, 64);
  dgram::send_batch out(2);
  out.push("x", to);
  const char* const how = GENERATE("close", "cancel", "destroy", "move over", "release");
  CAPTURE(how);
  std::array<int, 6> completions{};
  {
    auto socket = std::make_unique<udp_socket>(io, test::loopback_v4());
    const auto count = [&](std::size_t which) {
      return [&completions, which](dgram::error_code, auto...) { ++completions[which]; };
    };
    socket->async_receive(asio::buffer(storage), count(0));
    socket->async_receive_from(asio::buffer(storage), sender, count(1));
    socket->async_receive_batch(in, count(2));
    socket->async_send_to(test::text_buffer("x"), to, count(3));
    socket->async_send_batch(out, count(4));
    socket->async_wait(udp_socket::wait_read, count(5));
    const std::string_view name(how);
    if (name == "close") socket->close();
    if (name == "cancel") socket->cancel();
    if (name == "move over") *socket = udp_socket(io);
    if (name == "release") test::close_descriptor(socket->release());
    if (name == "cancel") test::run(io);
  }
  test::run(io);
  for (const int times : completions)
    CHECK(times == 1);
}

}  // namespace close_test
