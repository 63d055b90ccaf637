// SPDX-License-Identifier: BSL-1.0
// Asks a DNS server for the addresses of a name, with a timeout and retries.
//
//   example_dns_lookup SERVER NAME [--port PORT] [--type A|AAAA] [--timeout MS] [--retries N]
//
// SERVER is an address, or a name that the system's own resolver looks up; PORT a number or a service, 53 by default.
// Waits MS milliseconds (1000) for an answer, and asks again up to N times (2). Prints one address per line; the exit
// code is 1 where there is none. Try it with
//   example_dns_lookup 9.9.9.9 www.example.net --type AAAA

#include "command_line.hpp"
#include "dns_message.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <optional>
#include <random>

namespace dns = example::dns;
using std::chrono::steady_clock;

namespace {

struct settings {
  std::string port = "53";
  int timeout = 1000;
  int retries = 2;
};

asio::awaitable<std::optional<dns::answer>> ask(dgram::udp::socket& socket,
                                                const std::string& query, const settings& with)
{
  dgram::reader reader{socket};
  for (int attempt = 0; attempt <= with.retries; ++attempt) {
    const auto deadline = steady_clock::now() + std::chrono::milliseconds(with.timeout);
    dgram::error_code ec;
    co_await socket.async_send(asio::buffer(query), asio::redirect_error(asio::use_awaitable, ec));
    while (true) {
      // The socket is connected, so it receives from the server only, which may answer an earlier try.
      const auto datagram = co_await reader.next_until(deadline, ec);
      if (ec == asio::error::timed_out) break;
      if (ec == asio::error::connection_refused) continue;  // it may be about to start
      if (ec) throw dgram::system_error(ec, "receive");
      if (!datagram) continue;
      if (auto answer = dns::read_answer(datagram->payload().text(), query)) co_return answer;
    }
  }
  co_return std::nullopt;
}

asio::awaitable<void> look_up(std::string_view server, std::string_view name,
                              const std::string& query, const settings& with, int& status)
{
  dgram::udp::socket socket(co_await asio::this_coro::executor);
  // Opens the socket for the family that the server's address has; does not block for a name.
  co_await dgram::async_connect(socket, server, with.port, asio::use_awaitable);
  const auto answer = co_await ask(socket, query, with);
  status = answer && !answer->addresses.empty() ? 0 : 1;
  if (!answer)
    fmt::print(stderr, "no answer from {}\n", socket.remote_endpoint());
  else if (status != 0)
    fmt::print(stderr, "no address of {} (code {})\n", name, answer->code);
  else
    for (const auto& address : answer->addresses)
      fmt::print("{}\n", address);
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_dns_lookup SERVER NAME [--port PORT] [--type A|AAAA] [--timeout MS] [--retries N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto server = words.operand("SERVER");
    const auto name = words.operand("NAME");
    settings with;
    std::string type = "A";
    while (words.option("--port", with.port) || words.option("--type", type) ||
           words.option("--timeout", with.timeout, 1, 3'600'000) ||
           words.option("--retries", with.retries, 0, 1000)) {}
    words.finish();
    if (type != "A" && type != "AAAA")
      throw example::bad_argument(fmt::format("--type \"{}\": neither A nor AAAA", type));
    const unsigned id = std::random_device()() & 0xffff;  // not to be guessed by others
    const auto query = dns::make_query(id, name, type == "A" ? dns::type_a : dns::type_aaaa);

    asio::io_context io;
    int status = 1;
    asio::co_spawn(io, look_up(server, name, query, with, status), example::rethrow);
    io.run();
    return status;
  });
}
