// SPDX-License-Identifier: BSL-1.0
// Blocking receives on a socket whose receiving was shut down: they return, as Asio's own and recv(2) do.
#include <dgram/basic_socket.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>

namespace shutdown_test {

namespace {

/// Each kind of socket receives in another way.
enum class kind { plain, dual, packet_info, receive_error };

dgram::udp::socket open(asio::io_context& io, kind which)
{
  if (which == kind::dual)
    return dgram::udp::socket{
        io, dgram::udp::endpoint(asio::ip::address_v6::any(), 0), {.dual_stack = true}};
  dgram::udp::socket socket(io, test::loopback_v4());
  if (which == kind::packet_info) socket.set_option(dgram::option::packet_info(true));
  if (which == kind::receive_error) {
    if (!dgram::platform::has_error_queue) SKIP("this system has no error queue");
    socket.set_option(dgram::option::receive_error(true));
  }
  return socket;
}

}  // namespace

TEST_CASE("shutdown: a blocking receive gives what is queued, then returns without bytes or error")
{
#if !defined(__linux__)
  SKIP("the system says so itself, in its own way");
#endif
  const auto which = GENERATE(kind::plain, kind::dual, kind::packet_info, kind::receive_error);
  if (which == kind::dual) DGRAM_SKIP_WITHOUT_IPV6();
  CAPTURE(static_cast<int>(which));
  asio::io_context io;
  dgram::udp::socket sender(io, test::loopback_v4());
  auto socket = open(io, which);
  const auto to = test::loopback_v4(socket.local_endpoint().port());
  const bool connected = GENERATE(true, false);
  if (connected) socket.connect(sender.local_endpoint());
  sender.send_to(asio::buffer("a", 1), to);
  sender.send_to(asio::buffer("b", 1), to);
  dgram::error_code ec;
  // Of a socket that is not connected Linux says so, and shuts it down all the same.
  socket.shutdown(asio::socket_base::shutdown_receive, ec);
  CHECK(ec == (connected ? dgram::error_code() : asio::error::not_connected));

  std::array<char, 8> storage{};
  test::endpoint from;
  CHECK(socket.receive_from(asio::buffer(storage), from) == 1);
  CHECK(from == sender.local_endpoint());
  dgram::datagram_info info;
  CHECK(socket.receive_from(asio::buffer(storage), info) == 1);
  CHECK(socket.receive(asio::buffer(storage)) == 0);
  CHECK(socket.receive_from(asio::buffer(storage), from) == 0);
  CHECK(socket.receive_from(asio::buffer(storage), info) == 0);

  dgram::receive_batch batch(4);
  CHECK(socket.receive_batch(batch, ec) == 0);
  CHECK(ec == asio::error::eof);
  CHECK_FALSE(socket.try_receive_batch(batch));

  // Linux queues what comes later, and gives it to the next call.
  sender.send_to(asio::buffer("later", 5), to);
  CHECK(socket.receive_batch(batch) == 1);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("shutdown: a blocking receive of a Unix socket returns too")
{
#if !defined(__linux__)
  SKIP("the system says so itself, in its own way");
#endif
  asio::io_context io;
  dgram::unix_dgram::socket socket{io, dgram::unix_dgram{}};
  socket.bind({});
  socket.connect(socket.local_endpoint());
  socket.send(asio::buffer("a", 1));
  socket.shutdown(asio::socket_base::shutdown_receive);
  std::array<char, 8> storage{};
  dgram::unix_dgram::endpoint from;
  CHECK(socket.receive_from(asio::buffer(storage), from) == 1);
  CHECK(socket.receive_from(asio::buffer(storage), from) == 0);
  dgram::unix_dgram::receive_batch batch(4);
  dgram::error_code ec;
  CHECK(socket.receive_batch(batch, ec) == 0);
  CHECK(ec == asio::error::eof);
}

#endif

}  // namespace shutdown_test
