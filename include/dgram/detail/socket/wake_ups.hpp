// SPDX-License-Identifier: BSL-1.0
// Counts wake-ups that brought nothing, and waits in a way that does not spin.
#ifndef DGRAM_DETAIL_SOCKET_WAKE_UPS_HPP
#define DGRAM_DETAIL_SOCKET_WAKE_UPS_HPP

#include <dgram/config.hpp>

#include <cstdint>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// After this many wake-ups in vain, an operation waits on the timer; otherwise it would spin. A
/// descriptor may stay ready although there is nothing to receive, or no room to send:
/// - after `shutdown`;
/// - while no call reads its error queue;
/// - if the kernel lacks something that poll(2) does not check.
///
/// A descriptor that is not ready any more does not spin: another reader of the same queue was
/// faster.
inline constexpr int vain_wake_ups = 3;

class wake_up_counter {
public:
  /// Whether this wake-up in vain was one too many. Reports wake every operation, so those wake-ups
  /// do not count. `is_ready` says whether another wait would complete at once.
  template <class IsReady>
  bool is_vain(std::uint64_t reports_taken, IsReady is_ready) noexcept
  {
    if (std::exchange(reports_, reports_taken) != reports_taken) count_ = 0;
    if (++count_ <= vain_wake_ups) return false;
    // What has come since the last try is worth one more.
    if (!is_ready()) count_ = 0;
    return count_ > vain_wake_ups + 1;
  }

  /// The same for a wait of a `transport_handle`.
  template <class Handle>
  bool is_vain(const Handle& handle, net::socket_base::wait_type what) noexcept
  {
    return is_vain(handle.reports_taken(), [&] {
      if constexpr (requires { handle.is_ready(what); })
        return handle.is_ready(what);
      else
        return true;
    });
  }

private:
  std::uint64_t reports_ = 0;
  int count_ = 0;
};

/// Waits until another try is worth it: for the socket, or on the timer if `backs_off`. `Handle` is
/// a `transport_handle`.
template <class Handle, class Token>
auto async_wait_or_back_off(Handle& handle, net::socket_base::wait_type what, bool backs_off,
                            Token&& token)
{
  if (backs_off) return handle.async_wait_congestion(std::forward<Token>(token));
  return handle.async_wait(what, std::forward<Token>(token));
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
