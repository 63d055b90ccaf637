// SPDX-License-Identifier: BSL-1.0
// What can go wrong on Windows alone, and one use of each layer; without Catch2. It builds on other systems too, to see what
// it says of them.

#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/multicast.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using dgram::error_code;
using endpoint = asio::ip::udp::endpoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

int failures = 0;

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                         \
    }                                                                     \
  } while (false)

#define CHECK_EQUAL(ec, expected)                                                   \
  do {                                                                              \
    const error_code found = ec;                                                    \
    if (found != (expected)) {                                                      \
      std::printf("%s:%d: %s is %d (%s)\n", __FILE__, __LINE__, #ec, found.value(), \
                  found.message().c_str());                                         \
      ++failures;                                                                   \
    }                                                                               \
  } while (false)

#define CHECK_CLEAR(ec)                                                                            \
  do {                                                                                             \
    if (ec) {                                                                                      \
      std::printf("%s:%d: error %d (%s)\n", __FILE__, __LINE__, ec.value(), ec.message().c_str()); \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (false)

struct skipped {
  std::string reason;
};

endpoint v4(std::uint16_t port = 0)
{
  return {asio::ip::address_v4::loopback(), port};
}

endpoint v6(std::uint16_t port = 0)
{
  return {asio::ip::address_v6::loopback(), port};
}

void need_ipv6()
{
  asio::io_context io;
  error_code ec;
  asio::ip::udp::socket probe(io);
  probe.open(asio::ip::udp::v6(), ec);
  if (!ec) probe.bind(v6(), ec);
  if (ec) throw skipped{"no IPv6 loopback here: " + ec.message()};
}

/// Wine hands most to the system below it, and some things are as they are there.
bool is_wine()
{
#if defined(_WIN32)
  const ::HMODULE library = ::GetModuleHandleA("ntdll.dll");
  return library != nullptr && ::GetProcAddress(library, "wine_get_version") != nullptr;
#else
  return false;
#endif
}

/// Runs a coroutine to its end; one that hangs fails.
void run(asio::io_context& io, asio::awaitable<void> coroutine)
{
  std::exception_ptr thrown;
  bool finished = false;
  asio::co_spawn(io, std::move(coroutine), [&](std::exception_ptr failure) {
    thrown = failure;
    finished = true;
    io.stop();
  });
  io.run_for(seconds(10));
  if (thrown) std::rethrow_exception(thrown);
  CHECK(finished);
}

std::string receive_text(dgram::udp::socket& socket, endpoint& sender)
{
  std::array<char, 64> buffer;
  const std::size_t size = socket.receive_from(asio::buffer(buffer), sender);
  return {buffer.data(), size};
}

// --- the socket ---

void sends_and_receives()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  client.send_to(asio::buffer("hello", 5), server.local_endpoint());
  endpoint sender;
  CHECK(receive_text(server, sender) == "hello");
  CHECK(sender.port() == client.local_endpoint().port());
  server.send_to(asio::buffer("you", 3), sender);
  CHECK(receive_text(client, sender) == "you");
  CHECK(sender == server.local_endpoint());
}

void never_blocks()
{
  asio::io_context io;
  dgram::udp::socket socket(io, v4());
  std::array<char, 16> buffer;
  endpoint sender;
  CHECK(!socket.try_receive_from(asio::buffer(buffer), sender));
  dgram::receive_batch batch(4, 64);
  error_code ec;
  socket.try_receive_batch(batch, ec);
  CHECK_EQUAL(ec, asio::error::would_block);
}

void tells_of_truncation()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  client.send_to(asio::buffer("0123456789", 10), server.local_endpoint());
  client.send_to(asio::buffer("abc", 3), server.local_endpoint());
  dgram::receive_batch batch(4, 4);
  std::vector<std::pair<std::string, bool>> received;
  while (received.size() < 2) {
    CHECK(server.receive_batch(batch) > 0);
    for (const auto& datagram : batch)
      received.emplace_back(datagram.payload().text(), datagram.truncated());
    if (batch.empty()) return;
  }
  CHECK((received[0] == std::pair{std::string("0123"), true}));
  CHECK((received[1] == std::pair{std::string("abc"), false}));
  CHECK(server.statistics().truncated == 1);
}

void takes_an_empty_datagram()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  client.send_to(asio::buffer("", 0), server.local_endpoint());
  dgram::receive_batch batch(4, 64);
  CHECK(server.receive_batch(batch) == 1);
  CHECK(batch[0].payload().size() == 0);
}

void serves_both_families()
{
  need_ipv6();
  asio::io_context io;
  dgram::udp::socket server(io, endpoint(dgram::udp::v6(), 0), {.dual_stack = true});
  const std::uint16_t port = server.local_endpoint().port();
  dgram::udp::socket four(io, v4());
  dgram::udp::socket six(io, v6());
  endpoint sender;
  four.send_to(asio::buffer("four", 4), v4(port));
  CHECK(receive_text(server, sender) == "four");
  CHECK(sender == four.local_endpoint());
  server.send_to(asio::buffer("4", 1), sender);
  CHECK(receive_text(four, sender) == "4");
  six.send_to(asio::buffer("six", 3), v6(port));
  CHECK(receive_text(server, sender) == "six");
  CHECK(sender == six.local_endpoint());
  server.send_to(asio::buffer("6", 1), sender);
  CHECK(receive_text(six, sender) == "6");
}

void knows_its_address_before_it_has_one()
{
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::v4());
  error_code ec;
  CHECK(socket.local_endpoint(ec) == endpoint(asio::ip::udp::v4(), 0));
  CHECK_CLEAR(ec);
  socket.close();
  socket.local_endpoint(ec);
  CHECK_EQUAL(ec, asio::error::bad_descriptor);
}

endpoint dead_endpoint()
{
  asio::io_context io;
  return dgram::udp::socket(io, v4()).local_endpoint();
}

void reports_that_nobody_is_there()
{
  asio::io_context io;
  const endpoint dead = dead_endpoint();
  dgram::udp::socket client(io, dgram::udp::v4());
  client.connect(dead);
  client.send(asio::buffer("x", 1));
  run(io, [](dgram::udp::socket& socket) -> asio::awaitable<void> {
    dgram::reader reader(socket, {.slots = 4, .slot_size = 64});
    error_code ec;
    static_cast<void>(co_await reader.next_for(seconds(2), ec));
    if (is_wine() && ec == asio::error::timed_out) throw skipped{"Wine tells of no refusal"};
    CHECK_EQUAL(ec, asio::error::connection_refused);
  }(client));
}

void goes_on_when_one_of_many_is_not_there()
{
  asio::io_context io;
  const endpoint dead = dead_endpoint();
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  server.send_to(asio::buffer("x", 1), dead);
  client.send_to(asio::buffer("still here", 10), server.local_endpoint());
  run(io, [](dgram::udp::socket& socket) -> asio::awaitable<void> {
    dgram::receive_batch batch(4, 64);
    co_await socket.async_receive_batch(batch);
    CHECK(batch.size() == 1);
    CHECK(batch[0].payload().text() == "still here");
  }(server));
}

void connects_and_disconnects()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, v4());
  const auto before = client.local_endpoint();
  client.connect(server.local_endpoint());
  CHECK(client.remote_endpoint() == server.local_endpoint());
  error_code ec;
  client.connect(server.local_endpoint(), ec);
  CHECK_CLEAR(ec);
  CHECK(client.remote_endpoint() == server.local_endpoint());
  if (is_wine()) return;  // Linux takes the port away, and Wine lets no socket bind again
  client.disconnect(ec);
  CHECK_CLEAR(ec);
  client.remote_endpoint(ec);
  CHECK_EQUAL(ec, asio::error::not_connected);
  CHECK(client.local_endpoint().port() == before.port());
  client.send_to(asio::buffer("again", 5), server.local_endpoint());
  endpoint sender;
  CHECK(receive_text(server, sender) == "again");
}

void keeps_its_address_for_itself()
{
  asio::io_context io;
  dgram::udp::socket first(io, v4());
  dgram::udp::socket thief(io);
  thief.open(dgram::udp::v4(), {.reuse_address = true});
  error_code ec;
  thief.bind(first.local_endpoint(), ec);
  CHECK(ec == asio::error::address_in_use || ec == asio::error::access_denied);
  dgram::udp::socket shared(io);
  shared.open(dgram::udp::v4(), {.reuse_address = true});
  shared.bind(v4(), ec);
  CHECK_CLEAR(ec);
  dgram::udp::socket sharing(io);
  sharing.open(dgram::udp::v4(), {.reuse_address = true});
  sharing.bind(shared.local_endpoint(), ec);
  CHECK_CLEAR(ec);
}

void sets_options()
{
  namespace option = dgram::option;
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::v4());
  socket.set_option(option::hop_limit(7));
  option::hop_limit hops;
  socket.get_option(hops);
  CHECK(hops.value() == 7);
  socket.set_option(option::broadcast(true));
  option::broadcast broadcast;
  socket.get_option(broadcast);
  CHECK(broadcast.value());
  CHECK(socket.set_receive_buffer_size(1 << 18) >= 1U << 18);
  error_code ec;
  socket.set_option(option::hop_limit(256), ec);
  CHECK_EQUAL(ec, dgram::error::out_of_range);
  socket.send_to(asio::buffer("x", 1), dead_endpoint(), 0, ec);
  CHECK_CLEAR(ec);
}

#if defined(_WIN32)
void names_what_windows_lacks()
{
  namespace option = dgram::option;
  asio::io_context io;
  dgram::udp::socket socket(io, v4());
  error_code ec;
  const auto refused = [&](const auto& wanted) {
    socket.set_option(wanted, ec);
    if (ec != asio::error::operation_not_supported) std::puts(to_string(wanted).c_str());
    CHECK_EQUAL(ec, asio::error::operation_not_supported);
  };
  refused(option::reuse_port(true));
  refused(option::coalescing(true));
  refused(option::receive_all_groups(false));
  refused(option::path_mtu_discovery(dgram::option::path_mtu::require));
  refused(option::freebind(true));
  refused(option::transparent(true));
  refused(option::busy_poll(50));
  refused(option::forced_receive_buffer_size(1 << 20));
  refused(option::receive_timestamp(true));
  refused(option::receive_drop_count(true));
  refused(option::receive_error(true));
  socket.path_mtu(v4(9), ec);
  CHECK_EQUAL(ec, asio::error::operation_not_supported);
  socket.send_to(asio::buffer("x", 1), v4(9), dgram::send_options{.hop_limit = 3}, ec);
  CHECK_EQUAL(ec, asio::error::operation_not_supported);
  CHECK(std::string_view(dgram::platform::backend::name) == "windows");
}
#endif

void takes_over_a_descriptor()
{
  asio::io_context io;
#if defined(_WIN32)
  // Wine gives no descriptor of Asio's up.
  const ::SOCKET descriptor =
      ::WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, nullptr, 0, WSA_FLAG_OVERLAPPED);
#else
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM, 0);
#endif
  dgram::udp::socket socket(io);
  error_code ec;
  socket.assign(dgram::udp::v6(), descriptor, ec);
  CHECK_EQUAL(ec, dgram::error::wrong_descriptor);
  socket.assign(dgram::udp::v4(), descriptor);
  socket.bind(v4());
  const endpoint local = socket.local_endpoint();
  std::array<char, 16> buffer;
  endpoint sender;
  CHECK(!socket.try_receive_from(asio::buffer(buffer), sender));
  dgram::udp::socket client(io, dgram::udp::v4());
  client.send_to(asio::buffer("x", 1), local);
  CHECK(receive_text(socket, sender) == "x");
}

// --- metadata ---

void knows_what_was_asked()
{
  asio::io_context io;
  dgram::udp::socket server(io, endpoint(dgram::udp::v4(), 0));
  error_code ec;
  server.set_option(dgram::option::packet_info(true), ec);
  if (ec) throw skipped{"option::packet_info: " + ec.message()};
  dgram::udp::socket client(io, v4());
  client.send_to(asio::buffer("x", 1), v4(server.local_endpoint().port()));
  dgram::receive_batch batch(4, 64);
  CHECK(server.receive_batch(batch) == 1);
  if (batch.empty()) return;
  const auto local = batch[0].local_address();
  if (!local) throw skipped{"the system took option::packet_info, and told nothing"};
  CHECK(*local == v4().address());
  CHECK(batch[0].interface_index() != 0);
  server.send_to(asio::buffer("y", 1), batch[0].reply_path(), ec);
  CHECK_CLEAR(ec);
  endpoint sender;
  CHECK(receive_text(client, sender) == "y");
  CHECK(sender.address() == v4().address());
}

void knows_the_hop_limit()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  error_code ec;
  server.set_option(dgram::option::receive_hop_limit(true), ec);
  if (ec) throw skipped{"option::receive_hop_limit: " + ec.message()};
  dgram::udp::socket client(io, v4());
  client.set_option(dgram::option::hop_limit(9));
  client.send_to(asio::buffer("x", 1), server.local_endpoint());
  dgram::receive_batch batch(4, 64);
  CHECK(server.receive_batch(batch) == 1);
  if (!batch[0].hop_limit())
    throw skipped{"the system took option::receive_hop_limit, and told nothing"};
  CHECK(*batch[0].hop_limit() == 9);
}

void knows_the_traffic_class()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  error_code ec;
  server.set_option(dgram::option::receive_ecn(true), ec);
  if (ec) throw skipped{"option::receive_ecn: " + ec.message()};
  dgram::udp::socket client(io, v4());
  client.send_to(asio::buffer("x", 1), server.local_endpoint());
  dgram::receive_batch batch(4, 64);
  CHECK(server.receive_batch(batch) == 1);
  if (!batch[0].dscp()) throw skipped{"the system took option::receive_ecn, and told nothing"};
  CHECK(*batch[0].dscp() == 0);
}

// --- multicast ---

dgram::network_interface loopback_interface()
{
  return dgram::network_interface(asio::ip::address(asio::ip::address_v4::loopback()));
}

void finds_interfaces()
{
  error_code ec;
  const auto entries = dgram::platform::interfaces(ec);
  CHECK_CLEAR(ec);
  bool loopback = false;
  for (const auto& entry : entries) {
    const unsigned index = dgram::platform::interface_index(entry.name);
    CHECK(index != 0);
    CHECK(dgram::platform::interface_name(index) == entry.name);
    loopback = loopback || entry.is_loopback;
  }
  CHECK(loopback);
  CHECK(loopback_interface().index(ec) != 0);
  CHECK_CLEAR(ec);
  dgram::network_interface("no such interface").index(ec);
  CHECK_EQUAL(ec, dgram::error::unknown_interface);
}

void joins_a_group()
{
  asio::io_context io;
  const dgram::multicast_group group("239.255.77.78");
  dgram::udp::socket receiver(io);
  receiver.open(dgram::udp::v4(), {.reuse_address = true});
  error_code ec;
  receiver.join(group, loopback_interface(), ec);                    // before it is bound, too
  const bool knows_indices = ec != asio::error::no_protocol_option;  // Wine 8 does not
  if (!knows_indices)
    receiver.set_option(asio::ip::multicast::join_group(asio::ip::make_address_v4("239.255.77.78"),
                                                        asio::ip::address_v4::loopback()),
                        ec);
  CHECK_CLEAR(ec);
  receiver.bind(endpoint(asio::ip::udp::v4(), 0));
  dgram::udp::socket sender(io, v4());
  sender.set_option(dgram::option::multicast_interface(loopback_interface()));
  sender.set_option(dgram::option::multicast_loopback(true));
  const endpoint to(group.address(), receiver.local_endpoint().port());
  sender.send_to(asio::buffer("group", 5), to);
  run(io, [](dgram::udp::socket& socket) -> asio::awaitable<void> {
    dgram::reader reader(socket, {.slots = 4, .slot_size = 64});
    const auto datagram = co_await reader.next_for(seconds(2));
    CHECK(datagram && datagram->payload().text() == "group");
  }(receiver));
  if (knows_indices) receiver.leave(group, loopback_interface(), ec);
  CHECK_CLEAR(ec);
  receiver.join(dgram::multicast_group("192.0.2.1"), ec);
  CHECK_EQUAL(ec, dgram::error::not_multicast);
}

// --- batches, reader and writer ---

void moves_batches()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, v4());
  dgram::send_batch out(32);
  for (int i = 0; i < 32; ++i) {
    const std::array<char, 2> parts{static_cast<char>('A' + i % 26), static_cast<char>(i)};
    out.push(asio::buffer(parts), server.local_endpoint());
    CHECK(client.send_batch(out).sent == 1);
  }
  std::vector<int> order;
  run(io, [](dgram::udp::socket& socket, std::vector<int>& seen) -> asio::awaitable<void> {
    dgram::receive_batch in(8, 64);
    while (seen.size() < 32) {
      co_await socket.async_receive_batch(in);
      for (const auto& datagram : in)
        seen.push_back(datagram.payload().text()[1]);
    }
  }(server, order));
  CHECK(order.size() == 32);
  for (std::size_t i = 0; i < order.size(); ++i)
    CHECK(order[i] == static_cast<int>(i));
}

void sends_segments_one_by_one()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, v4());
  run(io, [](dgram::udp::socket& from, dgram::udp::socket& to) -> asio::awaitable<void> {
    const std::string payload = "aaaabbbbcc";
    const auto result =
        co_await from.async_send_segments(asio::buffer(payload), 4, to.local_endpoint());
    CHECK(result.sent == 3);
    std::string received;
    dgram::receive_batch in(8, 64);
    for (std::size_t count = 0; count < 3; count += in.size()) {
      co_await to.async_receive_batch(in);
      for (const auto& datagram : in)
        received.append(datagram.payload().text()).append("|");
    }
    CHECK(received == "aaaa|bbbb|cc|");
  }(client, server));
}

asio::awaitable<void> echo(dgram::udp::socket& socket)
{
  dgram::reader reader(socket, {.slots = 16, .slot_size = 2048});
  dgram::writer writer(reader);
  while (auto datagram = co_await reader.next())
    co_await writer.send(datagram->payload(), datagram->reply_path());
}

void echoes_with_reader_and_writer()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, v4());
  asio::co_spawn(io, echo(server), asio::detached);
  run(io, [](dgram::udp::socket& socket, endpoint to) -> asio::awaitable<void> {
    dgram::reader reader(socket, {.slots = 16, .slot_size = 2048});
    for (int round = 0; round < 200; ++round) {
      const std::string text = "echo " + std::to_string(round);
      co_await socket.async_send_to(asio::buffer(text), to, asio::use_awaitable);
      const auto datagram = co_await reader.next_for(seconds(5));
      CHECK(datagram && datagram->payload().text() == text);
      if (!datagram) co_return;
    }
  }(client, server.local_endpoint()));
}

void waits_no_longer_than_asked()
{
  asio::io_context io;
  dgram::udp::socket socket(io, v4());
  dgram::udp::socket client(io, v4());
  run(io, [](dgram::udp::socket& from, dgram::udp::socket& to) -> asio::awaitable<void> {
    dgram::reader reader(to, {.slots = 4, .slot_size = 64});
    const auto nothing = co_await reader.next_for(milliseconds(20));
    CHECK(!nothing);
    from.send_to(asio::buffer("late", 4), to.local_endpoint());
    const auto late = co_await reader.next_for(seconds(5));
    CHECK(late && late->payload().text() == "late");
  }(client, socket));
}

void ends_pending_operations_when_it_closes()
{
  asio::io_context io;
  dgram::udp::socket socket(io, v4());
  dgram::receive_batch batch(4, 64);
  std::array<char, 16> buffer;
  endpoint sender;
  int aborted = 0;
  const auto count = [&](error_code ec, std::size_t) {
    CHECK(ec == asio::error::operation_aborted || (is_wine() && ec));  // Wine: "handles closed"
    ++aborted;
  };
  socket.async_receive_batch(batch, count);
  socket.async_receive_from(asio::buffer(buffer), sender, count);
  asio::post(io, [&] { socket.cancel(); });
  io.run_for(seconds(5));
  CHECK(aborted == 2);
  io.restart();
  socket.async_receive_batch(batch, count);
  socket.async_receive_from(asio::buffer(buffer), sender, count);
  asio::post(io, [&] { socket.close(); });
  io.run_for(seconds(5));
  CHECK(aborted == 4);
}

// --- names ---

void looks_names_up()
{
  asio::io_context io;
  dgram::udp::socket server(io, v4());
  dgram::udp::socket client(io, dgram::udp::v4());
  run(io, [](dgram::udp::socket& from, std::uint16_t port) -> asio::awaitable<void> {
    co_await dgram::async_send_to(from, asio::buffer("name", 4), "localhost", std::to_string(port),
                                  asio::use_awaitable);
  }(client, server.local_endpoint().port()));
  endpoint sender;
  CHECK(receive_text(server, sender) == "name");
}

// --- the emitter, and what is known of the system ---

void emits_events()
{
  asio::io_context io;
  std::string events;
  auto server = dgram::create_socket(io, dgram::udp4);
  auto client = dgram::create_socket(io, dgram::udp4);
  server.on<dgram::event::message>([&](dgram::bytes_view bytes, const dgram::remote_info& from) {
    events.append("message ").append(bytes.text()).append("|");
    server.send("back", from.port, "127.0.0.1");
  });
  client.on<dgram::event::message>([&](dgram::bytes_view bytes, const dgram::remote_info&) {
    events.append("reply ").append(bytes.text()).append("|");
    server.close();
    client.close();
  });
  server.on<dgram::event::listening>(
      [&] { client.send("there", server.address().port, "127.0.0.1"); });
  server.bind(0, "127.0.0.1");
  io.run_for(seconds(10));
  CHECK(events == "message there|reply back|");
}

void names_errors()
{
  using dgram::platform::error_name;
  CHECK(error_name(asio::error::address_in_use) == "EADDRINUSE");
  CHECK(error_name(asio::error::would_block) == "EAGAIN");
  CHECK(error_name(asio::error::operation_aborted) == "ECANCELED");
  CHECK(error_name(asio::error::host_not_found) == "ENOTFOUND");
  CHECK(error_name(dgram::platform::no_such_device()) == "ENODEV");
}

void knows_its_capabilities()
{
  const dgram::system_capabilities& can = dgram::capabilities(dgram::udp::v4());
  CHECK(can.available);
#if defined(_WIN32)
  CHECK(can.backend == "windows");
  CHECK(can.datagrams_per_call == 1);
  CHECK(can.max_segments == 1);
  CHECK(!can.coalescing);
  CHECK(!can.receive_timestamp);
  CHECK(!can.receive_error);
#endif
  CHECK(can.packet_info);
  CHECK(dgram::supports<dgram::option::hop_limit>());
}

void refuses_what_a_supervisor_passes()
{
  asio::io_context io;
  dgram::udp::socket socket{io, "127.0.0.1:0"};
  error_code ec;
  CHECK(!dgram::store_in_systemd("name", socket, ec));
  CHECK_EQUAL(ec, asio::error::operation_not_supported);
  try {
    dgram::inherited_sockets();
    CHECK(!"inherited_sockets must throw");
  } catch (const dgram::system_error& failure) {
    CHECK_EQUAL(failure.code(), asio::error::operation_not_supported);
  }
  dgram::owned_descriptor descriptor(::socket(AF_INET, SOCK_DGRAM, 0));
  CHECK(dgram::kind_of(descriptor.get()) == dgram::socket_kind::udp4);
  CHECK(dgram::adopt<dgram::udp>(io, std::move(descriptor)).is_open());
}

struct test {
  const char* name;
  void (*function)();
};

#define TEST(function)  \
  test                  \
  {                     \
    #function, function \
  }

constexpr test tests[] = {
    TEST(sends_and_receives),
    TEST(never_blocks),
    TEST(tells_of_truncation),
    TEST(takes_an_empty_datagram),
    TEST(serves_both_families),
    TEST(knows_its_address_before_it_has_one),
    TEST(reports_that_nobody_is_there),
    TEST(goes_on_when_one_of_many_is_not_there),
    TEST(connects_and_disconnects),
    TEST(keeps_its_address_for_itself),
    TEST(sets_options),
#if defined(_WIN32)
    TEST(names_what_windows_lacks),
#endif
    TEST(takes_over_a_descriptor),
    TEST(knows_what_was_asked),
    TEST(knows_the_hop_limit),
    TEST(knows_the_traffic_class),
    TEST(finds_interfaces),
    TEST(joins_a_group),
    TEST(moves_batches),
    TEST(sends_segments_one_by_one),
    TEST(echoes_with_reader_and_writer),
    TEST(waits_no_longer_than_asked),
    TEST(ends_pending_operations_when_it_closes),
    TEST(looks_names_up),
    TEST(emits_events),
    TEST(names_errors),
    TEST(knows_its_capabilities),
    TEST(refuses_what_a_supervisor_passes),
};

}  // namespace

int main()
{
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  for (const test& each : tests) {
    const int before = failures;
    try {
      each.function();
    } catch (const skipped& why) {
      std::printf("skipped  %s: %s\n", each.name, why.reason.c_str());
      continue;
    } catch (const std::exception& failure) {
      std::printf("threw: %s\n", failure.what());
      ++failures;
    }
    std::printf("%s  %s\n", failures == before ? "passed " : "FAILED ", each.name);
  }
  std::printf("%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
