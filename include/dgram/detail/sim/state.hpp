// SPDX-License-Identifier: BSL-1.0
// The block that a simulated socket shares with its handles and operations.
#ifndef DGRAM_DETAIL_SIM_STATE_HPP
#define DGRAM_DETAIL_SIM_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/sim/alarm.hpp>
#include <dgram/detail/sim/send_buffer.hpp>
#include <dgram/detail/sim/wire.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/receivers.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/path_error.hpp>
#include <dgram/send_options.hpp>
#include <dgram/socket_statistics.hpp>
#include <dgram/udp.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class sim_state;

/// A simulated socket, as `transfer_op` sees the socket of the system.
class sim_descriptor {
public:
  explicit sim_descriptor(sim_state& of) noexcept : state_(of) {}

  const net::any_io_executor& get_executor() const noexcept;
  bool is_open() const noexcept;

  template <class Token>
  auto async_wait(net::socket_base::wait_type what, Token&& token);

private:
  sim_state& state_;
};

class sim_state final : public sim_port, public std::enable_shared_from_this<sim_state> {
public:
  using protocol_type = udp;
  using endpoint_type = sim_endpoint;
  using executor_type = net::any_io_executor;
  static constexpr bool has_addresses = true;

  /// The options that a socket of the network has.
  struct option_values {
    bool receives_errors = false;
    bool coalescing = false;
    bool broadcast = false;
    bool multicast_loopback = true;
    bool packet_info = false;
    bool traffic_class_given = false;
    bool hop_limit_given = false;
    bool time_given = false;
    bool drops_given = false;
    std::uint8_t traffic_class = 0;
    std::uint8_t hop_limit = 64;
    std::uint8_t multicast_hop_limit = 1;
    std::size_t receive_buffer = default_buffer;
    std::size_t send_buffer = default_buffer;
  };

  sim_state(std::shared_ptr<sim_wire> wire, const executor_type& executor)
      : executor_(executor),
        wire_(std::move(wire)),
        readers_(*wire_, executor),
        writers_(*wire_, executor),
        reporters_(*wire_, executor),
        lookups_(*wire_, executor)
  {
  }
  sim_state(const sim_state&) = delete;
  sim_state& operator=(const sim_state&) = delete;
  ~sim_state()
  {
    wire_->cancel(room_);
    release_queue();
  }

  // As the block of a socket of the system has them.
  sim_descriptor socket{*this};
  option_values flags;
  socket_statistics counts;
  receivers receiving;
  std::uint64_t epoch = 0;
  std::uint64_t descriptor_number = 0;
  std::uint64_t reports_taken = 0;
  bool drained = false;

  const executor_type& get_executor() const noexcept { return executor_; }
  bool is_open() const noexcept { return open_; }
  bool is_bound() const noexcept { return host_ != nullptr; }
  bool is_paused() const noexcept { return host_ != nullptr && host_->paused; }
  bool has_pending_error() const noexcept { return static_cast<bool>(pending_); }
  const udp& protocol() const noexcept { return protocol_; }

  static bool is_congested(const error_code&, bool = false) noexcept { return false; }
  static bool stays_writable() noexcept { return true; }

  /// The host that wildcard and loopback addresses mean.
  void set_home(sim_host& host) noexcept { home_ = &host; }

  // --- opening and closing ---

  void open(const udp& protocol, error_code& ec)
  {
    ec.clear();
    if (open_) ec = net::error::already_open;
    if (!ec && wire_ended_) ec = net::error::network_down;
    if (ec) return;
    protocol_ = protocol;
    dual = protocol.is_dual();
    open_ = true;
    flags = {};
    counts = {};
    drained = false;
    reuses_address = reuses_port = false;
    local = sim_endpoint(protocol, 0);
    ++descriptor_number;
    ++epoch;
    wire_->add_socket(*this);
  }

  void close()
  {
    if (!open_) {
      abort_operations();
      return;
    }
    open_ = false;
    wire_->remove_socket(*this);
    wire_->leave_all(*this);
    if (host_ != nullptr) host_->remove(*this);
    host_ = nullptr;
    peer.reset();
    release_queue();
    send_buffer_.clear();
    wire_->cancel(room_);
    reports_ = {};
    has_fresh_report_ = false;
    pending_.clear();
    abort_operations();
  }

  void abort_operations()
  {
    ++epoch;
    readers_.end_all(net::error::operation_aborted);
    writers_.end_all(net::error::operation_aborted);
    reporters_.end_all(net::error::operation_aborted);
    if (backoff_) backoff_->cancel();
    wake_lookups();
  }

  void end() noexcept override
  {
    wire_ended_ = true;
    try {
      close();
    } catch (...) {
      // There was no memory for a completion: it was destroyed.
    }
  }

  // --- addresses ---

  void bind(const sim_endpoint& wanted, error_code& ec)
  {
    ec.clear();
    const auto& address = wanted.address();
    if (!open_)
      ec = net::error::bad_descriptor;
    else if (is_bound())
      ec = net::error::invalid_argument;
    else if (!is_of_family(address))
      ec = net::error::address_family_not_supported;
    if (ec) return;
    const bool is_own = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    sim_host* const home = home_ != nullptr ? home_ : wire_->default_host;
    sim_host* host = home;
    if (!is_own) host = home_ != nullptr ? home_ : &wire_->host_of(address);
    if (host == nullptr || (!is_own && !host->has(address))) {
      ec = platform::address_not_available();
      return;
    }
    local = wanted;
    std::uint16_t port = wanted.port();
    if (port == 0)
      port = host->ephemeral(*this);
    else if (!host->is_free(*this, port))
      port = 0;
    if (port == 0) {
      local = sim_endpoint(protocol_, 0);
      ec = net::error::address_in_use;
      return;
    }
    local.port(port);
    host_ = host;
    bound_ = local;
    host->add(*this);
  }

  void connect(const sim_endpoint& to, error_code& ec)
  {
    ec.clear();
    const bool was_open = open_;
    if (to.port() == 0) ec = error::bad_port;
    if (!ec && !open_) open(udp(to.protocol()), ec);
    if (!ec && !is_of_family(to.address())) ec = net::error::address_family_not_supported;
    if (!ec) provide_port(ec);
    std::optional<net::ip::address> source;
    if (!ec) source = host_->source_for(to.address());
    if (!ec && !source) ec = net::error::network_unreachable;
    if (ec) {
      if (!was_open && open_) close();
      return;
    }
    peer = to;
    pending_.clear();
    reports_ = {};
    has_fresh_report_ = false;
    if (bound_.address().is_unspecified()) local.address(*source);
  }

  void disconnect(error_code& ec)
  {
    ec.clear();
    if (!open_)
      ec = net::error::bad_descriptor;
    else if (!peer)
      ec = net::error::not_connected;
    if (ec) return;
    peer.reset();
    pending_.clear();
    local.address(bound_.address());
  }

  void reconnect(const sim_endpoint& to, error_code& ec)
  {
    ec.clear();
    if (to.port() == 0)
      ec = error::bad_port;
    else if (peer)
      disconnect(ec);
    if (!ec) connect(to, ec);
    if (ec) return;
    operation_queue<sim_packet*> kept;
    while (!queue_.empty()) {
      sim_packet* const each = queue_.pop();
      if (each->source == to) {
        kept.push(each);
      } else {
        queued_bytes_ -= cost_of(*each);
        wire_->release(each);
      }
    }
    queue_ = std::move(kept);
  }

  /// Binds a socket that has no port yet.
  void provide_port(error_code& ec)
  {
    ec.clear();
    if (open_ && !is_bound()) bind(sim_endpoint(protocol_, 0), ec);
  }

  // --- groups ---

  /// A host of the network has one interface. It may be named by one of the host's addresses.
  void join(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    check_group(group, interface, ec);
    if (!ec && wire_->has_joined(*this, group.address(), group.source()))
      ec = group.source() ? platform::address_not_available()
                          : error_code(net::error::address_in_use);
    if (ec) return;
    wire_->join({group.address(), group.source(), host_, this});
  }

  void leave(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    check_group(group, interface, ec);
    if (!ec && !wire_->leave(*this, group.address(), group.source()))
      ec = group.source() ? error_code(net::error::invalid_argument)
                          : platform::address_not_available();
  }

  // --- sending ---

  /// Why nothing can be sent now, with or without an address.
  error_code obstacle(bool addressed, bool strict)
  {
    if (!open_) return net::error::bad_descriptor;
    if (!addressed && !peer) return platform::destination_required();
    if (addressed && strict && peer) return net::error::already_connected;
    error_code ec;
    provide_port(ec);
    if (ec) return ec;
    if (pending_ && !is_paused()) return std::exchange(pending_, {});
    if (!is_paused() && !send_buffer_.is_full(wire_->now(), flags.send_buffer)) return {};
    ++counts.would_block;
    return net::error::would_block;
  }

  /// Sends a datagram that `fill(span)` writes. `obstacle` must have found nothing.
  template <class Fill>
  error_code send(const sim_endpoint* to, const send_options& asked, std::size_t size,
                  const Fill& fill)
  {
    sim_sending what{.host = host_, .source = local, .destination = to != nullptr ? *to : *peer};
    const auto& address = what.destination.address();
    if (!is_of_family(address)) return net::error::address_family_not_supported;
    if (what.destination.port() == 0) return net::error::invalid_argument;
    if (is_beyond_protocol<udp>(size, address.is_v4())) return net::error::message_size;
    if (asked.timestamp || asked.transmit_time || asked.interface_index != 0 ||
        !asked.control.empty() || asked.segment_size || (asked.do_not_fragment && address.is_v4()))
      return net::error::operation_not_supported;
    if (asked.dscp && *asked.dscp > 63) return error::out_of_range;
    if (asked.hop_limit && (*asked.hop_limit < 1 || *asked.hop_limit > 255))
      return error::out_of_range;
    if (asked.source && asked.source->is_v4() != address.is_v4())
      return net::error::address_family_not_supported;
    if (asked.source && !asked.source->is_unspecified()) {
      if (!host_->has(*asked.source) && !asked.source->is_loopback())
        return platform::address_not_available();
      what.source.address(*asked.source);
    } else if (local.address().is_unspecified() || local.address().is_multicast()) {
      const auto source = host_->source_for(address);
      if (!source) return net::error::network_unreachable;
      what.source.address(*source);
    }
    unsigned traffic_class = flags.traffic_class;
    if (asked.dscp) traffic_class = static_cast<unsigned>(*asked.dscp) << 2U | (traffic_class & 3U);
    if (asked.ecn) traffic_class = (traffic_class & ~3U) | static_cast<unsigned>(*asked.ecn);
    what.traffic_class = static_cast<std::uint8_t>(traffic_class);
    what.hop_limit = address.is_multicast() ? flags.multicast_hop_limit : flags.hop_limit;
    if (asked.hop_limit) what.hop_limit = static_cast<std::uint8_t>(*asked.hop_limit);
    what.broadcasts = flags.broadcast;
    what.loops_back = flags.multicast_loopback;
    sim_time left = wire_->now();
    const error_code ec = wire_->send(what, size, fill, left);
    if (ec == net::error::message_size && flags.receives_errors) keep_mtu(what);
    if (ec) return ec;
    if (left > wire_->now()) send_buffer_.add(left, cost_of(size));
    ++counts.sent;
    counts.sent_bytes += size;
    return {};
  }

  // --- receiving ---

  /// The first datagram of the queue, or null and an error.
  sim_packet* first(error_code& ec)
  {
    ec.clear();
    if (!open_)
      ec = net::error::bad_descriptor;
    else if (is_paused())
      ec = net::error::would_block;
    else if (pending_)
      ec = std::exchange(pending_, {});
    else if (queue_.empty())
      ec = net::error::would_block;
    if (!is_paused()) has_fresh_report_ = false;
    if (ec == net::error::would_block) ++counts.would_block;
    return ec ? nullptr : queue_.front();
  }

  sim_packet* next() noexcept { return queue_.empty() ? nullptr : queue_.front(); }

  void remove_first()
  {
    sim_packet* const removed = queue_.pop();
    queued_bytes_ -= cost_of(*removed);
    ++counts.received;
    wire_->release(removed);
  }

  /// The metadata that the options ask for.
  arrival_info describe(const sim_packet& packet) const
  {
    arrival_info info;
    info.wildcard = bound_.address().is_unspecified() && !peer;
    if (flags.packet_info) info.local_address = packet.destination.address();
    if (flags.traffic_class_given) {
      info.ecn = static_cast<ecn_codepoint>(packet.traffic_class & 3U);
      info.dscp = static_cast<std::uint8_t>(packet.traffic_class >> 2U);
    }
    if (flags.hop_limit_given) info.hop_limit = packet.hop_limit;
    if (flags.time_given)
      info.receive_time = receive_time_point(std::chrono::nanoseconds(packet.arrived));
    if (flags.drops_given) info.dropped = packet.drops;
    return info;
  }

  bool take(sim_packet* arrived) override
  {
    if (queued_bytes_ + cost_of(*arrived) > flags.receive_buffer) {
      ++counts.dropped;
      return false;
    }
    arrived->drops = static_cast<std::uint32_t>(counts.dropped);
    queue_.push(arrived);
    queued_bytes_ += cost_of(*arrived);
    drained = false;
    wake();
    return true;
  }

  void report(const sim_endpoint& destination, const error_code& ec,
              const net::ip::address& offender, std::span<const std::byte> quoted) override
  {
    if (flags.receives_errors) {
      path_error one;
      one.peer = destination;
      one.code = ec;
      const bool v4 = offender.is_v4();
      one.origin = v4 ? path_error_origin::icmp : path_error_origin::icmpv6;
      one.offender = offender;
      // Port unreachable (RFC 792; RFC 4443, section 3.1).
      one.icmp_type = v4 ? 3 : 1;
      one.icmp_code = v4 ? 3 : 4;
      one.quoted_size = std::min(quoted.size(), one.quoted_bytes.size());
      std::copy_n(quoted.begin(), one.quoted_size, one.quoted_bytes.begin());
      keep(one);
      // As on Linux, a report wakes what waits for datagrams, until the next receive.
      has_fresh_report_ = true;
      wake();
    } else if (peer && *peer == destination) {
      pending_ = ec;
      ++counts.path_errors;
      wake();
    }
  }

  void resume() override
  {
    if (!is_open()) return;
    wake();
    wake_writers();
  }

  // --- reports ---

  bool next_report(path_error& report)
  {
    if (reports_.empty()) return false;
    report = reports_.pop();
    return true;
  }
  void take_reports() noexcept {}
  void begin_waiting_for_reports() noexcept {}
  void end_waiting_for_reports() noexcept {}

  bool has_ipv4_peer() const noexcept { return peer && is_ipv4(*peer); }

  // --- waits ---

  template <class Token>
  auto async_wait(net::socket_base::wait_type what, Token&& token)
  {
    return initiate_completion<>(
        shared_from_this(), std::forward<Token>(token),
        [what](sim_state& self, completion<>* done, net::cancellation_slot slot) {
          self.begin_wait(what, done, slot);
        });
  }

  bool is_ready(net::socket_base::wait_type what)
  {
    if (what == net::socket_base::wait_read) return is_readable();
    if (what == net::socket_base::wait_error) return !reports_.empty();
    return !is_paused() && send_buffer_.is_writable(wire_->now(), flags.send_buffer);
  }

  /// A simulated socket is never congested. Operations that were woken in vain wait here.
  template <class Token>
  auto async_wait_congestion(Token&& token)
  {
    constexpr sim_time pause = 1'000'000;
    if (!backoff_) backoff_ = std::make_shared<sim_alarm>(wire_, executor_);
    if (backoff_->expiry() <= wire_->now()) backoff_->set(wire_->now() + pause);
    return backoff_->async_wait(std::forward<Token>(token));
  }

  template <class Token>
  auto async_wait_reports(Token&& token)
  {
    return async_wait(net::socket_base::wait_error, std::forward<Token>(token));
  }

  template <class Token>
  auto async_wait_lookup(Token&& token)
  {
    return initiate_completion<>(
        shared_from_this(), std::forward<Token>(token),
        [](sim_state& self, completion<>* done, net::cancellation_slot slot) {
          self.lookups_.add(done, slot, self.shared_from_this());
        });
  }

  void wake_lookups() { lookups_.end_all(net::error::operation_aborted); }

private:
  static constexpr std::size_t default_buffer = 212992;
  static constexpr std::size_t most_reports = 64;

  /// Resumes one reader after the other while there is something to receive.
  class wake_task final : public task {
  public:
    bool is_pending() const noexcept { return self_ != nullptr; }
    void begin(std::shared_ptr<sim_state> self) noexcept { self_ = std::move(self); }

    void run() override
    {
      const auto self = std::move(self_);
      self->wake_one();
    }
    void discard() noexcept override { const auto self = std::move(self_); }

  private:
    std::shared_ptr<sim_state> self_;
  };

  bool is_readable() const noexcept
  {
    return !open_ || (!is_paused() && (pending_ || has_fresh_report_ || !queue_.empty()));
  }

  void wake()
  {
    if (wake_.is_pending() || readers_.empty() || !is_readable()) return;
    wake_.begin(shared_from_this());
    wire_->deliver(&wake_);
  }

  void wake_one()
  {
    if (readers_.empty() || !is_readable()) return;
    // The next reader looks when this one has taken what it wants.
    completion_ptr<> first = readers_.take_first();
    wake();
    readers_.complete(std::move(first));
  }

  void begin_wait(net::socket_base::wait_type what, completion<>* done, net::cancellation_slot slot)
  {
    completion_ptr<> held(done);
    if (!open_) {
      held->outcome.code = net::error::bad_descriptor;
      readers_.complete_later(std::move(held));
    } else if (what == net::socket_base::wait_read) {
      readers_.add(held.release(), slot, shared_from_this());
      wake();
    } else if (what == net::socket_base::wait_error) {
      if (reports_.empty())
        reporters_.add(held.release(), slot, shared_from_this());
      else
        reporters_.complete_later(std::move(held));
    } else {
      writers_.add(held.release(), slot, shared_from_this());
      wake_writers();
    }
  }

  /// Ends the waits for writability, or plans to do it when there is room.
  void wake_writers()
  {
    if (is_paused() || writers_.empty()) return;
    if (send_buffer_.is_writable(wire_->now(), flags.send_buffer)) {
      wire_->cancel(room_);
      writers_.end_all({});
    } else if (!room_.is_planned()) {
      wire_->plan(room_, send_buffer_.next());
    }
  }

  /// The first datagram of the send buffer leaves.
  class room_event final : public sim_event {
  public:
    explicit room_event(sim_state& of) noexcept : state_(of) {}
    void happen() override
    {
      const auto self = state_.shared_from_this();
      self->wake_writers();
    }
    void drop() noexcept override {}

  private:
    sim_state& state_;
  };

  bool is_of_family(const net::ip::address& address) const noexcept
  {
    return dual || address.is_v4() == (protocol_.family() == udp::v4().family());
  }

  void check_group(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    ec.clear();
    if (!open_)
      ec = net::error::bad_descriptor;
    else if (!group.address().is_multicast())
      ec = error::not_multicast;
    else if (group.source() && (group.source()->is_multicast() || group.source()->is_unspecified()))
      ec = error::bad_source;
    else if (!is_of_family(group.address()) ||
             (group.source() && group.source()->is_v4() != group.address().is_v4()))
      ec = net::error::address_family_not_supported;
    else
      provide_port(ec);
    if (ec || interface.is_any() || interface.is_all()) return;
    error_code not_an_address;
    const auto address = parse_address(to_string(interface), not_an_address);
    if (not_an_address || !host_->has(address)) ec = error::unknown_interface;
  }

  /// What a datagram takes of a buffer: its bytes, and what the kernel adds.
  static std::size_t cost_of(std::size_t payload) noexcept { return payload + 256; }
  static std::size_t cost_of(const sim_packet& packet) noexcept
  {
    return cost_of(packet.payload.size());
  }

  void keep(const path_error& one)
  {
    ++counts.path_errors;
    if (reports_.size() == most_reports) {
      reports_.pop();
      ++counts.lost_reports;
    }
    reports_.push(one);
    ++reports_taken;
    reporters_.end_all({});
  }

  void keep_mtu(const sim_sending& what)
  {
    path_error one;
    one.peer = what.destination;
    one.code = net::error::message_size;
    if (const sim_host* const target = wire_->find_host(what.destination.address()))
      one.mtu = static_cast<std::uint32_t>(wire_->mtu(what, *target));
    keep(one);
  }

  void release_queue() noexcept
  {
    while (!queue_.empty())
      wire_->release(queue_.pop());
    queued_bytes_ = 0;
  }

  executor_type executor_;
  std::shared_ptr<sim_wire> wire_;
  sim_waits readers_;
  sim_waits writers_;
  sim_waits reporters_;
  sim_waits lookups_;
  wake_task wake_;
  std::shared_ptr<sim_alarm> backoff_;
  udp protocol_ = udp::v4();
  sim_endpoint bound_;
  sim_host* home_ = nullptr;
  sim_host* host_ = nullptr;  // while the socket is bound
  operation_queue<sim_packet*> queue_;
  std::size_t queued_bytes_ = 0;
  sim_send_buffer send_buffer_;
  room_event room_{*this};
  operation_queue<path_error> reports_;
  error_code pending_;
  bool has_fresh_report_ = false;  // since the last receive
  bool open_ = false;
  bool wire_ended_ = false;
};

inline const net::any_io_executor& sim_descriptor::get_executor() const noexcept
{
  return state_.get_executor();
}

inline bool sim_descriptor::is_open() const noexcept
{
  return state_.is_open();
}

template <class Token>
auto sim_descriptor::async_wait(net::socket_base::wait_type what, Token&& token)
{
  return state_.async_wait(what, std::forward<Token>(token));
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
