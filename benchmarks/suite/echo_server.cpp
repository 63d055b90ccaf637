// SPDX-License-Identifier: BSL-1.0
#include "echo_server.hpp"

#include "echo.hpp"
#include "rows.hpp"

namespace bench {

std::vector<candidate> peers(const std::string& control)
{
  std::vector<candidate> found{{names::asio_callback, echo::serve_asio_callback, control},
                               {names::asio_coroutine, echo::serve_asio_coroutine, control}};
#if DGRAM_BENCHMARKS_HAVE_LIBUV
  found.push_back({names::libuv, echo::serve_libuv, control});
#endif
  for (const echo::program& one : echo::programs())
    found.push_back({.name = one.name,
                     .serve = [one](int fd) { echo::serve_program(one, fd); },
                     .control = control,
                     .other_program = true});
  return found;
}

}  // namespace bench
