// SPDX-License-Identifier: BSL-1.0
// Sends itself a datagram, and formats an address if the package brings fmt.

#include <dgram/udp.hpp>
#if defined(WITH_FMT)
#include <dgram/format.hpp>
#endif

#include <array>
#include <iostream>
#include <string_view>

int main()
{
  namespace net = dgram::net;
  net::io_context io;
  dgram::udp::socket socket{io, {net::ip::address_v4::loopback(), 0}};
  const std::string_view sent = "hello";
  socket.send_to(net::buffer(sent), socket.local_endpoint());

  std::array<char, 64> storage{};
  dgram::udp::endpoint sender;
  const std::size_t size = socket.receive_from(net::buffer(storage), sender);
#if defined(WITH_FMT)
  fmt::print("{} bytes from {}\n", size, sender);
#else
  std::cout << size << " bytes from " << dgram::to_string(sender) << '\n';
#endif
  return std::string_view{storage.data(), size} == sent ? 0 : 1;
}
