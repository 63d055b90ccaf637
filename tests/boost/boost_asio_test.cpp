// SPDX-License-Identifier: BSL-1.0
// The library on Boost.Asio: what it takes from the one Asio must be there in the other.
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <catch2/catch_test_macros.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <string>

namespace {

namespace net = boost::asio;

dgram::udp::endpoint any_port()
{
  return dgram::parse_endpoint("127.0.0.1:0");
}

net::awaitable<void> echo(dgram::udp::socket& socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagram = co_await reader.next())
    co_await writer.send(datagram->payload(), datagram->sender());
}

}  // namespace

TEST_CASE("Boost.Asio: errors are Boost's error codes, and comparable")
{
  boost::system::error_code ec;
  dgram::parse_endpoint("nonsense", ec);
  CHECK(ec == dgram::error::bad_endpoint);
  CHECK(ec == boost::system::errc::invalid_argument);
  CHECK(fmt::format("{}", dgram::parse_endpoint("[::1]:53")) == "[::1]:53");
}

TEST_CASE("Boost.Asio: a coroutine server answers a client with callbacks")
{
  net::io_context io;
  dgram::udp::socket server{io, any_port()};
  dgram::udp::socket client{io, any_port()};
  net::co_spawn(io, echo(server), net::detached);

  const std::string question = "is anybody there?";
  std::array<char, 64> answer{};
  dgram::udp::endpoint from;
  std::size_t size = 0;
  client.async_send_to(net::buffer(question), server.local_endpoint(),
                       [&](dgram::error_code failed, std::size_t) {
                         CHECK(!failed);
                         client.async_receive_from(net::buffer(answer), from,
                                                   [&](dgram::error_code ec, std::size_t received) {
                                                     CHECK(!ec);
                                                     size = received;
                                                     server.close();
                                                   });
                       });
  io.run();
  CHECK(std::string(answer.data(), size) == question);
}

TEST_CASE("Boost.Asio: batches")
{
  net::io_context io;
  dgram::udp::socket receiver{io, any_port()};
  dgram::udp::socket sender{io, dgram::udp::v4()};
  dgram::send_batch out{8};
  for (int i = 0; i < 3; ++i)
    out.push("datagram", receiver.local_endpoint());
  const dgram::send_result sent = sender.send_batch(out);
  CHECK(sent.sent == 3);

  dgram::receive_batch in{8};
  std::size_t received = 0;
  while (received < 3)
    received += receiver.receive_batch(in);
  CHECK(received == 3);
}

TEST_CASE("Boost.Asio: Unix datagrams and names")
{
  net::io_context io;
  dgram::unix_dgram::socket server{io, dgram::unix_dgram::endpoint()};  // an abstract name
  dgram::unix_dgram::socket client{io, dgram::unix_dgram{}};
  std::size_t sent = 0;
  client.async_send_to(net::buffer("hello", 5), server.local_endpoint(),
                       [&](dgram::error_code, std::size_t size) { sent = size; });
  io.run_for(std::chrono::seconds(10));
  CHECK(sent == 5);
  std::array<char, 16> storage;
  dgram::unix_dgram::endpoint sender;
  CHECK(server.receive_from(net::buffer(storage), sender) == 5);
  CHECK(fmt::format("{}", sender) == "(unnamed)");

  dgram::udp::socket socket{io};
  dgram::error_code failure = net::error::would_block;
  dgram::async_connect(socket, "localhost", "9", [&](dgram::error_code ec) { failure = ec; });
  io.restart();
  io.run_for(std::chrono::seconds(10));
  CHECK_FALSE(failure);
  CHECK(socket.remote_endpoint().port() == 9);
}
