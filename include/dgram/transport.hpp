// SPDX-License-Identifier: BSL-1.0
// What an emitter, a reader and a writer need of a socket, as concepts: another that has it can stand in.
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

DGRAM_NAMESPACE_BEGIN

/// A copyable reference to a socket that stays valid when the socket is moved or destroyed, and then finds it closed:
///  - `try_receive_batch` and `try_send_batch` never block: `would_block` is the error where nothing can be done, and
///    `is_congested` says of a send's error that it is worth another try after `async_wait_congestion`;
///  - `is_drained` says that the last batch emptied the queue, so that a wait is worth more than a try, and
///    `has_pending_error` that it has left an error which the next one reports;
///  - `epoch` changes when the socket is closed, opened or cancelled: what was started before is to end then;
///  - `descriptor_number` is another for each descriptor, and `reports_taken` counts what came from the error queue: with
///    these a reader knows why it was woken; `provide_reply_source` is what a writer of replies needs of it;
///  - the waits call their handler once and later, with `operation_aborted` where the epoch ends.
template <class Handle>
concept transport_handle = std::copy_constructible<Handle> &&
                           requires(Handle handle, const Handle looked_at,
                                    basic_receive_batch<typename Handle::protocol_type> incoming,
                                    basic_send_batch<typename Handle::protocol_type> outgoing,
                                    error_code ec, void (*done)(error_code)) {
                             typename Handle::executor_type;
                             {
                               looked_at.get_executor()
                             } -> std::convertible_to<typename Handle::executor_type>;
                             { looked_at.is_open() } -> std::same_as<bool>;
                             { looked_at.is_connected() } -> std::same_as<bool>;
                             { looked_at.is_drained() } -> std::same_as<bool>;
                             { looked_at.has_pending_error() } -> std::same_as<bool>;
                             { looked_at.is_congested(ec) } -> std::same_as<bool>;
                             { looked_at.epoch() } -> std::convertible_to<std::uint64_t>;
                             { looked_at.reports_taken() } -> std::convertible_to<std::uint64_t>;
                             {
                               handle.try_receive_batch(incoming, ec)
                             } -> std::convertible_to<std::size_t>;
                             { handle.try_send_batch(outgoing) } -> std::same_as<send_result>;
                             handle.provide_reply_source();
                             handle.set_coalescing(true, ec);
                             handle.async_wait(net::socket_base::wait_read, done);
                             handle.async_wait_congestion(done);
                           };

/// What an emitter makes its sockets of, with `basic_emitter_socket<Transport>`: a socket that is made closed, on an
/// executor, and opened, bound, connected and closed by functions that report in an `error_code`, as those of
/// `basic_socket`. `open` takes reuse_address, reuse_port and v6_only as a `socket_config`. Of the protocol it takes endpoint
/// and family; emitters know `udp` and `unix_dgram`, since what they tell of a sender is different for each.
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
      socket.receive_buffer_size(1, ec);
      socket.send_buffer_size(1, ec);
      { socket.receive_buffer_size(ec) } -> std::convertible_to<std::size_t>;
      { socket.send_buffer_size(ec) } -> std::convertible_to<std::size_t>;
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
