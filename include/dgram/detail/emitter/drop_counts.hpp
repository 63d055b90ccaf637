// SPDX-License-Identifier: BSL-1.0
// Counts dropped datagrams, and reports them as 'drop' events.
#ifndef DGRAM_DETAIL_EMITTER_DROP_COUNTS_HPP
#define DGRAM_DETAIL_EMITTER_DROP_COUNTS_HPP

#include <dgram/config.hpp>
#include <dgram/events.hpp>
#include <dgram/option.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Owner` has `post`, `is_closed` and `events`.
template <class Owner>
class drop_counts {
public:
  explicit drop_counts(Owner& owner) noexcept : owner_(owner) {}
  drop_counts(const drop_counts&) = delete;
  drop_counts& operator=(const drop_counts&) = delete;

  /// One event reports all drops that are counted until it is emitted.
  void add(drop_reason reason, std::size_t more = 1)
  {
    auto& count = counts_[static_cast<std::size_t>(reason)];
    const bool posted = count > 0;
    count += more;
    if (posted) return;
    owner_.post([this, reason, &count] {
      const drop_info info{reason, std::exchange(count, 0)};
      if (!owner_.is_closed()) owner_.events.template emit<event::drop>(info);
    });
  }

  /// Asks the kernel to count its drops as soon as 'drop' has a listener.
  template <class Socket>
  void watch(Socket& socket)
  {
    if (watches_ || owner_.events.template listener_count<event::drop>() == 0) return;
    watches_ = true;
    error_code not_here;
    socket.set_option(option::receive_drop_count(true), not_here);
  }

  template <class Socket>
  void report(Socket& socket)
  {
    if (!watches_) return;
    const auto dropped = socket.statistics().dropped;
    if (dropped > by_kernel_)
      add(drop_reason::receive_queue_full, static_cast<std::size_t>(dropped - by_kernel_));
    by_kernel_ = dropped;
  }

  /// Called for a new descriptor, for which the kernel starts a new count.
  void restart() noexcept
  {
    watches_ = false;
    by_kernel_ = 0;
  }

private:
  Owner& owner_;
  std::array<std::size_t, 3> counts_{};
  std::uint64_t by_kernel_ = 0;
  bool watches_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
