// SPDX-License-Identifier: BSL-1.0
// A reference to a socket that stays valid when the socket is moved, closed or destroyed.
#ifndef DGRAM_SOCKET_HANDLE_HPP
#define DGRAM_SOCKET_HANDLE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/batch_operations.hpp>
#include <dgram/detail/socket/counts.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/detail/socket/shard_seat.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/fwd.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/option.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What name lookups need from a socket.
struct lookup_access {
  /// Waits for `wake`, which closing, cancelling and similar calls also call.
  template <class Handle, class Token>
  static auto async_wait(const Handle& handle, Token&& token)
  {
    return handle.async_wait_lookup(std::forward<Token>(token));
  }

  template <class Handle>
  static void wake(Handle& handle)
  {
    handle.wake_lookups();
  }

  /// Sends to the first peer that is not refused. There must be at least one peer.
  template <class Handle, class... Args>
  static void async_send_to_first(const Handle& handle, Args&&... args)
  {
    handle.async_send_to_first(std::forward<Args>(args)...);
  }
};

/// What a hand-over needs from a socket.
struct hand_over_access {
  template <class Handle>
  static platform::descriptor_type descriptor(const Handle& handle)
  {
    return handle.state().fd();
  }

  /// Called when another process has the socket too.
  template <class Handle>
  static void note_duplicate(const Handle& handle) noexcept
  {
    handle.state().flags.duplicated = true;
  }

  /// Leaves the socket's file to the other process.
  template <class Handle>
  static void leave_file(const Handle& handle) noexcept
  {
    handle.state().bound.forget();
  }
};

/// What a group of shards needs from a member.
struct shard_access {
  template <class Handle>
  static auto state(const Handle& handle) noexcept
  {
    return handle.state_;
  }

  /// What the listeners of the socket's group share; null if they share nothing.
  template <class Protocol, class Executor>
  static std::shared_ptr<shard_commons> commons(
      const basic_socket_handle<Protocol, Executor>& handle) noexcept
  {
    const auto& seat = handle.state_->seat;
    return seat ? seat->commons() : nullptr;
  }

  /// Another transport is no member of a group.
  template <class Handle>
  static std::shared_ptr<shard_commons> commons(const Handle&) noexcept
  {
    return {};
  }
};

}  // namespace detail

/// A reference to an open or closed socket. It stays valid when the socket is moved, closed or
/// destroyed, and then finds the socket closed. It has the operations on batches. Readers and
/// writers hold one.
template <class Protocol, class Executor>
class basic_socket_handle
    : public detail::batch_operations<basic_socket_handle<Protocol, Executor>, Protocol, Executor> {
  using state_type = detail::socket_state<Protocol, Executor>;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = Executor;

  /// The clock of the deadlines of readers, writers and emitters on the socket, and a timer of that
  /// clock.
  using clock_type = std::chrono::steady_clock;
  using timer_type = net::basic_waitable_timer<clock_type, net::wait_traits<clock_type>, Executor>;

  executor_type get_executor() const noexcept { return state_->socket.get_executor(); }

  bool is_open() const noexcept { return state_->socket.is_open(); }

  /// Changes when the socket is closed, opened, cancelled or released. Operations that were started
  /// before must end then.
  std::uint64_t epoch() const noexcept { return state_->epoch; }

  /// Waits until the socket is readable or writable. Completion: `void(error_code)`.
  template <class Token>
  auto async_wait(net::socket_base::wait_type what, Token&& token)
      -> decltype(std::declval<detail::inner_socket<Protocol, Executor>&>().async_wait(
          what, std::forward<Token>(token)))
  {
    return state_->socket.async_wait(what, std::forward<Token>(token));
  }

  /// Waits, after a send for which the kernel had no buffer space, until another send is worth a
  /// try. Completion: `void(error_code)`.
  template <class Token>
  auto async_wait_congestion(Token&& token)
      -> decltype(std::declval<timer_type&>().async_wait(std::forward<Token>(token)))
  {
    return state_->async_wait_congestion(std::forward<Token>(token));
  }

  /// Lets the kernel join datagrams, or stops it; see `option::coalescing`.
  void set_coalescing(bool on, error_code& ec) { state_->set_coalescing(on, ec); }

  bool is_coalescing() const noexcept { return state_->flags.coalescing; }

  DGRAM_INLINE bool is_connected() const noexcept
  {
    state_->notice();
    return state_->flags.connected;
  }

  /// Makes datagrams carry the address that they were sent to, if an answer needs it: see
  /// `option::packet_info`.
  void provide_reply_source() { state_->provide_reply_source(); }

  /// How many reports have come from the error queue. They also wake operations that wait for
  /// datagrams.
  std::uint64_t reports_taken() const noexcept { return state_->reports_taken; }

  /// Whether a send that failed with this error should be tried again after
  /// `async_wait_congestion`.
  bool is_congested(const error_code& ec) const noexcept { return state_->is_congested(ec); }

  /// A different number for each descriptor that the socket has had.
  std::uint64_t descriptor_number() const noexcept { return state_->descriptor_number; }

  /// See `basic_socket::join` and `leave`. A join on all interfaces stores in `joined` the indices
  /// of the interfaces that it joined on. A leave on all interfaces leaves these, if there are any.
  /// With `both_families`, an IPv6 socket that is not dual-stack takes IPv4 groups too. It receives
  /// what is sent to them, unless it is IPv6 only.
  void join(const multicast_group& group, const network_interface& interface,
            std::vector<unsigned>& joined, error_code& ec, bool both_families = false)
  {
    state_->change_membership(detail::membership_change::join, group, interface, joined,
                              both_families, ec);
  }

  void leave(const multicast_group& group, const network_interface& interface,
             std::vector<unsigned>& joined, error_code& ec, bool both_families = false)
  {
    state_->change_membership(detail::membership_change::leave, group, interface, joined,
                              both_families, ec);
  }

  /// Whether a peer can answer what the socket sends. It cannot if a Unix socket has no name. With
  /// `option::receive_credentials`, the kernel gives it one here: Linux would do so at the first
  /// send, and gVisor would not.
  bool can_be_answered() const
  {
    if constexpr (detail::path_protocol<Protocol>) {
      error_code ec;
      if (!is_unnamed(state_->local_endpoint(ec)) || ec) return true;
      option::receive_credentials gives_name;
      state_->socket.get_option(gives_name, ec);
      return !ec && gives_name.value() && state_->bound.take_name(state_->fd());
    } else {
      return true;
    }
  }

  /// Whether the last batch emptied the queue, and no error waits behind it.
  bool is_drained() const noexcept { return state_->drained; }

  /// Whether the last call left an error that the next receive reports without asking the
  /// descriptor.
  bool has_pending_error() const noexcept
  {
    return static_cast<bool>(state_->pending_receive_error);
  }

  /// Whether a wait for this would complete at once.
  bool is_ready(net::socket_base::wait_type what) const noexcept { return state_->is_ready(what); }

  /// The protocol that the socket was opened with. Error: `bad_descriptor`.
  protocol_type protocol(error_code& ec) const { return state_->protocol(ec); }

  // As those of the socket.
  void bind(const endpoint_type& local, error_code& ec) { state_->bind(local, ec); }
  void connect(const endpoint_type& peer, error_code& ec) { state_->connect(peer, ec); }
  void close(error_code& ec) { state_->close(ec); }

  /// Expires with the socket and all operations that are pending on it.
  std::weak_ptr<const void> lifetime() const noexcept { return state_; }

private:
  template <class, class>
  friend class basic_socket;
  friend detail::batch_operations<basic_socket_handle, Protocol, Executor>;
  friend struct detail::hand_over_access;
  friend struct detail::lookup_access;
  friend struct detail::receivers_access;
  friend struct detail::shard_access;

  explicit basic_socket_handle(std::shared_ptr<state_type> state) noexcept
      : state_(std::move(state))
  {
  }

  detail::receivers& who_receives() const noexcept { return state_->receiving; }

  template <class Token>
  auto async_wait_lookup(Token&& token) const
  {
    return state_->async_wait_lookup(std::forward<Token>(token));
  }

  void wake_lookups() { state_->wake_lookups(); }

  template <class ConstBuffers, class Handler>
  void async_send_to_first(const ConstBuffers& buffers, std::vector<endpoint_type> peers,
                           net::socket_base::message_flags flags, Handler&& handler) const
  {
    using attempt = detail::send_attempt<ConstBuffers, std::vector<endpoint_type>>;
    detail::start_transfer(*state_, attempt(buffers, std::move(peers), flags),
                           std::forward<Handler>(handler));
  }

  state_type& state() const noexcept { return *state_; }

  auto target() const noexcept { return detail::shared_target(state_); }

  std::shared_ptr<state_type> state_;
};

DGRAM_NAMESPACE_END

#endif
