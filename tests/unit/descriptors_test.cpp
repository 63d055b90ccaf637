// SPDX-License-Identifier: BSL-1.0
// Descriptors that close themselves, that pass between processes, and that become sockets.
#include <dgram/descriptors.hpp>

#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"
#include "support/thrown_text.hpp"

#include <dgram/reader.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace descriptors_test {

using Catch::Matchers::ContainsSubstring;
using dgram::owned_descriptor;
using dgram::socket_kind;
using dgram::unix_dgram;

namespace {

bool is_open(int descriptor)
{
  return ::fcntl(descriptor, F_GETFD) != -1;
}

owned_descriptor open_file()
{
  return owned_descriptor(::open("/dev/null", O_RDONLY));
}

owned_descriptor open_socket(int family, int type)
{
  return owned_descriptor(::socket(family, type, 0));
}

}  // namespace

TEST_CASE("an owned descriptor is closed once, by its last owner", "[descriptors]")
{
  owned_descriptor none;
  CHECK_FALSE(none);
  CHECK(none.get() == -1);
  auto first = open_file();
  const int number = first.get();
  REQUIRE(first);
  owned_descriptor second(std::move(first));
  CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): a moved owner has none
  CHECK(is_open(number));
  SECTION("by the destructor")
  {
    {
      const owned_descriptor last(std::move(second));
    }
    CHECK_FALSE(is_open(number));
  }
  SECTION("by a move onto it")
  {
    second = open_file();
    CHECK_FALSE(is_open(number));
    auto& same = second;
    second = std::move(same);
    CHECK(is_open(second.get()));
  }
  SECTION("by close, which may be repeated")
  {
    second.close();
    second.close();
    CHECK_FALSE(second);
    CHECK_FALSE(is_open(number));
  }
  SECTION("not after release")
  {
    CHECK(second.release() == number);
    second.close();
    CHECK(is_open(number));
    ::close(number);
  }
}

TEST_CASE("a descriptor's kind is what the kernel says", "[descriptors]")
{
  CHECK(dgram::kind_of(open_socket(AF_INET, SOCK_DGRAM).get()) == socket_kind::udp4);
  if (test::has_ipv6()) {
    CHECK(dgram::kind_of(open_socket(AF_INET6, SOCK_DGRAM).get()) == socket_kind::udp6);
    CHECK(dgram::kind_of(open_socket(AF_INET6, SOCK_STREAM).get()) == socket_kind::tcp6);
  }
  CHECK(dgram::kind_of(open_socket(AF_INET, SOCK_STREAM).get()) == socket_kind::tcp4);
  CHECK(dgram::kind_of(open_socket(AF_UNIX, SOCK_DGRAM).get()) == socket_kind::unix_datagram);
  CHECK(dgram::kind_of(open_socket(AF_UNIX, SOCK_STREAM).get()) == socket_kind::unix_stream);
  CHECK(dgram::kind_of(open_socket(AF_UNIX, SOCK_SEQPACKET).get()) == socket_kind::unix_seqpacket);
  CHECK(dgram::kind_of(open_file().get()) == socket_kind::no_socket);
  CHECK(dgram::kind_of(-1) == socket_kind::not_open);
#if defined(__linux__)
  const owned_descriptor other(::socket(AF_NETLINK, SOCK_DGRAM, 0));
  if (other) CHECK(dgram::kind_of(other.get()) == socket_kind::other_socket);
#endif
  for (int i = 0; i <= static_cast<int>(socket_kind::not_open); ++i) {
    const auto kind = static_cast<socket_kind>(i);
    CHECK(to_string(kind) != "of an unknown kind");
    CHECK(dgram::is_datagram(kind) == (i <= static_cast<int>(socket_kind::unix_datagram)));
  }
}

TEST_CASE("a descriptor becomes a socket that knows what it is", "[descriptors]")
{
  asio::io_context io;
  SECTION("IPv4, in programs that this one starts it is closed")
  {
    dgram::udp::socket before{io, test::loopback_v4()};
    const auto local = before.local_endpoint();
    owned_descriptor descriptor(before.release());
    ::fcntl(descriptor.get(), F_SETFD, 0);
    auto after = dgram::adopt<dgram::udp>(io, std::move(descriptor));
    CHECK(after.local_endpoint() == local);
    CHECK((::fcntl(after.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  SECTION("IPv6 for both families")
  {
    if (!test::has_ipv6()) SKIP("this host has no IPv6");
    dgram::udp::socket before{io, dgram::udp::any(0)};
    const auto port = before.local_endpoint().port();
    auto after = dgram::adopt<dgram::udp>(io, owned_descriptor(before.release()));
    dgram::udp::socket client{io, test::loopback_v4()};
    client.send_to(asio::buffer("x", 1), test::loopback_v4(port));
    std::array<char, 8> storage{};
    dgram::udp::endpoint sender;
    CHECK(after.receive_from(asio::buffer(storage), sender) == 1);
    // As an IPv4 address, and not in mapped form.
    CHECK(sender == client.local_endpoint());
  }
  SECTION("IPv6 alone")
  {
    if (!test::has_ipv6()) SKIP("this host has no IPv6");
    dgram::udp::socket before{io, dgram::udp::v6()};
    before.set_option(dgram::option::v6_only(true));
    auto after = dgram::adopt<dgram::udp>(io, owned_descriptor(before.release()));
    dgram::error_code ec;
    after.send_to(asio::buffer("x", 1), test::loopback_v4(9), 0, ec);
    CHECK(ec);
  }
  SECTION("a Unix socket")
  {
    auto after = dgram::adopt<unix_dgram>(io.get_executor(), open_socket(AF_UNIX, SOCK_DGRAM));
    CHECK(after.is_open());
  }
}

TEST_CASE("a descriptor of another kind is refused by its name, and closed", "[descriptors]")
{
  asio::io_context io;
  auto tcp = open_socket(AF_INET, SOCK_STREAM);
  const int number = tcp.get();
  const auto text = test::thrown_text(dgram::error::wrong_descriptor,
                                      [&] { dgram::adopt<dgram::udp>(io, std::move(tcp)); });
  CHECK_THAT(text, ContainsSubstring("descriptor " + std::to_string(number) + ": TCP over IPv4"));
  CHECK_FALSE(is_open(number));
  CHECK_THAT(
      test::thrown_text(dgram::error::wrong_descriptor,
                        [&] { dgram::adopt<unix_dgram>(io, open_socket(AF_INET, SOCK_DGRAM)); }),
      ContainsSubstring("UDP over IPv4"));
  CHECK_THAT(
      test::thrown_text(dgram::error::wrong_descriptor,
                        [&] { dgram::adopt<dgram::udp>(io, open_socket(AF_UNIX, SOCK_DGRAM)); }),
      ContainsSubstring("Unix datagrams"));
  CHECK_THAT(test::thrown_text(dgram::error::wrong_descriptor,
                               [&] { dgram::adopt<dgram::udp>(io, open_file()); }),
             ContainsSubstring("no socket"));
  CHECK_THAT(test::thrown_text(asio::error::bad_descriptor,
                               [&] { dgram::adopt<dgram::udp>(io, owned_descriptor()); }),
             ContainsSubstring("descriptor -1: not open"));
}

TEST_CASE("descriptors pass over a Unix datagram in order", "[descriptors][unix]")
{
  asio::io_context io;
  const test::temporary_directory directory;
  unix_dgram::socket server{io, directory / "server"};
  unix_dgram::socket client{io, unix_dgram()};
  dgram::udp::socket udp{io, test::loopback_v4()};
  const auto tcp = open_socket(AF_INET, SOCK_STREAM);
  const std::array passed{udp.native_handle(), tcp.get()};
  const unix_dgram::endpoint to(directory / "server");
  unix_dgram::receive_batch batch(4);
  batch.reserve_control(64);
  SECTION("to an address")
  {
    CHECK(dgram::send_descriptors(client, asio::buffer("two", 3), passed, to) == 3);
  }
  SECTION("to the connected peer")
  {
    client.connect(to);
    CHECK(dgram::send_descriptors(client, asio::buffer("two", 3), passed) == 3);
  }
  SECTION("from a batch, by the same control messages")
  {
    dgram::control_writer control;
    REQUIRE(control.add_descriptors(passed));
    unix_dgram::send_batch out(1);
    out.push("two", to, dgram::send_options{.control = control.bytes()});
    CHECK(client.send_batch(out).sent == 1);
  }
  REQUIRE(server.receive_batch(batch) == 1);
  CHECK(batch[0].payload().text() == "two");
  auto taken = dgram::take_descriptors(batch[0]);
  REQUIRE(taken.size() == 2);
  CHECK(dgram::kind_of(taken[1].get()) == socket_kind::tcp4);
  const auto same = dgram::adopt<dgram::udp>(io, std::move(taken[0]));
  CHECK(same.local_endpoint() == udp.local_endpoint());
  CHECK(dgram::take_descriptors(batch[0]).empty());
  CHECK(is_open(tcp.get()));
}

TEST_CASE("numbers of descriptors that no datagram passes are refused", "[descriptors][unix]")
{
  asio::io_context io;
  const test::temporary_directory directory;
  unix_dgram::socket server{io, directory / "server"};
  unix_dgram::socket client{io, unix_dgram()};
  const unix_dgram::endpoint to(directory / "server");
  const std::vector<int> most(dgram::control_writer::max_descriptors, client.native_handle());
  CHECK(most.size() == 12);
  CHECK(dgram::send_descriptors(client, asio::buffer("x", 1), most, to) == 1);
  auto beyond = most;
  beyond.push_back(0);
  CHECK_THAT(
      test::thrown_text(dgram::error::out_of_range,
                        [&] { dgram::send_descriptors(client, asio::buffer("x", 1), beyond, to); }),
      ContainsSubstring("number of descriptors 13; allowed are 1 to 12"));
  dgram::error_code ec;
  CHECK(dgram::send_descriptors(client, asio::buffer("x", 1), {}, to, ec) == 0);
  CHECK(ec == dgram::error::out_of_range);
  const std::array closed{9999};
  CHECK(dgram::send_descriptors(client, asio::buffer("x", 1), closed, to, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
  client.connect(to);
  CHECK(dgram::send_descriptors(client, asio::buffer("x", 1), beyond, ec) == 0);
  CHECK(ec == dgram::error::out_of_range);
  CHECK_THAT(
      test::thrown_text(dgram::error::out_of_range,
                        [&] { dgram::send_descriptors(client, asio::buffer("x", 1), beyond); }),
      ContainsSubstring("number of descriptors 13; allowed are 1 to 12"));
  // Only the first was sent.
  unix_dgram::receive_batch batch(4);
  CHECK(server.receive_batch(batch) == 1);
}

}  // namespace descriptors_test
