// SPDX-License-Identifier: BSL-1.0
// basic_socket.hpp: construction, moving, descriptors, addresses, what never blocks, dual stack.

#include "support/thrown_text.hpp"
#include "unit/host.hpp"

#include <dgram/basic_socket.hpp>
#include <dgram/udp.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace basic_socket_test {

namespace {

using dgram::error_code;
using dgram::udp;
using socket_type = udp::socket;
using io_executor = asio::io_context::executor_type;
using io_socket = dgram::basic_socket<udp, io_executor>;
using strand_socket = dgram::basic_socket<udp, asio::strand<io_executor>>;

static_assert(std::is_nothrow_move_constructible_v<socket_type>);
static_assert(std::is_nothrow_move_assignable_v<socket_type>);
static_assert(std::is_nothrow_move_constructible_v<io_socket>);
static_assert(std::is_nothrow_move_assignable_v<io_socket>);
static_assert(!std::is_copy_constructible_v<socket_type>);
static_assert(!std::is_copy_assignable_v<socket_type>);
static_assert(std::is_base_of_v<asio::socket_base, socket_type>);

static_assert(std::is_same_v<socket_type, dgram::basic_socket<udp, asio::any_io_executor>>);
static_assert(std::is_same_v<socket_type::rebind_executor<io_executor>::other, io_socket>);
static_assert(
    std::is_same_v<io_socket::rebind_executor<asio::any_io_executor>::other, socket_type>);
static_assert(std::is_same_v<socket_type::protocol_type, udp>);
static_assert(std::is_same_v<socket_type::endpoint_type, asio::ip::udp::endpoint>);
static_assert(std::is_same_v<socket_type::executor_type, asio::any_io_executor>);
static_assert(std::is_same_v<socket_type::next_layer_type, asio::ip::udp::socket>);
static_assert(
    std::is_same_v<socket_type::native_handle_type, asio::ip::udp::socket::native_handle_type>);

// A context or an executor alone makes a closed socket, but is none; and the socket of another
// executor converts only where the executor does.
static_assert(!std::is_convertible_v<asio::io_context&, socket_type>);
static_assert(!std::is_convertible_v<asio::any_io_executor, socket_type>);
static_assert(std::is_convertible_v<io_socket, socket_type>);
static_assert(!std::is_constructible_v<io_socket, socket_type>);
static_assert(!std::is_constructible_v<socket_type, io_socket&>);

/// A descriptor that is closed at the end of its scope unless somebody took it.
class descriptor {
public:
  explicit descriptor(test::descriptor_type fd) : fd_(fd) { REQUIRE(fd_ != test::no_descriptor); }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor()
  {
    if (fd_ != test::no_descriptor) test::close_descriptor(fd_);
  }

  test::descriptor_type get() const { return fd_; }
  test::descriptor_type take() { return std::exchange(fd_, test::no_descriptor); }

private:
  test::descriptor_type fd_;
};

const error_code no_result = asio::error::in_progress;

/// That `to` gets what `from` sends.
template <class From, class To>
void check_flow(asio::io_context& io, From& from, To& to)
{
  from.send_to(test::bytes("flow"), to.local_endpoint());
  const auto datagram = test::take(io, to);
  CHECK(datagram.text == "flow");
  CHECK(datagram.sender == from.local_endpoint());
}

}  // namespace

// --- construction ---

TEST_CASE("basic_socket: from a context or an executor it is closed")
{
  asio::io_context io;
  asio::thread_pool pool(1);
  const socket_type by_context(io);
  const socket_type by_executor(io.get_executor());
  const socket_type by_any(asio::any_io_executor(io.get_executor()));
  const socket_type by_pool(pool);
  const io_socket typed(io);
  const strand_socket on_strand(asio::make_strand(io));
  CHECK_FALSE(by_context.is_open());
  CHECK_FALSE(by_executor.is_open());
  CHECK_FALSE(by_any.is_open());
  CHECK_FALSE(by_pool.is_open());
  CHECK_FALSE(typed.is_open());
  CHECK_FALSE(on_strand.is_open());
}

TEST_CASE("basic_socket: from a protocol it is open, from an endpoint it is bound")
{
  asio::io_context io;
  socket_type open(io, udp::v4());
  CHECK(open.is_open());
  CHECK(open.local_endpoint().port() == 0);
  socket_type open_by_executor(io.get_executor(), udp::v4());
  CHECK(open_by_executor.is_open());

  const socket_type bound(io, test::loopback_v4());
  CHECK(bound.local_endpoint().address() == asio::ip::address_v4::loopback());
  CHECK(bound.local_endpoint().port() != 0);
  const socket_type bound_by_executor(io.get_executor(), test::loopback_v4());
  CHECK(bound_by_executor.local_endpoint().port() != 0);

  DGRAM_SKIP_WITHOUT_IPV6();
  const socket_type six(io, test::loopback_v6());
  CHECK(six.local_endpoint().address() == asio::ip::address_v6::loopback());
  const socket_type asios(io, asio::ip::udp::v6());
  CHECK(asios.local_endpoint().address().is_v6());
}

TEST_CASE(
    "basic_socket: a constructor that fails throws, names the endpoint and leaks no descriptor")
{
  asio::io_context io;
  const socket_type taken(io, test::loopback_v4());
  const auto address = taken.local_endpoint();
  const test::descriptor_type next = [] {
    const descriptor probe(::socket(AF_INET, SOCK_DGRAM, 0));
    return probe.get();
  }();
  CHECK_THROWS_AS(socket_type(io, address), dgram::system_error);
  CHECK_THAT(test::thrown_text([&] { socket_type(io, address); }),
             Catch::Matchers::StartsWith("bind") &&
                 Catch::Matchers::ContainsSubstring(dgram::to_string(address)));
  CHECK_THROWS_AS(socket_type(io, udp::v4(), {.receive_buffer_size = -1}), dgram::system_error);
  CHECK_FALSE(test::is_open_descriptor(next));
}

TEST_CASE("basic_socket: the configuration is applied before bind")
{
  asio::io_context io;
  const test::reserved_port own;
  socket_type socket(io, test::loopback_v4(own.number()),
                     {.reuse_address = true,
                      .broadcast = true,
                      .receive_buffer_size = 10'000,
                      .send_buffer_size = 12'000});
  const test::descriptor_type fd = socket.native_handle();
  CHECK(test::raw_option(fd, SOL_SOCKET, SO_REUSEADDR) == 1);
  CHECK(test::raw_option(fd, SOL_SOCKET, SO_BROADCAST) == 1);
#if defined(SO_REUSEPORT)
  CHECK(test::raw_option(fd, SOL_SOCKET, SO_REUSEPORT) == 0);
#endif
  socket_type plain(io, test::loopback_v4());
  plain.set_option(dgram::option::receive_buffer_size(10'000));
  plain.set_option(dgram::option::send_buffer_size(12'000));
  CHECK(socket.get_receive_buffer_size() == plain.get_receive_buffer_size());
  CHECK(socket.get_send_buffer_size() == plain.get_send_buffer_size());
  // Both asked for it, so they may share the address; without it they may not.
  CHECK_NOTHROW(socket_type(io, socket.local_endpoint(), {.reuse_address = true}));
  CHECK_THROWS_AS(socket_type(io, socket.local_endpoint()), dgram::system_error);

#if defined(SO_REUSEPORT)
  const test::reserved_port port;
  socket_type spread(io, test::loopback_v4(port.number()), {.reuse_port = true});
  CHECK_NOTHROW(socket_type(io, spread.local_endpoint(), {.reuse_port = true}));
  CHECK_THROWS_AS(socket_type(io, spread.local_endpoint()), dgram::system_error);
#endif
}

TEST_CASE("basic_socket: an empty configuration leaves every default")
{
  asio::io_context io;
  asio::ip::udp::socket plain(io, asio::ip::udp::v4());
  socket_type socket(io, udp::v4(), dgram::socket_config{});
  std::vector<int> names{SO_REUSEADDR, SO_BROADCAST, SO_RCVBUF, SO_SNDBUF};
#if defined(SO_REUSEPORT)
  names.push_back(SO_REUSEPORT);
#endif
  for (const int name : names) {
    CAPTURE(name);
    CHECK(test::raw_option(socket.native_handle(), SOL_SOCKET, name) ==
          test::raw_option(plain.native_handle(), SOL_SOCKET, name));
  }
}

TEST_CASE("basic_socket: empty braces are an empty configuration, not descriptor 0")
{
  asio::io_context io;
  std::optional<socket_type> socket;
  CHECK_NOTHROW(socket = socket_type(io, udp::v4(), {}));
  REQUIRE(socket);
  CHECK(socket->native_handle() != 0);
  CHECK(socket->is_open());
}

TEST_CASE("basic_socket: an option that is refused leaves the socket closed")
{
  asio::io_context io;
  socket_type socket(io);
  error_code ec;
  socket.open(udp::v4(), {.send_buffer_size = -1}, ec);
  CHECK(ec == dgram::error::out_of_range);
  CHECK_FALSE(socket.is_open());
  socket.open(udp::dual(), {.v6_only = true}, ec);
  CHECK(ec);
  CHECK_FALSE(socket.is_open());
  socket.open(udp::v4(), {}, ec);
  CHECK_FALSE(ec);
  CHECK(socket.is_open());
}

TEST_CASE("basic_socket: opening twice is an error and changes nothing")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  const auto local = socket.local_endpoint();
  const test::descriptor_type fd = socket.native_handle();
  error_code ec;
  socket.open(udp::v4(), ec);
  CHECK(ec == asio::error::already_open);
  socket.open(udp::v4(), {.reuse_address = true}, ec);
  CHECK(ec == asio::error::already_open);
  CHECK(socket.native_handle() == fd);
  CHECK(socket.local_endpoint() == local);
  CHECK_THAT(test::thrown_text([&] { socket.open(); }), Catch::Matchers::StartsWith("open"));
}

TEST_CASE("basic_socket: opening a dual-stack socket again does not make it plain")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type socket(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  error_code ec;
  socket.open(udp::v6(), ec);
  REQUIRE(ec == asio::error::already_open);
  socket_type sender(io, test::loopback_v4());
  sender.send_to(test::bytes("x"), test::loopback_v4(socket.local_endpoint().port()));
  CHECK(test::take(io, socket).sender == sender.local_endpoint());
}

// --- executors ---

TEST_CASE("basic_socket: get_executor and next_layer")
{
  asio::io_context io;
  io_socket socket(io, udp::v4());
  CHECK(socket.get_executor() == io.get_executor());
  CHECK(socket.next_layer().get_executor() == io.get_executor());
  CHECK(socket.next_layer().is_open());
  CHECK(socket.next_layer().native_handle() == socket.native_handle());
  CHECK(&socket.lowest_layer() == &socket.next_layer());
  CHECK(&std::as_const(socket).next_layer() == &socket.next_layer());
  asio::steady_timer timer(socket.get_executor());
  STATIC_REQUIRE(noexcept(socket.get_executor()));
}

TEST_CASE("basic_socket: handlers run on the socket's executor")
{
  asio::io_context io;
  const auto strand = asio::make_strand(io.get_executor());
  strand_socket receiver(strand, test::loopback_v4());
  strand_socket sender(strand, test::loopback_v4());
  REQUIRE(receiver.get_executor() == strand);
  int on_strand = 0;
  std::array<char, 16> storage{};
  test::endpoint from;
  dgram::receive_batch in(2, 16);
  dgram::send_batch out(2);
  out.push("batch", receiver.local_endpoint());
  receiver.async_receive_from(asio::buffer(storage), from, [&](error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    CHECK(size == 4);
    on_strand += strand.running_in_this_thread() ? 1 : 0;
    receiver.async_receive_batch(in, [&](error_code ec2, std::size_t count) {
      CHECK_FALSE(ec2);
      CHECK(count == 1);
      on_strand += strand.running_in_this_thread() ? 1 : 0;
    });
    sender.async_send_batch(out, [&](error_code ec2, dgram::send_result result) {
      CHECK_FALSE(ec2);
      CHECK(result.sent == 1);
      on_strand += strand.running_in_this_thread() ? 1 : 0;
    });
  });
  sender.async_send_to(test::bytes("push"), receiver.local_endpoint(),
                       [&](error_code ec, std::size_t) {
                         CHECK_FALSE(ec);
                         on_strand += strand.running_in_this_thread() ? 1 : 0;
                       });
  test::run(io);
  CHECK(on_strand == 4);
}

TEST_CASE("basic_socket: a socket of the context's own executor type works throughout")
{
  asio::io_context io;
  io_socket receiver(io, test::loopback_v4());
  io_socket sender(io, test::loopback_v4());
  check_flow(io, sender, receiver);
  std::array<char, 16> storage{};
  std::size_t size = 0;
  sender.connect(receiver.local_endpoint());
  receiver.async_receive(asio::buffer(storage), [&](error_code ec, std::size_t n) {
    CHECK_FALSE(ec);
    size = n;
  });
  sender.async_send(test::bytes("typed"), [](error_code ec, std::size_t) { CHECK_FALSE(ec); });
  test::run(io);
  CHECK(std::string(storage.data(), size) == "typed");
}

// --- moving ---

TEST_CASE("basic_socket: moving takes the descriptor, the address and the pending operations")
{
  asio::io_context io;
  socket_type first(io, test::loopback_v4());
  const auto local = first.local_endpoint();
  const test::descriptor_type fd = first.native_handle();
  dgram::receive_batch batch(2, 16);
  error_code result = no_result;
  first.async_receive_batch(batch, [&](error_code ec, std::size_t) { result = ec; });
  socket_type second(std::move(first));
  CHECK(second.native_handle() == fd);
  CHECK(second.local_endpoint() == local);
  CHECK_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move)

  socket_type third(io);
  third = std::move(second);
  CHECK(third.native_handle() == fd);
  socket_type sender(io, test::loopback_v4());
  sender.send_to(test::bytes("moved"), local);
  test::run(io);
  CHECK_FALSE(result);
  REQUIRE(batch.size() == 1);
  CHECK(batch[0].payload().text() == "moved");
}

TEST_CASE("basic_socket: a moved-from socket is closed in every respect, and can be opened again")
{
  asio::io_context io;
  socket_type first(io, test::loopback_v4());
  const socket_type second(std::move(first));
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK_FALSE(first.is_open());
  CHECK(first.get_executor() == asio::any_io_executor(io.get_executor()));
  error_code ec;
  first.close(ec);
  CHECK_FALSE(ec);
  first.cancel(ec);
  CHECK(ec == asio::error::bad_descriptor);
  (void)first.local_endpoint(ec);
  CHECK(ec == asio::error::bad_descriptor);
  first.open(udp::v4());
  first.bind(test::loopback_v4());
  socket_type sender(io, test::loopback_v4());
  check_flow(io, sender, first);
  // NOLINTEND(bugprone-use-after-move)
  CHECK(second.is_open());
}

TEST_CASE("basic_socket: moving over an open socket closes it and ends what was pending there")
{
  asio::io_context io;
  socket_type target(io, test::loopback_v4());
  const test::descriptor_type old = target.native_handle();
  dgram::receive_batch batch(1, 16);
  std::array<char, 16> storage{};
  error_code batch_result = no_result;
  error_code plain_result = no_result;
  target.async_receive_batch(batch, [&](error_code ec, std::size_t) { batch_result = ec; });
  target.async_receive(asio::buffer(storage),
                       [&](error_code ec, std::size_t) { plain_result = ec; });
  socket_type source(io, test::loopback_v4());
  const test::descriptor_type fd = source.native_handle();
  target = std::move(source);
  CHECK(target.native_handle() == fd);
  CHECK_FALSE(test::is_open_descriptor(old));
  test::run(io);
  CHECK(batch_result == asio::error::operation_aborted);
  CHECK(plain_result == asio::error::operation_aborted);
}

TEST_CASE("basic_socket: moving a socket over itself changes nothing")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  const test::descriptor_type fd = socket.native_handle();
  auto& same = socket;
  socket = std::move(same);
  CHECK(socket.is_open());
  CHECK(socket.native_handle() == fd);
}

TEST_CASE("basic_socket: a socket of another executor type is taken over, and what it was stays")
{
  asio::io_context io;
  io_socket peer(io, test::loopback_v4());
  io_socket typed(io, test::loopback_v4());
  typed.connect(peer.local_endpoint());
  const test::descriptor_type fd = typed.native_handle();
  const auto local = typed.local_endpoint();
  dgram::receive_batch batch(1, 16);
  error_code result = no_result;
  typed.async_receive_batch(batch, [&](error_code ec, std::size_t) { result = ec; });

  socket_type any(std::move(typed));
  CHECK(any.native_handle() == fd);
  CHECK(any.local_endpoint() == local);
  CHECK_FALSE(typed.is_open());  // NOLINT(bugprone-use-after-move)
  test::run(io);
  CHECK(result == asio::error::operation_aborted);
  // It knows still that it is connected.
  error_code ec;
  dgram::send_batch addressed(1);
  addressed.push("x", peer.local_endpoint());
  CHECK(any.try_send_batch(addressed).error == asio::error::already_connected);
  any.send(test::bytes("taken over"));
  CHECK(test::take(io, peer).text == "taken over");
}

TEST_CASE(
    "basic_socket: a dual-stack socket of another executor type stays dual, also by assignment")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  io_socket typed(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  const auto port = typed.local_endpoint().port();
  socket_type any(io, test::loopback_v4());
  const test::descriptor_type old = any.native_handle();
  any = std::move(typed);
  CHECK_FALSE(test::is_open_descriptor(old));
  socket_type sender(io, test::loopback_v4());
  sender.send_to(test::bytes("x"), test::loopback_v4(port));
  CHECK(test::take(io, any).sender == sender.local_endpoint());
}

TEST_CASE("basic_socket: taking over a socket that has nothing takes its executor all the same")
{
  asio::io_context old_context;
  asio::io_context new_context;
  socket_type target(old_context, udp::v4());
  io_socket empty(new_context);
  const io_socket elsewhere(std::move(empty));
  target = std::move(empty);  // NOLINT(bugprone-use-after-move)
  CHECK_FALSE(target.is_open());
  CHECK(target.get_executor() == asio::any_io_executor(new_context.get_executor()));
  target.open(udp::v4());
  CHECK(target.next_layer().get_executor() == target.get_executor());
}

// --- descriptors ---

TEST_CASE("basic_socket: takes over an open descriptor, and releases it again")
{
  asio::io_context io;
  descriptor raw(::socket(AF_INET, SOCK_DGRAM, 0));
  socket_type socket(io);
  socket.assign(udp::v4(), raw.get());
  const test::descriptor_type fd = raw.take();
  CHECK(socket.is_open());
  CHECK(socket.native_handle() == fd);
  socket.bind(test::loopback_v4());
  const auto local = socket.local_endpoint();

  const test::descriptor_type released = socket.release();
  CHECK(released == fd);
  CHECK_FALSE(socket.is_open());
  REQUIRE(test::is_open_descriptor(fd));

  socket_type by_constructor(io, udp::v4(), fd);
  CHECK(by_constructor.local_endpoint() == local);
  socket_type sender(io, test::loopback_v4());
  check_flow(io, sender, by_constructor);
  by_constructor.close();
  CHECK_FALSE(test::is_open_descriptor(fd));
}

TEST_CASE("basic_socket: a descriptor of another kind is refused and stays the caller's")
{
  asio::io_context io;
  const descriptor stream(::socket(AF_INET, SOCK_STREAM, 0));
  const descriptor four(::socket(AF_INET, SOCK_DGRAM, 0));
  socket_type socket(io);
  error_code ec;
  const auto refused = [&](const udp& protocol, test::descriptor_type fd) {
    ec.clear();
    socket.assign(protocol, fd, ec);
    CHECK_FALSE(socket.is_open());
    CHECK(test::is_open_descriptor(fd));
    CHECK_THROWS_AS(socket_type(io, protocol, fd), dgram::system_error);
    CHECK(test::is_open_descriptor(fd));
    return ec;
  };
  CHECK(refused(udp::v4(), stream.get()) == dgram::error::wrong_descriptor);
  CHECK(refused(udp::v6(), four.get()) == dgram::error::wrong_descriptor);
  CHECK(refused(udp::dual(), four.get()) == dgram::error::wrong_descriptor);
#if DGRAM_HAS_UNIX_DATAGRAMS
  const descriptor local(::socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK(refused(udp::v4(), local.get()) == dgram::error::wrong_descriptor);
#endif
#if !defined(_WIN32)
  int ends[2] = {-1, -1};
  REQUIRE(::pipe(ends) == 0);
  const descriptor pipe_read(ends[0]);
  const descriptor pipe_write(ends[1]);
  CHECK(refused(udp::v4(), pipe_read.get()) == asio::error::not_socket);
#endif

  socket.assign(udp::v4(), test::no_descriptor, ec);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK_FALSE(socket.is_open());

  socket_type open(io, udp::v4());
  open.assign(udp::v4(), four.get(), ec);
  CHECK(ec == asio::error::already_open);
  CHECK(test::is_open_descriptor(four.get()));
  CHECK(open.native_handle() != four.get());

  DGRAM_SKIP_WITHOUT_IPV6();
  const descriptor six(::socket(AF_INET6, SOCK_DGRAM, 0));
  CHECK(refused(udp::v4(), six.get()) == dgram::error::wrong_descriptor);
}

TEST_CASE("basic_socket: assign finds out that a descriptor is connected")
{
  asio::io_context io;
  socket_type peer(io, test::loopback_v4());
  socket_type original(io, test::loopback_v4());
  original.connect(peer.local_endpoint());
  socket_type adopted(io, udp::v4(), original.release());
  error_code ec;
  dgram::send_batch addressed(1);
  addressed.push("x", peer.local_endpoint());
  CHECK(adopted.try_send_batch(addressed).error == asio::error::already_connected);
  CHECK(adopted.send(test::bytes("still")) == 5);
  CHECK(test::take(io, peer).text == "still");
  adopted.disconnect(ec);
  CHECK_FALSE(ec);

  socket_type unconnected(io, test::loopback_v4());
  adopted.close();
  adopted.assign(udp::v4(), unconnected.release());
  adopted.disconnect(ec);
  CHECK(ec == asio::error::not_connected);
}

TEST_CASE("basic_socket: an IPv6 descriptor can be taken over as dual")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type sender(io, test::loopback_v4());
  const auto check = [&](socket_type& socket) {
    sender.send_to(test::bytes("x"), test::loopback_v4(socket.local_endpoint().port()));
    CHECK(test::take(io, socket).sender == sender.local_endpoint());
  };
  // Not bound yet: the option is set.
  descriptor fresh(::socket(AF_INET6, SOCK_DGRAM, 0));
  REQUIRE(test::set_raw_option(fresh.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1));
  socket_type first(io, udp::dual(), fresh.take());
  first.bind({asio::ip::address_v6::any(), 0});
  check(first);
  // Bound, and for both families already.
  socket_type second(io, udp::dual(), first.release());
  check(second);

  // Bound as IPv6 only: that cannot be changed any more.
  socket_type only(io, {asio::ip::address_v6::any(), 0}, {.v6_only = true});
  const descriptor fixed(only.release());
  socket_type third(io);
  error_code ec;
  third.assign(udp::dual(), fixed.get(), ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_FALSE(third.is_open());
  CHECK(test::is_open_descriptor(fixed.get()));
}

TEST_CASE("basic_socket: a descriptor that was refused leaves nothing behind")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type peer(io, test::loopback_v6());
  socket_type only(io, test::loopback_v6(), {.v6_only = true});
  only.connect(peer.local_endpoint());
  const descriptor fixed(only.release());
  socket_type socket(io);
  error_code ec;
  socket.assign(udp::dual(), fixed.get(), ec);
  REQUIRE(ec);
  REQUIRE_FALSE(socket.is_open());
  socket.send_to(test::bytes("x"), peer.local_endpoint(), 0, ec);
  CHECK(ec == asio::error::bad_descriptor);
}

TEST_CASE("basic_socket: release ends what was pending, and a closed socket has nothing to release")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  dgram::receive_batch batch(1, 16);
  std::array<char, 16> storage{};
  error_code batch_result = no_result;
  error_code plain_result = no_result;
  socket.async_receive_batch(batch, [&](error_code ec, std::size_t) { batch_result = ec; });
  socket.async_receive(asio::buffer(storage),
                       [&](error_code ec, std::size_t) { plain_result = ec; });
  const descriptor released(socket.release());
  test::run(io);
  CHECK(batch_result == asio::error::operation_aborted);
  CHECK(plain_result == asio::error::operation_aborted);
  CHECK(test::is_open_descriptor(released.get()));

  error_code ec;
  CHECK(socket.release(ec) == test::no_descriptor);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK_THAT(test::thrown_text([&] { socket.release(); }), Catch::Matchers::StartsWith("release"));
}

// --- closing and cancelling ---

TEST_CASE("basic_socket: closing twice is no error; cancelling a closed socket is")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  const test::descriptor_type fd = socket.native_handle();
  error_code ec = asio::error::eof;
  socket.close(ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(socket.is_open());
  CHECK_FALSE(test::is_open_descriptor(fd));
  ec = asio::error::eof;
  socket.close(ec);
  CHECK_FALSE(ec);
  CHECK_NOTHROW(socket.close());
  socket.cancel(ec);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK_THROWS_AS(socket.cancel(), dgram::system_error);
}

TEST_CASE("basic_socket: cancel ends what is pending, can be repeated, and the socket goes on")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  socket.cancel();  // nothing is pending
  dgram::receive_batch batch(1, 16);
  std::array<char, 16> storage{};
  std::vector<error_code> results;
  const auto note = [&](error_code ec, std::size_t) { results.push_back(ec); };
  socket.async_receive_batch(batch, note);
  socket.async_receive(asio::buffer(storage), note);
  socket.async_wait(asio::socket_base::wait_read, [&](error_code ec) { note(ec, 0); });
  socket.cancel();
  socket.cancel();
  test::run(io);
  REQUIRE(results.size() == 3);
  for (const auto& ec : results)
    CHECK(ec == asio::error::operation_aborted);

  socket_type sender(io, test::loopback_v4());
  check_flow(io, sender, socket);
}

TEST_CASE("basic_socket: a socket can be opened again after close, with nothing of the old one")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type peer(io, test::loopback_v4());
  socket_type socket(io, udp::dual());
  socket.connect(peer.local_endpoint());
  socket.close();
  // Neither connected nor dual any more.
  socket.open(udp::v4());
  socket.bind(test::loopback_v4());
  check_flow(io, socket, peer);
  socket.close();
  socket.open(udp::v6());
  socket.set_option(dgram::option::v6_only(false));
  socket.bind({asio::ip::address_v6::any(), 0});
  peer.send_to(test::bytes("x"), test::loopback_v4(socket.local_endpoint().port()));
  CHECK(test::take(io, socket).sender == dgram::mapped(peer.local_endpoint()));
}

TEST_CASE("basic_socket: the destructor closes")
{
  asio::io_context io;
  error_code result = no_result;
  dgram::receive_batch batch(1, 16);
  test::descriptor_type fd = test::no_descriptor;
  {
    socket_type socket(io, test::loopback_v4());
    fd = socket.native_handle();
    socket.async_receive_batch(batch, [&](error_code ec, std::size_t) { result = ec; });
  }
  CHECK_FALSE(test::is_open_descriptor(fd));
  test::run(io);
  CHECK(result == asio::error::operation_aborted);
}

TEST_CASE("basic_socket: every call on a closed socket is bad_descriptor")
{
  asio::io_context io;
  socket_type socket(io);
  std::array<char, 16> storage{};
  const auto peer = test::loopback_v4(9);
  test::endpoint from;
  dgram::receive_batch in(1, 16);
  dgram::send_batch out(1);
  out.push("x", peer);
  error_code ec;
  const auto check = [&](const char* what, auto&& call) {
    CAPTURE(what);
    ec.clear();
    call();
    CHECK(ec == asio::error::bad_descriptor);
  };
  check("bind", [&] { socket.bind(test::loopback_v4(), ec); });
  check("local_endpoint", [&] { (void)socket.local_endpoint(ec); });
  check("remote_endpoint", [&] { (void)socket.remote_endpoint(ec); });
  check("disconnect", [&] { socket.disconnect(ec); });
  check("send", [&] { socket.send(test::bytes("x"), 0, ec); });
  check("send_to", [&] { socket.send_to(test::bytes("x"), peer, 0, ec); });
  check("receive", [&] { socket.receive(asio::buffer(storage), 0, ec); });
  check("receive_from", [&] { socket.receive_from(asio::buffer(storage), from, 0, ec); });
  check("try_send", [&] { socket.try_send(test::bytes("x"), ec); });
  check("try_send_to", [&] { socket.try_send_to(test::bytes("x"), peer, ec); });
  check("try_receive", [&] { socket.try_receive(asio::buffer(storage), ec); });
  check("try_receive_from", [&] { socket.try_receive_from(asio::buffer(storage), from, ec); });
  check("try_receive_batch", [&] { socket.try_receive_batch(in, ec); });
  check("receive_batch", [&] { socket.receive_batch(in, ec); });
  check("try_send_batch", [&] { ec = socket.try_send_batch(out).error; });
  check("send_batch", [&] { ec = socket.send_batch(out).error; });
  check("wait", [&] { socket.wait(asio::socket_base::wait_read, ec); });
  check("available", [&] { (void)socket.available(ec); });
  check("shutdown", [&] { socket.shutdown(asio::socket_base::shutdown_both, ec); });
  check("receive_buffer_size", [&] { (void)socket.get_receive_buffer_size(ec); });
  check("receive_buffer_size(n)", [&] { (void)socket.set_receive_buffer_size(1000, ec); });
  check("send_buffer_size", [&] { (void)socket.get_send_buffer_size(ec); });
  check("send_buffer_size(n)", [&] { (void)socket.set_send_buffer_size(1000, ec); });
  check("non_blocking", [&] { socket.non_blocking(true, ec); });
  check("native_non_blocking", [&] { socket.native_non_blocking(true, ec); });
  CHECK(socket.native_handle() == test::no_descriptor);
  CHECK(out.size() == 1);

  int completed = 0;
  const auto note = [&](error_code result, std::size_t) {
    CHECK(result == asio::error::bad_descriptor);
    ++completed;
  };
  socket.async_wait(asio::socket_base::wait_read, [&](error_code result) { note(result, 0); });
  socket.async_send(test::bytes("x"), note);
  socket.async_send_to(test::bytes("x"), peer, note);
  socket.async_receive(asio::buffer(storage), note);
  socket.async_receive_from(asio::buffer(storage), from, note);
  socket.async_receive_batch(in, note);
  socket.async_send_batch(out, [&](error_code result, dgram::send_result sent) {
    CHECK(sent.sent == 0);
    note(result, 0);
  });
  CHECK(completed == 0);
  test::run(io);
  CHECK(completed == 7);
}

// --- addresses ---

TEST_CASE("basic_socket: connect fixes the peer, disconnect frees it")
{
  asio::io_context io;
  socket_type peer(io, test::loopback_v4());
  socket_type stranger(io, test::loopback_v4());
  socket_type socket(io, test::loopback_v4());
  const auto local = socket.local_endpoint();
  error_code ec;
  (void)socket.remote_endpoint(ec);
  CHECK(ec == asio::error::not_connected);
  socket.disconnect(ec);
  CHECK(ec == asio::error::not_connected);
  socket.send(test::bytes("x"), 0, ec);
  CHECK(ec == test::os_error(EDESTADDRREQ));

  socket.connect(peer.local_endpoint());
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  CHECK(socket.local_endpoint() == local);
  const auto nobody = test::loopback_v4(0);
  socket.connect(nobody, ec);
  CHECK(ec == dgram::error::bad_port);
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  CHECK_THAT(test::thrown_text([&] { socket.connect(nobody); }),
             Catch::Matchers::StartsWith("connect") &&
                 Catch::Matchers::ContainsSubstring(dgram::to_string(nobody)));

  // Only the peer's datagrams arrive.
  stranger.send_to(test::bytes("stranger"), local);
  peer.send_to(test::bytes("peer"), local);
  CHECK(test::take(io, socket).text == "peer");
  CHECK(socket.send(test::bytes("answer")) == 6);
  CHECK(test::take(io, peer).text == "answer");

  socket.disconnect(ec);
  REQUIRE_FALSE(ec);
  (void)socket.remote_endpoint(ec);
  CHECK(ec == asio::error::not_connected);
  socket.connect(stranger.local_endpoint());
  CHECK(socket.remote_endpoint() == stranger.local_endpoint());
}

TEST_CASE("basic_socket: after disconnect the local port stays, and everybody reaches it")
{
  asio::io_context io;
  socket_type peer(io, test::loopback_v4());
  socket_type stranger(io, test::loopback_v4());
  socket_type socket(io);
  const test::reserved_port port;
  SECTION("bound to a port that was asked for")
  {
    socket.open(udp::v4());
    socket.bind(test::loopback_v4(port.number()));
  }
  SECTION("bound to any free port")
  {
    socket.open(udp::v4());
    socket.bind(test::loopback_v4());
  }
  SECTION("bound by the system when it was connected")
  {
  }
  socket.connect(peer.local_endpoint());
  const auto local = socket.local_endpoint();
  REQUIRE(local.port() != 0);
  socket.disconnect();
  REQUIRE(socket.local_endpoint().port() == local.port());
  stranger.send_to(test::bytes("reached"), local);
  CHECK(test::take(io, socket).text == "reached");
}

TEST_CASE("basic_socket: connecting opens a closed socket, by either form")
{
  asio::io_context io;
  socket_type peer(io, test::loopback_v4());
  socket_type first(io);
  first.connect(peer.local_endpoint());
  first.send(test::bytes("sync"));
  CHECK(test::take(io, peer).text == "sync");

  socket_type second(io);
  error_code result = no_result;
  second.async_connect(peer.local_endpoint(), [&](error_code ec) { result = ec; });
  CHECK(result == no_result);  // never inside the call
  test::run(io);
  CHECK_FALSE(result);
  CHECK(second.remote_endpoint() == peer.local_endpoint());
  result = no_result;
  second.async_connect(test::loopback_v4(0), [&](error_code ec) { result = ec; });
  CHECK(result == no_result);
  test::run(io);
  CHECK(result == dgram::error::bad_port);
  CHECK(second.remote_endpoint() == peer.local_endpoint());
}

TEST_CASE("basic_socket: binding twice, or to another's port, is the kernel's error")
{
  asio::io_context io;
  socket_type first(io, test::loopback_v4());
  socket_type second(io, udp::v4());
  error_code ec;
  second.bind(first.local_endpoint(), ec);
  CHECK(ec == asio::error::address_in_use);
  second.bind(test::loopback_v4(), ec);
  CHECK_FALSE(ec);
  second.bind(test::loopback_v4(), ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_THAT(test::thrown_text([&] { second.bind(first.local_endpoint()); }),
             Catch::Matchers::ContainsSubstring(dgram::to_string(first.local_endpoint())));
}

// --- one datagram ---

TEST_CASE("basic_socket: available is the size of the next datagram")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  CHECK(socket.available() == 0);
  socket.send_to(test::bytes("12345"), socket.local_endpoint());
  test::await_readable(io, socket);
  CHECK(socket.available() >= 5);
  (void)test::take(io, socket);
  CHECK(socket.available() == 0);
}

TEST_CASE("basic_socket: the forms that never block say would_block, or give nothing")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  std::array<char, 16> storage{};
  test::endpoint from;
  dgram::receive_batch batch(2, 16);
  error_code ec;
  CHECK(socket.try_receive(asio::buffer(storage), ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.try_receive_from(asio::buffer(storage), from, ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.try_receive_batch(batch, ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.try_receive(asio::buffer(storage)) == std::nullopt);
  CHECK(socket.try_receive_from(asio::buffer(storage), from) == std::nullopt);
  CHECK(socket.try_receive_batch(batch) == std::nullopt);
  CHECK(from == test::endpoint());
  // They ask for it with each call; the socket itself is as it was.
  CHECK_FALSE(socket.non_blocking());
}

TEST_CASE("basic_socket: the forms that never block move one datagram")
{
  asio::io_context io;
  socket_type peer(io, test::loopback_v4());
  socket_type socket(io, test::loopback_v4());
  std::array<char, 16> storage{};
  test::endpoint from;
  error_code ec = asio::error::eof;

  CHECK(socket.try_send_to(test::bytes("one"), peer.local_endpoint(), ec) == 3);
  CHECK_FALSE(ec);
  CHECK(socket.try_send_to(test::bytes("four"), peer.local_endpoint()) == 4U);
  CHECK(socket.try_send_to(test::bytes(""), peer.local_endpoint()) == 0U);
  test::await_readable(io, peer);
  ec = asio::error::eof;
  CHECK(peer.try_receive_from(asio::buffer(storage), from, ec) == 3);
  CHECK_FALSE(ec);
  CHECK(from == socket.local_endpoint());
  CHECK(std::string(storage.data(), 3) == "one");
  // What does not fit is cut off, and the size is that of what was stored.
  CHECK(peer.try_receive(asio::buffer(storage, 2), ec) == 2);
  CHECK_FALSE(ec);
  CHECK(std::string(storage.data(), 2) == "fo");
  // An empty datagram is not "nothing".
  const auto empty = peer.try_receive_from(asio::buffer(storage), from);
  CHECK(empty == 0U);
  CHECK(peer.try_receive(asio::buffer(storage)) == std::nullopt);

  socket.connect(peer.local_endpoint());
  CHECK(socket.try_send(test::bytes("connected"), ec) == 9);
  CHECK_FALSE(ec);
  CHECK(socket.try_send(test::bytes("again")) == 5U);
  CHECK(test::take(io, peer).text == "connected");
  CHECK(test::take(io, peer).text == "again");
  peer.connect(socket.local_endpoint());
  peer.send(test::bytes("back"));
  test::await_readable(io, socket);
  CHECK(socket.try_receive(asio::buffer(storage)) == 4U);
}

TEST_CASE("basic_socket: the forms that never block throw what is not would_block")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  const std::string too_large(70'000, 'x');
  const auto peer = socket.local_endpoint();
  error_code ec;
  socket.try_send_to(asio::buffer(too_large), peer, ec);
  CHECK(ec == asio::error::message_size);
  CHECK_THAT(test::thrown_text([&] { (void)socket.try_send_to(asio::buffer(too_large), peer); }),
             Catch::Matchers::StartsWith("try_send_to"));
  socket.try_send(test::bytes("no peer"), ec);
  CHECK(ec == test::os_error(EDESTADDRREQ));
  CHECK_THROWS_AS(socket.try_send(test::bytes("no peer")), dgram::system_error);
  socket.close();
  std::array<char, 4> storage{};
  test::endpoint from;
  dgram::receive_batch batch(1, 16);
  CHECK_THROWS_AS(socket.try_receive(asio::buffer(storage)), dgram::system_error);
  CHECK_THROWS_AS(socket.try_receive_from(asio::buffer(storage), from), dgram::system_error);
  CHECK_THROWS_AS(socket.try_receive_batch(batch), dgram::system_error);
}

TEST_CASE("basic_socket: buffer sequences are gathered and scattered")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  const std::vector<asio::const_buffer> parts{test::bytes("ab"), test::bytes(""),
                                              test::bytes("cde")};
  std::array<char, 1> first{};
  std::array<char, 8> second{};
  const std::array<asio::mutable_buffer, 2> into{asio::buffer(first), asio::buffer(second)};
  test::endpoint from;
  SECTION("without blocking")
  {
    CHECK(socket.try_send_to(parts, socket.local_endpoint()) == 5U);
    test::await_readable(io, socket);
    CHECK(socket.try_receive_from(into, from) == 5U);
  }
  SECTION("blocking")
  {
    CHECK(socket.send_to(parts, socket.local_endpoint()) == 5);
    test::await_readable(io, socket);
    CHECK(socket.receive_from(into, from) == 5);
  }
  CHECK(first[0] == 'a');
  CHECK(std::string(second.data(), 4) == "bcde");
  CHECK(from == socket.local_endpoint());
}

TEST_CASE("basic_socket: non_blocking makes the plain calls return would_block")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  CHECK_FALSE(socket.non_blocking());
  socket.non_blocking(true);
  CHECK(socket.non_blocking());
  std::array<char, 4> storage{};
  error_code ec;
  CHECK(socket.receive(asio::buffer(storage), 0, ec) == 0);
  CHECK(ec == asio::error::would_block);
}

TEST_CASE("basic_socket: a datagram can be looked at before it is taken")
{
  asio::io_context io;
  socket_type socket(io, test::loopback_v4());
  socket.send_to(test::bytes("peek"), socket.local_endpoint());
  test::await_readable(io, socket);
  std::array<char, 8> storage{};
  CHECK(socket.receive(asio::buffer(storage), asio::socket_base::message_peek) == 4);
  CHECK(test::take(io, socket).text == "peek");
}

// --- batches ---

TEST_CASE("basic_socket: batches move many datagrams at once, synchronously")
{
  asio::io_context io;
  socket_type sender(io, test::loopback_v4());
  socket_type receiver(io, test::loopback_v4());
  dgram::send_batch out(5);
  for (const char* text : {"1", "22", "", "4444", "55555"})
    out.push(text, receiver.local_endpoint());
  const auto result = sender.send_batch(out);
  CHECK(result.sent == 5);
  CHECK_FALSE(result.error);
  test::await_readable(io, receiver);
  dgram::receive_batch in(3, 16);
  CHECK(receiver.receive_batch(in) == 3);
  CHECK(in[1].payload().text() == "22");
  CHECK(in[1].sender() == sender.local_endpoint());
  error_code ec = asio::error::eof;
  CHECK(receiver.receive_batch(in, ec) == 2);
  CHECK_FALSE(ec);
  CHECK(in[1].payload().text() == "55555");
  CHECK(receiver.try_receive_batch(in) == std::nullopt);
}

// --- dual stack ---

TEST_CASE("basic_socket: a dual-stack socket is asked for in two ways")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  std::vector<socket_type> sockets;
  sockets.emplace_back(io, udp::dual());
  sockets.emplace_back(io, udp::v4(), dgram::socket_config{.dual_stack = true});
  sockets.emplace_back(io, udp::v6(), dgram::socket_config{.dual_stack = true});
  for (auto& socket : sockets) {
#if defined(SO_DOMAIN)
    CHECK(test::raw_option(socket.native_handle(), SOL_SOCKET, SO_DOMAIN) == AF_INET6);
#endif
    CHECK(test::raw_option(socket.native_handle(), IPPROTO_IPV6, IPV6_V6ONLY) == 0);
    socket.bind({asio::ip::address_v6::any(), 0});
    socket_type sender(io, test::loopback_v4());
    sender.send_to(test::bytes("x"), test::loopback_v4(socket.local_endpoint().port()));
    CHECK(test::take(io, socket).sender == sender.local_endpoint());
  }
}

TEST_CASE("basic_socket: a dual-stack socket bound to an IPv4 address shows it plain")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type socket(io, test::loopback_v4(), {.dual_stack = true});
  CHECK(socket.local_endpoint().address() == asio::ip::address_v4::loopback());
  CHECK(socket.local_endpoint().port() != 0);
  const socket_type any(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  CHECK(any.local_endpoint().address() == asio::ip::address_v6::any());
}

TEST_CASE("basic_socket: udp::v6 behaves as in Asio and shows mapped endpoints")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type socket(io, udp::v6());
  error_code ec;
  socket.set_option(dgram::option::v6_only(false), ec);
  REQUIRE_FALSE(ec);
  socket.bind({asio::ip::address_v6::any(), 0});
  socket_type sender(io, test::loopback_v4());
  sender.send_to(test::bytes("x"), test::loopback_v4(socket.local_endpoint().port()));
  CHECK(test::take(io, socket).sender == dgram::mapped(sender.local_endpoint()));
}

TEST_CASE("basic_socket: a dual-stack socket takes and gives plain endpoints in every operation")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  socket_type dual(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  const auto port = dual.local_endpoint().port();
  const bool is_v4 = GENERATE(true, false);
  CAPTURE(is_v4);
  const auto there = is_v4 ? test::loopback_v4() : test::loopback_v6();
  const auto here = is_v4 ? test::loopback_v4(port) : test::loopback_v6(port);
  socket_type peer(io, there);
  const auto expected = peer.local_endpoint();
  std::array<char, 16> storage{};
  test::endpoint from;
  error_code result = no_result;
  std::size_t size = 0;
  const auto note = [&](error_code ec, std::size_t n) {
    result = ec;
    size = n;
  };
  const auto check_received = [&] {
    CHECK(size == 4);
    CHECK(std::string(storage.data(), 4) == "ping");
    CHECK(from == expected);
  };

  SECTION("receive_from")
  {
    peer.send_to(test::bytes("ping"), here);
    test::await_readable(io, dual);
    size = dual.receive_from(asio::buffer(storage), from);
    check_received();
  }
  SECTION("try_receive_from")
  {
    peer.send_to(test::bytes("ping"), here);
    test::await_readable(io, dual);
    size = dual.try_receive_from(asio::buffer(storage), from).value_or(0);
    check_received();
  }
  SECTION("async_receive_from, waiting")
  {
    dual.async_receive_from(asio::buffer(storage), from, note);
    io.poll();
    REQUIRE(result == no_result);
    peer.send_to(test::bytes("ping"), here);
    test::run(io);
    CHECK_FALSE(result);
    check_received();
  }
  SECTION("async_receive_from, ready")
  {
    peer.send_to(test::bytes("ping"), here);
    test::await_readable(io, dual);
    dual.async_receive_from(asio::buffer(storage), from, 0, note);
    CHECK(result == no_result);
    test::run(io);
    CHECK_FALSE(result);
    check_received();
  }
  SECTION("async_receive_from, as a coroutine")
  {
    peer.send_to(test::bytes("ping"), here);
    test::run(io, [](auto& socket, auto into, auto& sender, auto& n) -> asio::awaitable<void> {
      n = co_await socket.async_receive_from(into, sender);
    }(dual, asio::buffer(storage), from, size));
    check_received();
  }
  SECTION("batches that are received")
  {
    dgram::receive_batch batch(2, 16);
    peer.send_to(test::bytes("ping"), here);
    test::await_readable(io, dual);
    REQUIRE(dual.receive_batch(batch) == 1);
    CHECK(batch[0].sender() == expected);
    dual.async_receive_batch(batch, note);
    peer.send_to(test::bytes("pong"), here);
    test::run(io);
    CHECK_FALSE(result);
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].payload().text() == "pong");
    CHECK(batch[0].sender() == expected);
  }
  SECTION("sending to the peer")
  {
    dual.send_to(test::bytes("1"), expected);
    CHECK(dual.try_send_to(test::bytes("2"), expected) == 1U);
    dual.async_send_to(test::bytes("3"), expected, note);
    test::run(io);
    CHECK_FALSE(result);
    dgram::send_batch batch(2);
    batch.push("4", expected);
    CHECK(dual.send_batch(batch).sent == 1);
    batch.push("5", expected);
    result = no_result;
    dual.async_send_batch(batch, [&](error_code ec, dgram::send_result) { result = ec; });
    test::run(io);
    CHECK_FALSE(result);
    for (const char* text : {"1", "2", "3", "4", "5"}) {
      const auto datagram = test::take(io, peer);
      CHECK(datagram.text == text);
      CHECK(datagram.sender == here);
    }
  }
  SECTION("connecting")
  {
    dual.connect(expected);
    CHECK(dual.remote_endpoint() == expected);
    CHECK(dual.local_endpoint() == here);
    dual.send(test::bytes("connected"));
    CHECK(test::take(io, peer).text == "connected");
    peer.send_to(test::bytes("ping"), here);
    test::await_readable(io, dual);
    size = dual.receive_from(asio::buffer(storage), from);
    check_received();
  }
  SECTION("connecting asynchronously")
  {
    dual.async_connect(expected, [&](error_code ec) { result = ec; });
    test::run(io);
    CHECK_FALSE(result);
    CHECK(dual.remote_endpoint() == expected);
  }
}

// --- tokens ---

TEST_CASE("basic_socket: without a token an operation is awaited")
{
  asio::io_context io;
  socket_type receiver(io, test::loopback_v4());
  socket_type sender(io, test::loopback_v4());
  std::size_t size = 0;
  test::run(io, [](auto& from, auto& to, auto& n) -> asio::awaitable<void> {
    std::array<char, 16> storage{};
    test::endpoint peer;
    n += co_await from.async_send_to(test::bytes("default"), to.local_endpoint());
    co_await to.async_wait(asio::socket_base::wait_read);
    n += co_await to.async_receive_from(asio::buffer(storage), peer);
    co_await from.async_connect(to.local_endpoint());
    n += co_await from.async_send(test::bytes("xy"));
    n += co_await to.async_receive(asio::buffer(storage));
    dgram::send_batch out(1);
    dgram::receive_batch in(1, 16);
    out.push("z");
    const dgram::send_result result = co_await from.async_send_batch(out);
    n += result.sent;
    n += co_await to.async_receive_batch(in);
  }(sender, receiver, size));
  CHECK(size == 7 + 7 + 2 + 2 + 1 + 1);
}

}  // namespace basic_socket_test
