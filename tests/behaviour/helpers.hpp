// SPDX-License-Identifier: BSL-1.0
// Shared by the behaviour tests: waiting for a datagram, probing for none, descriptors that belong
// to no socket.
#ifndef DGRAM_TESTS_BEHAVIOUR_HELPERS_HPP
#define DGRAM_TESTS_BEHAVIOUR_HELPERS_HPP

#include "support/loopback.hpp"
#include "support/system_sockets.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace test {

using udp_socket = dgram::udp::socket;

/// A receiver on loopback, and a sender that is not bound before it sends.
struct udp_pair {
  asio::io_context io;
  udp_socket receiver{io, loopback_v4()};
  udp_socket sender{io, dgram::udp::v4()};
};

/// The same with a sender on loopback.
struct bound_pair {
  asio::io_context io;
  udp_socket receiver{io, loopback_v4()};
  udp_socket sender{io, loopback_v4()};
};

/// Runs until the condition holds, and fails instead of hanging; other operations may stay pending.
template <class Condition>
void run_until(asio::io_context& io, Condition condition)
{
  const auto deadline = std::chrono::steady_clock::now() + seconds(10);
  io.restart();
  while (!condition())
    if (io.run_one_until(deadline) == 0) FAIL("nothing happened any more, or not in time");
}

/// Runs what is due now, without waiting for anything.
inline void run_ready(asio::io_context& io)
{
  io.restart();
  io.poll();
}

struct incoming {
  std::string text;
  endpoint sender;
};

/// The next datagram, waited for.
template <class Socket>
incoming receive(asio::io_context& io, Socket& socket)
{
  incoming result;
  result.text.resize(65536);
  std::optional<dgram::error_code> outcome;
  socket.async_receive_from(asio::buffer(result.text), result.sender,
                            [&](dgram::error_code ec, std::size_t size) {
                              result.text.resize(size);
                              outcome = ec;
                            });
  run_until(io, [&] { return outcome.has_value(); });
  REQUIRE_FALSE(*outcome);
  return result;
}

/// Waits until a blocking receive would not block.
template <class Socket>
void wait_readable(asio::io_context& io, Socket& socket)
{
  bool readable = false;
  socket.async_wait(asio::socket_base::wait_read, [&](dgram::error_code ec) { readable = !ec; });
  run_until(io, [&] { return readable; });
}

/// Whether nothing is queued; takes what is. Loopback delivers before send returns, so what was
/// sent is queued by now.
template <class Socket>
bool nothing_queued(Socket& socket)
{
  std::array<char, 16> storage{};
  dgram::error_code ec;
  socket.try_receive(asio::buffer(storage), ec);
  return ec == asio::error::would_block;
}

/// An error of the kernel that Asio has no name for, in the category that Asio's own errors have.
inline dgram::error_code system_error_code(int value)
{
  return {system_number(value), asio::error::get_system_category()};
}

inline asio::const_buffer text_buffer(std::string_view text)
{
  return asio::buffer(text.data(), text.size());
}

/// The peer of a socket that is bound to a wildcard address.
inline endpoint loopback_of(const udp_socket& socket)
{
  const auto local = socket.local_endpoint();
  return local.address().is_v4() ? loopback_v4(local.port()) : loopback_v6(local.port());
}

/// A descriptor that no socket of ours owns yet; closed unless it was given away.
class raw_descriptor {
public:
  raw_descriptor(int family, int type) : value_(::socket(family, type, 0))
  {
    REQUIRE(value_ != no_descriptor);
  }
  ~raw_descriptor()
  {
    if (value_ != no_descriptor) close_descriptor(value_);
  }
  raw_descriptor(const raw_descriptor&) = delete;
  raw_descriptor& operator=(const raw_descriptor&) = delete;

  descriptor_type get() const noexcept { return value_; }
  descriptor_type release() noexcept { return std::exchange(value_, no_descriptor); }

  void bind(const endpoint& local) const
  {
    REQUIRE(::bind(value_, local.data(), static_cast<socket_length>(local.size())) == 0);
  }

  void connect(const endpoint& peer) const
  {
    REQUIRE(::connect(value_, peer.data(), static_cast<socket_length>(peer.size())) == 0);
  }

  endpoint local() const
  {
    endpoint result;
    auto size = static_cast<socket_length>(result.capacity());
    REQUIRE(::getsockname(value_, result.data(), &size) == 0);
    result.resize(size);
    return result;
  }

private:
  descriptor_type value_;
};

/// A socket connected to a port where no socket listens any more.
inline udp_socket connected_to_nobody(asio::io_context& io)
{
  udp_socket socket(io, loopback_v4());
  socket.connect(dead_endpoint());
  return socket;
}

}  // namespace test

#endif
