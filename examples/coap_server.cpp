// SPDX-License-Identifier: BSL-1.0
// A CoAP server (RFC 7252): the time, a counter, and what was posted last. Clients repeat requests whose answer was lost;
// the server answers a repeated request with the same answer and does not act twice.
//
//   example_coap_server [ADDRESS:PORT]     the default is 127.0.0.1:0, any free port
//
// It prints "listening on ADDRESS:PORT". Try it with
//   coap-client -m get coap://127.0.0.1:PORT/time
//   coap-client -m post -e hello coap://127.0.0.1:PORT/note

#include "coap_message.hpp"
#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace coap = example::coap;
using std::chrono::steady_clock;

namespace {

class server {
public:
  /// The answer to a datagram; empty for what deserves none.
  std::string answer(const asio::ip::udp::endpoint& client, std::string_view bytes)
  {
    const auto request = coap::decode(bytes);
    if (!request || request->kind == coap::type::acknowledgement ||
        request->kind == coap::type::reset)
      return {};
    if (request->what == 0) {  // a "ping": a confirmable message without content
      return request->kind == coap::type::confirmable
                 ? coap::encode({.kind = coap::type::reset, .id = request->id})
                 : std::string();
    }
    if (request->what >> 5 != 0) return {};  // an answer, but this program asks nothing
    forget_old();
    const std::pair key(client, request->id);
    if (const auto known = answered_.find(key); known != answered_.end()) return known->second;
    coap::message reply = act(*request);
    const bool confirmable = request->kind == coap::type::confirmable;
    reply.kind = confirmable ? coap::type::acknowledgement : coap::type::non_confirmable;
    reply.id = confirmable ? request->id : next_id_++;
    reply.token = request->token;
    const auto added = answered_.emplace(key, coap::encode(reply)).first;
    order_.emplace_back(steady_clock::now(), key);
    return added->second;
  }

private:
  using key_type = std::pair<asio::ip::udp::endpoint, std::uint16_t>;

  coap::message act(const coap::message& request)
  {
    coap::message reply{.what = coap::content};
    // An option with an odd number is critical: a server that does not know it must not act.
    for (const auto& [number, value] : request.options)
      if (number % 2 == 1 && number != coap::uri_path && number != 3 && number != 7 &&
          number != 15 && number != 17)
        return {.what = coap::bad_option};
    const std::string path = request.path();
    if (path == "/note" && request.what == coap::post) {
      note_ = request.payload;
      ++posts_;
      reply.what = coap::code(2, 4);  // changed
    } else if (path != "/note" && path != "/time" && path != "/posts" &&
               path != "/.well-known/core") {
      reply.what = coap::not_found;
    } else if (request.what != coap::get) {
      reply.what = coap::not_allowed;
    } else if (path == "/note") {
      reply.payload = note_;
    } else if (path == "/posts") {
      reply.payload = std::to_string(posts_);
    } else if (path == "/time") {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      reply.payload = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    } else {
      reply.options.emplace_back(coap::content_format, "\x28");  // application/link-format
      reply.payload = "</note>,</posts>,</time>";
    }
    return reply;
  }

  /// A client may repeat a request for 247 seconds (section 4.8.2). Memory for so many clients is bounded.
  void forget_old()
  {
    const auto limit = steady_clock::now() - std::chrono::seconds(247);
    while (!order_.empty() && (order_.front().first < limit || order_.size() >= 10'000)) {
      answered_.erase(order_.front().second);
      order_.pop_front();
    }
  }

  std::map<key_type, std::string> answered_;
  std::deque<std::pair<steady_clock::time_point, key_type>> order_;
  std::string note_ = "nothing yet";
  std::size_t posts_ = 0;
  std::uint16_t next_id_ = 1;
};

asio::awaitable<void> serve(dgram::udp::socket& socket)
{
  server state;
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (const auto request = co_await reader.next())
    if (const auto reply = state.answer(request->sender(), request->payload().text());
        !reply.empty())
      co_await writer.send(reply, request->reply_path());
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
    dgram::udp::socket socket(io, local);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });
    asio::co_spawn(io, serve(socket), example::rethrow);
    io.run();
    return 0;
  });
}
