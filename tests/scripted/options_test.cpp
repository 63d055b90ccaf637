// SPDX-License-Identifier: BSL-1.0
// Opening, taking over, connecting and options where the operating system refuses one of the calls.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace options_test {

namespace {

using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using test::fail;
using test::script;

/// What is looked at before a descriptor's IPV6_V6ONLY: its type, its family and, where the system can coalesce, whether
/// it does.
#if defined(__linux__)
constexpr bool asks_for_coalescing = true;
#else
constexpr bool asks_for_coalescing = false;
#endif
constexpr std::size_t looks_at_kind = 2;  // before anything else is asked of an adopted descriptor

struct host : test::scripted {
  bool is_valid(int fd) const { return ::fcntl(fd, F_GETFD) != -1; }

  dgram::error_code system_error(int value) const
  {
    return {value, asio::error::get_system_category()};
  }

  asio::io_context io;
  dgram::udp::socket socket{io};
  int descriptors = test::open_descriptors();
  dgram::error_code ec;
};

/// Descriptors of every kind that a test wants to be taken over.
struct foreign_descriptor {
  foreign_descriptor(int family, int type) : fd(::socket(family, type, 0)) {}
  foreign_descriptor(const foreign_descriptor&) = delete;
  foreign_descriptor& operator=(const foreign_descriptor&) = delete;
  ~foreign_descriptor()
  {
    if (fd != -1) ::close(fd);
  }

  int fd;
};

/// What refuses each option, with the two parts of a dual-stack socket.
struct refusing_socket {
  using protocol_type = dgram::udp;

  int native_handle() const { return fd; }
  template <class Option>
  void set_option(const Option&, dgram::error_code& failure) const
  {
    failure = asio::error::no_permission;
  }

  int fd;
};

}  // namespace

TEST_CASE_METHOD(host, "a dual-stack socket that cannot be made so is closed again", "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  script.setsockopt.push(fail(ENOPROTOOPT));
  SECTION("opened")
  {
    socket.open(dgram::udp::dual(), ec);
    CHECK(ec == system_error(ENOPROTOOPT));
  }
  SECTION("opened with a configuration")
  {
    socket.open(dgram::udp::v6(), {.dual_stack = true}, ec);
    CHECK(ec == system_error(ENOPROTOOPT));
  }
  SECTION("opened, throwing")
  {
    CHECK_THROWS_AS(socket.open(dgram::udp::dual()), dgram::system_error);
  }
  SECTION("constructed")
  {
    CHECK_THROWS_MATCHES(dgram::udp::socket(io, dgram::udp::dual()), dgram::system_error,
                         MessageMatches(StartsWith("open")));
  }
  SECTION("constructed with an address")
  {
    CHECK_THROWS_MATCHES(
        dgram::udp::socket(io, test::loopback_v6(), dgram::socket_config{.dual_stack = true}),
        dgram::system_error, MessageMatches(StartsWith("open")));
  }
  CHECK_FALSE(socket.is_open());
  CHECK(test::open_descriptors() == descriptors);

  // Nothing of the failure stays: an IPv4 socket is none that maps addresses.
  socket.open(dgram::udp::v4());
  socket.bind(test::loopback_v4());
  CHECK(socket.local_endpoint().address().is_v4());
}

TEST_CASE_METHOD(host, "a socket whose configuration is refused is closed again", "[options]")
{
  SECTION("out of range")
  {
    const auto config = GENERATE(dgram::socket_config{.receive_buffer_size = -1},
                                 dgram::socket_config{.send_buffer_size = -1});
    socket.open(dgram::udp::v4(), config, ec);
    CHECK(ec == dgram::error::out_of_range);
    CHECK_THROWS_AS(dgram::udp::socket(io, test::loopback_v4(), config), dgram::system_error);
  }
  SECTION("an option of the other family")
  {
    const dgram::socket_config config{.v6_only = true};
    socket.open(dgram::udp::v4(), config, ec);
    CHECK(ec);
    CHECK_THROWS_AS(dgram::udp::socket(io, dgram::udp::v4(), config), dgram::system_error);
  }
  SECTION("a contradiction")
  {
    DGRAM_SKIP_WITHOUT_IPV6();
    const dgram::socket_config config{.dual_stack = true, .v6_only = true};
    socket.open(dgram::udp::v6(), config, ec);
    CHECK(ec == asio::error::invalid_argument);
  }
  CHECK_FALSE(socket.is_open());
  CHECK(test::open_descriptors() == descriptors);
}

TEST_CASE_METHOD(host, "opening an open socket leaves it as it is", "[options]")
{
  socket.open(dgram::udp::v4());
  socket.bind(test::loopback_v4());
  const auto local = socket.local_endpoint();
  socket.open(dgram::udp::dual(), ec);
  CHECK(ec == asio::error::already_open);
  socket.open(dgram::udp::v4(), {.receive_buffer_size = -1}, ec);
  CHECK(ec == asio::error::already_open);
  CHECK(socket.is_open());
  CHECK(socket.local_endpoint() == local);
  CHECK(script.setsockopt.calls() == 0);
}

TEST_CASE_METHOD(host, "the IPv4 part of an option that is refused is reported", "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  socket.open(dgram::udp::dual());
  dgram::option::hop_limit before;
  socket.get_option(before);
  script.setsockopt.push(fail(EPERM));
  socket.set_option(dgram::option::hop_limit(7), ec);
  CHECK(ec == system_error(EPERM));
  dgram::option::hop_limit after;
  socket.get_option(after);
  CHECK(after.value() == before.value());

  script.setsockopt.push(fail(EPERM));
  CHECK_THROWS_AS(socket.set_option(dgram::option::hop_limit(7)), dgram::system_error);
  socket.set_option(dgram::option::hop_limit(7), ec);
  CHECK_FALSE(ec);
  socket.get_option(after);
  CHECK(after.value() == 7);
  int v4 = 0;
  ::socklen_t size = sizeof v4;
  REQUIRE(::getsockopt(socket.native_handle(), IPPROTO_IP, IP_TTL, &v4, &size) == 0);
  CHECK(v4 == 7);
}

TEST_CASE_METHOD(host, "an option whose IPv4 part is refused leaves the IPv6 part as it was",
                 "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  namespace option = dgram::option;
  socket.open(dgram::udp::dual());
  const auto check = [&](const auto& first, const auto& second) {
    CAPTURE(to_string(second));
    socket.set_option(first);
    script.setsockopt.push(fail(EPERM));
    socket.set_option(second, ec);
    CHECK(ec == system_error(EPERM));
    auto read = first;
    socket.get_option(read);
    CHECK(to_string(read) == to_string(first));
  };
  check(option::hop_limit(7), option::hop_limit(8));
  check(option::multicast_hop_limit(7), option::multicast_hop_limit(8));
  check(option::multicast_loopback(false), option::multicast_loopback(true));
  check(option::traffic_class(7), option::traffic_class(8));
  const option::multicast_interface loopback{dgram::network_interface("127.0.0.1")};
  if (loopback.check()) SKIP("no interface has the address 127.0.0.1");
  socket.set_option(loopback);
  script.setsockopt.push(fail(EPERM));
  socket.set_option(option::multicast_interface(), ec);
  CHECK(ec == system_error(EPERM));
  option::multicast_interface read;
  socket.get_option(read);
  CHECK(read.index() == loopback.index());
}

TEST_CASE_METHOD(host, "an option that could not be put back is not set", "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  socket.open(dgram::udp::dual());
  const auto calls = script.setsockopt.calls();
  script.getsockopt.push(fail(ENOBUFS));
  socket.set_option(dgram::option::hop_limit(7), ec);
  CHECK(ec == system_error(ENOBUFS));
  CHECK(script.setsockopt.calls() == calls);
  dgram::option::hop_limit read;
  socket.get_option(read);
  CHECK(read.value() != 7);
}

TEST_CASE_METHOD(host, "an option whose IPv6 part can be set and not read is set in both parts",
                 "[options][F7]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  namespace option = dgram::option;
  socket.open(dgram::udp::dual());
  const int fd = socket.native_handle();
  const auto check = [&](const auto& wanted, int v4_name, int v6_name, int value) {
    CAPTURE(to_string(wanted));
    script.getsockopt.push(fail(ENOPROTOOPT));
    socket.set_option(wanted, ec);
    CHECK_FALSE(ec);
    dgram::error_code failure;
    CHECK(dgram::platform::get_int_option(fd, IPPROTO_IP, v4_name, failure) == value);
    CHECK(dgram::platform::get_int_option(fd, IPPROTO_IPV6, v6_name, failure) == value);
  };
  check(option::multicast_hop_limit(7), IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, 7);
  check(option::hop_limit(9), IP_TTL, IPV6_UNICAST_HOPS, 9);
  check(option::multicast_loopback(false), IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, 0);

  // If neither part can be read, nothing is set.
  script.getsockopt.push(fail(ENOPROTOOPT), 2);
  socket.set_option(option::hop_limit(10), ec);
  CHECK(ec == asio::error::operation_not_supported);
  option::hop_limit read;
  socket.get_option(read);
  CHECK(read.value() == 9);
}

TEST_CASE_METHOD(host,
                 "an option whose unreadable IPv6 part is refused leaves the IPv4 part as it was",
                 "[options][F7]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  socket.open(dgram::udp::dual());
  socket.set_option(dgram::option::hop_limit(7));
  refusing_socket refusing{socket.native_handle()};
  script.getsockopt.push(fail(ENOPROTOOPT));
  const dgram::option::hop_limit wanted(8);
  dgram::detail::set_both_parts(refusing, {wanted, asio::ip::udp::v4(), asio::ip::udp::v6()}, ec);
  CHECK(ec == system_error(EPERM));
  CHECK(dgram::platform::get_int_option(refusing.fd, IPPROTO_IP, IP_TTL, ec) == 7);
}

TEST_CASE_METHOD(host, "an option that the system does not know is operation_not_supported",
                 "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  socket.open(dgram::udp::dual());
  script.setsockopt.push(fail(ENOPROTOOPT));
  socket.set_option(dgram::option::traffic_class(7), ec);
  CHECK(ec == asio::error::operation_not_supported);
}

TEST_CASE_METHOD(host, "a membership of a socket that cannot leave is gone all the same",
                 "[options]")
{
  socket.open(dgram::udp::v4());
  script.setsockopt.push(test::claim(0));
  dgram::membership member(socket, dgram::multicast_group("239.1.2.3"));
  SECTION("by hand")
  {
    script.setsockopt.push(fail(ENODEV));
    member.leave(ec);
    CHECK(ec == system_error(ENODEV));
  }
  SECTION("by hand, throwing")
  {
    script.setsockopt.push(fail(ENODEV));
    CHECK_THROWS_MATCHES(member.leave(), dgram::system_error,
                         MessageMatches(StartsWith("leave \"239.1.2.3\": ")));
  }
  SECTION("in its place another")
  {
    script.setsockopt.push(test::claim(0));
    script.setsockopt.push(fail(ENODEV), 2);
    member = dgram::membership(socket, dgram::multicast_group("239.1.2.4"));
    member.leave(ec);
  }
  CHECK_FALSE(member.is_joined());
}

TEST_CASE_METHOD(host, "joining and leaving report what the kernel says", "[options]")
{
  const int error = GENERATE(EADDRINUSE, ENODEV, ENOBUFS);
  const dgram::multicast_group group("239.1.2.3");
  socket.open(dgram::udp::v4());
  script.setsockopt.always(fail(error));  // a join tries again if there is no room
  socket.join(group, ec);
  CHECK(ec == system_error(error));
  socket.leave(group, ec);
  CHECK(ec == system_error(error));
  CHECK_THROWS_AS(socket.join(group), dgram::system_error);
  CHECK_THROWS_AS(socket.leave(group), dgram::system_error);
}

TEST_CASE_METHOD(host, "a buffer size that cannot be read is reported", "[options]")
{
  socket.open(dgram::udp::v4());
  const bool sets = GENERATE(false, true);
  script.getsockopt.push(fail(ENOBUFS), 4);
  ec = {};
  CHECK((sets ? socket.set_receive_buffer_size(4096, ec) : socket.get_receive_buffer_size(ec)) ==
        0);
  CHECK(ec == system_error(ENOBUFS));
  ec = {};
  CHECK((sets ? socket.set_send_buffer_size(4096, ec) : socket.get_send_buffer_size(ec)) == 0);
  CHECK(ec == system_error(ENOBUFS));
  CHECK_THROWS_AS(sets ? socket.set_receive_buffer_size(4096) : socket.get_receive_buffer_size(),
                  dgram::system_error);
  CHECK_THROWS_AS(sets ? socket.set_send_buffer_size(4096) : socket.get_send_buffer_size(),
                  dgram::system_error);
  CHECK(socket.get_receive_buffer_size(ec) > 0);
  CHECK_FALSE(ec);
}

TEST_CASE_METHOD(host, "a buffer size that is refused is not read back", "[options]")
{
  socket.open(dgram::udp::v4());
  CHECK(socket.set_receive_buffer_size(0, ec) == 0);
  CHECK(ec == dgram::error::out_of_range);
  CHECK(socket.set_send_buffer_size(-1, ec) == 0);
  CHECK(ec == dgram::error::out_of_range);
  CHECK(script.getsockopt.calls() == 0);
}

TEST_CASE_METHOD(host, "a descriptor that cannot be looked at stays with its owner", "[options]")
{
  const std::size_t position = GENERATE(0U, 1U);  // its type, its family
  foreign_descriptor foreign(AF_INET, SOCK_DGRAM);
  script.getsockopt.push(test::pass(), position);
  script.getsockopt.push(fail(ENOTSOCK));
  SECTION("error code")
  {
    socket.assign(dgram::udp::v4(), foreign.fd, ec);
    CHECK(ec == asio::error::not_socket);
  }
  SECTION("exception")
  {
    CHECK_THROWS_AS(socket.assign(dgram::udp::v4(), foreign.fd), dgram::system_error);
  }
  SECTION("constructor")
  {
    CHECK_THROWS_AS(dgram::udp::socket(io, dgram::udp::v4(), foreign.fd), dgram::system_error);
  }
  CHECK_FALSE(socket.is_open());
  CHECK(is_valid(foreign.fd));
  CHECK(script.getsockopt.calls() == position + 1);

  socket.assign(dgram::udp::v4(), foreign.fd, ec);
  CHECK_FALSE(ec);
  CHECK(socket.native_handle() == std::exchange(foreign.fd, -1));
}

TEST_CASE_METHOD(host, "a descriptor that is no such socket stays with its owner", "[options]")
{
  const int type = GENERATE(SOCK_STREAM, SOCK_DGRAM);
  const int family = type == SOCK_STREAM ? AF_INET : AF_UNIX;
  foreign_descriptor foreign(family, type);
  socket.assign(dgram::udp::v4(), foreign.fd, ec);
  CHECK(ec == dgram::error::wrong_descriptor);
  CHECK_FALSE(socket.is_open());
  CHECK(is_valid(foreign.fd));
}

TEST_CASE_METHOD(
    host, "a descriptor that does not tell whether it coalesces is taken as one that does not",
    "[options]")
{
  if (!asks_for_coalescing) SKIP("this system has no coalescing");
  foreign_descriptor foreign(AF_INET, SOCK_DGRAM);
  script.getsockopt.push(test::pass(), looks_at_kind);
  script.getsockopt.push(fail(ENOPROTOOPT));
  socket.assign(dgram::udp::v4(), foreign.fd, ec);
  CHECK_FALSE(ec);
  CHECK(socket.native_handle() == std::exchange(foreign.fd, -1));
  CHECK(socket.is_open());
}

TEST_CASE_METHOD(host, "a descriptor that cannot be made dual-stack stays with its owner",
                 "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  foreign_descriptor foreign(AF_INET6, SOCK_DGRAM);
  const int only = 1;
  REQUIRE(::setsockopt(foreign.fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0);
  SECTION("the option cannot be read")
  {
    script.getsockopt.push(test::pass(), looks_at_kind);
    script.getsockopt.push(fail(ENOBUFS));
    socket.assign(dgram::udp::dual(), foreign.fd, ec);
    CHECK(ec == system_error(ENOBUFS));
  }
  SECTION("the option cannot be set")
  {
    script.setsockopt.push(fail(EINVAL));
    socket.assign(dgram::udp::dual(), foreign.fd, ec);
    CHECK(ec == asio::error::invalid_argument);
  }
  CHECK_FALSE(socket.is_open());
  CHECK(is_valid(foreign.fd));

  socket.assign(dgram::udp::dual(), foreign.fd, ec);
  CHECK_FALSE(ec);
  CHECK(socket.native_handle() == std::exchange(foreign.fd, -1));
}

TEST_CASE_METHOD(host, "a socket remembers nothing of a descriptor that it gave back", "[options]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  test::plain_peer peer(io, asio::ip::address_v6::loopback());
  foreign_descriptor foreign(AF_INET6, SOCK_DGRAM);
  const auto to = peer.endpoint();
  REQUIRE(::connect(foreign.fd, to.data(), static_cast<::socklen_t>(to.size())) == 0);
  script.getsockopt.push(test::pass(), looks_at_kind);
  script.getsockopt.push(fail(ENOBUFS));
  socket.assign(dgram::udp::dual(), foreign.fd, ec);
  REQUIRE(ec == system_error(ENOBUFS));

  CHECK(socket.send_to(asio::buffer("x", 1), to, 0, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK(socket.try_send_to(asio::buffer("x", 1), to, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
}

TEST_CASE_METHOD(host, "a descriptor that has no peer is taken over as not connected", "[options]")
{
  foreign_descriptor foreign(AF_INET, SOCK_DGRAM);
  script.getpeername.push(fail(ENOTCONN));
  socket.assign(dgram::udp::v4(), std::exchange(foreign.fd, -1));
  socket.disconnect(ec);
  CHECK(ec == asio::error::not_connected);
}

TEST_CASE_METHOD(host, "a descriptor whose peer cannot be asked for stays with its owner",
                 "[options]")
{
  test::plain_peer peer(io);
  foreign_descriptor foreign(AF_INET, SOCK_DGRAM);
  const auto to = peer.endpoint();
  REQUIRE(::connect(foreign.fd, to.data(), static_cast<::socklen_t>(to.size())) == 0);
  script.getpeername.push(fail(ENOBUFS));
  socket.assign(dgram::udp::v4(), foreign.fd, ec);
  CHECK(ec == system_error(ENOBUFS));
  CHECK_FALSE(socket.is_open());
  if (socket.is_open()) socket.release();
  CHECK(is_valid(foreign.fd));
}

TEST_CASE_METHOD(host, "a disconnect that is refused leaves the socket connected", "[options]")
{
  test::plain_peer peer(io);
  socket.connect(peer.endpoint());
  script.connect.push(fail(ENOBUFS), 2);
  socket.disconnect(ec);
  CHECK(ec == system_error(ENOBUFS));
  CHECK_THROWS_AS(socket.disconnect(), dgram::system_error);
  CHECK(socket.remote_endpoint() == peer.endpoint());
  script.connect.push(fail(ENOBUFS), 1);
  socket.reconnect(peer.endpoint(), ec);
  CHECK(ec == system_error(ENOBUFS));
  CHECK(socket.remote_endpoint() == peer.endpoint());
  CHECK(socket.send(asio::buffer("still", 5)) == 5);
  CHECK(peer.received(1) == std::vector<std::string>{"still"});

  socket.disconnect(ec);
  CHECK_FALSE(ec);
  CHECK(script.connect.calls() == 4);
  socket.remote_endpoint(ec);
  CHECK(ec == asio::error::not_connected);
}

TEST_CASE_METHOD(host, "a reconnect leaves no datagram of the old peer in the queue", "[options]")
{
  test::plain_peer old(io);
  test::plain_peer next(io);
  socket.connect(old.endpoint());
  old.send_numbers(3, socket.local_endpoint());
  socket.reconnect(next.endpoint(), ec);
  CHECK_FALSE(ec);
  std::array<char, 16> storage{};
  socket.try_receive(asio::buffer(storage), ec);
  CHECK(ec == asio::error::would_block);
  next.send("new", socket.local_endpoint());
  CHECK(socket.try_receive(asio::buffer(storage)) == 3);
}

TEST_CASE_METHOD(host, "a disconnect that ends as the BSDs end it has succeeded", "[options]")
{
  test::plain_peer peer(io);
  socket.connect(peer.endpoint());
  script.connect.push(fail(EAFNOSUPPORT));
  socket.disconnect(ec);
  CHECK_FALSE(ec);
  socket.disconnect(ec);
  CHECK(ec == asio::error::not_connected);
}

TEST_CASE_METHOD(host, "disconnecting what is not connected does not ask the kernel", "[options]")
{
  socket.disconnect(ec);
  CHECK(ec == asio::error::bad_descriptor);
  socket.open(dgram::udp::v4());
  socket.disconnect(ec);
  CHECK(ec == asio::error::not_connected);
  CHECK(script.connect.calls() == 0);
}

}  // namespace options_test
