// SPDX-License-Identifier: BSL-1.0
// What programs do with asio::ip::udp::socket, written once, built with Asio's type and with ours.

#if defined(DROP_IN_DGRAM)
#include <dgram.hpp>
#endif

#include <asio.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

// The only line that a program changes.
#if defined(DROP_IN_DGRAM)
using udp = dgram::udp;
template <class Executor>
using socket_on = dgram::basic_socket<udp, Executor>;
#else
using udp = asio::ip::udp;
template <class Executor>
using socket_on = asio::basic_datagram_socket<udp, Executor>;
#endif

using asio::ip::address_v4;
using error_code = std::error_code;

udp::endpoint loopback(unsigned short port = 0)
{
  return udp::endpoint(address_v4::loopback(), port);
}

/// Runs until nothing is left to do, and fails instead of hanging.
void run(asio::io_context& io)
{
  io.restart();
  io.run_for(std::chrono::seconds(10));
  REQUIRE(io.stopped());
}

/// Returns once there is something to receive, so that a blocking call after it cannot hang.
template <class Socket>
void await_readable(asio::io_context& io, Socket& socket)
{
  bool ready = false;
  socket.async_wait(asio::socket_base::wait_read, [&](const error_code& ec) { ready = !ec; });
  run(io);
  REQUIRE(ready);
}

/// The text of the next datagram.
template <class Socket>
std::string take(asio::io_context& io, Socket& socket)
{
  await_readable(io, socket);
  std::array<char, 64> storage;
  typename Socket::endpoint_type sender;
  const std::size_t size = socket.receive_from(asio::buffer(storage), sender);
  return {storage.data(), size};
}

}  // namespace

TEST_CASE("drop-in: construct unopened, then open and bind")
{
  asio::io_context io;
  udp::socket socket(io);
  CHECK_FALSE(socket.is_open());
  socket.open(udp::v4());
  socket.bind(udp::endpoint(address_v4::loopback(), 0));
  CHECK(socket.is_open());

  udp::socket by_executor(io.get_executor());
  error_code ec;
  by_executor.open(udp::v4(), ec);
  CHECK_FALSE(ec);
  by_executor.bind(loopback(), ec);
  CHECK_FALSE(ec);
}

TEST_CASE("drop-in: construct opened")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  CHECK(socket.is_open());
  udp::socket of_an_endpoint(io, loopback().protocol());
  CHECK(of_an_endpoint.is_open());
}

TEST_CASE("drop-in: construct bound, with an endpoint made on the spot")
{
  asio::io_context io;
  udp::socket any(io, udp::endpoint(udp::v4(), 0));
  CHECK(any.local_endpoint().port() != 0);
  udp::socket braced(io, {udp::v4(), 0});
  CHECK(braced.local_endpoint().address().is_v4());
  udp::socket one(io, udp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  CHECK(one.local_endpoint().address() == address_v4::loopback());
}

TEST_CASE("drop-in: local and remote endpoint")
{
  asio::io_context io;
  udp::socket server(io, loopback());
  udp::socket client(io, loopback());
  error_code ec;
  (void)client.remote_endpoint(ec);
  CHECK(ec == asio::error::not_connected);
  client.connect(server.local_endpoint());
  CHECK(client.remote_endpoint() == server.local_endpoint());
  const udp::socket& constant = client;
  CHECK(constant.local_endpoint().port() != 0);
  std::map<udp::endpoint, int> sessions;  // a key, as servers use it
  ++sessions[client.local_endpoint()];
  CHECK(sessions.size() == 1);
}

TEST_CASE("drop-in: a resolver's results are endpoints")
{
  asio::io_context io;
  udp::socket server(io, loopback());
  udp::resolver resolver(io);
  const auto results =
      resolver.resolve(udp::v4(), "127.0.0.1", std::to_string(server.local_endpoint().port()),
                       udp::resolver::numeric_host | udp::resolver::numeric_service);
  const udp::endpoint first = *results.begin();
  CHECK(first == server.local_endpoint());
  udp::socket client(io, udp::v4());
  client.send_to(asio::buffer("resolved", 8), *results.begin());
  CHECK(take(io, server) == "resolved");
  for (const auto& entry : results) {
    udp::socket each(io);
    each.open(entry.endpoint().protocol());
    each.connect(entry);
    each.send(asio::buffer("connected", 9));
    CHECK(take(io, server) == "connected");
  }
}

TEST_CASE("drop-in: Asio's options are set and read")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  socket.set_option(asio::socket_base::reuse_address(true));
  socket.set_option(udp::socket::reuse_address(true));
  socket.set_option(asio::socket_base::broadcast(true));
  socket.set_option(asio::socket_base::receive_buffer_size(8192));
  socket.set_option(asio::socket_base::send_buffer_size(8192));
  socket.set_option(asio::ip::unicast::hops(3));
  socket.set_option(asio::ip::multicast::hops(2));
  socket.set_option(asio::ip::multicast::enable_loopback(true));
  udp::socket::broadcast broadcast;
  socket.get_option(broadcast);
  CHECK(broadcast.value());
  asio::socket_base::receive_buffer_size size;
  error_code ec;
  socket.get_option(size, ec);
  CHECK_FALSE(ec);
  CHECK(size.value() > 0);
  asio::ip::unicast::hops hops;
  std::as_const(socket).get_option(hops);
  CHECK(hops.value() == 3);

  udp::socket six(io);
  six.open(udp::v6(), ec);
  if (ec) SKIP("no IPv6 here");
  six.set_option(asio::ip::v6_only(true));
  asio::ip::v6_only only;
  six.get_option(only);
  CHECK(only.value());
}

TEST_CASE("drop-in: buffer sizes by the names that the socket's type has in Asio")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  socket.set_option(udp::socket::receive_buffer_size(8192));
  socket.set_option(udp::socket::send_buffer_size(8192));
  udp::socket::receive_buffer_size receive;
  socket.get_option(receive);
  CHECK(receive.value() == 8192);
}

TEST_CASE("drop-in: join and leave a group")
{
  asio::io_context io;
  udp::socket socket(io, udp::endpoint(udp::v4(), 0));
  const auto group = asio::ip::make_address("239.255.77.9");
  // By the loopback interface, so that nothing leaves this host.
  socket.set_option(asio::ip::multicast::join_group(group.to_v4(), address_v4::loopback()));
  socket.set_option(asio::ip::multicast::outbound_interface(address_v4::loopback()));
  socket.set_option(asio::ip::multicast::hops(0));
  socket.send_to(asio::buffer("group", 5), {group, socket.local_endpoint().port()});
  CHECK(take(io, socket) == "group");
  socket.set_option(asio::ip::multicast::leave_group(group.to_v4(), address_v4::loopback()));
}

TEST_CASE("drop-in: send_to and receive_from")
{
  asio::io_context io;
  udp::socket server(io, loopback());
  udp::socket client(io, loopback());
  const std::string text = "hello";
  CHECK(client.send_to(asio::buffer(text), server.local_endpoint()) == 5);
  await_readable(io, server);
  char storage[16];
  udp::endpoint sender;
  const std::size_t size = server.receive_from(asio::buffer(storage), sender);
  CHECK(std::string(storage, size) == "hello");
  CHECK(sender == client.local_endpoint());

  error_code ec;
  CHECK(server.send_to(asio::buffer(storage, size), sender, 0, ec) == 5);
  CHECK_FALSE(ec);
  await_readable(io, client);
  CHECK(client.receive_from(asio::buffer(storage), sender, 0, ec) == 5);
  CHECK_FALSE(ec);
  CHECK(sender == server.local_endpoint());
}

TEST_CASE("drop-in: header and body are sent as one datagram of several buffers")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  const std::string body = "body";
  const std::array<asio::const_buffer, 2> parts = {asio::buffer("head", 4), asio::buffer(body)};
  CHECK(socket.send_to(parts, socket.local_endpoint()) == 8);
  await_readable(io, socket);
  std::vector<char> head(4);
  std::vector<char> rest(16);
  const std::vector<asio::mutable_buffer> into = {asio::buffer(head), asio::buffer(rest)};
  udp::endpoint sender;
  CHECK(socket.receive_from(into, sender) == 8);
  CHECK(std::string(head.begin(), head.end()) == "head");
  CHECK(std::string(rest.data(), 4) == "body");
}

TEST_CASE("drop-in: connect, send and receive")
{
  asio::io_context io;
  udp::socket server(io, loopback());
  udp::socket client(io);
  client.connect(server.local_endpoint());  // opens it
  server.connect(client.local_endpoint());
  CHECK(client.send(asio::buffer("ping", 4)) == 4);
  await_readable(io, server);
  char storage[8];
  CHECK(server.receive(asio::buffer(storage)) == 4);
  error_code ec;
  CHECK(server.send(asio::buffer(storage, 4), 0, ec) == 4);
  await_readable(io, client);
  CHECK(client.receive(asio::buffer(storage), udp::socket::message_peek) == 4);
  CHECK(client.receive(asio::buffer(storage), 0, ec) == 4);
  CHECK_FALSE(ec);
}

namespace {

// The server of many a tutorial: a class that owns the socket and re-arms itself.
class echo_server {
public:
  explicit echo_server(asio::io_context& io) : socket_(io, loopback()) { receive(); }

  udp::endpoint address() const { return socket_.local_endpoint(); }
  void stop() { socket_.close(); }

private:
  void receive()
  {
    socket_.async_receive_from(
        asio::buffer(storage_), sender_,
        std::bind(&echo_server::on_receive, this, std::placeholders::_1, std::placeholders::_2));
  }

  void on_receive(const error_code& ec, std::size_t size)
  {
    if (ec) return;
    socket_.async_send_to(asio::buffer(storage_, size), sender_,
                          [this](error_code failure, std::size_t) {
                            if (!failure) receive();
                          });
  }

  udp::socket socket_;
  udp::endpoint sender_;
  std::array<char, 64> storage_{};
};

}  // namespace

TEST_CASE("drop-in: asynchronous operations with callbacks, in a class that owns the socket")
{
  asio::io_context io;
  echo_server server(io);
  udp::socket client(io, loopback());
  std::array<char, 64> storage{};
  std::vector<std::string> answers;
  udp::endpoint sender;
  std::function<void()> ask = [&] {
    client.async_send_to(asio::buffer("echo", 4), server.address(),
                         [&](error_code, std::size_t) {});
    client.async_receive_from(asio::buffer(storage), sender, [&](error_code ec, std::size_t n) {
      REQUIRE_FALSE(ec);
      CHECK(sender == server.address());
      answers.emplace_back(storage.data(), n);
      if (answers.size() < 3)
        ask();
      else
        server.stop();
    });
  };
  ask();
  run(io);
  CHECK(answers == std::vector<std::string>(3, "echo"));
}

TEST_CASE("drop-in: async_connect, async_send and async_receive, with and without flags")
{
  asio::io_context io;
  udp::socket server(io, loopback());
  udp::socket client(io, udp::v4());
  std::array<char, 8> storage{};
  int done = 0;
  client.async_connect(server.local_endpoint(), [&](const error_code& ec) {
    REQUIRE_FALSE(ec);
    client.async_send(asio::buffer("ab", 2), [&](error_code, std::size_t n) {
      CHECK(n == 2);
      ++done;
      client.async_send(asio::buffer("cd", 2), 0, [&](error_code, std::size_t) { ++done; });
    });
  });
  server.async_receive(asio::buffer(storage), [&](error_code, std::size_t n) {
    CHECK(n == 2);
    ++done;
    server.async_receive(asio::buffer(storage), 0, [&](error_code, std::size_t) { ++done; });
  });
  run(io);
  CHECK(done == 4);
}

TEST_CASE("drop-in: bind_executor and a strand")
{
  asio::io_context io;
  auto strand = asio::make_strand(io);
  udp::socket on_strand(strand, loopback());
  udp::socket socket(io, loopback());
  std::array<char, 8> storage{};
  udp::endpoint sender;
  int inside = 0;
  socket.async_receive_from(asio::buffer(storage), sender,
                            asio::bind_executor(strand, [&](error_code ec, std::size_t) {
                              CHECK_FALSE(ec);
                              inside += strand.running_in_this_thread() ? 1 : 0;
                            }));
  on_strand.async_send_to(asio::buffer("x", 1), socket.local_endpoint(),
                          [&](error_code ec, std::size_t) {
                            CHECK_FALSE(ec);
                            inside += strand.running_in_this_thread() ? 1 : 0;
                          });
  run(io);
  CHECK(inside == 2);
}

TEST_CASE("drop-in: use_future")
{
  asio::thread_pool pool(1);
  udp::socket socket(pool.get_executor(), loopback());
  std::array<char, 8> storage{};
  udp::endpoint sender;
  std::future<std::size_t> received =
      socket.async_receive_from(asio::buffer(storage), sender, asio::use_future);
  udp::socket other(pool.get_executor(), loopback());
  std::future<std::size_t> sent =
      other.async_send_to(asio::buffer("future", 6), socket.local_endpoint(), asio::use_future);
  REQUIRE(sent.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK(sent.get() == 6);
  REQUIRE(received.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK(received.get() == 6);
  CHECK(sender == other.local_endpoint());
}

namespace {

// Takes the socket by value, as servers that are spawned do.
asio::awaitable<void> answer_once(udp::socket socket)
{
  std::array<char, 16> storage{};
  udp::endpoint sender;
  const std::size_t n =
      co_await socket.async_receive_from(asio::buffer(storage), sender, asio::use_awaitable);
  co_await socket.async_send_to(asio::buffer(storage, n), sender, asio::use_awaitable);
}

asio::awaitable<std::string> ask(udp::endpoint server)
{
  udp::socket socket(co_await asio::this_coro::executor, udp::v4());
  std::array<char, 16> storage{};
  error_code ec;
  co_await socket.async_connect(server, asio::use_awaitable);
  co_await socket.async_send(asio::buffer("why", 3), asio::redirect_error(asio::use_awaitable, ec));
  if (ec) co_return ec.message();
  const std::size_t n = co_await socket.async_receive(asio::buffer(storage), asio::use_awaitable);
  co_return std::string(storage.data(), n);
}

}  // namespace

TEST_CASE("drop-in: coroutines")
{
  asio::io_context io;
  udp::socket server(io, loopback());
  const auto address = server.local_endpoint();
  asio::co_spawn(io, answer_once(std::move(server)), asio::detached);
  std::string answer;
  asio::co_spawn(io, ask(address), [&](std::exception_ptr failure, std::string text) {
    CHECK_FALSE(failure);
    answer = std::move(text);
  });
  run(io);
  CHECK(answer == "why");
}

TEST_CASE("drop-in: as_default_on, rebind_executor and other executors")
{
  using awaiting = asio::use_awaitable_t<>::as_default_on_t<udp::socket>;
  using typed = udp::socket::rebind_executor<asio::io_context::executor_type>::other;
  static_assert(std::is_same_v<typed, socket_on<asio::io_context::executor_type>>);
  asio::io_context io;
  typed server(io, loopback());
  const auto address = server.local_endpoint();
  std::size_t size = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        auto socket = asio::use_awaitable.as_default_on(udp::socket(io, loopback()));
        static_assert(std::is_same_v<decltype(socket), awaiting>);
        size = co_await socket.async_send_to(asio::buffer("default", 7), address);
      },
      asio::detached);
  run(io);
  CHECK(size == 7);
  CHECK(take(io, server) == "default");
  // A typed socket turns into the general one.
  udp::socket general(std::move(server));
  CHECK(general.local_endpoint() == address);
  general = typed(io, loopback());
  CHECK(general.is_open());
}

TEST_CASE("drop-in: non_blocking")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  socket.non_blocking(true);
  CHECK(socket.non_blocking());
  socket.native_non_blocking(true);
  CHECK(socket.native_non_blocking());
  std::array<char, 8> storage{};
  udp::endpoint sender;
  error_code ec;
  CHECK(socket.receive_from(asio::buffer(storage), sender, 0, ec) == 0);
  CHECK(ec == asio::error::would_block);
  try {
    socket.receive_from(asio::buffer(storage), sender);
    FAIL("nothing was thrown");
  } catch (const std::system_error& failure) {
    CHECK(failure.code() == asio::error::would_block);
  }
}

TEST_CASE("drop-in: available and io_control")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  CHECK(socket.available() == 0);
  socket.send_to(asio::buffer("12345", 5), socket.local_endpoint());
  await_readable(io, socket);
  error_code ec;
  CHECK(socket.available(ec) >= 5);
  udp::socket::bytes_readable command;
  socket.io_control(command);
  CHECK(command.get() >= 5);
}

TEST_CASE("drop-in: native_handle with setsockopt")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const int on = 1;
  const udp::socket::native_handle_type fd = socket.native_handle();
  CHECK(::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
  socket.bind(loopback());
  int read = 0;
  ::socklen_t size = sizeof read;
  CHECK(::getsockopt(socket.native_handle(), SOL_SOCKET, SO_REUSEPORT, &read, &size) == 0);
  CHECK(read == 1);
}

TEST_CASE("drop-in: release and assign")
{
  asio::io_context io;
  udp::socket first(io, loopback());
  const auto local = first.local_endpoint();
  udp::socket second(io);
  second.assign(udp::v4(), first.release());
  CHECK_FALSE(first.is_open());
  CHECK(second.local_endpoint() == local);
  udp::socket third(io, udp::v4(), second.release());
  CHECK(third.local_endpoint() == local);
  udp::socket fourth(io);
  fourth.assign(local.protocol(), ::socket(AF_INET, SOCK_DGRAM, 0));
  CHECK(fourth.is_open());
}

TEST_CASE("drop-in: shutdown")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  error_code ec;
  socket.shutdown(asio::socket_base::shutdown_both, ec);
  CHECK(ec == asio::error::not_connected);
  socket.connect(loopback(9));
  socket.shutdown(udp::socket::shutdown_receive);
  std::array<char, 8> storage{};
  CHECK(socket.receive(asio::buffer(storage), 0, ec) == 0);
}

TEST_CASE("drop-in: cancel and close end what is pending")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  std::array<char, 8> storage{};
  udp::endpoint sender;
  std::vector<error_code> results;
  const auto note = [&](const error_code& ec, std::size_t) { results.push_back(ec); };
  socket.async_receive_from(asio::buffer(storage), sender, note);
  socket.cancel();
  run(io);
  error_code ec;
  socket.cancel(ec);
  CHECK_FALSE(ec);
  socket.async_receive(asio::buffer(storage), note);
  socket.close();
  socket.close(ec);
  CHECK_FALSE(ec);
  run(io);
  CHECK(results == std::vector<error_code>(2, asio::error::operation_aborted));
}

TEST_CASE("drop-in: one operation is cancelled through its slot")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  std::array<char, 8> storage{};
  udp::endpoint sender;
  asio::cancellation_signal signal;
  error_code result;
  socket.async_receive_from(asio::buffer(storage), sender,
                            asio::bind_cancellation_slot(
                                signal.slot(), [&](error_code ec, std::size_t) { result = ec; }));
  asio::post(io, [&] { signal.emit(asio::cancellation_type::terminal); });
  run(io);
  CHECK(result == asio::error::operation_aborted);
  CHECK(socket.is_open());
}

TEST_CASE("drop-in: async_wait and wait")
{
  asio::io_context io;
  udp::socket socket(io, loopback());
  bool writable = false;
  socket.async_wait(udp::socket::wait_write, [&](error_code ec) { writable = !ec; });
  run(io);
  CHECK(writable);
  bool readable = false;
  socket.async_wait(udp::socket::wait_read, [&](error_code ec) { readable = !ec; });
  socket.send_to(asio::buffer("x", 1), socket.local_endpoint());
  run(io);
  CHECK(readable);
  socket.wait(asio::socket_base::wait_read);
  error_code ec;
  socket.wait(asio::socket_base::wait_write, ec);
  CHECK_FALSE(ec);
}

namespace {

struct holder {
  explicit holder(udp::socket socket) : member(std::move(socket)) {}
  udp::socket member;
};

udp::socket make_bound(asio::io_context& io)
{
  udp::socket socket(io, loopback());
  return socket;
}

}  // namespace

TEST_CASE("drop-in: moved into a member, returned from a function, swapped")
{
  asio::io_context io;
  udp::socket first = make_bound(io);
  const auto address = first.local_endpoint();
  holder held(std::move(first));
  CHECK(held.member.local_endpoint() == address);
  udp::socket other = make_bound(io);
  const auto other_address = other.local_endpoint();
  std::swap(held.member, other);
  CHECK(other.local_endpoint() == address);
  CHECK(held.member.local_endpoint() == other_address);
  holder taken(std::move(held));
  CHECK(taken.member.local_endpoint() == other_address);
}

TEST_CASE("drop-in: in a vector, an optional, a map and behind pointers")
{
  asio::io_context io;
  std::vector<udp::socket> sockets;
  sockets.reserve(2);  // fewer than follow, so that they are moved
  for (int i = 0; i < 4; ++i)
    sockets.emplace_back(io, loopback());
  sockets.push_back(make_bound(io));
  sockets.erase(sockets.begin());
  for (auto& socket : sockets)
    CHECK(socket.is_open());

  std::optional<udp::socket> maybe;
  maybe.emplace(io, udp::v4());
  CHECK(maybe->is_open());
  maybe = make_bound(io);
  CHECK(maybe->local_endpoint().port() != 0);
  maybe.reset();

  std::map<int, udp::socket> by_number;
  by_number.emplace(1, make_bound(io));
  CHECK(by_number.at(1).is_open());
  const auto unique = std::make_unique<udp::socket>(io, loopback());
  const auto shared = std::make_shared<udp::socket>(io);
  CHECK(unique->is_open());
  CHECK_FALSE(shared->is_open());
}

namespace {

// Generic code knows a socket by its member types.
template <class Socket>
class generic_peer {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename Socket::endpoint_type;
  using executor_type = typename Socket::executor_type;
  using lowest_layer_type = typename Socket::lowest_layer_type;

  explicit generic_peer(const executor_type& executor) : socket_(executor)
  {
    socket_.open(protocol_type::v4());
    socket_.bind(endpoint_type(address_v4::loopback(), 0));
  }

  executor_type get_executor() { return socket_.get_executor(); }
  lowest_layer_type& lowest_layer() { return socket_.lowest_layer(); }
  endpoint_type address() const { return socket_.local_endpoint(); }

  // A composed operation over whatever token the caller brings.
  template <class Token>
  auto async_receive(std::string& into, Token&& token)
  {
    into.resize(64);
    return socket_.async_receive(asio::buffer(into), std::forward<Token>(token));
  }

  template <class Token>
  auto async_send(const std::string& text, const endpoint_type& to, Token&& token)
  {
    return socket_.async_send_to(asio::buffer(text), to, std::forward<Token>(token));
  }

private:
  Socket socket_;
};

}  // namespace

TEST_CASE("drop-in: a template over the socket type")
{
  asio::io_context io;
  generic_peer<udp::socket> one(io.get_executor());
  generic_peer<udp::socket> two(io.get_executor());
  std::string received;
  const std::string text = "generic";
  std::size_t size = 0;
  one.async_receive(received, [&](error_code, std::size_t n) { size = n; });
  two.async_send(text, one.address(), [](error_code ec, std::size_t) { CHECK_FALSE(ec); });
  run(io);
  CHECK(received.substr(0, size) == text);
  CHECK(one.lowest_layer().is_open());
}

namespace {

// A session that lives as long as it has something pending, and gives up after a while.
class session : public std::enable_shared_from_this<session> {
public:
  session(asio::io_context& io, udp::endpoint server)
      : socket_(io, loopback()), timer_(socket_.get_executor()), server_(std::move(server))
  {
  }

  void start(std::chrono::milliseconds patience)
  {
    auto self = shared_from_this();
    timer_.expires_after(patience);
    timer_.async_wait([self](error_code ec) {
      if (!ec) self->socket_.cancel();
    });
    socket_.async_send_to(asio::buffer("question", 8), server_, [self](error_code, std::size_t) {});
    socket_.async_receive_from(asio::buffer(storage_), sender_, [self](error_code ec, std::size_t) {
      self->result = ec;
      self->timer_.cancel();
    });
  }

  error_code result = asio::error::in_progress;

private:
  udp::socket socket_;
  asio::steady_timer timer_;
  udp::endpoint server_;
  udp::endpoint sender_;
  std::array<char, 64> storage_{};
};

}  // namespace

TEST_CASE("drop-in: a shared session with a timer on the socket's executor")
{
  asio::io_context io;
  udp::socket silent(io, loopback());
  auto unanswered = std::make_shared<session>(io, silent.local_endpoint());
  std::weak_ptr<session> watched = unanswered;
  unanswered->start(std::chrono::milliseconds(20));
  run(io);
  CHECK(unanswered->result == asio::error::operation_aborted);
  unanswered.reset();
  CHECK(watched.expired());

  echo_server server(io);
  auto answered = std::make_shared<session>(io, server.address());
  answered->start(std::chrono::seconds(9));
  asio::steady_timer watch(io);
  std::function<void()> wait_for_answer = [&] {
    watch.expires_after(std::chrono::milliseconds(1));
    watch.async_wait([&](error_code) {
      if (answered->result == asio::error::in_progress)
        wait_for_answer();
      else
        server.stop();
    });
  };
  wait_for_answer();
  run(io);
  CHECK_FALSE(answered->result);
}

TEST_CASE("drop-in: errors are Asio's, thrown and returned")
{
  asio::io_context io;
  udp::socket taken(io, loopback());
  udp::socket socket(io, udp::v4());
  error_code ec;
  socket.bind(taken.local_endpoint(), ec);
  CHECK(ec == asio::error::address_in_use);
  CHECK_THROWS_AS(udp::socket(io, taken.local_endpoint()), std::system_error);
  socket.open(udp::v4(), ec);
  CHECK(ec == asio::error::already_open);
  const std::string too_large(70'000, 'x');
  socket.send_to(asio::buffer(too_large), taken.local_endpoint(), 0, ec);
  CHECK(ec == asio::error::message_size);
  socket.close();
  (void)socket.local_endpoint(ec);
  CHECK(ec == asio::error::bad_descriptor);
  std::array<char, 8> storage{};
  socket.receive(asio::buffer(storage), 0, ec);
  CHECK(ec == asio::error::bad_descriptor);
}
