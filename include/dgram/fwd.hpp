// SPDX-License-Identifier: BSL-1.0
// Forward declarations of the public types, with their default arguments.
#ifndef DGRAM_FWD_HPP
#define DGRAM_FWD_HPP

#include <dgram/config.hpp>

#include <chrono>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

class udp;  // NOLINT(bugprone-forward-declaration-namespace): Asio has one, too
class unix_dgram;
class network_interface;
class multicast_group;
class bytes_view;
struct socket_config;
struct send_result;
struct send_options;
struct send_timestamp;
struct socket_statistics;
struct system_capabilities;
struct reader_config;
struct writer_config;
struct writer_statistics;
struct arrival_info;
enum class ecn_codepoint : std::uint8_t;
enum class path_error_origin : std::uint8_t;
enum class session_id : std::uint64_t;
enum class session_end;
struct control_message;
class control_messages;
class control_writer;
struct send_batch_config;
struct failure;
class block_list;
class payload_view;
struct socket_options;
struct bind_options;
class listener_id;
class diagnostics_subscription;
struct diagnostic;
struct emitter_state;

template <class... Events>
class event_emitter;

template <class Protocol>
struct basic_address_info;

template <class Protocol>
struct basic_remote_info;

template <class Socket>
class basic_emitter_socket;

template <class Protocol>
class basic_datagram;

template <class Protocol, class Executor = net::any_io_executor>
class basic_socket;

template <class Protocol, class Executor>
class basic_socket_handle;

template <class Protocol, class SocketExecutor = net::any_io_executor,
          class Executor = net::any_io_executor,
          class Handle = basic_socket_handle<Protocol, SocketExecutor>>
class reader;

template <class Protocol, class SocketExecutor = net::any_io_executor,
          class Executor = net::any_io_executor,
          class Handle = basic_socket_handle<Protocol, SocketExecutor>>
class writer;

template <class Protocol, class SocketExecutor = net::any_io_executor,
          class Executor = net::any_io_executor,
          class Handle = basic_socket_handle<Protocol, SocketExecutor>>
class listener;

template <class Protocol, class SocketExecutor = net::any_io_executor,
          class Executor = net::any_io_executor,
          class Handle = basic_socket_handle<Protocol, SocketExecutor>>
class session;

template <class Protocol, class SocketExecutor = net::any_io_executor,
          class Executor = net::any_io_executor,
          class Handle = basic_socket_handle<Protocol, SocketExecutor>>
class session_ref;

template <class Protocol>
class basic_stranger;

template <class Protocol, class SocketExecutor = net::any_io_executor,
          class Executor = net::any_io_executor,
          class Handle = basic_socket_handle<Protocol, SocketExecutor>>
class exchanger;

template <class Protocol>
class basic_answer;

namespace detail {
template <class Handle>
struct writer_state;
template <class Handle, class Executor>
class listener_core;
template <class Handle, class Executor>
class exchanger_core;
}  // namespace detail

struct listener_config;
struct listener_statistics;
struct session_statistics;
struct exchanger_config;
struct exchanger_statistics;
struct retry_policy;
class session_key;

template <class T, class Protocol = udp, class Clock = std::chrono::steady_clock>
class session_map;

template <class Protocol>
class basic_owned_datagram;

template <class Protocol>
class basic_datagram_info;

template <class Protocol>
struct basic_reply_path;

template <class Protocol>
struct basic_path_error;

template <class Protocol>
class basic_receive_batch;

template <class Protocol>
class basic_send_batch;

DGRAM_NAMESPACE_END

#endif
