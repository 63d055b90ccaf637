// SPDX-License-Identifier: BSL-1.0
// Echo servers that are programs of their own.
#include "echo.hpp"

#include "rows.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace bench::echo {

namespace {

// Each program finds the socket here.
constexpr int inherited_fd = 3;

// scripts/bench builds into this directory.
const std::string peers_directory = DGRAM_BENCHMARKS_PEERS;

bool succeeds(const std::string& command)
{
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

bool is_executable(const std::string& file)
{
  return ::access(file.c_str(), X_OK) == 0;
}

}  // namespace

std::vector<program> programs()
{
  std::vector<program> found;
  const std::string io_uring = peers_directory + "/asio_io_uring";
  // A kernel may refuse io_uring.
  if (is_executable(io_uring) && succeeds("'" + io_uring + "' try"))
    found.push_back({names::asio_io_uring, {io_uring, "serve"}});
  if (succeeds("node --version"))
    found.push_back({names::node, {"node", DGRAM_BENCHMARKS_NODE_SCRIPT}});
  const std::string rust = peers_directory + "/rust";
  if (is_executable(rust)) {
    found.push_back({names::tokio, {rust, "one"}});
    found.push_back({names::quinn_udp, {rust, "batch"}});
  }
  const std::string go = peers_directory + "/go";
  if (is_executable(go)) {
    found.push_back({names::go, {go, "one"}});
    found.push_back({names::go_batch, {go, "batch"}});
  }
  return found;
}

void serve_program(const program& run, int fd)
{
  // A copy is not closed by exec.
  if (fd == inherited_fd) fd = ::dup(fd);
  ::dup2(fd, inherited_fd);
  std::vector<std::string> words = run.command;
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  throw std::system_error(errno, std::generic_category(), "cannot run " + run.command.front());
}

}  // namespace bench::echo
