// SPDX-License-Identifier: BSL-1.0
// A user's first program: sends itself a datagram and prints what came.

#include <dgram.hpp>

#if defined(DGRAM_USE_BOOST_ASIO)
#include <boost/asio/io_context.hpp>
#else
#include <asio/io_context.hpp>
#endif

#include <array>
#include <iostream>
#include <string_view>

int main()
{
  namespace net = dgram::net;
  net::io_context io;
  dgram::udp::socket socket{io, dgram::udp::endpoint{net::ip::address_v4::loopback(), 0}};

  const std::string_view sent = "hello";
  socket.send_to(net::buffer(sent), socket.local_endpoint());

  std::array<char, 64> storage{};
  dgram::udp::endpoint sender;
  const std::size_t size = socket.receive_from(net::buffer(storage), sender);
  const std::string_view received{storage.data(), size};

  std::cout << sender << ": " << received << '\n';
  return received == sent && sender == socket.local_endpoint() ? 0 : 1;
}
