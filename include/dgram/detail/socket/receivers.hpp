// SPDX-License-Identifier: BSL-1.0
// What receives from a socket: so that a reader and a listener do not take each other's datagrams.
#ifndef DGRAM_DETAIL_SOCKET_RECEIVERS_HPP
#define DGRAM_DETAIL_SOCKET_RECEIVERS_HPP

#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <cstddef>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Looked at only when a reader or a listener is made.
struct receivers {
  std::size_t readers = 0;  ///< that have not been stopped
  bool has_listener = false;
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

/// A reader's entry in the account of its socket, which must live longer.
class reader_entry {
public:
  /// Refuses a socket that has a listener.
  template <class Handle>
  explicit reader_entry(const Handle& handle) : in_(receivers_access::of(handle))
  {
    if (in_ == nullptr) return;
    if (in_->has_listener)
      refuse("reader", error::already_listening,
             "the socket has a listener, which receives all datagrams");
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
