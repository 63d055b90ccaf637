// SPDX-License-Identifier: BSL-1.0
#include "echo.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace bench::echo {

namespace {

// The script finds the socket here.
constexpr int inherited_fd = 3;

}  // namespace

bool has_node()
{
  return std::system("node --version >/dev/null 2>&1") == 0;
}

void serve_node(int fd)
{
  // A copy is not closed by exec.
  if (fd == inherited_fd) fd = ::dup(fd);
  ::dup2(fd, inherited_fd);
  ::execlp("node", "node", DGRAM_BENCHMARKS_NODE_SCRIPT, static_cast<char*>(nullptr));
  throw std::runtime_error("could not run node");
}

}  // namespace bench::echo
