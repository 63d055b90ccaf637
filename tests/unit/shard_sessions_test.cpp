// SPDX-License-Identifier: BSL-1.0
// Sessions of a group of shards that keeps them: datagrams that come to another member are
// forwarded.
#include <dgram/shard_group.hpp>

#include "support/loopback.hpp"
#include "support/steering.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shard_sessions_test {

using dgram::listener_config;
using dgram::listener_statistics;
using dgram::session_id;
using dgram::shard_group;

namespace {

constexpr dgram::shard_group_config keeping{.keep_sessions = true};

/// A member with its context, on which a listener answers each datagram with its own bytes.
struct member {
  explicit member(shard_group& group, const listener_config& config = {},
                  dgram::udp::listener::key_function key_of = {})
      : socket(group.open(io)),
        listener(std::make_unique<dgram::udp::listener>(socket, config, std::move(key_of)))
  {
    listener->async_for_each(
        [this](const dgram::udp::session_ref& session, const dgram::datagram& datagram) {
          served[session.id()].push_back(std::string(datagram.payload().text()));
          CHECK(session.try_send(datagram.payload()));
        },
        [](dgram::error_code) {});
  }
  member(const member&) = delete;
  member& operator=(const member&) = delete;

  listener_statistics count() const { return listener->statistics(); }

  asio::io_context io;
  dgram::udp::socket socket;
  std::unique_ptr<dgram::udp::listener> listener;
  std::map<session_id, std::vector<std::string>> served;
};

/// A peer, which sees where answers come from.
struct peer {
  explicit peer(const dgram::udp::endpoint& to) : socket(io, test::loopback_v4()), server(to) {}

  void send(const std::string& payload) { socket.send_to(asio::buffer(payload), server); }

  /// Returns the answer that waits, or nothing.
  std::string answer()
  {
    std::array<char, 64> bytes;
    dgram::udp::endpoint from;
    const auto size = socket.try_receive_from(asio::buffer(bytes), from);
    if (!size) return {};
    CHECK(from == server);
    return {bytes.data(), *size};
  }

  dgram::udp::endpoint address() const { return socket.local_endpoint(); }

  asio::io_context io;
  dgram::udp::socket socket;
  dgram::udp::endpoint server;
};

/// Runs everything that is ready, until nothing is.
void run(const std::vector<member*>& members)
{
  for (int idle = 0; idle < 3; ++idle)
    for (member* const each : members) {
      each->io.restart();
      if (each->io.poll() > 0) idle = 0;
    }
}

std::uint64_t places_of(const listener_statistics& s)
{
  return s.handed_over + s.queued + s.unread + s.inbox_full + s.inboxes_full + s.sessions_full +
         s.unaccepted_full + s.not_accepting + s.rejected + s.ignored + s.unkeyed + s.failed +
         s.forwarded + s.forwards_dropped;
}

struct crowd {
  crowd(const shard_group& group, std::size_t count)
  {
    for (std::size_t i = 0; i < count; ++i)
      peers.push_back(std::make_unique<peer>(group.local_endpoint()));
  }

  void send(const std::string& payload)
  {
    for (const auto& each : peers)
      each->send(payload);
  }

  /// How many have this answer, and no other.
  std::size_t answered(const std::string& payload)
  {
    std::size_t count = 0;
    for (const auto& each : peers) {
      if (each->answer() == payload) ++count;
      CHECK(each->answer().empty());
    }
    return count;
  }

  std::size_t of_member(const shard_group& group, std::size_t index) const
  {
    std::size_t count = 0;
    for (const auto& each : peers)
      count += group.member_of(each->address()) == index ? 1U : 0U;
    return count;
  }

  std::vector<std::unique_ptr<peer>> peers;
};

/// Each client gets a session at the only member.
void begin(crowd& clients, member& first)
{
  clients.send("1");
  run({&first});
  REQUIRE(clients.answered("1") == 40);
}

}  // namespace

TEST_CASE("sessions of senders that move to a new member stay with their old one", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  REQUIRE(first.listener->size() == 40);
  REQUIRE(first.count().taken_over == 0);

  member second(group);
  const std::size_t moved = clients.of_member(group, 1);
  REQUIRE(moved > 0);
  clients.send("2");
  run({&first, &second});
  CHECK(clients.answered("2") == 40);
  CHECK(first.listener->size() == 40);
  CHECK(second.listener->size() == 0);
  CHECK(second.count().forwarded == moved);
  CHECK(first.count().taken_over == moved);
  for (const auto& [id, payloads] : first.served)
    CHECK(payloads == std::vector<std::string>{"1", "2"});

  // A new sender's session is where the kernel sends its datagrams.
  crowd strangers(group, 40);
  strangers.send("3");
  run({&first, &second});
  CHECK(strangers.answered("3") == 40);
  CHECK(second.listener->size() == strangers.of_member(group, 1));
  CHECK(second.count().forwarded == moved);
  for (member* const each : {&first, &second})
    CHECK(places_of(each->count()) == each->count().received);
}

TEST_CASE("a group that does not keep sessions forwards nothing", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4()};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  member second(group);
  clients.send("2");
  run({&first, &second});
  CHECK(clients.answered("2") == 40);
  CHECK(second.listener->size() == clients.of_member(group, 1));
  CHECK(second.count().forwarded == 0);
  CHECK(first.count().taken_over == 0);
}

TEST_CASE("when a session ends, its peer is at home again", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  member second(group);
  for (auto session : first.listener->sessions())
    session.close();
  const std::size_t moved = clients.of_member(group, 1);
  clients.send("2");
  run({&first, &second});
  CHECK(clients.answered("2") == 40);
  CHECK(second.listener->size() == moved);
  CHECK(first.listener->size() == 40 - moved);
  CHECK(second.count().forwarded == 0);
}

TEST_CASE("a member that is drained serves its sessions until its listener ends", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group), second(group);
  crowd clients(group, 40);
  const std::size_t of_second = clients.of_member(group, 1);
  REQUIRE(of_second > 0);
  clients.send("1");
  run({&first, &second});
  REQUIRE(clients.answered("1") == 40);
  REQUIRE(second.listener->size() == of_second);

  bool is_drained = false;
  group.async_drain_last([&](dgram::error_code ec) { is_drained = !ec; });
  while (!is_drained) {
    second.io.restart();
    second.io.run_one();
  }
  clients.send("2");
  run({&first, &second});
  CHECK(clients.answered("2") == 40);
  CHECK(second.count().taken_over == of_second);
  CHECK(first.listener->size() == 40 - of_second);

  // The sessions of the member that goes away cannot stay.
  bool is_closed = false;
  group.async_close_last([&](dgram::error_code ec) { is_closed = !ec; });
  while (!is_closed) {
    second.io.restart();
    second.io.run_one();
  }
  run({&first, &second});
  CHECK(second.listener->is_stopped());
  CHECK(second.count().stopped == of_second);
  clients.send("3");
  run({&first, &second});
  CHECK(clients.answered("3") == 40);
  CHECK(first.listener->size() == 40);
  CHECK(first.count().forwarded == of_second);
  CHECK(places_of(second.count()) == second.count().received);
}

TEST_CASE("senders that moved away and back have the session that they had", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  for (int round = 0; round < 3; ++round) {
    member second(group);
    clients.send("2");
    run({&first, &second});
    CHECK(clients.answered("2") == 40);
    CHECK(second.listener->size() == 0);
    bool is_closed = false;
    group.async_close_last([&](dgram::error_code ec) { is_closed = !ec; });
    while (!is_closed) {
      second.io.restart();
      second.io.run_one();
    }
    clients.send("3");
    run({&first});
    CHECK(clients.answered("3") == 40);
  }
  CHECK(first.listener->size() == 40);
  CHECK(first.count().created == 40);
}

TEST_CASE("a batch is forwarded with one post", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  member second(group);
  const std::size_t moved = clients.of_member(group, 1);
  REQUIRE(moved > 2);
  for (const auto& each : clients.peers)
    if (group.member_of(each->address()) == 1) each->send("2");
  run({&second});
  REQUIRE(second.count().forwarded == moved);
  first.io.restart();
  REQUIRE(first.io.poll_one() == 1);
  CHECK(first.count().taken_over == moved);
  CHECK(first.count().handed_over == 40 + moved);
  run({&first});
  CHECK(clients.answered("2") == moved);
}

TEST_CASE("what is forwarded and not taken has a limit", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group, {.forwarded_bytes = 1});  // so one piece of 96 KiB
  crowd clients(group, 40);
  begin(clients, first);
  member second(group);
  peer* moved = nullptr;
  for (const auto& each : clients.peers)
    if (group.member_of(each->address()) == 1) moved = each.get();
  REQUIRE(moved != nullptr);
  constexpr std::size_t size = 8000;
  constexpr std::size_t sent = 30;
  for (std::size_t i = 0; i < sent; ++i) {
    moved->send(std::string(size, 'x'));
    run({&second});
  }
  // The piece is filled while any datagram fits, and there is no other.
  const std::size_t fitted = second.count().forwarded;
  CHECK(second.count().received == sent);
  CHECK(fitted > 1);
  CHECK(fitted * size <= std::size_t{96} * 1024);
  CHECK(second.count().forwards_dropped == sent - fitted);
  CHECK(places_of(second.count()) == second.count().received);
  run({&first});
  CHECK(first.count().taken_over == fitted);
  moved->send("again");
  run({&first, &second});
  CHECK(first.count().taken_over == fitted + 1);
  CHECK(first.served.size() == 40);
}

TEST_CASE("many batches of one datagram do not use the limit up", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  member second(group), third(group);
  // Two members forward to the first one in turns, which takes nothing.
  std::vector<peer*> moved;
  for (const auto& each : clients.peers)
    if (group.member_of(each->address()) != 0) moved.push_back(each.get());
  REQUIRE(moved.size() > 1);
  constexpr std::size_t rounds = 20;
  for (std::size_t i = 0; i < rounds; ++i)
    for (peer* const each : moved) {
      each->send(std::to_string(i));
      run({&second, &third});
    }
  const std::size_t sent = rounds * moved.size();
  CHECK(second.count().forwarded + third.count().forwarded == sent);
  CHECK(second.count().forwards_dropped + third.count().forwards_dropped == 0);
  run({&first});
  CHECK(first.count().taken_over == sent);
  // Each session has got its datagrams in their order.
  std::vector<std::string> expected{"1"};
  for (std::size_t i = 0; i < rounds; ++i)
    expected.push_back(std::to_string(i));
  for (peer* const each : moved)
    CHECK(first.served[first.listener->find(each->address()).id()] == expected);
}

/// Two members that forward to the first one, which has two pieces of memory for that. The second
/// one can call a function in the middle of a batch, so what it forwards waits for the batch's end.
struct two_that_forward {
  two_that_forward() : clients(group, 40)
  {
    clients.send("1");
    run({&first});
    CHECK(clients.answered("1") == 40);
    second = std::make_unique<member>(group);
    third = std::make_unique<member>(group);
    for (const auto& each : clients.peers) {
      if (group.member_of(each->address()) == 1) of_second = each.get();
      if (group.member_of(each->address()) == 2) of_third = each.get();
    }
    REQUIRE(of_second != nullptr);
    REQUIRE(of_third != nullptr);
  }

  /// Lets the second member forward a datagram, and call the function before its batch ends.
  void forward_and_call(const std::function<void()>& function)
  {
    second->listener->cancel();
    run({second.get()});
    second->listener->async_for_each(
        [&](const dgram::udp::session_ref&, const dgram::datagram&) { function(); },
        [](dgram::error_code) {});
    std::unique_ptr<peer> stranger;
    do
      stranger = std::make_unique<peer>(group.local_endpoint());
    while (group.member_of(stranger->address()) != 1);
    of_second->send("2");
    stranger->send("call");
    run({second.get()});
    second->listener->cancel();
    run({second.get()});
  }

  void forward_by_third(const std::string& payload)
  {
    of_third->send(payload);
    run({third.get()});
  }

  const std::vector<std::string>& served(const peer& from)
  {
    return first.served[first.listener->find(from.address()).id()];
  }

  shard_group group{test::loopback_v4(), keeping};
  member first{group, {.forwarded_bytes = std::size_t{192} * 1024}};
  crowd clients;
  std::unique_ptr<member> second, third;
  peer* of_second = nullptr;
  peer* of_third = nullptr;
};

TEST_CASE("what one member forwards stays in order while another one forwards too", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  two_that_forward members;
  members.forward_by_third("2");
  members.forward_and_call([&] { members.forward_by_third("3"); });
  run({&members.first});
  CHECK(members.served(*members.of_third) == std::vector<std::string>{"1", "2", "3"});
  CHECK(members.served(*members.of_second) == std::vector<std::string>{"1", "2"});
}

TEST_CASE("what two members forward to a listener that ends goes to another, or is dropped",
          "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  two_that_forward members;
  members.forward_by_third("2");
  members.forward_and_call([&] { members.first.listener->close(); });
  std::uint64_t forwarded = 0, taken_over = 0;
  for (const member* const each : {&members.first, members.second.get(), members.third.get()}) {
    CHECK(places_of(each->count()) == each->count().received);
    forwarded += each->count().forwarded;
    taken_over += each->count().taken_over;
  }
  // What the third member had forwarded before is new at the second one.
  CHECK(taken_over == forwarded);
  CHECK(members.first.count().taken_over == 0);
  CHECK(members.second->listener->find(members.of_third->address()));
}

TEST_CASE("a key finds its session at another member", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  const auto key_of = [](const dgram::datagram& datagram) {
    return dgram::session_key::at(datagram.payload(), 0, 4);
  };
  member first(group, {}, key_of), second(group, {}, key_of);
  crowd addresses(group, 20);
  REQUIRE(addresses.of_member(group, 0) % 20 > 0);
  for (const auto& each : addresses.peers) {
    each->send("key1");
    run({&first, &second});
  }
  // The session is where the first datagram came. The others find it, whatever their address.
  const std::size_t home = group.member_of(addresses.peers.front()->address());
  const member& owner = home == 0 ? first : second;
  CHECK(first.listener->size() + second.listener->size() == 1);
  CHECK(owner.listener->size() == 1);
  CHECK(owner.count().handed_over == 20);
  CHECK(owner.count().taken_over == addresses.of_member(group, 1 - home));
}

TEST_CASE("a key that another member gets while a stranger is looked at is at that member",
          "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  const auto key_of = [](const dgram::datagram& datagram) {
    return dgram::session_key::at(datagram.payload(), 0, 4);
  };
  member first(group, {}, key_of), second(group, {}, key_of);
  crowd addresses(group, 40);
  peer* of_first = nullptr;
  peer* of_second = nullptr;
  for (const auto& each : addresses.peers)
    (group.member_of(each->address()) == 0 ? of_first : of_second) = each.get();
  REQUIRE(of_first != nullptr);
  REQUIRE(of_second != nullptr);
  // The first listener makes the session while the function of the second one decides.
  second.listener->on_stranger([&](const dgram::datagram&, dgram::stranger&) {
    of_first->send("key1 by first");
    run({&first});
    return true;
  });
  of_second->send("key1 by second");
  run({&second, &first});
  CHECK(second.listener->size() == 0);
  CHECK(second.count().forwarded == 1);
  CHECK(second.count().sessions_full == 0);
  CHECK(first.listener->size() == 1);
  REQUIRE(first.served.size() == 1);
  CHECK(first.served.begin()->second ==
        std::vector<std::string>{"key1 by first", "key1 by second"});
  for (member* const each : {&first, &second})
    CHECK(places_of(each->count()) == each->count().received);
}

TEST_CASE("two members never have the same key", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group), second(group);
  crowd clients(group, 20);
  clients.send("1");
  run({&first, &second});
  REQUIRE(clients.answered("1") == 20);
  std::optional<dgram::udp::endpoint> of_first, of_second;
  for (const auto& each : clients.peers)
    (group.member_of(each->address()) == 0 ? of_first : of_second) = each->address();
  REQUIRE((of_first && of_second));
  const auto session = first.listener->find(*of_first);
  const dgram::session_key key{"name"};
  CHECK_FALSE(session.add_key(*of_second));
  CHECK(session.add_key(key));
  CHECK_FALSE(second.listener->find(*of_second).add_key(key));
  CHECK(session.remove_key(key));
  CHECK(second.listener->find(*of_second).add_key(key));
  const auto path = dgram::make_reply_path(group.local_endpoint(), *of_second);
  CHECK_FALSE(session.set_peer(path));
  second.listener->find(*of_second).close();
  CHECK(session.add_key(key));
  CHECK(session.set_peer(path));
}

TEST_CASE("a listener that ends leaves its peers to the others", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const int how = GENERATE(0, 1, 2, 3);
  CAPTURE(how);
  shard_group group{test::loopback_v4(), keeping};
  auto first = std::make_unique<member>(group);
  crowd clients(group, 40);
  clients.send("1");
  run({first.get()});
  REQUIRE(clients.answered("1") == 40);
  member second(group);
  const std::size_t moved = clients.of_member(group, 1);
  REQUIRE(moved > 0);
  clients.send("2");
  run({&second});
  REQUIRE(second.count().forwarded == moved);
  // Now parcels wait for the first listener.
  std::optional<listener_statistics> left;
  if (how == 0) first->listener->close();
  if (how == 1) first->listener->stop();
  if (how <= 1) left = first->count();
  if (how == 2) first->listener.reset();
  if (how == 3) first.reset();
  if (left) {
    CHECK(left->taken_over == 0);
    CHECK(left->unread == 0);
    CHECK(places_of(*left) == left->received);
  }
  // The other listener gets them back, from strangers.
  run({&second});
  CHECK(second.count().taken_over == moved);
  CHECK(clients.answered("2") == moved);
  for (const auto& each : clients.peers)
    if (group.member_of(each->address()) == 1) each->send("3");
  run({&second});
  CHECK(clients.answered("3") == moved);
  CHECK(second.listener->size() == moved);
  CHECK(second.count().forwards_dropped == 0);
}

TEST_CASE("what is forwarded as a listener ends is counted as dropped or unread", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  member first(group);
  crowd clients(group, 40);
  begin(clients, first);
  auto second = std::make_unique<member>(group);
  clients.send("2");
  run({second.get()});
  // The function for datagrams closes the listener in the middle of what was forwarded.
  const std::size_t moved = clients.of_member(group, 1);
  REQUIRE(moved > 1);
  first.listener->cancel();
  first.io.restart();
  first.io.poll_one();
  first.listener->async_for_each(
      [&](const dgram::udp::session_ref&, const dgram::datagram&) { first.listener->close(); },
      [](dgram::error_code) {});
  run({&first});
  CHECK(places_of(first.count()) == first.count().received);
}

TEST_CASE("sessions that wait in coroutines get what is forwarded", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(), keeping};
  asio::io_context io;
  std::vector<dgram::udp::socket> sockets;
  std::vector<std::unique_ptr<dgram::udp::listener>> listeners;
  const auto open = [&] {
    sockets.push_back(group.open(io));
    listeners.push_back(std::make_unique<dgram::udp::listener>(sockets.back()));
    asio::co_spawn(
        io, listeners.back()->serve([](dgram::udp::session session) -> asio::awaitable<void> {
          int count = 0;
          while (auto question = co_await session.next())
            co_await session.send(std::to_string(++count));
        }),
        asio::detached);
  };
  sockets.reserve(2);
  open();
  crowd clients(group, 40);
  const auto poll = [&] {
    for (int i = 0; i < 5; ++i) {
      io.restart();
      io.poll();
    }
  };
  clients.send("?");
  poll();
  REQUIRE(clients.answered("1") == 40);
  open();
  for (int i = 2; i < 5; ++i) {
    clients.send("?");
    poll();
    CHECK(clients.answered(std::to_string(i)) == 40);
  }
  CHECK(listeners[1]->size() == 0);
  for (const auto& each : listeners)
    each->stop();
  poll();
}

TEST_CASE("whatever selects the member, a session gets its datagrams", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shard_group group{test::loopback_v4(),
                    {.steering = dgram::steer_by_payload{}, .keep_sessions = true}};
  member first(group), second(group);
  peer client(group.local_endpoint());
  for (const char* const payload : {"0", "1", "2", "3"}) {
    client.send(payload);
    run({&first, &second});
    CHECK(client.answer() == payload);
  }
  CHECK(first.listener->size() == 1);
  CHECK(second.listener->size() == 0);
  CHECK(second.count().forwarded == 2);
}

TEST_CASE("a context that ends with its listener leaves the peers to the others", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  auto group = std::make_unique<shard_group>(test::loopback_v4(), keeping);
  auto io = std::make_unique<asio::io_context>();
  asio::co_spawn(
      *io,
      [](shard_group& of) -> asio::awaitable<void> {
        dgram::udp::socket socket = of.open(co_await asio::this_coro::executor);
        dgram::udp::listener listener{socket};
        co_await listener.serve([](dgram::udp::session session) -> asio::awaitable<void> {
          while (auto question = co_await session.next())
            co_await session.send(question->payload());
        });
      }(*group),
      asio::detached);
  const auto poll = [&] {
    for (int i = 0; i < 5; ++i) {
      io->restart();
      io->poll();
    }
  };
  poll();
  crowd clients(*group, 40);
  clients.send("1");
  poll();
  REQUIRE(clients.answered("1") == 40);
  member second(*group);
  const std::size_t moved = clients.of_member(*group, 1);
  REQUIRE(moved > 0);
  // The listeners share what they need without the group.
  std::vector<peer*> of_second;
  for (const auto& each : clients.peers)
    if (group->member_of(each->address()) == 1) of_second.push_back(each.get());
  group.reset();
  const auto send = [&](const char* payload) {
    for (peer* const each : of_second)
      each->send(payload);
    run({&second});
  };
  send("2");
  CHECK(second.count().forwarded == moved);
  poll();
  CHECK(clients.answered("2") == moved);
  send("3");
  CHECK(second.count().forwarded == 2 * moved);
  io.reset();
  run({&second});
  CHECK(clients.answered("3") == moved);  // which the other listener did not take
  send("4");
  CHECK(clients.answered("4") == moved);
  CHECK(second.listener->size() == moved);
  CHECK(second.count().forwards_dropped == 0);
}

}  // namespace shard_sessions_test
