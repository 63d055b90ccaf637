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
#include <cstddef>
#include <string>
#include <vector>

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
      "member, or set share_queue";
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

TEST_CASE_METHOD(without_steering, "members that read one queue lose nothing when one ends",
                 "[shard_group]")
{
  const std::size_t reserve = GENERATE(1U, 3U);
  shard_group group{test::loopback_v4(), {.reserve = reserve, .share_queue = true}};
  CHECK(group.shares_queue());
  std::vector<dgram::udp::socket> members;
  for (int i = 0; i < 3; ++i)
    members.push_back(group.open(io));
  dgram::udp::socket client(io, test::loopback_v4());
  const auto send = [&](int count) {
    for (int i = 0; i < count; ++i)
      client.send_to(asio::buffer("?", 1), group.local_endpoint());
  };
  const auto take = [](dgram::udp::socket& member) {
    std::array<char, 4> bytes;
    dgram::udp::endpoint from;
    return member.try_receive_from(asio::buffer(bytes), from).has_value();
  };
  send(10);
  for (auto& member : members)
    CHECK(take(member));
  // Nothing waits for one member alone.
  dgram::error_code drained = asio::error::would_block, closed = asio::error::would_block;
  group.async_drain_last([&](dgram::error_code ec) { drained = ec; });
  io.run();
  CHECK_FALSE(drained);
  CHECK(take(members[2]));
  CHECK_FALSE(group.statistics().at(2).is_steered_to);
  group.async_close_last([&](dgram::error_code ec) { closed = ec; });
  io.restart();
  io.run();
  CHECK_FALSE(closed);
  CHECK_FALSE(members[2].is_open());
  CHECK(group.size() == 2);
  for (int i = 0; i < 3; ++i)
    CHECK(take(members[1]));
  members.clear();  // also a member that the program closes
  send(3);
  group.async_close_last(
      asio::bind_executor(io.get_executor(), [&](dgram::error_code ec) { closed = ec; }));
  io.restart();
  io.run();
  CHECK_FALSE(closed);
  members.push_back(group.open(io));
  int left = 0;
  while (take(members.back()))
    ++left;
  CHECK(left == 6);
}

TEST_CASE_METHOD(without_steering, "members wait at one queue, and one of them gets the datagram",
                 "[shard_group]")
{
  shard_group group{test::loopback_v4(), {.share_queue = true}};
  auto first = group.open(io), second = group.open(io);
  int received = 0;
  const auto receive = [&](dgram::udp::socket& member) -> asio::awaitable<void> {
    dgram::reader reader{member};
    while (co_await reader.next_batch())
      ++received;
  };
  asio::co_spawn(io, receive(first), asio::detached);
  asio::co_spawn(io, receive(second), asio::detached);
  dgram::udp::socket client(io, test::loopback_v4());
  for (int round = 1; round <= 20; ++round) {
    client.send_to(asio::buffer("?", 1), group.local_endpoint());
    io.run_for(test::milliseconds(1));
    io.poll();
    CHECK(received == round);
  }
  // One that closes leaves the others their queue.
  second.close();
  io.poll();
  client.send_to(asio::buffer("?", 1), group.local_endpoint());
  io.run_for(test::milliseconds(1));
  CHECK(received == 21);
  first.close();
  io.run();
  CHECK(group.statistics().at(0).received + group.statistics().at(1).received == 21);
}

TEST_CASE_METHOD(without_steering, "a member changes nothing for others that read the same queue",
                 "[shard_group]")
{
  shard_group group{test::loopback_v4(), {.share_queue = true}};
  auto first = group.open(io), second = group.open(io);
  const dgram::reader reader{first};
  test::plain_peer client(io);
  client.send_run(std::string(50, 't'), 10,
                  test::plain_peer::native_endpoint(group.local_endpoint()));
  std::array<char, 64> bytes;
  dgram::udp::endpoint from;
  for (int i = 0; i < 5; ++i)
    CHECK(second.try_receive_from(asio::buffer(bytes), from) == 10U);

  const auto result_of = [](auto&& call) {
    dgram::error_code ec;
    call(ec);
    return ec;
  };
  const dgram::error_code refused = asio::error::operation_not_supported;
  const dgram::udp::endpoint peer = from;
  CHECK(result_of([&](auto& ec) { second.connect(peer, ec); }) == refused);
  CHECK(result_of([&](auto& ec) { second.set_option(dgram::option::coalescing(true), ec); }) ==
        refused);
  CHECK(result_of([&](auto& ec) { second.set_option(dgram::option::receive_error(true), ec); }) ==
        refused);
  CHECK(result_of([&](auto& ec) { second.non_blocking(false, ec); }) == refused);
  CHECK(result_of([&](auto& ec) { second.native_non_blocking(false, ec); }) == refused);
  CHECK(result_of([&](auto& ec) {
          second.send_to(asio::buffer("?", 1), peer, {.timestamp = true}, ec);
        }) == refused);
  CHECK_FALSE(result_of([&](auto& ec) { second.non_blocking(true, ec); }));
  // Another datagram is not refused, and a socket that is opened again is no member.
  CHECK(second.send_to(asio::buffer("?", 1), peer) == 1);
  second.close();
  second.open(dgram::udp::v4());
  CHECK_FALSE(result_of([&](auto& ec) { second.connect(peer, ec); }));
}

TEST_CASE_METHOD(without_steering, "a member that gets no descriptor says what to do",
                 "[shard_group]")
{
  shard_group group{test::loopback_v4(), {.share_queue = true}};
  const auto first = group.open(io);
  test::script.duplicate.push(test::fail(EMFILE));
  const std::string text = test::thrown_text([&] { group.open(io); });
  CHECK_THAT(text, ContainsSubstring("member 1: the process has as many descriptors as it may; "
                                     "raise its limit (RLIMIT_NOFILE)"));
  CHECK(group.size() == 1);
  CHECK(group.open(io).is_open());
}

TEST_CASE_METHOD(without_steering, "one member has a session if several members read the queue",
                 "[shard_group]")
{
  shard_group group{test::loopback_v4(), {.keep_sessions = true, .share_queue = true}};
  struct member {
    explicit member(shard_group& of) : socket(of.open(io)), listener(socket)
    {
      listener.async_for_each(
          [this](const dgram::udp::session_ref& session, const dgram::datagram& datagram) {
            ++served;
            CHECK(session.try_send(datagram.payload()));
          },
          [](dgram::error_code) {});
    }

    asio::io_context io;
    dgram::udp::socket socket;
    dgram::udp::listener listener;
    int served = 0;
  };
  member first(group), second(group);
  const auto run = [](member& one, member& other) {
    for (int i = 0; i < 3; ++i)
      for (member* const each : {&one, &other})
        each->io.poll();
  };
  std::vector<dgram::udp::socket> clients;
  for (int i = 0; i < 20; ++i)
    clients.emplace_back(io, test::loopback_v4());
  const auto send = [&] {
    for (auto& client : clients)
      client.send_to(asio::buffer("?", 1), group.local_endpoint());
  };
  send();
  run(first, second);
  CHECK(first.listener.size() == 20);
  send();
  run(second, first);
  CHECK(first.served == 40);
  CHECK(second.listener.size() == 0);
  CHECK(second.listener.statistics().forwarded == 20);
  for (auto& client : clients) {
    std::array<char, 4> bytes;
    dgram::udp::endpoint from;
    for (int i = 0; i < 2; ++i) {
      CHECK(client.try_receive_from(asio::buffer(bytes), from));
      CHECK(from == group.local_endpoint());
    }
  }
}

}  // namespace shard_group_test

#endif
