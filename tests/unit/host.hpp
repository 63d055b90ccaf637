// SPDX-License-Identifier: BSL-1.0
// What the unit tests ask of the host beside the library: options, descriptors, interface names.
#ifndef DGRAM_TESTS_UNIT_HOST_HPP
#define DGRAM_TESTS_UNIT_HOST_HPP

#include "support/loopback.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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

/// The error that the operating system calls `value`, in Asio's category, for those without a name.
inline dgram::error_code os_error(int value)
{
  return {value, asio::error::get_system_category()};
}

/// An index that no interface has.
inline constexpr unsigned unknown_index = 0x7ffffff0;

/// What the kernel says of an option, read without the library; -1 where it says nothing.
inline int raw_option(int descriptor, int level, int name)
{
  int value = 0;
  ::socklen_t size = sizeof value;
  return ::getsockopt(descriptor, level, name, &value, &size) == 0 ? value : -1;
}

inline bool is_open_descriptor(int descriptor)
{
  return ::fcntl(descriptor, F_GETFD) != -1;
}

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
