// SPDX-License-Identifier: BSL-1.0
// Every member of asio::ip::udp::socket, compared with ours by the compiler: types, constants, functions, results.
#include <dgram.hpp>

#include <asio.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace drop_in {

using theirs = asio::ip::udp::socket;
using ours = dgram::udp::socket;
using other_executor = asio::io_context::executor_type;

// What the calls below are made with. Nothing is called, so nothing of this is defined.
extern std::error_code ec;
extern asio::ip::udp::endpoint peer;
extern asio::const_buffer bytes;
extern std::vector<asio::const_buffer> several;
extern std::array<asio::mutable_buffer, 2> room;
extern asio::socket_base::reuse_address option;
extern asio::ip::multicast::hops hops;
extern asio::socket_base::bytes_readable command;
void on_transfer(std::error_code, std::size_t);
void on_event(std::error_code);

/// What stands in our signatures for a type of Asio's: the protocol, and its sockets.
template <class T>
struct translated {
  using type = T;
};
template <>
struct translated<asio::ip::udp> {
  using type = dgram::udp;
};
template <class Executor>
struct translated<asio::basic_datagram_socket<asio::ip::udp, Executor>> {
  using type = dgram::basic_socket<dgram::udp, Executor>;
};

template <class Theirs, class Ours>
inline constexpr bool same = std::is_same_v<typename translated<Theirs>::type, Ours>;

template <class Call, class Socket>
inline constexpr bool is_callable = std::is_invocable_v<Call, Socket&>;

template <class Call>
constexpr bool same_call(Call /*call*/)
{
  using theirs_result = std::invoke_result_t<Call, theirs&>;
  return same<theirs_result, std::invoke_result_t<Call, ours&>> &&
         is_callable<Call, const theirs> == is_callable<Call, const ours>;
}

// A call that Asio's socket takes has to be taken by ours, with the same result, and on a constant one if Asio's is.
#define SAME_CALL(...) \
  static_assert(same_call([](auto& socket) -> decltype(__VA_ARGS__) { return __VA_ARGS__; }))

#define SAME_TYPE(name) static_assert(same<theirs::name, ours::name>)
#define SAME_CONSTANT(name)                                                    \
  static_assert(std::is_same_v<decltype(theirs::name), decltype(ours::name)>); \
  static_assert(theirs::name == ours::name)

SAME_TYPE(executor_type);
SAME_TYPE(rebind_executor<other_executor>::other);
SAME_TYPE(native_handle_type);
SAME_TYPE(protocol_type);
SAME_TYPE(endpoint_type);
SAME_TYPE(lowest_layer_type);
SAME_TYPE(protocol_type::resolver);

SAME_TYPE(shutdown_type);
SAME_TYPE(wait_type);
SAME_TYPE(message_flags);
SAME_TYPE(broadcast);
SAME_TYPE(debug);
SAME_TYPE(do_not_route);
SAME_TYPE(keep_alive);
SAME_TYPE(send_buffer_size);
SAME_TYPE(send_low_watermark);
SAME_TYPE(receive_buffer_size);
SAME_TYPE(receive_low_watermark);
SAME_TYPE(reuse_address);
SAME_TYPE(linger);
SAME_TYPE(out_of_band_inline);
SAME_TYPE(enable_connection_aborted);
SAME_TYPE(bytes_readable);

SAME_CONSTANT(shutdown_receive);
SAME_CONSTANT(shutdown_send);
SAME_CONSTANT(shutdown_both);
SAME_CONSTANT(wait_read);
SAME_CONSTANT(wait_write);
SAME_CONSTANT(wait_error);
SAME_CONSTANT(message_peek);
SAME_CONSTANT(message_out_of_band);
SAME_CONSTANT(message_do_not_route);
SAME_CONSTANT(message_end_of_record);
SAME_CONSTANT(max_listen_connections);
#if !defined(ASIO_NO_DEPRECATED) && ASIO_VERSION < 103000
SAME_CONSTANT(max_connections);
#endif

template <class Socket>
using protocol_of = typename std::remove_cvref_t<Socket>::protocol_type;
#define PROTOCOL protocol_of<decltype(socket)>::v4()

SAME_CALL(socket.get_executor());
SAME_CALL(socket.lowest_layer());
SAME_CALL(socket.is_open());
SAME_CALL(socket.native_handle());
SAME_CALL(socket.open(PROTOCOL));
SAME_CALL(socket.open(PROTOCOL, ec));
SAME_CALL(socket.assign(PROTOCOL, socket.native_handle()));
SAME_CALL(socket.assign(PROTOCOL, socket.native_handle(), ec));
SAME_CALL(socket.assign(PROTOCOL, long{3}));
SAME_CALL(socket.assign(PROTOCOL, long{3}, ec));
SAME_CALL(socket.close());
SAME_CALL(socket.close(ec));
SAME_CALL(socket.release());
SAME_CALL(socket.release(ec));
SAME_CALL(socket.cancel());
SAME_CALL(socket.cancel(ec));
SAME_CALL(socket.at_mark());
SAME_CALL(socket.at_mark(ec));
SAME_CALL(socket.available());
SAME_CALL(socket.available(ec));
SAME_CALL(socket.bind(peer));
SAME_CALL(socket.bind(peer, ec));
SAME_CALL(socket.connect(peer));
SAME_CALL(socket.connect(peer, ec));
SAME_CALL(socket.set_option(option));
SAME_CALL(socket.set_option(option, ec));
SAME_CALL(socket.set_option(hops, ec));
SAME_CALL(socket.get_option(option));
SAME_CALL(socket.get_option(option, ec));
SAME_CALL(socket.get_option(hops, ec));
SAME_CALL(socket.io_control(command));
SAME_CALL(socket.io_control(command, ec));
SAME_CALL(socket.non_blocking());
SAME_CALL(socket.non_blocking(true));
SAME_CALL(socket.non_blocking(true, ec));
SAME_CALL(socket.native_non_blocking());
SAME_CALL(socket.native_non_blocking(true));
SAME_CALL(socket.native_non_blocking(true, ec));
SAME_CALL(socket.local_endpoint());
SAME_CALL(socket.local_endpoint(ec));
SAME_CALL(socket.remote_endpoint());
SAME_CALL(socket.remote_endpoint(ec));
SAME_CALL(socket.shutdown(asio::socket_base::shutdown_both));
SAME_CALL(socket.shutdown(asio::socket_base::shutdown_both, ec));
SAME_CALL(socket.wait(asio::socket_base::wait_read));
SAME_CALL(socket.wait(asio::socket_base::wait_read, ec));

SAME_CALL(socket.send(bytes));
SAME_CALL(socket.send(several, 0));
SAME_CALL(socket.send(bytes, 0, ec));
SAME_CALL(socket.send_to(bytes, peer));
SAME_CALL(socket.send_to(several, peer, 0));
SAME_CALL(socket.send_to(bytes, peer, 0, ec));
SAME_CALL(socket.receive(room));
SAME_CALL(socket.receive(room, 0));
SAME_CALL(socket.receive(room, 0, ec));
SAME_CALL(socket.receive_from(room, peer));
SAME_CALL(socket.receive_from(room, peer, 0));
SAME_CALL(socket.receive_from(room, peer, 0, ec));

// Each asynchronous operation with each kind of token; what the token makes of the operation is its result.
#define SAME_ASYNC_TRANSFER(name, ...)                   \
  SAME_CALL(socket.name(__VA_ARGS__, on_transfer));      \
  SAME_CALL(socket.name(__VA_ARGS__, asio::use_future)); \
  SAME_CALL(socket.name(__VA_ARGS__, asio::detached));   \
  SAME_CALL(socket.name(__VA_ARGS__, asio::use_awaitable))
SAME_ASYNC_TRANSFER(async_send, bytes);
SAME_ASYNC_TRANSFER(async_send, bytes, 0);
SAME_ASYNC_TRANSFER(async_send_to, bytes, peer);
SAME_ASYNC_TRANSFER(async_send_to, bytes, peer, 0);
SAME_ASYNC_TRANSFER(async_receive, room);
SAME_ASYNC_TRANSFER(async_receive, room, 0);
SAME_ASYNC_TRANSFER(async_receive_from, room, peer);
SAME_ASYNC_TRANSFER(async_receive_from, room, peer, 0);
SAME_CALL(socket.async_connect(peer, on_event));
SAME_CALL(socket.async_connect(peer, asio::use_future));
SAME_CALL(socket.async_connect(peer, asio::use_awaitable));
SAME_CALL(socket.async_wait(asio::socket_base::wait_read, on_event));
SAME_CALL(socket.async_wait(asio::socket_base::wait_read, asio::use_future));
SAME_CALL(socket.async_wait(asio::socket_base::wait_read, asio::use_awaitable));

// A socket whose default token is one of Asio's can do without.
template <class Socket>
using awaiting = asio::use_awaitable_t<>::as_default_on_t<Socket>;
static_assert(
    std::is_same_v<decltype(std::declval<awaiting<theirs>&>().async_receive_from(room, peer)),
                   decltype(std::declval<awaiting<ours>&>().async_receive_from(room, peer))>);

/// Whether a socket of either type is made of these arguments, or of neither.
template <class... Arguments>
inline constexpr bool same_construction =
    std::is_constructible_v<theirs, Arguments...> &&
    std::is_constructible_v<ours, typename translated<Arguments>::type...> &&
    std::is_nothrow_constructible_v<theirs, Arguments...> ==
        std::is_nothrow_constructible_v<ours, typename translated<Arguments>::type...>;

using context = asio::io_context&;
using executor = asio::any_io_executor;
static_assert(same_construction<context>);
static_assert(same_construction<executor>);
static_assert(same_construction<context, asio::ip::udp>);
static_assert(same_construction<executor, asio::ip::udp>);
static_assert(same_construction<context, asio::ip::udp::endpoint>);
static_assert(same_construction<executor, asio::ip::udp::endpoint>);
static_assert(same_construction<context, asio::ip::udp, theirs::native_handle_type>);
static_assert(same_construction<executor, asio::ip::udp, theirs::native_handle_type>);
static_assert(same_construction<context, asio::ip::udp, long>);
static_assert(same_construction<executor, asio::ip::udp, long>);
static_assert(same_construction<theirs>);
static_assert(same_construction<asio::basic_datagram_socket<asio::ip::udp, other_executor>>);
static_assert(std::is_nothrow_move_assignable_v<ours>);
static_assert(!std::is_copy_constructible_v<ours> && !std::is_copy_assignable_v<ours>);
// Asio's protocol converts, so what was made of it stays valid.
static_assert(std::is_constructible_v<ours, context, asio::ip::udp>);
static_assert(std::is_constructible_v<ours, context, asio::ip::udp, long>);
static_assert(!std::is_convertible_v<context, ours> && !std::is_convertible_v<context, theirs>);
static_assert(std::is_base_of_v<asio::socket_base, ours>);

}  // namespace drop_in

namespace {

/// The errors of the functions that have no other result, as they are returned. Success has many categories.
template <class Socket>
std::vector<std::error_code> returned_errors()
{
  asio::io_context io;
  Socket socket(io);
  std::error_code ec;
  std::vector<std::error_code> results;
  const asio::ip::udp::endpoint local(asio::ip::address_v4::loopback(), 0);
  asio::socket_base::broadcast broadcast(true);
  asio::socket_base::bytes_readable command;
  const auto call_all = [&] {
    results.push_back(socket.bind(local, ec));
    results.push_back(socket.set_option(broadcast, ec));
    results.push_back(socket.get_option(broadcast, ec));
    results.push_back(socket.io_control(command, ec));
    results.push_back(socket.non_blocking(true, ec));
    results.push_back(socket.native_non_blocking(true, ec));
    results.push_back(socket.shutdown(asio::socket_base::shutdown_both, ec));
    results.push_back(socket.cancel(ec));
  };
  call_all();
  results.push_back(socket.wait(asio::socket_base::wait_write, ec));
  using protocol = typename Socket::protocol_type;
  results.push_back(socket.assign(protocol::v4(), -1, ec));
  results.push_back(socket.open(protocol::v4(), ec));
  results.push_back(socket.open(protocol::v4(), ec));
  call_all();
  results.push_back(socket.connect({asio::ip::address_v6::loopback(), 9}, ec));
  results.push_back(socket.connect({asio::ip::address_v4::loopback(), 9}, ec));
  results.push_back(socket.wait(asio::socket_base::wait_write, ec));
  results.push_back(socket.close(ec));
  for (std::error_code& result : results)
    if (!result) result.clear();
  return results;
}

}  // namespace

TEST_CASE("drop-in: functions with an error_code return it, as Asio's do")
{
  CHECK(returned_errors<dgram::udp::socket>() == returned_errors<asio::ip::udp::socket>());
  asio::io_context io;
  dgram::udp::socket socket(io);
  std::error_code ec;
  if (socket.open(dgram::udp::v4(), ec)) FAIL("opened in vain");
  CHECK(socket.open(dgram::udp::v4(), ec) == asio::error::already_open);
  CHECK(socket.disconnect(ec) == asio::error::not_connected);
}
