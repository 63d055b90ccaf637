// SPDX-License-Identifier: BSL-1.0
// Open files that one process hands to another (SCM_RIGHTS, unix(7)): the receiver reads files that it could not open
// itself. It takes many datagrams with one system call, each with its descriptors and the sender's process and user.
//
//   example_unix_descriptors --listen PATH [--count N]
//   example_unix_descriptors --send PATH FILE...
//
// The first prints "listening on PATH", and for each file the sender, the file's name as the sender has it, and its
// size; it ends after N files, or with SIGINT. The second opens each FILE and sends it, with its name as the payload.
// Try it with
//   example_unix_descriptors --listen /tmp/files &
//   example_unix_descriptors --send /tmp/files /etc/hostname /etc/passwd

#include "command_line.hpp"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

namespace {

using socket_type = dgram::unix_dgram::socket;

/// Takes all descriptors of a datagram. What is not taken is closed with the next receive.
int report(const dgram::unix_dgram::datagram& datagram)
{
  int files = 0;
  const auto sender = datagram.credentials();
  for (const auto& file : dgram::take_descriptors(datagram)) {
    struct ::stat about{};
    const bool known = ::fstat(file.get(), &about) == 0 && S_ISREG(about.st_mode);
    const std::string size = known ? fmt::format("{} bytes", about.st_size) : "no regular file";
    fmt::print("process {}, user {}: {}, {}\n", sender ? sender->process : 0,
               sender ? sender->user : 0, example::printable(datagram.payload().text()), size);
    ++files;
  }
  // A sender with more descriptors than there is room for: the kernel has closed the rest.
  if (datagram.control_truncated()) fmt::print(stderr, "more descriptors than there is room for\n");
  return files;
}

asio::awaitable<void> listen(socket_type& socket, int count)
{
  // Without room for control messages the kernel closes what comes.
  dgram::unix_dgram::receive_batch batch(32, 4096);
  batch.reserve_control(256);
  for (int files = 0; count == 0 || files < count;) {
    co_await socket.async_receive_batch(batch);
    for (const auto& datagram : batch)
      files += report(datagram);
  }
}

int serve(const std::string& path, int count)
{
  asio::io_context io;
  socket_type socket(io, dgram::parse_unix_endpoint(path));
  socket.set_option(dgram::option::receive_credentials{true});
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](dgram::error_code, int) { io.stop(); });
  fmt::print("listening on {}\n", socket.local_endpoint());
  asio::co_spawn(io, listen(socket, count), [&](const std::exception_ptr& failure) {
    io.stop();
    example::rethrow(failure);
  });
  io.run();
  return 0;
}

/// The receiver gets a duplicate of the open file, and the name as the payload.
void send_file(socket_type& socket, const std::string& name)
{
  const dgram::owned_descriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw std::system_error(errno, std::generic_category(), name);
  dgram::send_descriptors(socket, asio::buffer(name), std::array{file.get()});
}

int send(const std::string& path, const std::vector<std::string>& names)
{
  asio::io_context io;
  socket_type socket(io, dgram::unix_dgram());
  socket.connect(dgram::parse_unix_endpoint(path));
  for (const auto& name : names)
    send_file(socket, name);
  fmt::print("sent {} files\n", names.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_unix_descriptors (--listen PATH [--count N] | --send PATH FILE...)";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    std::string from;
    std::string to;
    int count = 0;
    while (words.option("--listen", from) || words.option("--send", to) ||
           words.option("--count", count, 1, 1'000'000)) {}
    std::vector<std::string> names;
    while (!to.empty() && !words.empty())
      names.emplace_back(words.operand("FILE"));
    words.finish();
    if (from.empty() == to.empty()) throw example::bad_argument("give either --listen or --send");
    if (!to.empty() && names.empty()) throw example::bad_argument("FILE is missing");
    return from.empty() ? send(to, names) : serve(from, count);
  });
}
