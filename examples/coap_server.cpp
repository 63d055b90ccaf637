// SPDX-License-Identifier: BSL-1.0
// A CoAP server (RFC 7252): the time, a counter, and what was posted last. Each client has a session.
// It keeps the last answers, for requests that are repeated, and texts that are passed in blocks.
// Clients prove their addresses before they get a long answer.
//
//   example_coap_server [ADDRESS:PORT]     the default is 127.0.0.1:0, any free port
//
// It prints "listening on ADDRESS:PORT". Try it with
//   coap-client -m get coap://127.0.0.1:PORT/time
//   coap-client -m post -b 64 -f FILE coap://127.0.0.1:PORT/note

#include "coap_blocks.hpp"
#include "command_line.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>
#include <dgram/listener.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <deque>
#include <random>
#include <string>
#include <utility>

namespace coap = example::coap;

namespace {

struct resources {
  std::string note = "nothing yet";
  std::size_t posts = 0;
  std::uint16_t next_id = 1;
};

/// What the server keeps of one client.
class client {
public:
  explicit client(resources& of) : all_(of)
  {
    for (std::random_device random; secret_.size() < 8;)
      coap::append_number(secret_, random(), 4);
  }

  bool is_validated() const { return is_validated_; }

  /// The answer to a datagram; empty if it deserves none.
  std::string answer(const coap::message& request)
  {
    if (request.kind == coap::type::acknowledgement || request.kind == coap::type::reset) return {};
    if (request.what == 0 && request.kind == coap::type::confirmable)  // a "ping"
      return coap::encode({.kind = coap::type::reset, .id = request.id});
    if (request.what == 0 || request.what >> 5 != 0) return {};  // this program asks nothing
    is_validated_ = is_validated_ || request.option(coap::echo) == secret_;
    for (const auto& [id, known] : answered_)
      if (id == request.id) return known;
    if (answered_.size() == 16) answered_.pop_front();
    return answered_.emplace_back(request.id, reply(request, act(request))).second;
  }

  /// Asks the client to repeat the request with a secret, which only the true owner of its address
  /// gets to know (RFC 9175).
  std::string challenge(const coap::message& request)
  {
    return reply(request, {.what = coap::unauthorized, .options = {{coap::echo, secret_}}});
  }

private:
  std::string reply(const coap::message& request, coap::message reply)
  {
    const bool confirmable = request.kind == coap::type::confirmable;
    reply.kind = confirmable ? coap::type::acknowledgement : coap::type::non_confirmable;
    reply.id = confirmable ? request.id : all_.next_id++;
    reply.token = request.token;
    return coap::encode(reply);
  }

  coap::message act(const coap::message& request)
  {
    if (request.demands_more_than({coap::uri_path, coap::block1, coap::block2, 3, 7, 15, 17}))
      return {.what = coap::bad_option};
    const std::string path = request.path();
    if (path == "/note" && request.what == coap::post)
      return transfers_.take(request, [this](std::string text) {
        all_.note = std::move(text);
        ++all_.posts;
      });
    if (path != "/note" && path != "/time" && path != "/posts" && path != "/.well-known/core")
      return {.what = coap::not_found};
    if (request.what != coap::get) return {.what = coap::not_allowed};
    if (path == "/note") return transfers_.give(request, all_.note);
    if (path == "/posts") return transfers_.give(request, std::to_string(all_.posts));
    if (path != "/time")  // with the number of the format of links
      return transfers_.give(request, "</note>,</posts>,</time>", "\x28");
    return transfers_.give(request, std::to_string(std::time(nullptr)));
  }

  resources& all_;
  std::deque<std::pair<std::uint16_t, std::string>> answered_;
  coap::transfers transfers_;
  std::string secret_;
  bool is_validated_ = false;
};

asio::awaitable<void> serve(dgram::udp::session session, resources& all)
{
  client peer(all);
  while (const auto datagram = co_await session.next()) {
    const auto request = coap::decode(datagram->payload().text());
    const auto reply = request ? peer.answer(*request) : std::string();
    if (peer.is_validated()) session.mark_validated();
    dgram::error_code ec;
    if (!reply.empty() && !session.try_send(reply, ec) && ec == dgram::error::not_validated)
      session.try_send(peer.challenge(*request));
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_coap_server [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto local =
        dgram::parse_endpoint(words.empty() ? "127.0.0.1:0" : words.operand("ADDRESS:PORT"));
    words.finish();
    asio::io_context io;
    resources all;
    dgram::udp::socket socket(io, local);
    // A client may repeat a request for 247 seconds (section 4.8.2).
    dgram::listener listener(socket,
                             {.idle_timeout = std::chrono::seconds(247), .max_sessions = 10'000});
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { listener.stop(); });
    listener.async_serve(
        [&](dgram::udp::session session) { return serve(std::move(session), all); },
        [](dgram::error_code ec) {
          if (ec) throw dgram::system_error(ec, "serve");
        });
    io.run();
    return 0;
  });
}
