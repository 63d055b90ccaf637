// SPDX-License-Identifier: BSL-1.0
// What the unit tests ask of the host beside the library: interface names, the next datagram.
#ifndef DGRAM_TESTS_UNIT_HOST_HPP
#define DGRAM_TESTS_UNIT_HOST_HPP

#include "support/loopback.hpp"
#include "support/system_sockets.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace test {

/// The name of the loopback interface, which is not the same on every system.
inline std::string loopback_name()
{
  for (const char* name : {"lo", "lo0"})
    if (::if_nametoindex(name) != 0) return name;
  return {};
}

/// An index that no interface has.
inline constexpr unsigned unknown_index = 0x7ffffff0;

/// Returns once `socket` has something to receive, so that a blocking call after it cannot hang.
template <class Socket>
void await_readable(asio::io_context& io, Socket& socket)
{
  dgram::error_code result = asio::error::would_block;
  socket.async_wait(asio::socket_base::wait_read, [&](dgram::error_code ec) { result = ec; });
  run(io);
  REQUIRE_FALSE(result);
}

/// One received datagram: its bytes as text and its sender.
struct received {
  std::string text;
  endpoint sender;
};

/// Takes the next datagram, with a watchdog.
template <class Socket>
received take(asio::io_context& io, Socket& socket)
{
  await_readable(io, socket);
  std::array<char, 2048> storage;
  received result;
  const std::size_t size = socket.receive_from(asio::buffer(storage), result.sender);
  result.text.assign(storage.data(), size);
  return result;
}

inline asio::const_buffer bytes(std::string_view text)
{
  return asio::buffer(text.data(), text.size());
}

}  // namespace test

#define DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE()                             \
  do {                                                                      \
    if (test::loopback_name().empty()) SKIP("no interface lo or lo0 here"); \
  } while (false)

#endif
