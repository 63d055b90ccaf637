// SPDX-License-Identifier: BSL-1.0
// A name server that knows one thing: every name has the address that you asked (RFC 1035). It serves all addresses of
// this host on one socket, and a resolver takes an answer from no other address than the one that it asked.
//
//   example_dns_responder [ADDRESS:PORT]     the default is [::]:0, any free port of all addresses
//
// It prints "listening on ADDRESS:PORT". Try it with
//   dig +short -p PORT @127.0.0.2 any.name

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t header_size = 12;

/// Where the question ends: a name, which is labels up to an empty one, its type and its class. 0: it does not.
std::size_t end_of_question(std::string_view query)
{
  std::size_t at = header_size;
  while (at < query.size() && query[at] != 0 && static_cast<unsigned char>(query[at]) < 64)
    at += 1 + static_cast<unsigned char>(query[at]);
  const std::size_t end = at + 5;
  return end <= query.size() && query[at] == 0 ? end : 0;
}

/// The answer; empty where it is not a question that deserves one.
std::string answer(std::string_view query, const asio::ip::address& asked)
{
  using namespace std::string_view_literals;
  if (query.size() < header_size || (query[2] & '\x80') != 0 || query.substr(4, 2) != "\0\1"sv)
    return {};
  const std::size_t end = end_of_question(query);
  if (end == 0) return {};
  const auto type = query.substr(end - 4, 2);
  std::string data;
  if (asked.is_v4() && type == "\0\1"sv)  // A
    for (const unsigned char byte : asked.to_v4().to_bytes())
      data += static_cast<char>(byte);
  if (asked.is_v6() && type == "\0\34"sv)  // AAAA
    for (const unsigned char byte : asked.to_v6().to_bytes())
      data += static_cast<char>(byte);
  std::string reply(query.substr(0, 2));
  reply += (query[2] & '\1') != 0 ? "\x85\0"sv : "\x84\0"sv;  // an authoritative answer
  reply += "\0\1\0"sv;
  reply += data.empty() ? "\0\0\0\0\0"sv : "\1\0\0\0\0"sv;
  reply += query.substr(header_size, end - header_size);
  if (data.empty()) return reply;
  reply += "\xc0\x0c"sv;  // the name of the question
  reply += type;
  reply += "\0\1\0\0\0\0\0"sv;  // on the Internet, valid for no time
  return reply + static_cast<char>(data.size()) + data;
}

asio::awaitable<void> serve(dgram::udp::socket& socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (const auto query = co_await reader.next()) {
    const auto asked = query->local_address().value_or(socket.local_endpoint().address());
    if (const auto reply = answer(query->payload().text(), asked); !reply.empty())
      co_await writer.send(reply, query->reply_path());
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_dns_responder [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto local =
        dgram::parse_endpoint(words.empty() ? "[::]:0" : words.operand("ADDRESS:PORT"));
    words.finish();
    asio::io_context io;
    dgram::udp::socket socket(io, local, {.dual_stack = local.address().is_v6()});
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });
    asio::co_spawn(io, serve(socket), example::rethrow);
    io.run();
    return 0;
  });
}
