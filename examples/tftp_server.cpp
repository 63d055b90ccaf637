// SPDX-License-Identifier: BSL-1.0
// Serves the files of one directory for reading (TFTP: RFC 1350, with the options of RFC 2347 to 2349). The
// protocol demands one socket for each transfer. Each transfer also has its own coroutine and timeouts.
//
//   example_tftp_server DIRECTORY [--listen ADDRESS:PORT] [--timeout MS] [--retries N]
//
// It prints "listening on ADDRESS:PORT" (127.0.0.1:0, any free port). A block that is not acknowledged within MS
// milliseconds (1000) is sent again, up to N times (5). Try it with
//   curl -s tftp://127.0.0.1:PORT/name

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::string_view_literals;
using endpoint = asio::ip::udp::endpoint;

struct settings {
  std::filesystem::path directory;
  int timeout = 1000;
  int retries = 5;
};

struct request {
  std::string name;
  std::vector<std::string> options;  ///< names and values in turn
};

std::string number(std::size_t value)  // two bytes, the higher first
{
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

std::string error_packet(std::size_t code, std::string_view text)
{
  return number(5) + number(code) + std::string(text) + '\0';
}

/// A read request: words that end with a zero byte. Anything else has no name.
request read_request(std::string_view packet)
{
  request result;
  std::vector<std::string> words;
  if (!packet.starts_with("\0\1"sv) || !packet.ends_with('\0')) return result;
  for (packet.remove_prefix(2); !packet.empty(); packet.remove_prefix(words.back().size() + 1))
    words.emplace_back(packet.substr(0, packet.find('\0')));
  if (words.size() < 2) return result;
  result.name = words[0];
  result.options.assign(words.begin() + 2, words.end());
  return result;
}

/// The acknowledgement of the options that this server knows; sets the block size that it agrees to.
std::string acknowledge_options(const request& wanted, std::size_t file_size,
                                std::size_t& block_size)
{
  std::string known;
  for (std::size_t i = 0; i + 1 < wanted.options.size(); i += 2) {
    std::string name = wanted.options[i];
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    std::size_t value = 0;
    std::from_chars(wanted.options[i + 1].data(),
                    wanted.options[i + 1].data() + wanted.options[i + 1].size(), value);
    if (name == "blksize" && value >= 8 && value <= 65464)
      value = block_size = std::min<std::size_t>(value, 1428);  // fits an Ethernet frame
    else if (name == "tsize")
      value = file_size;
    else
      continue;
    known += name + '\0' + std::to_string(value) + '\0';
  }
  return known.empty() ? known : number(6) + known;
}

/// Sends a packet until the block is acknowledged. False: the client gave up, or is gone.
asio::awaitable<bool> deliver(dgram::udp::socket& socket, dgram::udp::reader& reader,
                              const std::string& packet, std::size_t block, const settings& with)
{
  for (int attempt = 0; attempt <= with.retries; ++attempt) {
    co_await socket.async_send(asio::buffer(packet), asio::use_awaitable);
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(with.timeout);
    dgram::error_code ec;
    while (const auto answer = co_await reader.next_until(deadline, ec)) {
      const std::string_view text = answer->payload().text();
      if (text.starts_with("\0\5"sv)) co_return false;
      // An acknowledgement of an earlier block is a duplicate: to answer it would double all blocks that follow.
      if (text == number(4) + number(block)) co_return true;
    }
    if (ec != asio::error::timed_out) co_return false;
  }
  co_return false;
}

asio::awaitable<void> transfer(endpoint local, endpoint client, request wanted,
                               const settings& with)
{
  dgram::udp::socket socket(co_await asio::this_coro::executor, endpoint(local.address(), 0));
  socket.connect(client);
  // A name without a directory in it cannot leave the directory that is served.
  const bool plain = wanted.name.find_first_of("/\\") == std::string::npos && wanted.name != "..";
  std::ifstream file;
  if (plain && std::filesystem::is_regular_file(with.directory / wanted.name))
    file.open(with.directory / wanted.name, std::ios::binary);
  if (!file.is_open()) {
    const std::string refusal = error_packet(1, "File not found");
    co_await socket.async_send(asio::buffer(refusal), asio::use_awaitable);
    co_return;
  }
  dgram::udp::reader reader{socket};
  std::size_t block_size = 512;
  const std::size_t file_size = std::filesystem::file_size(with.directory / wanted.name);
  const std::string options = acknowledge_options(wanted, file_size, block_size);
  bool delivered = options.empty() || co_await deliver(socket, reader, options, 0, with);
  std::size_t sent = 0;
  std::string bytes(block_size, '\0');
  // The last block is shorter than the others, and may be empty.
  for (std::size_t block = 1; delivered && bytes.size() == block_size; ++block) {
    file.read(bytes.data(), static_cast<std::streamsize>(block_size));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    delivered =
        co_await deliver(socket, reader, number(3) + number(block) + bytes, block & 0xffff, with);
    if (delivered) sent += bytes.size();
  }
  fmt::print("{} {} to {}: {} bytes\n", delivered ? "sent" : "gave up",
             example::printable(wanted.name), client, sent);
}

asio::awaitable<void> serve(dgram::udp::socket& socket, const settings& with)
{
  const auto executor = co_await asio::this_coro::executor;
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (const auto packet = co_await reader.next()) {
    if (auto wanted = read_request(packet->payload().text()); !wanted.name.empty())
      asio::co_spawn(executor, transfer(socket.local_endpoint(), packet->sender(), wanted, with),
                     [](std::exception_ptr) {});  // a client that is gone ends its transfer only
    else
      co_await writer.send(error_packet(4, "only reading is served"), packet->reply_path());
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_tftp_server DIRECTORY [--listen ADDRESS:PORT] [--timeout MS] [--retries N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    settings with;
    with.directory = words.operand("DIRECTORY");
    if (!std::filesystem::is_directory(with.directory))
      throw example::bad_argument(fmt::format("\"{}\" is no directory", with.directory.string()));
    std::string local = "127.0.0.1:0";
    while (words.option("--listen", local) || words.option("--timeout", with.timeout, 1, 60'000) ||
           words.option("--retries", with.retries, 0, 100)) {}
    words.finish();
    asio::io_context io;
    dgram::udp::socket socket(io, dgram::parse_endpoint(local));
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](dgram::error_code, int) { io.stop(); });
    fmt::print("listening on {}\n", socket.local_endpoint());
    asio::co_spawn(io, serve(socket, with), example::rethrow);
    io.run();
    return 0;
  });
}
