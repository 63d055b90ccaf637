// SPDX-License-Identifier: BSL-1.0
// What receives from a socket: so that no two objects take each other's datagrams.
#ifndef DGRAM_DETAIL_SOCKET_RECEIVERS_HPP
#define DGRAM_DETAIL_SOCKET_RECEIVERS_HPP

#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <cstddef>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What receives all datagrams of a socket.
enum class socket_owner : unsigned char { none, listener, exchanger };

/// Looked at only when a reader, a listener or an exchanger is made.
struct receivers {
  std::size_t readers = 0;  ///< that have not been stopped
  socket_owner owner = socket_owner::none;

  /// Throws if the socket has an owner. `who` is what is being made.
  void refuse_if_owned(const char* who) const
  {
    if (owner == socket_owner::listener)
      refuse(who, error::already_listening, "a listener receives all datagrams");
    if (owner == socket_owner::exchanger)
      refuse(who, net::error::already_started, "an exchanger receives all datagrams");
  }
};

struct receivers_access {
  /// Returns null for a transport that keeps no such account.
  template <class Handle>
  static receivers* of(const Handle& handle) noexcept
  {
    if constexpr (requires { handle.who_receives(); })
      return &handle.who_receives();
    else
      return nullptr;
  }
};

/// Refuses a socket from which something receives already. `who` is what is to become the owner.
template <class Handle>
void refuse_if_received(const char* who, const Handle& socket)
{
  const receivers* const known = receivers_access::of(socket);
  if (known == nullptr) return;
  known->refuse_if_owned(who);
  if (known->readers > 0)
    refuse(who, net::error::already_started,
           "the socket has a reader, which has to be stopped or destroyed first");
}

template <class Handle>
void set_owner(const Handle& socket, socket_owner owner) noexcept
{
  if (receivers* const known = receivers_access::of(socket)) known->owner = owner;
}

/// A reader's entry in the account of its socket, which must live longer.
class reader_entry {
public:
  /// Refuses a socket that has an owner.
  template <class Handle>
  explicit reader_entry(const Handle& handle) : in_(receivers_access::of(handle))
  {
    if (in_ == nullptr) return;
    in_->refuse_if_owned("reader");
    ++in_->readers;
  }

  reader_entry(const reader_entry&) = delete;
  reader_entry& operator=(const reader_entry&) = delete;
  ~reader_entry() { remove(); }

  void remove() noexcept
  {
    if (in_ != nullptr) --std::exchange(in_, nullptr)->readers;
  }

private:
  receivers* in_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
