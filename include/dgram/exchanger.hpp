// SPDX-License-Identifier: BSL-1.0
// An exchanger sends requests, repeats them, and gives each its answer.
#ifndef DGRAM_EXCHANGER_HPP
#define DGRAM_EXCHANGER_HPP

#include <dgram/answer.hpp>
#include <dgram/basic_socket.hpp>
#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/executor_check.hpp>
#include <dgram/detail/sessions/exchanger_core.hpp>
#include <dgram/detail/sessions/exchanger_dealing.hpp>
#include <dgram/error.hpp>
#include <dgram/exchanger_config.hpp>
#include <dgram/fwd.hpp>
#include <dgram/session_key.hpp>
#include <dgram/transport.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// Asks peers by datagrams, as a client of DNS, CoAP, SNMP or NTP does. Each exchange sends a
/// request, repeats it as its `retry_policy` says, and ends with the answer or an error. Any number
/// of exchanges wait at the same time, with one reader for each socket and one timer.
///
/// **Matching**: a protocol has an id, which the answer repeats. The exchanger finds this key with
/// `exchange_keys`: bytes at a position, or a function of the program. A datagram is the answer if
/// it comes from the peer that was asked, arrives on the port that has asked, and has the key.
/// Everything else is counted, and no error. Choose ids with `unused_key` or `unused_id`: others
/// cannot predict them, and no other exchange has them. A second exchange with the same peer and
/// key fails with `already_started`. A request to a group or a broadcast address finds no answer,
/// because the answers come from other addresses.
///
/// **Ports**: with a range of sockets, each request leaves from a random one, so that a forged
/// answer must also guess the port (RFC 5452). Open the sockets on port 0. Each has a reader with
/// its own buffers: set `slots` and `slot_size`.
///
/// **Refusals**: set `option::receive_error` on the socket before the first exchange. If the peer
/// has no socket at its port, the exchange then ends at once with `connection_refused`. The report
/// must quote the request, because ICMP is easy to forge. The exchanger takes the reports from the
/// socket.
///
/// **Receiving** goes on while an exchange waits, and keeps the context running then. With a
/// function for unmatched datagrams it goes on until `close`. Nothing else may receive from the
/// sockets: a reader, a listener or another exchanger is refused. Other code may send on them. The
/// exchanger sets the options that a `reader` sets. The sockets must not be connected.
///
/// If a socket is closed, opened again or its operations are cancelled, the exchanges on it end
/// with `operation_aborted`. The exchanger can go on.
///
/// **Exceptions** that a function of the program throws leave `run()` of the context, after the
/// batch has been dealt out. The exchanger goes on.
///
/// Lifetimes: the sockets and the exchanger may be moved, and may be destroyed in any order, also
/// inside a handler. All must be destroyed before the context.
///
/// Executor: that of the sockets, which must have the same one. All calls belong on it. If several
/// threads run the context, construct the sockets with a strand. Functions of the program are
/// called on it. Without `NDEBUG`, a call beside the strand throws `std::logic_error`, as far as
/// docs/servers.md says.
///
/// Allocation: none for a datagram, once the memory of earlier exchanges can be used again.
///
/// Thread safety: distinct objects are safe, if they have distinct sockets; one object is not.
///
/// \code
/// dgram::exchanger client{socket, dgram::same_bytes{0, 2}};
/// const auto query = make_query(client.unused_id<std::uint16_t>(peer), "www.example.net");
/// const dgram::answer answer = co_await client.exchange(query, peer);
/// handle(answer.payload(), answer.sender());
/// \endcode
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class exchanger {
  using core_type = detail::exchanger_core<Handle, Executor>;
  using use_awaitable = net::use_awaitable_t<Executor>;
  using default_token = default_token_t<SocketExecutor>;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = SocketExecutor;
  using handle_type = Handle;
  using clock_type = typename Handle::clock_type;
  using datagram_type = basic_datagram<Protocol>;
  using answer_type = basic_answer<Protocol>;

  /// Called with a datagram that is no answer for an exchange that waits, and why.
  using unmatched_function = std::function<void(const datagram_type&, unmatched)>;

  /// Called with a request and an answer that has its key. Returns whether it is the answer.
  using check_function = std::function<bool(bytes_view, const datagram_type&)>;

  /// Called with the bytes that were sent last, the peer, and how often they were sent. Returns the
  /// bytes to send now. They must stay until the function is called again.
  using remake_function = std::function<bytes_view(bytes_view, const endpoint_type&, std::size_t)>;

  /// Asks on one socket, or on another transport whose `handle()` is a `transport_handle`. Throws
  /// `system_error`:
  ///  - `error::out_of_range` for a number outside its range, and the text names it;
  ///  - `already_connected` for a connected socket;
  ///  - `already_started` for a socket with a reader that is not stopped, or with an exchanger;
  ///  - `error::already_listening` for a socket with a listener.
  template <transport_with_handle Transport>
    requires std::same_as<handle_of<Transport>, Handle>
  explicit exchanger(Transport& transport, exchange_keys keys, exchanger_config config = {})
      : exchanger(std::vector<Handle>{transport.handle()}, std::move(keys), std::move(config))
  {
  }

  /// Asks on several sockets, at most 65,535. Throws also `invalid_argument` for none or too many,
  /// and for sockets with different executors.
  ///
  /// \code
  /// std::vector<dgram::udp::socket> ports;
  /// for (int i = 0; i < 16; ++i)
  ///   ports.emplace_back(io, dgram::udp::endpoint(dgram::udp::v4(), 0));
  /// dgram::exchanger client{ports, dgram::same_bytes{0, 2}, {.slots = 8, .slot_size = 4096}};
  /// \endcode
  template <std::ranges::forward_range Range>
    requires(transport_with_handle<std::ranges::range_value_t<Range>> &&
             std::same_as<handle_of<std::ranges::range_value_t<Range>>, Handle>)
  explicit exchanger(Range& transports, exchange_keys keys, exchanger_config config = {})
      : exchanger(handles_of(transports), std::move(keys), std::move(config))
  {
  }

  exchanger(exchanger&&) noexcept = default;

  /// Closes this exchanger first.
  exchanger& operator=(exchanger&& other) noexcept
  {
    if (this != &other) {
      if (core_) core_->close();
      core_ = std::move(other.core_);
    }
    return *this;
  }

  /// Closes the exchanger.
  ~exchanger()
  {
    if (core_) core_->close();
  }

  executor_type get_executor() const noexcept { return core_->get_executor(); }

  // --- exchanges ---

  /// Sends a request and returns its answer, with the policy of the configuration. The bytes must
  /// stay until the awaitable is awaited, and are copied then. Throws `system_error`, as
  /// `async_exchange`.
  net::awaitable<answer_type, Executor> exchange(bytes_view request, const endpoint_type& peer)
  {
    return ask(core_, request, peer, core_->policy());
  }

  /// The same with another policy, for this exchange only.
  ///
  /// \code
  /// dgram::exchanger client{socket, dgram::same_bytes{0, 2}};
  /// const dgram::retry_policy once{.tries = 1};
  /// auto answer = co_await client.exchange(query, peer, once);
  /// \endcode
  net::awaitable<answer_type, Executor> exchange(bytes_view request, const endpoint_type& peer,
                                                 const retry_policy& policy)
  {
    return ask(core_, request, peer, policy);
  }

  /// The same. On error there is no answer, and `ec` is set.
  ///
  /// \code
  /// dgram::exchanger client{socket, dgram::same_bytes{0, 2}};
  /// dgram::error_code ec;
  /// const auto answer = co_await client.exchange(query, peer, ec);
  /// if (ec == asio::error::timed_out) fmt::print("no answer\n");
  /// \endcode
  net::awaitable<answer_type, Executor> exchange(bytes_view request, const endpoint_type& peer,
                                                 error_code& ec)
  {
    return async_exchange(request, peer, net::redirect_error(use_awaitable(), ec));
  }

  net::awaitable<answer_type, Executor> exchange(bytes_view request, const endpoint_type& peer,
                                                 const retry_policy& policy, error_code& ec)
  {
    return async_exchange(request, peer, policy, net::redirect_error(use_awaitable(), ec));
  }

  /// The same, for any completion token. The bytes must stay until the operation starts, which is
  /// inside this call unless the token defers it. They are copied then.
  ///
  /// Completion: `void(error_code, basic_answer<Protocol>)`. Errors:
  ///  - `timed_out`: no answer came;
  ///  - `connection_refused`: the peer has no socket at the port, see `exchanger`;
  ///  - `already_started`: an exchange with this peer and key waits;
  ///  - `invalid_argument`: the request has no usable key, the peer has no name, or the Unix socket
  ///    itself has none, so that no peer can answer;
  ///  - `error::out_of_range`: the policy;
  ///  - `error::too_many_exchanges`: a limit;
  ///  - `no_buffer_space`: the answer found no room, see `max_answer_bytes`;
  ///  - `bad_descriptor`, `already_connected`: the socket;
  ///  - `operation_aborted`: this exchange, the socket's operations or the exchanger were cancelled
  ///    or closed;
  ///  - the errors of a send (`message_size`, `network_unreachable`, ...);
  ///  - the errors of a receive that a peer cannot cause. They end all exchanges of the socket. One
  ///    that was met behind the last batch ends the next exchange.
  ///
  /// Cancellation: terminal and partial. Total has an effect only before the first send has found
  /// room in the queue, because it promises that nothing has happened. An exchange that was
  /// cancelled after its answer had been received completes with that answer.
  template <net::completion_token_for<void(error_code, answer_type)> Token = default_token>
  auto async_exchange(bytes_view request, const endpoint_type& peer,
                      Token&& token = default_token())
  {
    return core_->async_exchange(request, peer, core_->policy(), std::forward<Token>(token));
  }

  template <net::completion_token_for<void(error_code, answer_type)> Token = default_token>
  auto async_exchange(bytes_view request, const endpoint_type& peer, const retry_policy& policy,
                      Token&& token = default_token())
  {
    return core_->async_exchange(request, peer, policy, std::forward<Token>(token));
  }

  // --- ids ---

  /// Draws a random key of this size that no exchange with the peer has, waiting or remembered.
  /// Until an exchange begins with it, another call may return the same. Errors:
  ///  - `error::too_many_exchanges` if none was found. For one and two bytes all are tried;
  ///  - `error::out_of_range`: the size is not 1 to `session_key::max_size`;
  ///  - `invalid_argument`: the peer has no name.
  ///
  /// Random bits are drawn in advance. After fork(2), `notify_fork(fork_child)` of the context lets
  /// the child draw its own; otherwise it may return the same keys as the parent.
  session_key unused_key(const endpoint_type& peer, std::size_t size, error_code& ec)
  {
    detail::check_executor(*core_, "exchanger::unused_key");
    return core_->unused_key(peer, size, ec);
  }

  /// The same. Throws `system_error`.
  session_key unused_key(const endpoint_type& peer, std::size_t size)
  {
    error_code ec;
    session_key result = unused_key(peer, size, ec);
    detail::throw_if(ec, "unused_key", std::to_string(size));
    return result;
  }

  /// The same as a number, whose bytes are in the order of networks: the first one is the highest.
  template <std::unsigned_integral Id>
    requires(!std::same_as<Id, bool> && sizeof(Id) <= sizeof(std::uint64_t))
  Id unused_id(const endpoint_type& peer)
  {
    const session_key drawn = unused_key(peer, sizeof(Id));
    std::uint64_t result = 0;
    for (const std::byte each : drawn.bytes())
      result = result << 8U | std::to_integer<std::uint64_t>(each);
    return static_cast<Id>(result);
  }

  // --- functions of the program ---

  /// Sets the function that decides whether a datagram with the right key from the right peer is
  /// the answer, by the question that it repeats for example. If the function refuses the datagram,
  /// or throws, the exchange waits on.
  void on_check(check_function function) { core_->on_check(std::move(function)); }

  /// Sets the function that makes the bytes of each repetition. Without it, the same bytes are sent
  /// again. If the new bytes have another key, answers to the old ones are strays from then on. If
  /// the key is in use, or there is none, the exchange ends with `already_started` or
  /// `invalid_argument`. If the function throws, the same bytes are sent.
  ///
  /// \code
  /// dgram::exchanger client{socket, dgram::same_bytes{0, 8}};
  /// std::string request;
  /// client.on_remake([&](dgram::bytes_view, const auto& server, std::size_t) {
  ///   request = make_query(client.unused_id<std::uint64_t>(server), "time");
  ///   return dgram::bytes_view(request);
  /// });
  /// \endcode
  void on_remake(remake_function function) { core_->on_remake(std::move(function)); }

  /// Sets the function for datagrams that are no answers. They are valid during the call. From now
  /// on the exchanger receives until `close`, or until the function is set to an empty one.
  void on_unmatched(unmatched_function function) { core_->on_unmatched(std::move(function)); }

  // --- the end ---

  /// Ends all exchanges with `operation_aborted`. Others may begin.
  void cancel()
  {
    detail::check_executor(*core_, "exchanger::cancel");
    core_->cancel();
  }

  /// The same, and no other can begin. Requests in the queue leave as far as the kernel takes them
  /// at once.
  void close()
  {
    detail::check_executor(*core_, "exchanger::close");
    core_->close();
  }

  bool is_closed() const noexcept { return core_->is_closed(); }

  /// How many exchanges wait.
  std::size_t outstanding() const noexcept { return core_->outstanding(); }

  exchanger_statistics statistics() const noexcept { return core_->statistics(); }

private:
  exchanger(std::vector<Handle> sockets, exchange_keys keys, exchanger_config config)
      : core_(std::make_shared<core_type>(std::move(sockets), std::move(keys), std::move(config)))
  {
    core_->enroll();
  }

  /// The text of an exception names the peer, or what is wrong with the policy.
  static net::awaitable<answer_type, Executor> ask(std::shared_ptr<core_type> core,
                                                   bytes_view request, endpoint_type peer,
                                                   retry_policy policy)
  {
    error_code ec;
    answer_type received = co_await core->async_exchange(request, peer, policy,
                                                         net::redirect_error(use_awaitable(), ec));
    if (ec == error::out_of_range) detail::refuse("exchange", ec, detail::fault_of(policy));
    if (ec == net::error::invalid_argument)
      detail::refuse("exchange", ec, core->fault_of_request_to(peer));
    if (ec) detail::throw_if(ec, "exchange", to_string(peer));
    co_return received;
  }

  template <class Range>
  static std::vector<Handle> handles_of(Range& transports)
  {
    std::vector<Handle> result;
    for (auto& each : transports)
      result.push_back(each.handle());
    if (result.empty() || result.size() > most_sockets)
      detail::refuse("exchanger", net::error::invalid_argument,
                     std::to_string(result.size()) + " sockets; allowed are 1 to " +
                         std::to_string(most_sockets));
    return result;
  }

  static constexpr std::size_t most_sockets = 65535;

  std::shared_ptr<core_type> core_;
};

template <transport_with_handle Transport>
exchanger(Transport&, exchange_keys, exchanger_config = {})
    -> exchanger<typename handle_of<Transport>::protocol_type,
                 typename handle_of<Transport>::executor_type, net::any_io_executor,
                 handle_of<Transport>>;

template <std::ranges::forward_range Range>
  requires transport_with_handle<std::ranges::range_value_t<Range>>
exchanger(Range&, exchange_keys, exchanger_config = {})
    -> exchanger<typename handle_of<std::ranges::range_value_t<Range>>::protocol_type,
                 typename handle_of<std::ranges::range_value_t<Range>>::executor_type,
                 net::any_io_executor, handle_of<std::ranges::range_value_t<Range>>>;

DGRAM_NAMESPACE_END

#endif
