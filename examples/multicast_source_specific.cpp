// SPDX-License-Identifier: BSL-1.0
// Source-specific multicast: a listener chooses whose datagrams to a group it gets, and the network brings no others.
//
//   example_multicast_source_specific listen SOURCE... [--group ADDRESS:PORT] [--interface NAME] [--count N] [--timeout S]
//   example_multicast_source_specific say SOURCE TEXT... [--group ADDRESS:PORT] [--interface NAME]
//
// Listens to 232.77.77.77:7078 or another group on the interface (lo: nothing leaves the host), to what comes from the
// sources alone. Ends after N lines, or with exit code 1 if they did not come within S seconds. Says each TEXT from the
// source, which is an address of this host. Try
//   example_multicast_source_specific listen 127.0.0.1 --count 1 --timeout 60 &
//   example_multicast_source_specific say 127.0.0.2 "this is not heard"
//   example_multicast_source_specific say 127.0.0.1 "this is heard"

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>

namespace {

struct radio {
  std::string group = "232.77.77.77:7078", interface = "lo";
  std::vector<std::string> words;
  int count = 1, timeout = 5, heard = 0;
  asio::io_context io;
  dgram::udp::socket socket{io};

  asio::awaitable<void> hear(int lines)
  {
    dgram::reader reader{socket};
    while (heard < lines) {
      const auto line = co_await reader.next();
      if (!line) co_return;
      fmt::print("{}  {}\n", line->sender(), example::printable(line->payload().text()));
      ++heard;
    }
  }

  int listen()
  {
    auto to = dgram::parse_endpoint(group);
    socket.open(to.protocol(), {.reuse_address = true});
    socket.bind(to);
    to.port(socket.local_endpoint().port());  // 0 meant any
    // Each source is a membership of its own, and is left when it goes.
    std::vector<dgram::membership<dgram::udp::socket>> members;
    members.reserve(words.size());
    for (const std::string& source : words)
      members.emplace_back(socket,
                           dgram::multicast_group{to.address(), dgram::parse_address(source)},
                           dgram::network_interface{interface});
    fmt::print("listening to {} on {} from {}\n", to, interface, fmt::join(words, ", "));
    asio::co_spawn(io, hear(count), example::rethrow);
    io.run_for(std::chrono::seconds(timeout));
    return heard < count ? 1 : 0;
  }

  int say()
  {
    const auto to = dgram::parse_endpoint(group);
    socket.open(to.protocol());
    socket.set_option(dgram::option::multicast_interface{dgram::network_interface{interface}});
    socket.bind({dgram::parse_address(words.front()), 0});
    for (std::size_t i = 1; i < words.size(); ++i)
      socket.send_to(asio::buffer(words[i]), to);
    return 0;
  }
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = R"(example_multicast_source_specific
      listen SOURCE... [--group ADDRESS:PORT] [--interface NAME] [--count N] [--timeout S]
      say SOURCE TEXT... [--group ADDRESS:PORT] [--interface NAME])";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    radio radio;
    const auto what = words.operand("listen or say");
    if (what != "listen" && what != "say")
      throw example::bad_argument(fmt::format("\"{}\": neither listen nor say", what));
    radio.words.emplace_back(words.operand("SOURCE"));
    while (!words.empty()) {
      if (words.option("--group", radio.group) || words.option("--interface", radio.interface) ||
          words.option("--count", radio.count, 1, 999) ||
          words.option("--timeout", radio.timeout, 1, 86400))
        continue;
      radio.words.emplace_back(words.operand("TEXT"));
    }
    return what == "listen" ? radio.listen() : radio.say();
  });
}
