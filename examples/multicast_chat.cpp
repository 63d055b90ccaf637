// SPDX-License-Identifier: BSL-1.0
// A chat over IP multicast: every member of the group receives what each of them says.
//
//   example_multicast_chat [--group ADDRESS:PORT] [--interface NAME] [--name NAME] [--say TEXT]...
//                          [--answer TEXT] [--count N] [--timeout S]
//
// Joins 239.255.77.77:7077 or another group on the interface (lo: nothing leaves the host). Says
// each TEXT, or the lines of standard input where there is neither --say nor --answer; shows what
// others say, and answers the first line. Ends after N lines, or S seconds (5) after all was said,
// with exit code 1 if N did not come. Multicast is not acknowledged, and no datagram is sent again. Try
//   example_multicast_chat --name ann --answer "hello, bob" --count 1 --timeout 60 &
//   example_multicast_chat --name bob --say "anybody there?" --count 1

#include "command_line.hpp"
#include "standard_input.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>

namespace {

struct chat {
  std::string group = "239.255.77.77:7077", interface = "lo", name = "somebody", answer;
  std::vector<std::string> lines;
  int heard = 0, count = 0, timeout = 5;
  asio::io_context io;
  dgram::udp::socket ear{io};    // bound to the group, as all members are
  dgram::udp::socket mouth{io};  // has an address of its own: a line's sender

  void join()
  {
    auto to = dgram::parse_endpoint(group);
    const dgram::network_interface where{interface};
    ear.open(to.protocol(), {.reuse_address = true});
    ear.join(dgram::multicast_group{to.address()}, where);
    ear.bind(to);
    to.port(ear.local_endpoint().port());  // 0 meant any
    mouth.open(to.protocol());
    mouth.set_option(dgram::option::multicast_interface{where});
    // Left to itself, Linux chooses an address of another interface than lo, or none.
    if (interface == "lo" && to.address().is_v4()) mouth.bind(dgram::parse_endpoint("127.0.0.1:0"));
    mouth.connect(to);
    fmt::print("{} joined {} on {}\n", name, to, interface);
  }

  void say(std::string_view line) { mouth.send(asio::buffer(fmt::format("{}: {}", name, line))); }

  asio::awaitable<void> listen()
  {
    dgram::receive_batch batch{16};
    while (co_await ear.async_receive_batch(batch) > 0) {
      for (const dgram::datagram& line : batch) {
        if (line.sender() == mouth.local_endpoint()) continue;  // members hear themselves too
        fmt::print("{}  {}\n", line.sender(), example::printable(line.payload().text()));
        if (++heard == 1 && !answer.empty()) say(answer);
        if (heard == count) io.stop();
      }
    }
  }

  asio::awaitable<void> speak()
  {
    for (const std::string& line : lines)
      say(line);
    if (lines.empty() && answer.empty())
      co_await example::each_line(io, [this](std::string_view line) { say(line); });
    co_await asio::steady_timer(io, std::chrono::seconds(timeout)).async_wait(asio::use_awaitable);
    io.stop();
  }
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = R"(example_multicast_chat [--group ADDRESS:PORT] [--interface NAME]
      [--name NAME] [--say TEXT]... [--answer TEXT] [--count N] [--timeout S])";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    chat chat;
    while (words.option("--group", chat.group) || words.option("--interface", chat.interface) ||
           words.option("--name", chat.name) || words.option("--say", chat.lines) ||
           words.option("--answer", chat.answer) || words.option("--count", chat.count, 1, 999) ||
           words.option("--timeout", chat.timeout, 1, 86400)) {}
    words.finish();
    chat.join();
    asio::co_spawn(chat.io, chat.listen(), example::rethrow);
    asio::co_spawn(chat.io, chat.speak(), example::rethrow);
    chat.io.run();
    return chat.heard < chat.count ? 1 : 0;
  });
}
