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

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include <sys/socket.h>
#include <unistd.h>

namespace {

using socket_type = dgram::unix_dgram::socket;

/// Asks the kernel for the credentials of each sender.
void ask_for_credentials(socket_type& socket)
{
  const int on = 1;
  if (::setsockopt(socket.native_handle(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    throw dgram::system_error({errno, asio::error::get_system_category()}, "SO_PASSCRED");
}

/// A notification may bring descriptors (FDSTORE=1). A program that has no use for them must close them.
void close_descriptors(const dgram::control_messages& messages)
{
  for (const dgram::control_message& message : messages) {
    if (message.level != SOL_SOCKET || message.type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= message.data.size(); at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, message.data.data() + at, sizeof descriptor);
      ::close(descriptor);
    }
  }
}

struct settings {
  std::string path;
  int count = 0;
  int user = -1;
};

asio::awaitable<void> listen(socket_type& socket, const settings& with)
{
  dgram::unix_dgram::receive_batch batch{16};
  // Room for the credentials, and for as many descriptors as a message may have.
  batch.reserve_control(CMSG_SPACE(sizeof(::ucred)) + CMSG_SPACE(253 * sizeof(int)));
  for (int heard = 0; with.count == 0 || heard < with.count;) {
    co_await socket.async_receive_batch(batch);
    for (const auto& notification : batch) {
      const auto messages = notification.control_messages();
      close_descriptors(messages);
      const auto sender = messages.find<::ucred>(SOL_SOCKET, SCM_CREDENTIALS);
      if (!sender || (with.user >= 0 && sender->uid != static_cast<::uid_t>(with.user))) {
        fmt::print(stderr, "ignored a notification of another user\n");
        continue;
      }
      std::string text = example::printable(notification.payload().text());
      for (std::size_t at; (at = text.find("\\x0a")) != text.npos;)
        text.replace(at, 4, " ");
      fmt::print("process {}, user {}: {}\n", sender->pid, sender->uid, text);
      ++heard;
    }
  }
}

int supervise(const settings& with)
{
  asio::io_context io;
  socket_type socket(io, dgram::parse_unix_endpoint(with.path));
  ask_for_credentials(socket);
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
    while (words.option("--listen", with.path) || words.option("--send", text) ||
           words.option("--count", with.count, 1, 1'000'000) ||
           words.option("--user", with.user, 0, 2'000'000'000)) {}
    words.finish();
    if (with.path.empty() == text.empty())
      throw example::bad_argument("give either --listen or --send");
    return text.empty() ? supervise(with) : notify(text);
  });
}
