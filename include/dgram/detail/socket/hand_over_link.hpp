// SPDX-License-Identifier: BSL-1.0
// The messages of a hand-over between two processes, and the end of a connection that carries them.
#ifndef DGRAM_DETAIL_SOCKET_HAND_OVER_LINK_HPP
#define DGRAM_DETAIL_SOCKET_HAND_OVER_LINK_HPP

#include <dgram/config.hpp>
#include <dgram/control_message.hpp>
#include <dgram/detail/platform/local_link.hpp>
#include <dgram/detail/platform/random.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/owned_descriptor.hpp>

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The steps of a hand-over:
///
///     new process                    old process
///     request (kind, nonce)  ------>
///                            <------ offer (descriptor, both nonces)
///     ready (both nonces)    ------>
///                            <------ confirmation
///
/// Until the confirmation the socket belongs to the old process. Either may send a refusal in place
/// of its next message. If the connection ends after the offer without one, the old process has
/// ended, and the new one keeps the socket.
enum class hand_over_step : std::uint8_t { request = 1, offer, ready, confirmation, refusal };

enum class hand_over_reason : std::uint8_t { none, untrusted, version, message, kind, withdrawn };

using hand_over_nonce = std::array<std::byte, 16>;

inline hand_over_nonce make_nonce()
{
  std::array<std::uint64_t, 2> words;
  platform::fill_random(words);
  return std::bit_cast<hand_over_nonce>(words);
}

/// One message. Both processes run on one host, so numbers have its byte order.
struct hand_over_message {
  static constexpr std::uint8_t current_version = 1;
  static constexpr std::array<char, 4> own_mark{'d', 'g', 'h', 'o'};

  std::array<char, 4> mark = own_mark;
  std::uint8_t version = current_version;
  hand_over_step step{};
  hand_over_reason reason = hand_over_reason::none;
  std::uint8_t wants_path = 0;  ///< whether the new process wants a Unix socket
  hand_over_nonce own{};        ///< the sender's
  hand_over_nonce echo{};       ///< the receiver's, once it is known
  std::uint64_t drops = 0;      ///< of the socket until the offer

  /// What a message of this size is, if it is none.
  error_code check(std::size_t size) const noexcept
  {
    constexpr std::size_t start = sizeof mark + sizeof version;
    if (size < start || mark != own_mark) return error::hand_over_message;
    if (version != current_version) return error::hand_over_version;
    if (size != sizeof *this) return error::hand_over_message;
    return {};
  }
};

static_assert(sizeof(hand_over_message) == 48 && std::is_trivially_copyable_v<hand_over_message>);

inline hand_over_reason reason_of(const error_code& why) noexcept
{
  if (why == error::untrusted_peer) return hand_over_reason::untrusted;
  if (why == error::hand_over_version) return hand_over_reason::version;
  if (why == error::hand_over_message) return hand_over_reason::message;
  if (why == error::wrong_descriptor) return hand_over_reason::kind;
  return hand_over_reason::withdrawn;
}

inline error_code error_of(hand_over_reason why) noexcept
{
  switch (why) {
  case hand_over_reason::untrusted: return error::untrusted_peer;
  case hand_over_reason::version: return error::hand_over_version;
  case hand_over_reason::kind: return error::wrong_descriptor;
  case hand_over_reason::withdrawn: return error::hand_over_withdrawn;
  default: return error::hand_over_message;
  }
}

/// Whether a send failed because the other process has closed its end. Its last message may still
/// be there to read.
inline bool has_left(const error_code& ec) noexcept
{
  return ec == net::error::broken_pipe || ec == net::error::connection_reset;
}

/// Whether a process is trusted: by the program's function, or because it is of the same user.
template <class Function>
bool is_trusted(const Function& accept, const peer_credentials& peer)
{
  return accept ? accept(peer) : peer.user == platform::effective_user();
}

/// One end of the connection, or the socket that listens for connections.
template <class Executor>
class hand_over_link {
public:
  explicit hand_over_link(const Executor& executor) : watched_(executor) {}

  bool is_open() const noexcept { return watched_.is_open(); }
  int descriptor() { return watched_.native_handle(); }

  /// Watches an open descriptor, which is closed if that fails.
  void open(owned_descriptor opened, error_code& ec)
  {
    close();
    watched_.assign(opened.get(), ec);
    if (!ec) static_cast<void>(opened.release());
  }

  void close() noexcept
  {
    error_code ignored;
    watched_.close(ignored);
  }

  template <class Handler>
  void wait(Handler&& handler)
  {
    watched_.async_wait(net::posix::descriptor_base::wait_read, std::forward<Handler>(handler));
  }

  peer_credentials peer(error_code& ec)
  {
    peer_credentials found;
    platform::read_peer(descriptor(), found.process, found.user, found.group, ec);
    return found;
  }

  void send(const hand_over_message& message, platform::descriptor_type passed, error_code& ec)
  {
    platform::send_on_link(descriptor(), std::as_bytes(std::span(&message, 1)), passed, ec);
  }

  /// Receives a message. Errors: `would_block`; `connection_reset` if the connection has ended;
  /// those of a message that is none; and that of a refusal.
  void receive(hand_over_message& message, owned_descriptor& passed, error_code& ec)
  {
    message = {};
    std::size_t size = receive_bytes(message, passed, ec);
    // If the other side closed without reading everything, the kernel says so before it delivers
    // what that side had sent (net/unix/af_unix.c, unix_release_sock).
    if (ec == net::error::connection_reset) size = receive_bytes(message, passed, ec);
    if (ec) return;
    ec = size == 0 ? error_code(net::error::connection_reset) : message.check(size);
    if (!ec && message.step == hand_over_step::refusal) ec = error_of(message.reason);
  }

private:
  std::size_t receive_bytes(hand_over_message& into, owned_descriptor& passed, error_code& ec)
  {
    return platform::receive_on_link(descriptor(), std::as_writable_bytes(std::span(&into, 1)),
                                     passed, ec);
  }

  net::posix::basic_stream_descriptor<Executor> watched_;
};

/// A connecting or listening socket for `bound_path`.
class unbound_link {
public:
  explicit unbound_link(const owned_descriptor& descriptor) noexcept : descriptor_(descriptor) {}

  template <class Endpoint>
  void bind(const Endpoint& local, error_code& ec)
  {
    ec.clear();
    const auto size = static_cast<::socklen_t>(local.size());
    if (platform::system::bind(descriptor_.get(), local.data(), size) != 0)
      ec = platform::last_error();
  }

  /// It has no name before it is bound.
  net::local::datagram_protocol::endpoint local_endpoint(error_code& ec) const
  {
    ec.clear();
    return {};
  }

private:
  const owned_descriptor& descriptor_;
};

/// Owns one side of a hand-over. An operation that is destroyed uncalled, with its context or for
/// lack of memory, abandons it: the waits of the side keep it alive otherwise.
template <class Side>
class hand_over_owner {
public:
  hand_over_owner() noexcept = default;
  explicit hand_over_owner(std::shared_ptr<Side> side) noexcept : side_(std::move(side)) {}
  hand_over_owner(hand_over_owner&&) noexcept = default;

  /// Only an operation that has not begun is copied, when a deferred one is launched. It has no
  /// side yet.
  hand_over_owner(const hand_over_owner&) noexcept {}
  hand_over_owner& operator=(hand_over_owner&& other) noexcept
  {
    reset();
    side_ = std::move(other.side_);
    return *this;
  }
  ~hand_over_owner() { reset(); }

  explicit operator bool() const noexcept { return side_ != nullptr; }
  Side* operator->() const noexcept { return side_.get(); }
  const std::shared_ptr<Side>& shared() const noexcept { return side_; }

  void reset() noexcept
  {
    if (side_) side_->abandon();
    side_.reset();
  }

private:
  std::shared_ptr<Side> side_;
};

/// How long a side waits before it tries again what the kernel does not say when to try.
inline constexpr std::chrono::milliseconds hand_over_pause(20);

/// Refuses a limit that is out of range.
inline error_code check_time_limit(std::chrono::steady_clock::duration limit) noexcept
{
  if (limit <= std::chrono::steady_clock::duration::zero()) return error::out_of_range;
  return {};
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
