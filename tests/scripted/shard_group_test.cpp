// SPDX-License-Identifier: BSL-1.0
// Groups on a Linux that refuses the program which selects a member: an old kernel or a sandbox.
#include "support/asio.hpp"

#if defined(__linux__)

#include "support/loopback.hpp"
#include "support/scripted_system.hpp"
#include "support/thrown_text.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

namespace shard_group_test {

namespace {

using Catch::Matchers::ContainsSubstring;
using dgram::shard_group;

struct without_steering : test::scripted {
  without_steering()
  {
    test::script.option_verdict = [this](int level, int name) {
      return level == SOL_SOCKET && name == SO_ATTACH_REUSEPORT_CBPF ? error : 0;
    };
  }

  const int error = GENERATE(ENOPROTOOPT, EPERM);
  asio::io_context io;
};

}  // namespace

TEST_CASE_METHOD(without_steering, "a group without steering refuses more members and says so",
                 "[shard_group]")
{
  shard_group group{test::loopback_v4(), {.keep_sessions = true}};
  auto first = group.open(io);
  dgram::error_code ec;
  auto second = group.open(io, ec);
  CHECK(ec == asio::error::operation_not_supported);
  CHECK_FALSE(second.is_open());
  CHECK(group.size() == 1);
  constexpr const char* advice =
      "member 1: this system cannot steer datagrams to sockets that share a port; serve with one "
      "member";
  CHECK_THAT(test::thrown_text([&] { group.open(io); }), ContainsSubstring(advice));
  CHECK_THAT(test::thrown_text([] { shard_group(test::loopback_v4(), {.reserve = 2}); }),
             ContainsSubstring(advice));

  // The one member serves sessions.
  dgram::udp::listener listener{first};
  listener.async_for_each(
      [&](const dgram::udp::session_ref& session, const dgram::datagram& datagram) {
        CHECK(session.try_send(datagram.payload()));
        listener.stop();
      },
      [](dgram::error_code) {});
  dgram::udp::socket client(io, test::loopback_v4());
  client.send_to(asio::buffer("question"), group.local_endpoint());
  io.run();
  std::array<char, 16> answer;
  dgram::udp::endpoint from;
  CHECK(client.try_receive_from(asio::buffer(answer), from) == sizeof "question");
  CHECK(from == group.local_endpoint());
  CHECK(group.statistics().at(0).received == 1);
}

TEST_CASE_METHOD(without_steering, "a group without steering has its port alone", "[shard_group]")
{
  const shard_group group{test::loopback_v4()};
  dgram::error_code ec;
  dgram::udp::socket other(io);
  other.open(dgram::udp::v4());
  other.set_option(dgram::option::reuse_port(true));
  other.bind(group.local_endpoint(), ec);
  CHECK(ec == asio::error::address_in_use);

  const dgram::udp::socket shared(io, test::loopback_v4(), {.reuse_port = true});
  CHECK_THAT(test::thrown_text([&] { shard_group again(shared.local_endpoint()); }),
             ContainsSubstring("EADDRINUSE"));
}

TEST_CASE_METHOD(without_steering, "a group without steering leaves an inherited socket as it was",
                 "[shard_group]")
{
  const bool shares = GENERATE(false, true);
  dgram::udp::socket socket(io, test::loopback_v4(), {.reuse_port = shares});
  shard_group group{dgram::owned_descriptor(socket.release())};
  const auto member = group.open(io);
  dgram::option::reuse_port is_shared;
  member.get_option(is_shared);
  CHECK(is_shared.value() == shares);
}

}  // namespace shard_group_test

#endif
