// SPDX-License-Identifier: BSL-1.0
// Synchronous calls on one socket from two threads, as Asio permits them: each pair of calls, on each kind of socket.
#include "support/loopback.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace synchronous_calls_test {

#if defined(DGRAM_TESTS_THREAD_SANITIZER)
/// The sanitizer takes connect(2) for a call that creates a descriptor, and every other call meanwhile for a race with that.
extern "C" const char* __tsan_default_suppressions()  // NOLINT(*-identifier*)
{
  return "race:^connect$";
}
#endif

namespace {

constexpr int rounds = 60;

template <class Socket>
struct call {
  const char* name;
  std::function<void(Socket&, const typename Socket::endpoint_type&)> make;
};

/// What Asio's documentation names: sends, receives, `connect` and `shutdown`.
template <class Socket>
std::vector<call<Socket>> permitted_calls()
{
  using endpoint = typename Socket::endpoint_type;
  return {
      {"send",
       [](Socket& socket, const endpoint&) {
         dgram::error_code ec;
         socket.send(asio::buffer("x", 1), 0, ec);
       }},
      {"send_to",
       [](Socket& socket, const endpoint& peer) {
         dgram::error_code ec;
         socket.send_to(asio::buffer("x", 1), peer, 0, ec);
       }},
      {"receive",
       [](Socket& socket, const endpoint&) {
         std::array<char, 8> room{};
         dgram::error_code ec;
         socket.receive(asio::buffer(room), 0, ec);
       }},
      {"receive_from",
       [](Socket& socket, const endpoint&) {
         std::array<char, 8> room{};
         endpoint sender;
         dgram::error_code ec;
         socket.receive_from(asio::buffer(room), sender, 0, ec);
       }},
      {"connect",
       [](Socket& socket, const endpoint& peer) {
         dgram::error_code ec;
         socket.connect(peer, ec);
       }},
      {"shutdown",
       [](Socket& socket, const endpoint&) {
         dgram::error_code ec;
         socket.shutdown(Socket::shutdown_send, ec);
       }},
  };
}

/// Each pair, a call with itself too; `make` returns an open socket that has no other user.
template <class Make, class Endpoint>
void run_pairs(Make make, const Endpoint& peer)
{
  using socket_type = decltype(make());
  const auto calls = permitted_calls<socket_type>();
  for (const auto& first : calls) {
    for (const auto& second : calls) {
      INFO(first.name << " and " << second.name);
      socket_type socket = make();
      socket.non_blocking(true);
      std::atomic<int> ready{0};
      const auto repeat = [&](const call<socket_type>& what) {
        ++ready;
        while (ready < 2)
          std::this_thread::yield();
        for (int i = 0; i < rounds; ++i)
          what.make(socket, peer);
      };
      std::thread other([&] { repeat(second); });
      repeat(first);
      other.join();
      CHECK(socket.is_open());
    }
  }
}

}  // namespace

TEST_CASE("synchronous calls that Asio lets run together share nothing unguarded", "[threads][F23]")
{
  asio::io_context io;
  dgram::udp::socket peer(io, test::loopback_v4());
  const auto protocol = GENERATE(dgram::udp::v4(), dgram::udp::dual());
  run_pairs([&] { return dgram::udp::socket(io, protocol); }, peer.local_endpoint());
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("synchronous calls on a Unix socket that Asio lets run together share nothing unguarded",
          "[threads][F23]")
{
  asio::io_context io;
  const test::temporary_directory directory;
  const dgram::unix_dgram::endpoint name(directory / "peer");
  dgram::unix_dgram::socket peer(io, name);
  std::atomic<int> number{0};
  run_pairs(
      [&] {
        const auto own = directory / ("own" + std::to_string(number++));
        return dgram::unix_dgram::socket(io, dgram::unix_dgram::endpoint(own));
      },
      name);
}

#endif

}  // namespace synchronous_calls_test
