// SPDX-License-Identifier: BSL-1.0
// A chat: a session and a coroutine for each member. What one member says goes to all the others.
//
//   example_chat_server [--idle MS] [--members N] [ADDRESS:PORT]
//
// It prints "listening on ADDRESS:PORT". SIGINT or SIGTERM ends the chat. The defaults are any free
// port of loopback, 1,000 members, and 10 minutes until a silent member has to leave. A member sends
// "join NAME", then the number that the answer has, then what it likes, and at the end "leave":
//   nc -u 127.0.0.1 PORT

#include "command_line.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>
#include <dgram/listener.hpp>

#include <chrono>
#include <csignal>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace {

std::string_view line_of(const dgram::datagram& datagram)
{
  auto text = datagram.payload().text();
  while (text.ends_with('\n') || text.ends_with('\r'))
    text.remove_suffix(1);
  return text;
}

class chat {
public:
  /// Serves one peer until it leaves, is silent for too long, or the chat ends.
  asio::awaitable<void> serve(dgram::udp::session session)
  {
    const std::string name = co_await introduce(session);
    if (name.empty()) co_return;
    const seat taken(*this, name, session);
    while (const auto said = co_await session.next()) {
      const auto line = line_of(*said);
      if (line == "leave") break;
      tell_others(name, fmt::format("{}: {}\n", name, example::printable(line)));
    }
    // A session that has ended by itself can still send.
    const bool is_idle = session.ended() == dgram::session_end::idle;
    if (session.ended())
      session.try_send(is_idle ? "you were silent for too long\n" : "the chat ends\n");
  }

private:
  /// A place in the list of members, as long as the coroutine of the member runs.
  class seat {
  public:
    seat(chat& of, const std::string& name, dgram::udp::session& session) : chat_(of), name_(name)
    {
      chat_.members_.emplace(name, &session);
      chat_.announce(name, "joined");
    }
    seat(const seat&) = delete;
    seat& operator=(const seat&) = delete;
    ~seat()
    {
      chat_.announce(name_, "left");
      chat_.members_.erase(name_);
    }

  private:
    chat& chat_;
    const std::string& name_;
  };

  /// Returns the name of the member, or nothing if the peer does not join.
  asio::awaitable<std::string> introduce(dgram::udp::session& session)
  {
    constexpr std::string_view join = "join ";
    const auto first = co_await session.next();
    if (!first || !line_of(*first).starts_with(join)) co_return "";
    const auto name = example::printable(line_of(*first).substr(join.size()));
    // The address of a datagram may be forged, and a chat sends a lot for one "join". So the server
    // first sends a number, which only the true owner of the address gets to know.
    const auto secret = std::to_string(number_(random_));
    session.try_send(fmt::format("say {}\n", secret));
    const auto answer = co_await session.next();
    const bool is_true = answer && line_of(*answer) == secret;
    const bool is_free = !name.empty() && name.size() <= 20 && !members_.contains(name);
    if (is_true) session.mark_validated();
    if (is_true && is_free) co_return name;
    session.try_send(is_true ? "this name is taken, empty, or too long\n" : "wrong number\n");
    co_return "";
  }

  void tell_others(const std::string& speaker, const std::string& text)
  {
    for (const auto& [name, session] : members_)
      if (name != speaker) session->try_send(text);  // a slow member loses the text
  }

  void announce(const std::string& name, std::string_view what)
  {
    fmt::print("{} {}\n", name, what);
    tell_others(name, fmt::format("{} {}\n", name, what));
  }

  std::map<std::string, dgram::udp::session*> members_;
  std::random_device random_;
  std::uniform_int_distribution<int> number_{100'000, 999'999};
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_chat_server [--idle MS] [--members N] [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    auto local = dgram::parse_endpoint("127.0.0.1:0");
    int idle = 600'000;
    std::size_t members = 1000;
    while (words.option("--idle", idle, 1, 86'400'000) ||
           words.option("--members", members, 1U, 100'000U)) {}
    if (!words.empty()) local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    asio::io_context io;
    chat room;
    dgram::udp::socket socket(io, local);
    dgram::listener listener(
        socket, {.idle_timeout = std::chrono::milliseconds(idle), .max_sessions = members});
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) {
      listener.async_drain_for(std::chrono::seconds(2), [](dgram::error_code, std::size_t cut) {
        fmt::print("the chat has ended, {} members were cut off\n", cut);
      });
    });
    listener.async_serve(
        [&](dgram::udp::session session) { return room.serve(std::move(session)); },
        [](dgram::error_code ec) {
          if (ec) throw dgram::system_error(ec, "serve");
        });
    io.run();
    return 0;
  });
}
