// SPDX-License-Identifier: BSL-1.0
// Asks a time server how far this host's clock is off (SNTP, RFC 4330). The kernel notes the time at which the answer
// arrives, so a busy program does not spoil the result.
//
//   example_sntp_client SERVER [--port PORT] [--timeout MS] [--retries N]
//
// SERVER is an address or a name. PORT is a number or a service, 123 by default. The program waits MS milliseconds (1000)
// for an answer and asks again up to N times (2). The exit code is 1 without an answer.

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace {

using std::chrono::nanoseconds;
using std::chrono::system_clock;

struct settings {
  std::string port = "123";
  int timeout = 1000;
  int retries = 2;
};

struct measurement {
  unsigned stratum;  ///< 1 if the server reads a clock, not another server
  nanoseconds offset;
  nanoseconds delay;
};

constexpr std::size_t packet_size = 48;

std::uint64_t read_number(std::string_view bytes, std::size_t at)
{
  std::uint64_t number = 0;
  for (const char byte : bytes.substr(at, 8))
    number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

/// The time since 1970 of a timestamp, which counts seconds since 1900 in its upper half, and their fractions.
nanoseconds since_1970(std::uint64_t timestamp)
{
  constexpr std::int64_t from_1900_to_1970 = 2'208'988'800;
  auto seconds = static_cast<std::int64_t>(timestamp >> 32);
  if (seconds < 0x80000000) seconds += 0x100000000;  // the era that begins in 2036
  const auto fraction = static_cast<std::int64_t>((timestamp & 0xffffffff) * 1'000'000'000 >> 32);
  return std::chrono::seconds(seconds - from_1900_to_1970) + nanoseconds(fraction);
}

nanoseconds now()
{
  return system_clock::now().time_since_epoch();
}

/// The transmit timestamp of a request need not be the time: the server returns it, and only a host
/// that saw the request can know a random one.
std::string make_request(std::uint64_t cookie)
{
  std::string request(packet_size, '\0');
  request[0] = 0b00'100'011;  // no leap second, version 4, a client
  for (std::size_t i = 0; i < 8; ++i)
    request[packet_size - 1 - i] = static_cast<char>(cookie >> 8 * i & 0xff);
  return request;
}

/// Whether this comes from a server that knows the time.
bool is_answer(std::string_view message)
{
  if (message.size() < packet_size) return false;
  const bool from_server = (message[0] & 0b111) == 4;
  const unsigned stratum = static_cast<unsigned char>(message[1]);
  return from_server && stratum > 0 && stratum < 16;
}

measurement read_answer(std::string_view answer, nanoseconds sent, nanoseconds received)
{
  const nanoseconds server_received = since_1970(read_number(answer, 32));
  const nanoseconds server_sent = since_1970(read_number(answer, 40));
  return {static_cast<unsigned char>(answer[1]),
          ((server_received - sent) + (server_sent - received)) / 2,
          (received - sent) - (server_sent - server_received)};
}

asio::awaitable<std::optional<measurement>> ask(dgram::udp::socket& socket,
                                                asio::ip::udp::endpoint peer, const settings& with)
{
  socket.set_option(dgram::option::receive_timestamp{true});
  // The answer has the transmit timestamp of the request at another place.
  dgram::exchanger client{socket,
                          dgram::same_bytes{.offset = 40, .size = 8, .offset_in_answer = 24}};
  client.on_check([](dgram::bytes_view, const dgram::datagram& answer) {
    return is_answer(answer.payload().text());
  });
  nanoseconds sent{};
  std::string request;
  // Each repetition has a timestamp of its own, so that the answer tells which one it is for.
  const auto remake = [&](dgram::bytes_view, const auto& server, std::size_t) {
    request = make_request(client.unused_id<std::uint64_t>(server));
    sent = now();
    return dgram::bytes_view(request);
  };
  client.on_remake(remake);
  const dgram::retry_policy policy{.first_wait = std::chrono::milliseconds(with.timeout),
                                   .tries = static_cast<std::size_t>(with.retries) + 1,
                                   .backoff = 1};
  dgram::error_code ec;
  const auto answer = co_await client.exchange(remake({}, peer, 0), peer, policy, ec);
  if (ec == asio::error::timed_out) co_return std::nullopt;
  if (ec) throw dgram::system_error(ec, "exchange");
  const auto time = answer.datagram().receive_time();
  const nanoseconds received = time ? nanoseconds(time->time_since_epoch()) : now();
  co_return read_answer(answer.payload().text(), sent, received);
}

asio::awaitable<void> measure(std::string_view server, const settings& with, int& status)
{
  dgram::udp::socket socket(co_await asio::this_coro::executor);
  co_await dgram::async_connect(socket, server, with.port, asio::use_awaitable);
  const auto peer = socket.remote_endpoint();
  socket.disconnect();  // an exchanger asks on sockets without a peer of their own
  const auto result = co_await ask(socket, peer, with);
  status = result ? 0 : 1;
  using seconds = std::chrono::duration<double>;
  if (!result)
    fmt::print(stderr, "no answer from {}\n", peer);
  else
    fmt::print("{}: offset {:+.6f} s, delay {:.6f} s, stratum {}\n", peer,
               seconds(result->offset).count(), seconds(result->delay).count(), result->stratum);
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_sntp_client SERVER [--port PORT] [--timeout MS] [--retries N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto server = words.operand("SERVER");
    settings with;
    while (words.option("--port", with.port) ||
           words.option("--timeout", with.timeout, 1, 3'600'000) ||
           words.option("--retries", with.retries, 0, 1000)) {}
    words.finish();
    asio::io_context io;
    int status = 1;
    asio::co_spawn(io, measure(server, with, status), example::rethrow);
    io.run();
    return status;
  });
}
