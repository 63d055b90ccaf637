// SPDX-License-Identifier: BSL-1.0
// Concepts of what an emitter, a reader and a writer need from a socket. Another type that models
// them can replace the socket.
#ifndef DGRAM_TRANSPORT_HPP
#define DGRAM_TRANSPORT_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/option.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/send_batch.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A completion token that stands for any token: the result of a wait with it is known without an
/// instantiation of the wait.
struct any_token {};

}  // namespace detail

DGRAM_NAMESPACE_END

template <class Result, class... Args>
class dgram::net::async_result<dgram::detail::any_token, Result(Args...)> {
public:
  using return_type = void;

  template <class Initiation, class Token, class... InitArgs>
  static void initiate(Initiation&&, Token&&, InitArgs&&...);
};

DGRAM_NAMESPACE_BEGIN

/// A copyable reference to a socket or to another transport. It stays valid when the socket is
/// moved or destroyed, and then finds it closed. Readers, writers and emitters hold one.
///
/// Calls:
///  - `try_receive_batch` and `try_send_batch` never block. Their error is `would_block` if no
///    datagram can be moved now. A handle without a system socket fills a batch with `clear` and
///    `store`, and reads one with `front`, `drop_front` and `refuse_front`.
///  - `is_congested` says whether a send that failed with this error must wait with
///    `async_wait_congestion` before the next try.
///  - `is_drained` says that the last batch emptied the queue: the next call must wait, not try.
///    `has_pending_error` says that the last batch left an error, which the next batch reports.
///  - `epoch` changes when the socket is closed, opened or cancelled. Operations that were started
///    before must end then.
///  - `descriptor_number` is different for each descriptor that the socket has had.
///  - `reports_taken` counts reports from the error queue, which explain wake-ups without a
///    datagram.
///  - `is_ready` says whether a wait would complete at once. A handle need not have it. Without it,
///    an operation that was woken in vain a few times waits on the timer, because the wait might
///    spin.
///  - `set_coalescing` lets datagrams arrive as trains, and `is_coalescing` says whether they may.
///  - `provide_reply_source` makes datagrams carry the address that they were sent to.
///
/// Waits, `async_wait` (`wait_read` or `wait_write`) and `async_wait_congestion`:
///  - They take any completion token, for `void(error_code)`.
///  - They complete once and later, never inside the call.
///  - They honour the handler's executor, allocator and cancellation slot, for terminal, partial
///    and total.
///  - They complete with `operation_aborted` when the epoch ends.
///  - Any number may be pending at a time. Cancelling one wait ends no other wait of the same kind.
///    Waits for congestion are the exception, because they may share one timer.
///
/// Time: `clock_type` is a clock, and `timer_type` is a timer of that clock. The timer is
/// constructed on the executor, and has `expires_at`, `expires_after`, `async_wait` and `cancel` of
/// an Asio timer. All deadlines and delays of readers, writers and emitters on the handle use them.
template <class Handle>
concept transport_handle =
    std::copy_constructible<Handle> &&
    requires(Handle handle, const Handle looked_at,
             basic_receive_batch<typename Handle::protocol_type> incoming,
             basic_send_batch<typename Handle::protocol_type> outgoing, error_code ec,
             detail::any_token done, typename Handle::timer_type timer,
             typename Handle::clock_type::time_point time,
             typename Handle::clock_type::duration duration) {
      typename Handle::executor_type;
      requires std::constructible_from<typename Handle::timer_type,
                                       const typename Handle::executor_type&>;
      { Handle::clock_type::now() } -> std::same_as<typename Handle::clock_type::time_point>;
      timer.expires_at(time);
      timer.expires_after(duration);
      timer.async_wait(done);
      timer.cancel();
      { looked_at.get_executor() } -> std::convertible_to<typename Handle::executor_type>;
      { looked_at.is_open() } -> std::same_as<bool>;
      { looked_at.is_connected() } -> std::same_as<bool>;
      { looked_at.is_coalescing() } -> std::same_as<bool>;
      { looked_at.is_drained() } -> std::same_as<bool>;
      { looked_at.has_pending_error() } -> std::same_as<bool>;
      { looked_at.is_congested(ec) } -> std::same_as<bool>;
      { looked_at.epoch() } -> std::convertible_to<std::uint64_t>;
      { looked_at.descriptor_number() } -> std::convertible_to<std::uint64_t>;
      { looked_at.reports_taken() } -> std::convertible_to<std::uint64_t>;
      { handle.try_receive_batch(incoming, ec) } -> std::convertible_to<std::size_t>;
      { handle.try_send_batch(outgoing) } -> std::same_as<send_result>;
      handle.provide_reply_source();
      handle.set_coalescing(true, ec);
      handle.async_wait(net::socket_base::wait_read, done);
      handle.async_wait_congestion(done);
    };

/// A transport that can be given to readers and writers: `dgram::reader reader{transport}`.
template <class Transport>
concept transport_with_handle = requires(Transport& transport) {
  { transport.handle() } -> transport_handle;
};

/// The type of its handle.
template <transport_with_handle Transport>
using handle_of = std::remove_cvref_t<decltype(std::declval<Transport&>().handle())>;

/// A transport for `basic_emitter_socket<Transport>`. It is a socket that is constructed closed, on
/// an executor. Its functions open, bind, connect and close it and report in an `error_code`, as
/// those of `basic_socket`. `open` takes reuse_address, reuse_port and v6_only as a
/// `socket_config`. The emitter uses the protocol's endpoint and family. The protocol must be `udp`
/// or `unix_dgram`, because the information about a sender differs between the two.
template <class Transport>
concept emitter_transport =
    std::constructible_from<Transport, const typename Transport::executor_type&> &&
    transport_handle<typename Transport::handle_type> &&
    requires(Transport socket, const Transport looked_at,
             const typename Transport::protocol_type protocol,
             const typename Transport::protocol_type::endpoint endpoint,
             const basic_reply_path<typename Transport::protocol_type> path,
             net::const_buffer bytes,
             basic_receive_batch<typename Transport::protocol_type> incoming,
             basic_send_batch<typename Transport::protocol_type> outgoing, error_code ec) {
      typename Transport::native_handle_type;
      { socket.get_executor() } -> std::convertible_to<typename Transport::executor_type>;
      { socket.handle() } -> std::same_as<typename Transport::handle_type>;
      { looked_at.is_open() } -> std::same_as<bool>;
      { looked_at.local_endpoint(ec) } -> std::convertible_to<decltype(endpoint)>;
      { looked_at.remote_endpoint(ec) } -> std::convertible_to<decltype(endpoint)>;
      { socket.native_handle() } -> std::convertible_to<typename Transport::native_handle_type>;
      socket.open(protocol, {.reuse_address = true, .reuse_port = true, .v6_only = true}, ec);
      socket.assign(protocol, socket.native_handle(), ec);
      socket.bind(endpoint, ec);
      socket.connect(endpoint, ec);
      socket.disconnect(ec);
      socket.cancel(ec);
      socket.close(ec);
      socket.set_option(option::broadcast(true), ec);
      socket.set_receive_buffer_size(1, ec);
      socket.set_send_buffer_size(1, ec);
      { socket.get_receive_buffer_size(ec) } -> std::convertible_to<std::size_t>;
      { socket.get_send_buffer_size(ec) } -> std::convertible_to<std::size_t>;
      { socket.try_receive_batch(incoming, ec) } -> std::convertible_to<std::size_t>;
      { socket.try_send_batch(outgoing) } -> std::same_as<send_result>;
      socket.try_send(bytes, ec);
      socket.try_send_to(bytes, path, ec);
    } &&
    (!detail::ip_protocol<typename Transport::protocol_type> ||
     requires(Transport socket, const multicast_group group, const network_interface interface,
              error_code ec) {
       socket.join(group, interface, ec);
       socket.leave(group, interface, ec);
       { socket.statistics().dropped } -> std::convertible_to<std::uint64_t>;
     });

DGRAM_NAMESPACE_END

#endif
