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
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstdint>
#include <utility>

namespace dns = example::dns;

namespace {

struct settings {
  std::string port = "53";
  unsigned type = dns::type_a;
  int timeout = 1000;
  int retries = 2;
};

asio::awaitable<void> look_up(std::string_view server, std::string_view name, const settings& with,
                              int& status)
{
  dgram::udp::socket socket(co_await asio::this_coro::executor);
  // Finds the server's address, and opens the socket for its family; does not block for a name.
  co_await dgram::async_connect(socket, server, with.port, asio::use_awaitable);
  const auto peer = socket.remote_endpoint();
  socket.disconnect();
  dgram::error_code ec;
  // Not every system has this. Without it a refusal is noticed only after all tries.
  socket.set_option(dgram::option::receive_error(true), ec);

  dgram::exchanger client{socket, dgram::same_bytes{.offset = 0, .size = 2}};
  client.on_check([](dgram::bytes_view query, const dgram::datagram& datagram) {
    return dns::read_answer(datagram.payload().text(), query.text()).has_value();
  });
  // The id is not to be guessed by others.
  const auto query = dns::make_query(client.unused_id<std::uint16_t>(peer), name, with.type);
  const auto reply =
      co_await client.exchange(query, peer,
                               {.first_wait = std::chrono::milliseconds(with.timeout),
                                .tries = static_cast<std::size_t>(with.retries) + 1,
                                .backoff = 1},
                               ec);
  const auto answer = dns::read_answer(reply.payload().text(), query);
  status = answer && !answer->addresses.empty() ? 0 : 1;
  if (!answer)
    fmt::print(stderr, "no answer from {}: {}\n", peer, ec.message());
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
    with.type = type == "A" ? dns::type_a : dns::type_aaaa;

    asio::io_context io;
    int status = 1;
    asio::co_spawn(io, look_up(server, name, with, status), example::rethrow);
    io.run();
    return status;
  });
}
