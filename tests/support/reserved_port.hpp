// SPDX-License-Identifier: BSL-1.0
// Port numbers that stay free while a test closes sockets and binds others.
#ifndef DGRAM_TESTS_SUPPORT_RESERVED_PORT_HPP
#define DGRAM_TESTS_SUPPORT_RESERVED_PORT_HPP

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <asio/ip/v6_only.hpp>

#include <cstdint>
#include <random>
#include <stdexcept>

namespace test {

/// A number that no UDP socket of this host has as its port, neither over IPv4 nor over IPv6.
///
/// A number that the kernel chose for one socket may belong to another process in the other family,
/// and after a close in any family. This one stays free:
/// - It lies below the ports that kernels choose by default (Linux 32768, FreeBSD 10000, others
///   49152).
/// - Two tests never reserve the same number, because the object holds the TCP port of that number.
///
/// A test that closes a socket and binds its address again, that binds one port in two families,
/// or that sends to a port without a socket takes its port from here.
class reserved_port {
public:
  reserved_port() : holder_(context_)
  {
    std::random_device seed;
    for (int tries = 0; tries < 1000; ++tries) {
      number_ = static_cast<std::uint16_t>(2000 + seed() % 8000);
      if (reserve()) return;
    }
    throw std::runtime_error("this host has no port left that a test can reserve");
  }

  reserved_port(const reserved_port&) = delete;
  reserved_port& operator=(const reserved_port&) = delete;

  std::uint16_t number() const noexcept { return number_; }

private:
  bool reserve()
  {
    asio::error_code ec;
    holder_.close(ec);
    holder_.open(asio::ip::tcp::v4());
    holder_.bind({asio::ip::tcp::v4(), number_}, ec);
    return !ec && is_free(asio::ip::udp::v4()) && is_free(asio::ip::udp::v6());
  }

  bool is_free(const asio::ip::udp& family)
  {
    asio::error_code ec;
    asio::ip::udp::socket probe(context_);
    probe.open(family, ec);
    if (ec) return true;  // a host without IPv6
    if (family == asio::ip::udp::v6()) probe.set_option(asio::ip::v6_only(true));
    probe.bind({family, number_}, ec);
    return !ec;
  }

  asio::io_context context_;
  asio::ip::tcp::socket holder_;
  std::uint16_t number_ = 0;
};

/// A port without a socket. It is the same one each time.
inline std::uint16_t dead_port()
{
  static const reserved_port port;
  return port.number();
}

}  // namespace test

#endif
