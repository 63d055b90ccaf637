// SPDX-License-Identifier: BSL-1.0
// An exchanger on sockets of the system: refusals, families, Unix names, strands, the context's end.
#include <dgram/exchanger.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace exchanger_test {

namespace {

using dgram::answer;
using dgram::error_code;

constexpr dgram::same_bytes two_bytes{0, 2};

/// Answers what it receives, with one byte more.
template <class Socket>
void serve(Socket& socket,
           dgram::reader<typename Socket::protocol_type, typename Socket::executor_type>& reader)
{
  reader.async_for_each(
      [&](const auto& request) {
        socket.send_to(asio::buffer(std::string(request.payload().text()) + "!"), request.sender());
      },
      [](error_code) {});
}

}  // namespace

TEST_CASE("a port without a socket refuses an exchange at once, one of many in a batch, too")
{
  if constexpr (!dgram::platform::has_error_queue) SKIP("this system has no error queue");
  const bool v6 = GENERATE(false, true);
  if (v6) DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  dgram::udp::socket server(io, v6 ? test::loopback_v6() : test::loopback_v4());
  dgram::udp::socket socket(io, v6 ? test::loopback_v6() : test::loopback_v4());
  socket.set_option(dgram::option::receive_error(true));
  dgram::reader reader{server};
  serve(server, reader);
  dgram::exchanger client{socket, two_bytes, {.retry = {.first_wait = std::chrono::minutes(10)}}};
  dgram::udp::endpoint dead = server.local_endpoint();
  dead.port(test::dead_port());
  std::vector<error_code> ends;
  int answered = 0;
  for (char i = 0; i < 20; ++i) {
    client.async_exchange(std::string{'d', i}, dead,
                          [&](error_code ec, answer) { ends.push_back(ec); });
    client.async_exchange(std::string{'a', i}, server.local_endpoint(),
                          [&, i](error_code ec, answer got) {
                            CHECK_FALSE(ec);
                            answered += got.payload().text() == std::string{'a', i} + "!" ? 1 : 0;
                          });
  }
  while (client.outstanding() > 0)
    REQUIRE(io.run_one_for(test::seconds(10)) > 0);
  reader.stop();
  // No exchange waits, so nothing keeps the context running: neither the timer nor the socket.
  test::run(io);
  CHECK(answered == 20);
  // The kernel limits how many refusals it sends (net.ipv4.icmp_ratelimit), but not on loopback.
  CHECK(ends == std::vector<error_code>(20, asio::error::connection_refused));
}

TEST_CASE("an exchange runs on sockets of each family, and on Unix sockets with names")
{
  asio::io_context io;
  const auto ask = [&](auto& server, auto& socket) {
    dgram::reader reader{server};
    serve(server, reader);
    dgram::exchanger client{socket, two_bytes};
    test::run(io, [](auto& on, auto to, auto& from) -> asio::awaitable<void> {
      const auto got = co_await on.exchange("id hello", to);
      CHECK(got.payload().text() == "id hello!");
      CHECK(got.sender() == to);
      from.stop();
    }(client, server.local_endpoint(), reader));
  };
  SECTION("IPv4")
  {
    dgram::udp::socket server(io, test::loopback_v4());
    dgram::udp::socket socket(io, test::loopback_v4());
    ask(server, socket);
  }
  SECTION("IPv4 on a dual-stack socket")
  {
    DGRAM_SKIP_WITHOUT_IPV6();
    dgram::udp::socket server(io, test::loopback_v4());
    dgram::udp::socket socket(io, dgram::udp::dual());
    ask(server, socket);
  }
#if DGRAM_HAS_UNIX_DATAGRAMS
  SECTION("Unix")
  {
    const test::temporary_directory directory;
    dgram::unix_dgram::socket server(io, dgram::unix_dgram::endpoint(directory / "server"));
    dgram::unix_dgram::socket socket(io, dgram::unix_dgram::endpoint(directory / "client"));
    ask(server, socket);
  }
#endif
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE(
    "an exchange on a Unix socket without a name is refused at the call, and the text says why")
{
  const test::temporary_directory directory;
  asio::io_context io;
  dgram::unix_dgram::socket server(io, dgram::unix_dgram::endpoint(directory / "server"));
  dgram::unix_dgram::socket socket(io, dgram::unix_dgram());
  dgram::reader reader{server};
  serve(server, reader);
  dgram::exchanger client{socket, two_bytes};
  using client_type = decltype(client);
  const auto to = server.local_endpoint();
  std::string text;
  const auto ask = [](client_type& on, auto peer, std::string& said) -> asio::awaitable<void> {
    try {
      const auto got = co_await on.exchange("id hello", peer);
      said = got.payload().text();
    } catch (const dgram::system_error& refused) {
      said = refused.what();
      CHECK(refused.code() == asio::error::invalid_argument);
    }
  };
  const auto run = [&] {
    asio::co_spawn(io, ask(client, to, text), [&](const std::exception_ptr&) { reader.stop(); });
    test::run(io);
  };
  SECTION("nothing is sent")
  {
    run();
    CHECK(text.starts_with(
        "exchange EINVAL (the socket has no name, so that no peer can answer; bind it)"));
    CHECK(client.statistics().not_begun == 1);
    CHECK(client.statistics().begun == 0);
    CHECK(server.statistics().received == 0);
  }
  SECTION("a bind helps")
  {
    error_code said;
    client.async_exchange("id", to, [&](error_code ec, const auto&) { said = ec; });
    io.poll();
    CHECK(said == asio::error::invalid_argument);
    socket.bind(directory / "client");
    run();
    CHECK(text == "id hello!");
  }
#if defined(__linux__)
  SECTION("the kernel gives the name")
  {
    if (!dgram::supports<dgram::option::receive_credentials>(dgram::unix_dgram()))
      SKIP("this backend has no credentials");
    socket.set_option(dgram::option::receive_credentials(true));
    run();
    CHECK(text == "id hello!");
  }
#endif
}

#endif

TEST_CASE("an exchanger on a strand of a pool, and a future that another thread waits for")
{
  asio::thread_pool pool(3);
  using strand = asio::strand<asio::thread_pool::executor_type>;
  asio::io_context io;
  dgram::udp::socket server(io, test::loopback_v4());
  dgram::reader reader{server};
  serve(server, reader);
  std::thread thread([&] { io.run(); });
  {
    std::optional<dgram::basic_socket<dgram::udp, strand>> socket;
    socket.emplace(strand(pool.get_executor()), test::loopback_v4());
    std::optional client(dgram::exchanger(*socket, two_bytes));
    std::vector<std::future<answer>> futures;
    for (char i = 0; i < 100; ++i) {
      std::promise<std::future<answer>> started;
      asio::post(socket->get_executor(), [&, i] {
        started.set_value(
            client->async_exchange(std::string{'f', i}, server.local_endpoint(), asio::use_future));
      });
      futures.push_back(started.get_future().get());
    }
    for (char i = 0; i < 100; ++i)
      CHECK(futures[static_cast<std::size_t>(i)].get().payload().text() ==
            std::string{'f', i} + "!");
    std::promise<void> ended;
    asio::post(socket->get_executor(), [&] {
      client.reset();
      socket.reset();
      ended.set_value();
    });
    ended.get_future().get();
  }
  asio::post(io, [&] { reader.stop(); });
  thread.join();
  pool.join();
}

#if !defined(_WIN32)

TEST_CASE("a child of fork draws other ids than its parent", "[exchanger]")
{
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  dgram::exchanger client{socket, two_bytes};
  const dgram::udp::endpoint peer = socket.local_endpoint();
  client.unused_id<std::uint64_t>(peer);
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  io.notify_fork(asio::execution_context::fork_prepare);
  const ::pid_t child = ::fork();
  REQUIRE(child != -1);
  if (child == 0) {
    io.notify_fork(asio::execution_context::fork_child);
    const auto drawn = client.unused_id<std::uint64_t>(peer);
    ::_exit(::write(pipe[1], &drawn, sizeof drawn) == sizeof drawn ? 0 : 1);
  }
  io.notify_fork(asio::execution_context::fork_parent);
  std::uint64_t drawn_by_child = 0;
  CHECK(::read(pipe[0], &drawn_by_child, sizeof drawn_by_child) == sizeof drawn_by_child);
  ::close(pipe[0]);
  ::close(pipe[1]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  // As many as were drawn in advance.
  for (int i = 0; i < 64; ++i)
    CHECK(client.unused_id<std::uint64_t>(peer) != drawn_by_child);
}

#endif

}  // namespace exchanger_test
