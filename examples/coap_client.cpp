// SPDX-License-Identifier: BSL-1.0
// A CoAP client (RFC 7252): sends one confirmable request, repeats it with growing pauses, and prints the answer.
//
//   example_coap_client METHOD ADDRESS:PORT PATH [--payload TEXT] [--wait MS] [--retries N]
//
// METHOD is get or post. The first pause is MS milliseconds (2000), which each of up to N retries (4) doubles. The exit
// code is 1 without an answer, or with one that is an error. Try it with libcoap's server:
//   coap-server -A 127.0.0.1 -p 5683 &  example_coap_client get 127.0.0.1:5683 time

#include "coap_blocks.hpp"
#include "coap_message.hpp"
#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace coap = example::coap;

namespace {

struct settings {
  int wait = 2000;
  int retries = 4;
};

asio::awaitable<std::optional<coap::message>> exchange(dgram::udp::socket& socket,
                                                       const coap::message& request,
                                                       const settings& with)
{
  dgram::reader reader{socket};
  const std::string bytes = coap::encode(request);
  // A random factor keeps clients that lost their answers together from repeating together (section 4.2).
  std::uniform_real_distribution<double> factor(1.0, 1.5);
  std::random_device random;
  auto pause = std::chrono::duration<double, std::milli>(with.wait * factor(random));
  bool acknowledged = false;
  for (int attempt = 0; attempt <= with.retries; ++attempt, pause *= 2) {
    if (!acknowledged) co_await socket.async_send(asio::buffer(bytes), asio::use_awaitable);
    const auto deadline = std::chrono::steady_clock::now() +
                          std::chrono::duration_cast<std::chrono::steady_clock::duration>(pause);
    dgram::error_code ec;
    while (const auto datagram = co_await reader.next_until(deadline, ec)) {
      const auto answer = coap::decode(datagram->payload().text());
      if (!answer) continue;
      const bool ours = answer->id == request.id;
      if (ours && answer->kind == coap::type::reset) co_return answer;
      if (ours && answer->kind == coap::type::acknowledgement && answer->what == 0) {
        acknowledged = true;  // the server sends the answer later
        continue;
      }
      if (answer->token != request.token || answer->what >> 5 < 2) continue;
      if (answer->kind == coap::type::confirmable) {
        const std::string thanks =
            coap::encode({.kind = coap::type::acknowledgement, .id = answer->id});
        co_await socket.async_send(asio::buffer(thanks), asio::use_awaitable);
      }
      co_return answer;
    }
    if (ec && ec != asio::error::timed_out && ec != asio::error::connection_refused)
      throw dgram::system_error(ec, "receive");
  }
  co_return std::nullopt;
}

/// Gets all blocks of the answer, and proves the address of this host if the server wants that.
asio::awaitable<std::optional<coap::message>> exchange_all(dgram::udp::socket& socket,
                                                           coap::message request,
                                                           const settings& with)
{
  std::string text;
  for (const auto options = request.options;; ++request.id) {
    auto answer = co_await exchange(socket, request, with);
    if (!answer) co_return answer;
    const auto more = coap::follow_up(request, *answer);
    answer->payload.insert(0, text);
    if (!more) co_return answer;
    if (answer->what == coap::content) text = std::move(answer->payload);
    request.options = options;
    request.options.push_back(*more);
  }
}

asio::awaitable<void> ask(asio::ip::udp::endpoint peer, coap::message request, const settings& with,
                          int& status)
{
  dgram::udp::socket socket(co_await asio::this_coro::executor, peer.protocol());
  socket.connect(peer);
  const auto answer = co_await exchange_all(socket, std::move(request), with);
  if (!answer) {
    fmt::print(stderr, "no answer from {}\n", peer);
    status = 1;
  } else if (answer->what >> 5 != 2) {
    fmt::print(stderr, "{}.{:02} {}\n", answer->what >> 5, answer->what & 31,
               example::printable(answer->payload));
    status = 1;
  } else {
    fmt::print("{}\n", example::printable(answer->payload));
    status = 0;
  }
}

coap::message make_request(std::string_view method, std::string_view path, std::string payload)
{
  std::random_device random;
  coap::message request;
  request.what = method == "get" ? coap::get : coap::post;
  request.id = static_cast<std::uint16_t>(random());
  coap::append_number(request.token, random(), 4);  // no stranger can guess it
  request.append_path(path);
  request.payload = std::move(payload);
  return request;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_coap_client METHOD ADDRESS:PORT PATH [--payload TEXT] [--wait MS] [--retries N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto method = words.operand("METHOD");
    if (method != "get" && method != "post")
      throw example::bad_argument(fmt::format("METHOD \"{}\": neither get nor post", method));
    const auto peer = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    const auto path = words.operand("PATH");
    std::string payload;
    settings with;
    while (words.option("--payload", payload) || words.option("--wait", with.wait, 1, 60'000) ||
           words.option("--retries", with.retries, 0, 10)) {}
    words.finish();
    asio::io_context io;
    int status = 1;
    asio::co_spawn(io, ask(peer, make_request(method, path, payload), with, status),
                   example::rethrow);
    io.run();
    return status;
  });
}
