// SPDX-License-Identifier: BSL-1.0
// Keeps path errors and send times for the operations that ask or wait for them.
#ifndef DGRAM_DETAIL_SOCKET_REPORTS_HPP
#define DGRAM_DETAIL_SOCKET_REPORTS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/signal.hpp>
#include <dgram/detail/platform/error_queue.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/socket/descriptor.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/path_error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Keeps reports for later calls. The first report allocates the memory, once.
template <class Report>
class report_ring {
public:
  /// Keeps one more report. Returns false if the oldest one had to go.
  bool push(const Report& report)
  {
    if (!kept_) kept_ = std::make_unique<Report[]>(capacity);  // NOLINT(*-avoid-c-arrays)
    const bool is_full = size_ == capacity;
    kept_[(first_ + size_) % capacity] = report;
    if (is_full)
      first_ = (first_ + 1) % capacity;
    else
      ++size_;
    return !is_full;
  }

  bool pop(Report& into)
  {
    if (size_ == 0) return false;
    into = kept_[first_];
    first_ = (first_ + 1) % capacity;
    --size_;
    return true;
  }

  void clear() noexcept { size_ = 0; }

private:
  static constexpr std::size_t capacity = 64;

  std::unique_ptr<Report[]> kept_;  // NOLINT(*-avoid-c-arrays)
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// Which datagram caused a call's error: the call's own, or an earlier one, if the reports say so.
enum class blame : std::uint8_t { unknown, own, earlier };

/// Calls `keep(report)` with each report that the kernel has queued; `keep` returns whether it had
/// room. Returns which datagram caused `failure`.
template <class Keep>
DGRAM_COLD blame drain_reports(platform::descriptor_type fd, descriptor& of,
                               const error_code& failure, Keep keep)
{
  using kind = platform::queued_report::kind;
  bool is_earlier = false;
  bool is_own = false;
  platform::queued_report report;
  while (platform::next_report(fd, report)) {
    ++of.reports_taken;
    const bool is_of_call = report.what == kind::host && report.error == failure.value();
    // A batch stops before a datagram that the kernel refuses, and offers it again to learn why.
    // The kernel reports both refusals.
    if (is_of_call && is_own) continue;
    if (report.what == kind::time) {
      report.id = of.number_of(report.id);
      report.own_number = of.timestamps.own_number_of(report.id, of.flags.timestamped);
    }
    if (report.what != kind::unknown) of.counts.lost_reports += keep(report) ? 0U : 1U;
    if (report.what != kind::unknown && report.what != kind::time) ++of.counts.path_errors;
    is_earlier = is_earlier || report.what == kind::icmp || report.what == kind::icmpv6;
    is_own = is_own || is_of_call;
  }
  if (is_own) return blame::own;
  return is_earlier ? blame::earlier : blame::unknown;
}

template <class Protocol, class Executor>
struct socket_state;

/// What every socket knows of its reports. Only what turns reports on creates the store, so a
/// program that never does so compiles no store.
template <class State, class Endpoint>
class known_reports {
public:
  known_reports() = default;
  known_reports(const known_reports&) = delete;
  known_reports& operator=(const known_reports&) = delete;
  virtual ~known_reports() = default;

  /// Takes the reports that the kernel has queued. Returns which datagram caused `failure`. `own`
  /// is the peer of a datagram whose send failed with it; it may be null.
  virtual blame take(State& state, const error_code& failure, const Endpoint* own) = 0;

  virtual void clear_errors() noexcept = 0;
  virtual void clear() noexcept = 0;

  /// Wakes all operations that wait: there are new reports, or there will be none.
  virtual void notify() = 0;
};

/// The reports that were not asked for yet, and the operations that wait for reports.
template <class Protocol, class Executor>
class report_store final
    : public known_reports<socket_state<Protocol, Executor>, typename Protocol::endpoint> {
  using state_type = socket_state<Protocol, Executor>;
  using endpoint_type = typename Protocol::endpoint;

public:
  explicit report_store(const Executor& executor) : signal_(executor) {}

  blame take(state_type& state, [[maybe_unused]] const error_code& failure,
             [[maybe_unused]] const endpoint_type* own) override
  {
    // A Unix socket has no such queue. It ignores MSG_ERRQUEUE, and would give its datagrams
    // instead.
    if constexpr (state_type::has_addresses) {
      const std::uint64_t before = state.reports_taken;
      const blame of = drain_reports(state.fd(), state, failure,
                                     [&](const auto& report) { return keep(report, own); });
      if (state.reports_taken != before) notify();
      return of;
    } else {
      return blame::unknown;
    }
  }

  /// Keeps one more report. Returns false if the oldest one had to go. `own` is the peer of a
  /// datagram whose send has just failed; it may be null.
  bool keep(const platform::queued_report& report, const typename Protocol::endpoint* own)
  {
    if (report.what == platform::queued_report::kind::time)
      return times_.push(to_timestamp(report));
    auto error = to_path_error(report);
    if (own != nullptr) complete_peer(error, canonical(*own));
    return errors_.push(error);
  }

  bool next(basic_path_error<Protocol>& into) { return errors_.pop(into); }
  bool next(send_timestamp& into) { return times_.pop(into); }

  void clear_errors() noexcept override { errors_.clear(); }

  void clear() noexcept override
  {
    errors_.clear();
    times_.clear();
  }

  template <class Executor1>
  void take_over(report_store<Protocol, Executor1>& from)
  {
    errors_ = std::move(from.errors_);
    times_ = std::move(from.times_);
  }

  void notify() override { signal_.notify(); }

  /// Waits until there are new reports, whichever operation takes them from the kernel. Then it
  /// completes with `operation_aborted`.
  template <class State, class Token>
  auto async_wait(State& state, Token&& token)
  {
    watch(state);
    return signal_.async_wait(std::forward<Token>(token));
  }

  /// Counts the operations that wait, so that no wait is pending if there are none.
  void begin_waiting() noexcept { ++waiting_; }
  void end_waiting()
  {
    if (--waiting_ == 0) stop_watch_.emit(net::cancellation_type::total);
  }

private:
  template <class, class>
  friend class report_store;

  /// All operations that wait for reports share one wait on the descriptor. An operation that
  /// receives may take a report from the kernel before that wait sees it. It must then be able to
  /// wake the others.
  template <class State>
  void watch(State& state)
  {
    if (std::exchange(watching_, true)) return;
    epoch_guard guard;
    guard.enter(state.epoch);
    auto woken = [this, self = state.shared_from_this(), guard](error_code ec) {
      watching_ = false;
      if (!ec && !guard.is_over(self->epoch)) self->take_reports();
      // The woken operations look for reports themselves. If they find none, they watch again.
      signal_.notify();
    };
    state.socket.async_wait(net::socket_base::wait_error,
                            net::bind_cancellation_slot(stop_watch_.slot(), std::move(woken)));
  }

  static basic_path_error<Protocol> to_path_error(const platform::queued_report& report)
  {
    using kind = platform::queued_report::kind;
    basic_path_error<Protocol> result;
    typename Protocol::endpoint native;
    if (report.peer_size <= native.capacity()) {
      std::memcpy(native.data(), &report.peer, report.peer_size);
      native.resize(report.peer_size);
      result.peer = canonical(native);
    }
    result.code = platform::make_system_error(report.error);
    result.offender = report.offender;
    result.origin = report.what == kind::icmp     ? path_error_origin::icmp
                    : report.what == kind::icmpv6 ? path_error_origin::icmpv6
                                                  : path_error_origin::host;
    result.quoted_bytes = report.quoted;
    result.quoted_size = report.quoted_size;
    result.icmp_type = report.type;
    result.icmp_code = report.code;
    if (result.code == net::error::message_size && report.info > 0) result.mtu = report.info;
    return result;
  }

  /// When this host refuses a datagram, Linux reports the port to which the socket is connected, so
  /// none for an unconnected one (net/ipv4/ip_output.c, __ip_append_data).
  static void complete_peer(basic_path_error<Protocol>& error,
                            const typename Protocol::endpoint& own)
  {
    if (error.origin == path_error_origin::host && error.peer.port() == 0 &&
        error.peer.address() == own.address())
      error.peer.port(own.port());
  }

  static send_timestamp to_timestamp(const platform::queued_report& report)
  {
    const auto point = [](std::int64_t time) -> std::optional<receive_time_point> {
      if (time == 0) return std::nullopt;
      return receive_time_point(std::chrono::nanoseconds(time));
    };
    return {report.id, point(report.software_time), point(report.hardware_time), report.own_number};
  }

  report_ring<basic_path_error<Protocol>> errors_;
  report_ring<send_timestamp> times_;
  signal<Executor> signal_;
  net::cancellation_signal stop_watch_;
  int waiting_ = 0;
  bool watching_ = false;
};

/// Tells the errors of earlier datagrams from those of the call that fails with them. Most are in
/// the queue of reports. But the receive buffer limits that queue. If there is no room, the kernel
/// reports the error only to the next call (net/core/skbuff.c, sock_queue_err_skb; net/ipv4/udp.c,
/// __udp4_lib_err). It does so once, so an error that comes again is the call's own.
class path_error_filter {
public:
  /// Returns whether to try again. `own` is the peer of the datagram that the call sends; it may be
  /// null.
  template <class State>
  bool passes(State& state, const error_code& ec, bool suspects,
              const typename State::endpoint_type* own = nullptr)
  {
    const blame of = state.reads_reports() ? state.take_known_reports(ec, own) : blame::unknown;
    if (ec == net::error::would_block || of == blame::own) return false;
    if (of == blame::earlier) return true;
    if (!suspects || ec == suspect_ || !platform::is_path_error(ec)) return false;
    suspect_ = ec;
    return true;
  }

  /// Called with the final result of the call.
  template <class State>
  void settle(State& state, const error_code& ec)
  {
    if (!suspect_) return;
    if (ec != suspect_) state.note_unreported(suspect_);
    suspect_.clear();
  }

private:
  error_code suspect_;
};

/// Calls `function(error_code&)`. Calls it again while nothing was moved and the error is an
/// earlier datagram's. Each round takes the reports that have come meanwhile. `own` is the peer of
/// the datagram that the function sends; it may be null.
template <class State, class Function>
std::size_t past_reports(State& state, error_code& ec, Function function,
                         const typename State::endpoint_type* own = nullptr)
{
  std::size_t result = function(ec);
  if (result == 0 && ec && state.reads_reports()) {
    path_error_filter filter;
    while (result == 0 && ec && filter.passes(state, ec, state.flags.receives_errors, own))
      result = function(ec);
    filter.settle(state, ec);
  }
  if (ec == net::error::would_block) ++state.counts.would_block;
  return result;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
