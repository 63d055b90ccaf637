// SPDX-License-Identifier: BSL-1.0
// Wakes a computer: broadcasts the "magic packet" with its hardware address, which its network card waits for.
//
//   example_wake_on_lan MAC [--to ADDRESS:PORT] [--interface NAME]
//
// MAC is six pairs of hexadecimal digits with ':' or '-' between them. The packet goes to 255.255.255.255:9, or to the
// broadcast address of another network. NAME is the network interface to send from, for hosts with several. Try it with
//   example_wake_on_lan 52:54:00:12:34:56 --interface eth0

#include "command_line.hpp"

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

namespace {

/// The six bytes of a hardware address.
std::string parse_mac(std::string_view text)
{
  std::string bytes;
  bool good = text.size() == 17;
  for (std::size_t at = 0; good && at < text.size(); at += 3) {
    unsigned value = 0;
    const char* const end = text.data() + at + 2;
    const auto [stopped, failure] = std::from_chars(text.data() + at, end, value, 16);
    good = failure == std::errc() && stopped == end &&
           (at + 2 == text.size() || text[at + 2] == ':' || text[at + 2] == '-');
    bytes += static_cast<char>(value);
  }
  if (!good)
    throw example::bad_argument(
        fmt::format("\"{}\" is no hardware address like 52:54:00:12:34:56", text));
  return bytes;
}

/// Six bytes of ones, and sixteen times the address.
std::string magic_packet(const std::string& mac)
{
  std::string packet(6, '\xff');
  for (int i = 0; i < 16; ++i)
    packet += mac;
  return packet;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_wake_on_lan MAC [--to ADDRESS:PORT] [--interface NAME]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto mac = parse_mac(words.operand("MAC"));
    std::string to = "255.255.255.255:9";
    std::string interface;
    while (words.option("--to", to) || words.option("--interface", interface)) {}
    words.finish();
    asio::io_context io;
    dgram::udp::socket socket(io, dgram::udp::v4());
    socket.set_option(dgram::option::broadcast{true});
    // Without this the route to the broadcast address decides, which a host with two networks may not have.
    if (!interface.empty())
      socket.set_option(dgram::option::bind_to_device{dgram::network_interface{interface}});
    const std::string packet = magic_packet(mac);
    const auto peer = dgram::parse_endpoint(to);
    const std::size_t size = socket.send_to(asio::buffer(packet), peer);
    fmt::print("sent {} bytes to {}\n", size, peer);
    return 0;
  });
}
