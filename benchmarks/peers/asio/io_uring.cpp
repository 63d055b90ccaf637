// SPDX-License-Identifier: BSL-1.0
// Asio's echo server of the suite, built with Asio's io_uring backend, which is a choice for a whole program. Serves
// the socket that is inherited as descriptor 3; with "try" it only tries whether the kernel lets it.
#include "../../suite/echo.hpp"

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include <cstdio>
#include <exception>
#include <string_view>

namespace {

constexpr int inherited_fd = 3;

void try_backend()
{
  asio::io_context io(1);
  const asio::ip::udp::socket socket(io, asio::ip::udp::v4());
}

}  // namespace

int main(int argc, char** argv)
{
  const std::string_view command = argc == 2 ? argv[1] : "";
  try {
    if (command == "try") {
      try_backend();
      return 0;
    }
    if (command == "serve") bench::echo::serve_asio_callback(inherited_fd);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
  std::fputs("usage: asio_io_uring try|serve\n", stderr);
  return 2;
}
