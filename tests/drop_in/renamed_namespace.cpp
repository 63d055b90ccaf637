// SPDX-License-Identifier: BSL-1.0
// Asio in a namespace of the program's own: for the whole target, or for Asio's headers alone, before or after ours.

#if !defined(RENAMED_TARGET)
#define DGRAM_ASIO_NAMESPACE renamed_asio
#endif

#if defined(RENAMED_BEFORE)
#define asio renamed_asio
#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#undef asio
#endif

#include <dgram.hpp>

#if defined(RENAMED_AFTER)
#define asio renamed_asio
#include <asio.hpp>
#undef asio
#endif

#include <array>
#include <string_view>

int main()
{
  ::renamed_asio::io_context io;
  dgram::udp::socket server(
      io, ::renamed_asio::ip::udp::endpoint(::renamed_asio::ip::address_v4::loopback(), 0));
  dgram::udp::socket client(io, dgram::udp::v4());
  std::array<char, 16> room{};
  ::renamed_asio::ip::udp::endpoint sender;
  std::size_t size = 0;
  server.async_receive_from(
      ::renamed_asio::buffer(room), sender,
      [&](const std::error_code& ec, std::size_t bytes) { size = ec ? 0 : bytes; });
  client.send_to(::renamed_asio::buffer("renamed", 7), server.local_endpoint());
  io.run();
  return std::string_view(room.data(), size) == "renamed" ? 0 : 1;
}
