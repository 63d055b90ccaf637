// SPDX-License-Identifier: BSL-1.0
// A host of several addresses, and clients that hear answers from the one that they asked, and
// nothing else.
#ifndef DGRAM_TESTS_SUPPORT_ASKED_ADDRESSES_HPP
#define DGRAM_TESTS_SUPPORT_ASKED_ADDRESSES_HPP

#include "support/asio.hpp"
#include "support/loopback.hpp"
#if defined(__linux__)
#include "support/network_namespace.hpp"
#endif

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace test {

/// What a server is bound to, and how it is asked.
enum class asked_over { ipv4, ipv6, ipv4_of_ipv6 };

inline const char* name_of(asked_over how)
{
  switch (how) {
  case asked_over::ipv4: return "an IPv4 socket";
  case asked_over::ipv6: return "an IPv6 socket";
  default: return "an IPv6 socket that is asked over IPv4";
  }
}

inline bool is_ipv6(asked_over how)
{
  return how == asked_over::ipv6;
}

/// The address that clients have. The system's own choice for an answer to it is the address
/// itself.
inline asio::ip::address client_address(asked_over how)
{
  return asio::ip::make_address(is_ipv6(how) ? "fd77::1" : "127.0.0.1");
}

/// Further addresses of the host, of which there are nine.
inline asio::ip::address server_address(asked_over how, std::size_t number)
{
  return asio::ip::make_address((is_ipv6(how) ? "fd77::1" : "127.0.0.1") + std::to_string(number));
}

/// Waits until that address is reached: what is sent on a new interface before the kernel has
/// looked after it is lost.
inline void await_address(const asio::ip::address& address)
{
  asio::io_context io;
  dgram::udp::socket socket(io, endpoint(address, 0));
  const auto deadline = std::chrono::steady_clock::now() + seconds(10);
  std::array<char, 1> bytes{};
  endpoint from;
  do {
    if (std::chrono::steady_clock::now() > deadline) FAIL(address << " is not reached");
    socket.send_to(asio::buffer(bytes), socket.local_endpoint());
    std::this_thread::yield();
  } while (!socket.try_receive_from(asio::buffer(bytes), from));
}

/// Calls the function where these addresses are: IPv6 has but one on a loopback interface, so it
/// takes a host of its own.
template <class Function>
void on_host_of(asked_over how, Function function)
{
  INFO(name_of(how));
  if (!is_ipv6(how)) {
    if (how != asked_over::ipv4 && !has_ipv6()) SKIP("this host has no IPv6 loopback");
    function();
    return;
  }
#if defined(__linux__)
  const network_namespace host;
  std::string commands =
      "link set lo up\naddr add " + client_address(how).to_string() + "/128 dev lo nodad\n";
  for (std::size_t i = 0; i < 9; ++i)
    commands += "addr add " + server_address(how, i).to_string() + "/128 dev lo nodad\n";
  if (const auto refused = host.try_ip(commands)) SKIP("no IPv6 addresses here: " << *refused);
  host.await_links(false);
  host.run([&] {
    for (std::size_t i = 0; i < 9; ++i)
      await_address(server_address(how, i));
    await_address(client_address(how));
    function();
  });
#else
  SKIP("hosts of several IPv6 addresses are made on Linux only");
#endif
}

/// A client that is connected to the address that it asks.
class asking {
public:
  asking(asio::io_context& io, asked_over how, std::uint16_t port, std::size_t number)
      : address(server_address(how, number)), socket_(io, endpoint(client_address(how), 0))
  {
    socket_.connect({address, port});
    socket_.non_blocking(true);
  }

  asio::ip::address address;

  endpoint local_endpoint() const { return socket_.local_endpoint(); }

  void ask(std::string_view what = "?") { socket_.send(asio::buffer(what)); }

  /// All that has been heard; an ICMP error is heard as "!".
  std::vector<std::string> heard()
  {
    std::vector<std::string> all;
    std::string bytes(65536, '\0');
    for (;;) {
      dgram::error_code ec;
      const std::size_t size = socket_.receive(asio::buffer(bytes), 0, ec);
      if (ec == asio::error::would_block) return all;
      all.push_back(ec ? "!" : bytes.substr(0, size));
    }
  }

private:
  asio::ip::udp::socket socket_;
};

}  // namespace test

#endif
