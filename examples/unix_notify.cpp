// SPDX-License-Identifier: BSL-1.0
// Both sides of systemd's notifications (sd_notify(3)): a server that tells when it is ready, and the supervisor that
// listens. The kernel adds the process and user of each sender (SO_PASSCRED, unix(7)).
//
//   example_unix_notify --listen PATH [--count N] [--user UID]
//   example_unix_notify --send TEXT
//
// The first prints "listening on PATH", and each notification with the sender's process and user; it ends after N of
// them, or with SIGINT. It ignores senders that are not of this UID, if one is given. The second sends TEXT, such as
// "READY=1", to the socket that the environment variable NOTIFY_SOCKET names. Try it with
//   NOTIFY_SOCKET=/tmp/notify systemd-notify --ready --status="waiting for data"

#include "command_line.hpp"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

namespace {

using socket_type = dgram::unix_dgram::socket;

struct settings {
  std::string path;
  int count = 0;
  std::optional<std::uint32_t> user{};
};

asio::awaitable<void> listen(socket_type& socket, const settings& with)
{
  dgram::unix_dgram::reader reader{socket, {.control_size = 2048}};
  for (int heard = 0; with.count == 0 || heard < with.count;) {
    const auto notification = co_await reader.next();
    if (!notification) co_return;
    // A notification may bring descriptors (FDSTORE=1), which the reader would close with the next receive. A sender of
    // BARRIER=1 waits until its own is closed.
    dgram::take_descriptors(*notification).clear();
    const auto sender = notification->credentials();
    if (!sender || (with.user && sender->user != *with.user)) {
      fmt::print(stderr, "ignored a notification of another user\n");
      continue;
    }
    std::string text = example::printable(notification->payload().text());
    for (std::size_t at; (at = text.find("\\x0a")) != text.npos;)
      text.replace(at, 4, " ");
    fmt::print("process {}, user {}: {}\n", sender->process, sender->user, text);
    ++heard;
  }
}

int supervise(const settings& with)
{
  asio::io_context io;
  socket_type socket(io, dgram::parse_unix_endpoint(with.path));
  socket.set_option(dgram::option::receive_credentials{true});
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](dgram::error_code, int) { io.stop(); });
  fmt::print("listening on {}\n", socket.local_endpoint());
  asio::co_spawn(io, listen(socket, with), [&](const std::exception_ptr& failure) {
    io.stop();
    example::rethrow(failure);
  });
  io.run();
  return 0;
}

/// Does nothing where no supervisor listens, as sd_notify(3).
int notify(const std::string& text)
{
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr) {
    fmt::print("NOTIFY_SOCKET is not set\n");
    return 0;
  }
  asio::io_context io;
  socket_type socket(io, dgram::unix_dgram());
  socket.send_to(asio::buffer(text), dgram::parse_unix_endpoint(path));
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_unix_notify (--listen PATH [--count N] [--user UID] | --send TEXT)";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    settings with;
    std::string text;
    std::uint32_t user = 0;
    while (words.option("--listen", with.path) || words.option("--send", text) ||
           words.option("--count", with.count, 1, 1'000'000) ||
           (words.option("--user", user, 0U, 4'000'000'000U) && (with.user = user, true))) {}
    words.finish();
    if (with.path.empty() == text.empty())
      throw example::bad_argument("give either --listen or --send");
    return text.empty() ? supervise(with) : notify(text);
  });
}
