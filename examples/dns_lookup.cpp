// SPDX-License-Identifier: BSL-1.0
// Asks a DNS server for the addresses of a name, with a timeout and retries.
//
//   example_dns_lookup SERVER NAME [--port PORT] [--type A|AAAA] [--timeout MS] [--retries N] [--counts yes|no]
//
// SERVER is an address, or a name that the system's own resolver looks up; PORT a number or a service, 53 by default.
// Waits MS milliseconds (1000) for an answer, and asks again up to N times (2). Prints one address per line; the exit
// code is 1 where there is none. If NAME is "-", the names come from standard input, one in each line. The program asks for all
// at the same time, and prints each name before its addresses. "--counts yes" also prints what the exchanger has counted.
// Try it with
//   example_dns_lookup 9.9.9.9 www.example.net --type AAAA

#include "command_line.hpp"
#include "dns_message.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dns = example::dns;

namespace {

struct settings {
  std::string port = "53";
  unsigned type = dns::type_a;
  int timeout = 1000;
  int retries = 2;
  bool is_list = false;
};

class resolver {
public:
  resolver(asio::io_context& io, const settings& with) : with_(with), socket_(io) {}

  asio::awaitable<void> open(std::string_view server)
  {
    // Finds the server's address, and opens the socket for its family; does not block for a name.
    co_await dgram::async_connect(socket_, server, with_.port, asio::use_awaitable);
    server_ = socket_.remote_endpoint();
    socket_.disconnect();
    dgram::error_code ec;
    // Not every system has this. Without it a refusal is noticed only after all tries.
    socket_.set_option(dgram::option::receive_error(true), ec);
    client_.emplace(socket_, dgram::same_bytes{.offset = 0, .size = 2});
    client_->on_check([](dgram::bytes_view query, const dgram::datagram& datagram) {
      return dns::read_answer(datagram.payload().text(), query.text()).has_value();
    });
  }

  asio::awaitable<void> look_up(std::string name)
  {
    // The id is not to be guessed by others.
    const auto query =
        dns::make_query(client_->unused_id<std::uint16_t>(server_), name, with_.type);
    const dgram::retry_policy policy{.first_wait = std::chrono::milliseconds(with_.timeout),
                                     .tries = static_cast<std::size_t>(with_.retries) + 1,
                                     .backoff = 1};
    dgram::error_code ec;
    const auto reply = co_await client_->exchange(query, server_, policy, ec);
    const auto answer = dns::read_answer(reply.payload().text(), query);
    if (answer && !answer->addresses.empty()) {
      for (const auto& address : answer->addresses)
        fmt::print("{}{}\n", with_.is_list ? name + ' ' : "", address);
      co_return;
    }
    status_ = 1;
    if (!answer)
      fmt::print(stderr, "no answer from {}: {}\n", server_, ec.message());
    else
      fmt::print(stderr, "no address of {} (code {})\n", name, answer->code);
  }

  int status() const { return status_; }

  void print_counts() const
  {
    const auto counts = client_->statistics();
    fmt::print("{} lookups, {} answered, {} repetitions\n", counts.begun, counts.answered,
               counts.sent_again);
    fmt::print("{} datagrams came: {} duplicates, {} late, {} strays, {} rejected\n",
               counts.received, counts.duplicates, counts.late, counts.strays, counts.rejected);
  }

private:
  settings with_;
  dgram::udp::socket socket_;
  dgram::udp::endpoint server_;
  std::optional<dgram::udp::exchanger> client_;
  int status_ = 0;
};

std::vector<std::string> read_names()
{
  std::vector<std::string> names;
  for (std::string name; std::getline(std::cin, name);)
    names.push_back(name);
  return names;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_dns_lookup SERVER NAME [--port PORT] [--type A|AAAA] [--timeout MS] [--retries N]\n"
      "  [--counts yes|no]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto server = words.operand("SERVER");
    const auto name = words.operand("NAME");
    settings with;
    std::string type = "A", counts = "no";
    while (words.option("--port", with.port) || words.option("--type", type) ||
           words.option("--timeout", with.timeout, 1, 3'600'000) ||
           words.option("--retries", with.retries, 0, 1000) || words.option("--counts", counts)) {}
    words.finish();
    if (type != "A" && type != "AAAA")
      throw example::bad_argument(fmt::format("--type \"{}\": neither A nor AAAA", type));
    if (counts != "yes" && counts != "no")
      throw example::bad_argument(fmt::format("--counts \"{}\": neither yes nor no", counts));
    with.type = type == "A" ? dns::type_a : dns::type_aaaa;
    with.is_list = name == "-";
    const auto names = with.is_list ? read_names() : std::vector{std::string(name)};

    asio::io_context io;
    resolver resolver(io, with);
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          co_await resolver.open(server);
          for (const auto& each : names)
            asio::co_spawn(io, resolver.look_up(each), example::rethrow);
        },
        example::rethrow);
    io.run();
    if (counts == "yes") resolver.print_counts();
    return resolver.status();
  });
}
