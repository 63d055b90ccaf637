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
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace coap = example::coap;

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct settings {
  int wait = 2000;
  int retries = 4;
};

/// An acknowledgement or a reset repeats the id of the request, and other answers repeat its token, which begins with
/// the id here.
dgram::session_key key_of(dgram::bytes_view message)
{
  const auto first = message.empty() ? 0 : std::to_integer<unsigned>(message[0]);
  const bool has_id = (first >> 4 & 3) >= static_cast<unsigned>(coap::type::acknowledgement);
  return dgram::session_key::at(message, has_id ? 2 : 4, 2);
}

class client {
public:
  client(dgram::udp::socket& socket, const asio::ip::udp::endpoint& server, const settings& with)
      : socket_(socket),
        server_(server),
        exchanger_(socket, &key_of,
                   {.retry = {.first_wait = milliseconds(with.wait),
                              .tries = static_cast<std::size_t>(with.retries) + 1,
                              .jitter = 0.5}}),
        all_waits_(with.wait * ((2 << with.retries) - 1)),
        later_end_(socket.get_executor())
  {
    exchanger_.on_check([this](dgram::bytes_view, const dgram::datagram& datagram) {
      const auto said = coap::decode(datagram.payload().text());
      return said && (is_answer(*said) || said->what == 0);
    });
    // What comes after an acknowledgement belongs to an exchange that has ended.
    exchanger_.on_unmatched([this](const dgram::datagram& datagram, dgram::unmatched) {
      auto said = coap::decode(datagram.payload().text());
      if (datagram.sender() != server_ || !said || !is_answer(*said)) return;
      later_ = std::move(said);
      later_end_.cancel();
    });
  }

  /// Returns the answer, or nothing if none comes. Gives the request an id and a token.
  asio::awaitable<std::optional<coap::message>> exchange(coap::message request)
  {
    request.id = exchanger_.unused_id<std::uint16_t>(server_);
    request.token.clear();
    coap::append_number(request.token, request.id, 2);
    coap::append_number(request.token, random_(), 4);  // no stranger can guess it
    token_ = request.token;
    later_.reset();
    const std::string bytes = coap::encode(request);
    const auto end = steady_clock::now() + all_waits_;
    dgram::error_code ec;
    const auto received = co_await exchanger_.exchange(bytes, server_, ec);
    if (ec == asio::error::timed_out) co_return std::nullopt;
    if (ec) throw dgram::system_error(ec, "exchange");
    auto answer = coap::decode(received.payload().text());
    if (answer->kind == coap::type::acknowledgement && answer->what == 0) {
      later_end_.expires_at(end);
      if (!later_) co_await later_end_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      answer = std::exchange(later_, std::nullopt);
    }
    if (answer && answer->kind == coap::type::confirmable) {
      const auto thanks = coap::encode({.kind = coap::type::acknowledgement, .id = answer->id});
      co_await socket_.async_send_to(asio::buffer(thanks), server_, asio::use_awaitable);
    }
    co_return answer;
  }

private:
  bool is_answer(const coap::message& said) const
  {
    return said.token == token_ && said.what >> 5 >= 2;
  }

  dgram::udp::socket& socket_;
  asio::ip::udp::endpoint server_;
  dgram::udp::exchanger exchanger_;
  std::random_device random_;
  std::string token_;
  milliseconds all_waits_;
  asio::steady_timer later_end_;
  std::optional<coap::message> later_;
};

/// Gets all blocks of the answer, and proves the address of this host if the server wants that.
asio::awaitable<std::optional<coap::message>> exchange_all(client& with, coap::message request)
{
  std::string text;
  for (const auto options = request.options;;) {
    auto answer = co_await with.exchange(request);
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
  client client(socket, peer, with);
  const auto answer = co_await exchange_all(client, std::move(request));
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
  coap::message request;
  request.what = method == "get" ? coap::get : coap::post;
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
