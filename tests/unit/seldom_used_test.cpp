// SPDX-License-Identifier: BSL-1.0
// Forms of calls that programs seldom use, and events that they seldom meet.
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/memory_transport.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if !defined(_WIN32)
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>
#endif

namespace seldom_used_test {

using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using dgram::error_code;
namespace sim = dgram::sim;

namespace {

struct stub_resolver {
  std::vector<asio::ip::udp::endpoint> known;
  error_code why;

  template <class Handler>
  void async_resolve(const std::string&, const std::string&, Handler&& handler)
  {
    std::forward<Handler>(handler)(why, known);
  }
};

}  // namespace

// <cerrno> has the numbers of the C library, and Winsock reports its own.
#if defined(_WIN32)
#define DGRAM_NUMBER_OF(name) WSA##name
#else
#define DGRAM_NUMBER_OF(name) name
#endif

TEST_CASE("each system error of a socket has the name that the system's manual gives it")
{
  const std::vector<std::pair<int, std::string>> names{
      {DGRAM_NUMBER_OF(EACCES), "EACCES"},
      {DGRAM_NUMBER_OF(EADDRINUSE), "EADDRINUSE"},
      {DGRAM_NUMBER_OF(EADDRNOTAVAIL), "EADDRNOTAVAIL"},
      {DGRAM_NUMBER_OF(EAFNOSUPPORT), "EAFNOSUPPORT"},
      {DGRAM_NUMBER_OF(EALREADY), "EALREADY"},
      {DGRAM_NUMBER_OF(EBADF), "EBADF"},
      {DGRAM_NUMBER_OF(ECONNREFUSED), "ECONNREFUSED"},
      {DGRAM_NUMBER_OF(ECONNRESET), "ECONNRESET"},
      {DGRAM_NUMBER_OF(EDESTADDRREQ), "EDESTADDRREQ"},
      {DGRAM_NUMBER_OF(EHOSTDOWN), "EHOSTDOWN"},
      {DGRAM_NUMBER_OF(EHOSTUNREACH), "EHOSTUNREACH"},
      {DGRAM_NUMBER_OF(EINTR), "EINTR"},
      {DGRAM_NUMBER_OF(EINVAL), "EINVAL"},
      {DGRAM_NUMBER_OF(EISCONN), "EISCONN"},
      {DGRAM_NUMBER_OF(EMFILE), "EMFILE"},
      {DGRAM_NUMBER_OF(EMSGSIZE), "EMSGSIZE"},
      {DGRAM_NUMBER_OF(ENAMETOOLONG), "ENAMETOOLONG"},
      {DGRAM_NUMBER_OF(ENETDOWN), "ENETDOWN"},
      {DGRAM_NUMBER_OF(ENETUNREACH), "ENETUNREACH"},
      {DGRAM_NUMBER_OF(ENOBUFS), "ENOBUFS"},
      {DGRAM_NUMBER_OF(ENOPROTOOPT), "ENOPROTOOPT"},
      {DGRAM_NUMBER_OF(ENOTCONN), "ENOTCONN"},
      {DGRAM_NUMBER_OF(ENOTSOCK), "ENOTSOCK"},
      {DGRAM_NUMBER_OF(EPROTONOSUPPORT), "EPROTONOSUPPORT"},
      {DGRAM_NUMBER_OF(ETIMEDOUT), "ETIMEDOUT"},
      {DGRAM_NUMBER_OF(EOPNOTSUPP), "ENOTSUP"},
#if defined(_WIN32)
      {WSAEWOULDBLOCK, "EAGAIN"},
#else
      {EAGAIN, "EAGAIN"},
      {ECANCELED, "ECANCELED"},
      {EEXIST, "EEXIST"},
      {ENFILE, "ENFILE"},
      {ENODEV, "ENODEV"},
      {ENOENT, "ENOENT"},
      {ENOMEM, "ENOMEM"},
      {ENOTDIR, "ENOTDIR"},
      {EPERM, "EPERM"},
      {EPIPE, "EPIPE"},
#endif
      {EXDEV, ""},
  };
  for (const auto& [value, name] : names) {
    CAPTURE(name);
    CHECK(dgram::platform::error_name(dgram::platform::make_system_error(value)) == name);
  }
}

TEST_CASE("a lookup's errors have the names that JavaScript's have")
{
  const auto name_of = [](const error_code& ec) {
    dgram::failure failed;
    failed.code = ec;
    failed.operation = "getaddrinfo";
    return failed.text();
  };
  CHECK(name_of(asio::error::host_not_found) == "getaddrinfo ENOTFOUND");
  CHECK(name_of(asio::error::no_data) == "getaddrinfo ENOTFOUND");
  CHECK(name_of(asio::error::host_not_found_try_again) == "getaddrinfo EAI_AGAIN");
}

#undef DGRAM_NUMBER_OF

TEST_CASE("a handler may be larger than the pieces of memory that a thread keeps")
{
  asio::io_context io;
  dgram::udp::socket to(io, test::loopback_v4());
  dgram::udp::socket from(io, test::loopback_v4());
  dgram::receive_batch batch(1, 16);
  std::array<char, 5000> large{};
  large.back() = 'z';
  char seen = 0;
  to.async_receive_batch(batch, [&seen, large](error_code ec, std::size_t count) {
    CHECK_FALSE(ec);
    CHECK(count == 1);
    seen = large.back();
  });
  io.poll();
  CHECK(seen == 0);
  from.send_to(asio::buffer("hello", 5), to.local_endpoint());
  test::run(io);
  CHECK(seen == 'z');
}

TEST_CASE("a failure converts to its code, in both ways")
{
  dgram::failure failed;
  failed.code = asio::error::access_denied;
  const error_code& code = failed;
  CHECK(code == asio::error::access_denied);
  CHECK(failed);
  CHECK_FALSE(dgram::failure());
}

TEST_CASE("the text of a failure is the same by each way")
{
  dgram::failure what;
  what.operation = "bind";
  what.code = asio::error::address_in_use;
  what.address = "127.0.0.1";
  what.port = 53;
  CHECK_THAT(what.text(), ContainsSubstring("bind") && ContainsSubstring("127.0.0.1:53"));
  CHECK(to_string(what) == what.text());
}

TEST_CASE("a key that is too long or empty has no bytes")
{
  const std::string longest(dgram::session_key::max_size, 'k');
  CHECK(dgram::session_key(longest).bytes().text() == longest);
  CHECK(dgram::session_key(longest + "k").bytes().size() == 0);
  CHECK(dgram::session_key().bytes().size() == 0);
}

TEST_CASE("a socket that is closed, and a batch that is empty, have counted nothing")
{
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v4()};
  CHECK(socket.try_send_to(asio::buffer("x", 1), socket.local_endpoint()));
  CHECK(socket.statistics().sent == 1);
  socket.close();
  const auto counts = socket.statistics();
  CHECK(counts.dropped == 0);
  CHECK(counts.mean_received() == 0.0);
  dgram::receive_batch batch{4};
  CHECK_FALSE(batch.dropped());
}

TEST_CASE("a payload beyond what IPv6 allows is refused with that limit in the text")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v6()};
  const std::string payload(65528, 'x');
  CHECK_THROWS_WITH(socket.send_to(asio::buffer(payload), socket.local_endpoint()),
                    ContainsSubstring("65528 bytes (at most 65527)"));
}

#if defined(__linux__)

TEST_CASE("the path MTU to an address that a socket may not connect to is its error")
{
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v4()};
  error_code ec;
  // The broadcast address of the loopback interface. A connect to it needs option::broadcast.
  CHECK(socket.path_mtu({asio::ip::make_address("127.255.255.255"), 9}, ec) == 0);
  CHECK(ec == (dgram::platform::has_error_queue ? asio::error::access_denied
                                                : asio::error::operation_not_supported));
}

#endif

TEST_CASE("an emitter's lookup by a resolver takes the first address of the socket's family")
{
  const auto v4 = asio::ip::make_address("192.0.2.1");
  const auto v6 = asio::ip::make_address("2001:db8::1");
  stub_resolver names{{{v6, 0}, {v4, 0}}, {}};
  const dgram::lookup_function lookup{std::ref(names)};
  error_code seen;
  asio::ip::address found;
  const auto report = [&](error_code ec, const asio::ip::address& address) {
    seen = ec;
    found = address;
  };
  lookup("host", dgram::socket_type::udp4, report);
  CHECK(found == v4);
  lookup("host", dgram::socket_type::udp6, report);
  CHECK(found == v6);
  CHECK_FALSE(seen);
  names.known = {{v4, 0}};
  lookup("host", dgram::socket_type::udp6, report);
  CHECK(seen == asio::error::host_not_found);
  names.why = asio::error::host_not_found_try_again;
  lookup("host", dgram::socket_type::udp6, report);
  CHECK(seen == asio::error::host_not_found_try_again);
}

TEST_CASE("a kind of socket that none of the enumerators is has a text, too")
{
  CHECK(dgram::to_string(static_cast<dgram::socket_kind>(99)) == "of an unknown kind");
}

TEST_CASE("a blocking wait ends when there is a datagram, and throws on a closed socket")
{
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  socket.wait(dgram::udp::socket::wait_write);
  socket.send_to(asio::buffer("hello", 5), socket.local_endpoint());
  socket.wait(dgram::udp::socket::wait_read);
  CHECK(socket.available() == 5);
  socket.close();
  CHECK_THROWS_WITH(socket.wait(dgram::udp::socket::wait_read), ContainsSubstring("wait"));
}

TEST_CASE("a socket connects to a text, and tells in an error code that it is none")
{
  asio::io_context io;
  dgram::udp::socket server(io, test::loopback_v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  error_code ec;
  client.connect("127.0.0.1:none", ec);
  CHECK(ec == dgram::error::bad_port);
  client.connect(dgram::to_string(server.local_endpoint()), ec);
  CHECK_FALSE(ec);
  CHECK(client.remote_endpoint() == server.local_endpoint());
}

TEST_CASE("connecting to a range of which the condition takes none is not_found")
{
  asio::io_context io;
  dgram::udp::socket socket(io);
  const std::vector<asio::ip::udp::endpoint> peers(3, {test::loopback_v4().address(), 9});
  int asked = 0;
  error_code seen;
  dgram::async_connect(
      socket, peers,
      [&](const error_code& before, const asio::ip::udp::endpoint&) {
        CHECK_FALSE(before);
        ++asked;
        return false;
      },
      [&](error_code ec, const asio::ip::udp::endpoint&) { seen = ec; });
  test::run(io);
  CHECK(seen == asio::error::not_found);
  CHECK(asked == 3);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("a reader that is assigned to ends what was pending on its own socket")
{
  asio::io_context io;
  dgram::udp::socket first(io, test::loopback_v4());
  dgram::udp::socket second(io, test::loopback_v4());
  dgram::reader reader{first};
  std::vector<std::string> seen;
  const auto next = [&] {
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          const auto datagram = co_await reader.next();
          seen.emplace_back(datagram ? datagram->payload().text() : "ended");
        },
        asio::detached);
  };
  next();
  io.poll();
  reader = dgram::reader{second};
  test::run(io);
  CHECK(seen == std::vector<std::string>{"ended"});
  first.send_to(asio::buffer("x", 1), second.local_endpoint());
  io.restart();
  next();
  test::run(io);
  CHECK(seen == std::vector<std::string>{"ended", "x"});
  auto& itself = reader;
  reader = std::move(itself);
  first.send_to(asio::buffer("y", 1), second.local_endpoint());
  io.restart();
  next();
  test::run(io);
  CHECK(seen.back() == "y");
}

TEST_CASE("a datagram of a train is found by its index, and has what its transport said of it")
{
  dgram::receive_batch batch{2, 100};
  const asio::ip::udp::endpoint sender{asio::ip::make_address("2001:db8::1"), 5};
  const dgram::receive_time_point stamped{17s};
  REQUIRE(batch.store("aabbc", sender,
                      {.local_address = asio::ip::make_address("2001:db8::2"),
                       .interface_index = 3,
                       .hardware_receive_time = stamped,
                       .segment_size = 2}));
  REQUIRE(batch.store("single", sender, {.local_address = asio::ip::make_address("10.0.0.1")}));
  REQUIRE(batch.size() == 4);
  const std::array<std::string_view, 4> texts{"aa", "bb", "c", "single"};
  for (std::size_t i = 0; i < texts.size(); ++i)
    CHECK(batch[i].payload().text() == texts[i]);
  CHECK(batch[2].hardware_receive_time() == stamped);
  CHECK(batch[2].local_address() == asio::ip::make_address("2001:db8::2"));
  CHECK(batch[3].local_address() == asio::ip::make_address("10.0.0.1"));
  CHECK_FALSE(batch[3].hardware_receive_time());
}

TEST_CASE("a batch of a connected socket gathers payloads of several buffers")
{
  asio::io_context io;
  dgram::udp::socket server(io, test::loopback_v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  client.connect(server.local_endpoint());
  dgram::send_batch batch{2};
  const std::array<asio::const_buffer, 2> parts{asio::buffer("he", 2), asio::buffer("llo", 3)};
  batch.push(parts);
  CHECK(client.send_batch(batch).sent == 1);
  std::array<char, 10> storage{};
  CHECK(server.receive(asio::buffer(storage)) == 5);
  CHECK(std::string(storage.data(), 5) == "hello");
}

TEST_CASE("sockets of different executors cannot have one exchanger")
{
  asio::io_context io;
  const auto strand = asio::make_strand(io);
  std::vector<dgram::udp::socket> sockets;
  sockets.emplace_back(io, test::loopback_v4());
  sockets.emplace_back(asio::any_io_executor(strand), test::loopback_v4());
  const dgram::exchange_keys keys = dgram::same_bytes{0, 2};
  CHECK_THROWS_WITH((dgram::exchanger{sockets, keys}),
                    ContainsSubstring("the sockets have different executors"));
}

TEST_CASE("an ended session refuses sends with options, and a timeout that is not positive")
{
  asio::io_context io;
  sim::network net{io};
  sim::socket server{net, {"10.0.0.1", 7000}};
  sim::socket client{net, {"10.0.0.2", 0}};
  dgram::listener listener{server};
  std::optional<decltype(listener)::session_type> accepted;
  listener.async_accept([&](error_code ec, auto session) {
    CHECK_FALSE(ec);
    accepted = std::move(session);
  });
  client.send_to(asio::buffer("hello", 5), server.local_endpoint());
  net.run_for(1s);
  REQUIRE(accepted);
  const auto reference = listener.find(client.local_endpoint());
  const dgram::send_options urgent{.dscp = 46};
  error_code ec;
  CHECK(accepted->try_send("in time", urgent, ec));
  CHECK(reference.try_send("in time", urgent, ec));
  accepted->close();
  CHECK_FALSE(accepted->try_send("late", urgent, ec));
  CHECK(ec == dgram::error::session_ended);
  ec.clear();
  CHECK_FALSE(reference.try_send("late", urgent, ec));
  CHECK(ec == dgram::error::session_ended);
  decltype(listener)::session_type none;
  none.set_idle_timeout(1s);
  CHECK_THROWS_WITH(none.set_idle_timeout(0s), ContainsSubstring("must be positive"));
}

TEST_CASE("a listener hands a large batch over in parts, to each session in order")
{
  asio::io_context io;
  sim::network net{io};
  sim::socket server{net, {"10.0.0.1", 7000}};
  sim::socket one{net, {"10.0.0.2", 0}};
  sim::socket two{net, {"10.0.0.2", 0}};
  dgram::listener listener{server};
  std::map<std::uint16_t, std::string> heard;
  using session = decltype(listener)::session_type;
  asio::co_spawn(io, listener.serve([&](session peer) -> asio::awaitable<void> {
    const auto port = peer.remote_endpoint().port();
    while (const auto datagram = co_await peer.next())
      heard[port] += datagram->payload().text().front();
  }),
                 asio::detached);
  net.run_for(1s);
  const std::string order = "abcdefghijklmnopqrstuvwxyz";
  for (const char each : order) {
    const std::string payload(1200, each);
    one.send_to(asio::buffer(payload), server.local_endpoint());
    two.send_to(asio::buffer(payload), server.local_endpoint());
  }
  net.run_for(1s);
  CHECK(heard[one.local_endpoint().port()] == order);
  CHECK(heard[two.local_endpoint().port()] == order);
  CHECK(listener.statistics().handed_over == 2 * order.size());
}

TEST_CASE("without a handler for failures, a session's system_error leaves the run")
{
  asio::io_context io;
  sim::network net{io};
  sim::socket server{net, {"10.0.0.1", 7000}};
  sim::socket client{net, {"10.0.0.2", 0}};
  dgram::listener listener{server};
  using session = decltype(listener)::session_type;
  asio::co_spawn(io, listener.serve([](session peer) -> asio::awaitable<void> {
    co_await peer.next();
    dgram::detail::raise(asio::error::access_denied, "test");
  }),
                 asio::detached);
  client.send_to(asio::buffer("x", 1), server.local_endpoint());
  CHECK_THROWS_WITH(net.run_for(1s), ContainsSubstring("test"));
  CHECK_NOTHROW(net.run_for(1s));
  CHECK(listener.size() == 0);
}

TEST_CASE("a listener and an exchanger that are assigned to close what they had")
{
  asio::io_context io;
  sim::network net{io};
  sim::socket first{net, {"10.0.0.1", 7000}};
  sim::socket second{net, {"10.0.0.1", 7001}};
  std::optional<bool> accepted;
  {
    dgram::listener listener{first};
    listener.async_accept([&](error_code ec, auto session) {
      CHECK_FALSE(ec);
      accepted = session.has_value();
    });
    net.run_for(1s);
    CHECK_FALSE(accepted);
    listener = dgram::listener{second};
    net.run_for(1s);
    CHECK(accepted == false);
  }
  const dgram::exchange_keys keys = dgram::same_bytes{0, 2};
  error_code seen;
  dgram::exchanger exchanger{first, keys};
  exchanger.async_exchange(asio::buffer("id", 2), second.local_endpoint(),
                           [&](error_code ec, auto&&...) { seen = ec; });
  exchanger = dgram::exchanger{second, keys};
  net.run_for(1s);
  CHECK(seen == asio::error::operation_aborted);
}

TEST_CASE("a datagram whose key throws counts as failed, and the map stays as it was")
{
  dgram::session_map<int> map{{}, [](const dgram::datagram& received) -> dgram::session_key {
                                if (received.payload().text() == "bad")
                                  throw std::runtime_error("k");
                                return dgram::session_key(received.payload());
                              }};
  dgram::receive_batch batch{2, 100};
  const asio::ip::udp::endpoint sender{asio::ip::make_address("10.0.0.1"), 5};
  batch.store("good", sender);
  batch.store("bad", sender);
  CHECK(map.route(batch[0]));
  CHECK_THROWS_AS(map.route(batch[1]), std::runtime_error);
  CHECK(map.size() == 1);
  CHECK(map.statistics().failed == 1);
  CHECK(map.statistics().routed == 1);
}

TEST_CASE("a writer of a connected socket reports what it drops, without a peer")
{
  asio::io_context io;
  test::memory_socket server{io, test::loopback_v4()};
  test::memory_socket client{io, test::loopback_v4()};
  client.connect(server.local_endpoint());
  client.fail_sends(asio::error::would_block);
  dgram::writer writer{client, {.datagrams = 2, .when_full = dgram::full_policy::drop_newest}};
  std::vector<std::size_t> dropped;
  writer.on_error(
      [&](const error_code& ec, const asio::ip::udp::endpoint& peer, std::size_t bytes) {
        CHECK(ec == asio::error::no_buffer_space);
        CHECK(peer == asio::ip::udp::endpoint());
        dropped.push_back(bytes);
      });
  for (std::size_t size = 1; size <= 4; ++size)
    writer.push(std::string(size, 'x'));
  CHECK(dropped == std::vector<std::size_t>{3, 4});
  CHECK(writer.statistics().dropped == 2);
  client.fail_sends({});
  test::run(io);
  CHECK(writer.statistics().sent == 2);
}

TEST_CASE("a group on any address cannot be for IPv6 alone")
{
  asio::io_context io;
  dgram::shard_group_config config;
  config.socket.v6_only = true;
  CHECK_THROWS_WITH((dgram::shard_group{dgram::any_address(0), config}),
                    ContainsSubstring("v6_only"));
}

#if !defined(_WIN32)

namespace {

/// What the function writes to the standard error stream.
template <class Function>
std::string written_to_stderr(const Function& function)
{
  const test::temporary_directory directory;
  const std::string path = directory / "stderr";
  std::fflush(stderr);
  const int kept = ::dup(2);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::dup2(file, 2);
  ::close(file);
  function();
  std::fflush(stderr);
  ::dup2(kept, 2);
  ::close(kept);
  std::ifstream written(path);
  return {std::istreambuf_iterator<char>(written), {}};
}

}  // namespace

TEST_CASE("a seed that fails is printed with its reason and where its trace is")
{
  const test::temporary_directory directory;
  sim::seed_options options{.directory = directory.path()};
  const auto fails = [](std::uint64_t seed) {
    if (seed == 2) throw 2;  // NOLINT(*-exception-baseclass)
  };
  std::string text = written_to_stderr([&] {
    const auto result = sim::for_each_seed(1, 5, fails, options);
    CHECK(result.reason == "threw something that is no std::exception");
  });
  CHECK(text == "seed 2 fails: threw something that is no std::exception\n  its trace is in " +
                    directory.path() + "/sim-2.trace\n");
  int runs = 0;
  options.directory += "/none";
  text = written_to_stderr([&] {
    const auto result =
        sim::for_each_seed(1, 5, [&](std::uint64_t) { return ++runs != 1; }, options);
    CHECK_FALSE(result.is_repeatable);
  });
  CHECK(text == "seed 1 fails: returned false\n  the trace could not be written to " +
                    directory.path() +
                    "/none/sim-1.trace\n  the second run passed: the test depends on something "
                    "besides the seed\n");
}

#endif

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("Unix addresses of an emitter compare by their text, and one without a name says so")
{
  const dgram::basic_address_info<dgram::unix_dgram> one(dgram::unix_dgram::endpoint("/tmp/one"));
  const dgram::basic_address_info<dgram::unix_dgram> two(dgram::unix_dgram::endpoint("/tmp/two"));
  const dgram::basic_address_info<dgram::unix_dgram> none{dgram::unix_dgram::endpoint()};
  CHECK(one == one);
  CHECK_FALSE(one == two);
  CHECK(to_string(one) == "/tmp/one");
  CHECK(to_string(none) == "(unnamed)");
  CHECK(dgram::unix_dgram() == dgram::unix_dgram());
}

TEST_CASE("a Unix endpoint takes the texts that Asio's takes: none, and a NUL and a name")
{
  error_code ec = asio::error::fault;
  CHECK(dgram::detail::unix_endpoint_of("", ec).path().empty());
  CHECK_FALSE(ec);
  const std::string abstract("\0dgram", 6);
  CHECK(dgram::detail::unix_endpoint_of(abstract, ec).path() == abstract);
  CHECK_FALSE(ec);
  CHECK(dgram::detail::unix_endpoint_of("/tmp/x", ec).path() == "/tmp/x");
  dgram::detail::unix_endpoint_of(std::string(500, '\0'), ec);
  CHECK(ec == asio::error::name_too_long);
}

#endif

}  // namespace seldom_used_test
