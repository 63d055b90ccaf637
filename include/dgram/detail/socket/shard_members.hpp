// SPDX-License-Identifier: BSL-1.0
// The sockets of a group that share a port: binds them, counts them, and steers datagrams to them.
#ifndef DGRAM_DETAIL_SOCKET_SHARD_MEMBERS_HPP
#define DGRAM_DETAIL_SOCKET_SHARD_MEMBERS_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/descriptors.hpp>
#include <dgram/detail/async/at_end.hpp>
#include <dgram/detail/platform/duplicate.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/probe_socket.hpp>
#include <dgram/detail/platform/steering.hpp>
#include <dgram/detail/socket/opening.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/detail/socket/shard_seat.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/option.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/shard_group_config.hpp>
#include <dgram/socket_handle.hpp>
#include <dgram/udp.hpp>

#include <algorithm>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Checks the settings, and names what is refused.
DGRAM_COLD inline void check_shard_config(const shard_group_config& config)
{
  const auto refuse_value = [](const std::string& name, std::size_t value, std::int64_t least,
                               std::size_t most) {
    refuse("shard_group", error::out_of_range,
           name + " " +
               beyond(static_cast<std::int64_t>(value), least, static_cast<std::int64_t>(most)));
  };
  if (config.reserve < 1 || config.reserve > platform::max_shards)
    refuse_value("reserve", config.reserve, 1, platform::max_shards);
  if (config.socket.reuse_address || config.socket.reuse_port)
    refuse("shard_group", net::error::invalid_argument,
           std::string(config.socket.reuse_port ? "reuse_port" : "reuse_address") +
               ": the group shares its port itself");
  const auto* const payload = std::get_if<steer_by_payload>(&config.steering);
  if (payload == nullptr) return;
  if (payload->size != 1 && payload->size != 2 && payload->size != 4)
    refuse("shard_group", error::out_of_range,
           "steer_by_payload::size " + std::to_string(payload->size) + "; allowed are 1, 2 and 4");
  constexpr std::size_t largest_payload = 65527;  // of a UDP datagram, by its length field
  if (payload->offset > largest_payload - payload->size)
    refuse_value("steer_by_payload::offset", payload->offset, 0, largest_payload - payload->size);
}

/// What to do about an error of a member, whose number is `index`; empty if the error says it.
DGRAM_COLD inline std::string shard_advice(const error_code& ec, std::size_t index, bool inherited)
{
  if (ec == net::error::access_denied)
    return index == 0 ? "the port needs a privilege, such as CAP_NET_BIND_SERVICE"
                      : "the process has given up the privilege for the port; set reserve to the "
                        "number of members, so that all are bound at the start";
  if (ec == net::error::address_in_use && index > 0 && inherited)
    return "another user opened the inherited socket; such a group stays at one member";
  if (ec == net::error::address_in_use && index > 0)
    return "another user opened the first socket; set reserve to the number of members, or open "
           "the group after the process has changed its user";
  if (ec == net::error::address_in_use) return "a group begins alone on its port";
  if (ec == net::error::operation_not_supported)
    return "this system cannot steer datagrams to sockets that share a port; serve with one "
           "member, or set share_queue";
  if (ec == net::error::no_descriptors)
    return "the process has as many descriptors as it may; raise its limit (RLIMIT_NOFILE)";
  if (ec == net::error::in_progress) return "async_drain_last or async_close_last is not finished";
  if (ec == error::out_of_range)
    return "a group has at most " + std::to_string(platform::max_shards) + " members";
  return {};
}

/// A group's data, which its pending operations share. Any thread may call its functions.
///
/// The kernel numbers the sockets of a port in the order of their binds. If one is closed, the last
/// one gets its number. So none is closed before the group ends, and each member's place here is
/// its number there.
template <class Executor>
class shard_members {
public:
  using socket_type = basic_socket<udp, Executor>;
  using state_type = socket_state<udp, Executor>;
  using seat_type = shard_seat<Executor>;

  struct member {
    std::shared_ptr<seat_type> seat;
    std::weak_ptr<state_type> state;  // locked on the member's executor only
    std::uint64_t seen = 0;           // its count at the last call of statistics
    std::uint64_t elsewhere = 0;      // the others' count when its own changed last
  };

  explicit shard_members(const shard_group_config& config) : config_(config)
  {
    check_shard_config(config_);
    if (config_.keep_sessions) commons_ = std::make_shared<shard_commons>();
  }

  // --- opening ---

  void bind(const udp::endpoint& local)
  {
    protocol_ = config_.socket.dual_stack ? udp::dual() : udp(local.protocol());
    error_code ec;
    failed_step step;
    bind_first(local, step, ec);
    finish_bind(step, ec);
  }

  void bind(const any_address& local)
  {
    if (config_.socket.v6_only)
      raise(net::error::invalid_argument, "shard_group", to_string(option::v6_only(true)));
    config_.socket.dual_stack = false;
    error_code ec;
    failed_step step;
    protocol_ = udp::dual();
    bind_first({protocol_, local.port()}, step, ec);
    const bool no_sockets = step.subject.empty() && platform::is_missing_family(ec);
    if (no_sockets || ec == platform::address_not_available()) {
      protocol_ = udp::v4();
      bind_first({protocol_, local.port()}, step, ec);
    }
    finish_bind(step, ec);
  }

  void adopt(owned_descriptor inherited)
  {
    net::io_context opener;
    auto socket = dgram::adopt<udp>(opener, std::move(inherited));
    local_ = socket.local_endpoint();
    if (local_.port() == 0)
      refuse("shard_group", net::error::invalid_argument, "the inherited socket is not bound");
    error_code ec;
    protocol_ = socket.handle().protocol(ec);
    throw_if(ec, "shard_group");
    // The kernel makes groups of sockets that agree on this.
    config_.socket.v6_only = protocol_ == udp::v6();
    inherited_ = true;
    start_group(socket);
    keep_first(owned_descriptor(socket.release()));
    fill_reserve();
  }

  socket_type open(const Executor& executor, error_code& ec)
  {
    socket_type socket(executor);
    const std::scoped_lock lock(mutex_);
    const std::size_t index = members_.size();
    ec.clear();
    if (ends_last_ || steered_ != index)
      ec = net::error::in_progress;
    else if (index == platform::max_shards)
      ec = error::out_of_range;
    if (ec) return socket;
    if (index == reserve_.size()) reserve_.emplace_back();
    members_.reserve(index + 1);
    const auto state = shard_access::state(socket.handle());
    const auto seat = std::make_shared<seat_type>(executor, state->counts, commons_);
    const bool steers = !queue_ && (has_program_ || index > 0);
    const platform::steering_program program(config_.steering, hash_, index + 1);
    owned_descriptor& place = reserve_[index];
    bool is_opened = false;
    // The place owns the descriptor until all is done. A socket must not stay bound without a
    // program that leaves it out.
    const at_end undo([&] {
      if (is_opened) return;
      error_code ignored;
      if (socket.is_open()) socket.release(ignored);
      if (!has_program_ && index > 0) place = {};
    });
    if (!place) place = bind_next(ec);
    if (!ec) socket.assign(protocol_, place.get(), ec);
    // What is queued came by broadcast or multicast, unless datagrams were steered here before.
    if (!ec && has_program_ && index > 0 && !was_steered_to_[index]) state->discard_queued();
    if (!ec && steers) attach(program, place.get(), ec);
    if (ec) return socket;
    is_opened = true;
    state->flags.duplicated = state->flags.shares_queue = shares_queue();
    seat->take(place.release());
    state->seat = seat;
    members_.push_back({seat, state});
    was_steered_to_.reset(index);
    steered_ = index + 1;
    return socket;
  }

  // --- what is known ---

  udp::endpoint local_endpoint() const { return local_; }

  std::size_t size() const
  {
    const std::scoped_lock lock(mutex_);
    return members_.size();
  }

  std::size_t member_of(const udp::endpoint& sender) const
  {
    const std::scoped_lock lock(mutex_);
    return hash_.member_of(canonical(sender), std::max<std::size_t>(steered_, 1));
  }

  bool shares_queue() const noexcept { return static_cast<bool>(queue_); }

  std::vector<shard_statistics> statistics()
  {
    const std::scoped_lock lock(mutex_);
    std::vector<shard_statistics> all;
    std::uint64_t total = 0;
    for (const member& each : members_) {
      const seat_counts counted = each.seat->counted();
      all.push_back({.received = counted.received,
                     .received_bytes = counted.received_bytes,
                     .receive_calls = counted.receive_calls,
                     .sent = counted.sent,
                     .is_steered_to = all.size() < steered_});
      total += all.back().received;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::uint64_t others = total - all[i].received;
      member& known = members_[i];
      if (all[i].received != std::exchange(known.seen, all[i].received) || others < known.elsewhere)
        known.elsewhere = others;
      all[i].missed = others - known.elsewhere;
    }
    return all;
  }

  // --- ending the last member ---

  /// The executor of the last member that is open, or else the system's, if the type allows that.
  Executor get_executor() const
  {
    std::optional<Executor> found;
    if (visit_open([&](const Executor& executor) { found = executor; })) return *found;
    if constexpr (std::is_constructible_v<Executor, net::system_executor>)
      return Executor(net::system_executor());
    else
      refuse("shard_group", error::out_of_range, "no member is open that has an executor");
  }

  /// Returns the last member, which the caller begins to drain or to close. There must be a member.
  member begin_ending(error_code& ec)
  {
    const std::scoped_lock lock(mutex_);
    ec.clear();
    if (ends_last_)
      ec = net::error::in_progress;
    else if (members_.size() < 2)
      ec = error::out_of_range;
    ends_last_ = ends_last_ || !ec;
    return members_.back();
  }

  void stop_ending() noexcept { ends_last_ = false; }

  /// Calls the function with the executor of the last member that is open. Returns false if none
  /// is. The function may not use the group.
  template <class Function>
  bool visit_open(Function function) const
  {
    std::vector<std::shared_ptr<seat_type>> seats;
    {
      const std::scoped_lock lock(mutex_);
      for (const member& each : members_)
        seats.push_back(each.seat);
    }
    for (std::size_t i = seats.size(); i > 0; --i)
      if (seats[i - 1]->visit(
              [&](const Executor& executor, platform::descriptor_type) { function(executor); }))
        return true;
    return false;
  }

  /// Leaves the last member out, by any descriptor that is in the kernel's group.
  void leave_out_last(error_code& ec)
  {
    const std::scoped_lock lock(mutex_);
    const std::size_t rest = members_.size() - 1;
    ec.clear();
    if (queue_) steered_ = rest;
    if (steered_ == rest) return;
    const platform::steering_program program(config_.steering, hash_, rest);
    bool is_attached = false;
    const auto try_by = [&](platform::descriptor_type descriptor) {
      program.attach(descriptor, ec);
      is_attached = !ec;
    };
    for (std::size_t i = members_.size(); i > 0 && !is_attached; --i)
      members_[i - 1].seat->visit(
          [&](const Executor&, platform::descriptor_type descriptor) { try_by(descriptor); });
    for (std::size_t i = 0; i < reserve_.size() && !is_attached; ++i)
      if (reserve_[i]) try_by(reserve_[i].get());
    name_unsupported(ec);
    // No socket of the group is in the kernel's, so there is nothing to steer.
    if (ec == net::error::invalid_argument) ec.clear();
    if (!ec) steered_ = rest;
  }

  /// Ends the operations of the last member, if that is open: `last` is its socket then. Keeps its
  /// descriptor for the next open. If the kernel closed it, a datagram could be lost:
  /// udp_lib_unhash first takes a socket out of its group, and then out of the table where look-ups
  /// find it.
  ///
  /// A socket that is bound to all addresses leaves the kernel's group when it is connected.
  void close_last(state_type* last)
  {
    const std::scoped_lock lock(mutex_);
    const platform::steering_program program(config_.steering, hash_, members_.size() - 1);
    members_.pop_back();
    steered_ = members_.size();
    error_code ec = net::error::bad_descriptor;
    owned_descriptor descriptor;
    if (queue_) {
      if (last != nullptr) descriptor = owned_descriptor(last->release(ec));
      return;
    }
    if (last != nullptr) {
      error_code ignored;
      if (last->flags.connected) last->disconnect(ignored);
      error_code apart;
      program.attach(last->fd(), apart);
      descriptor = owned_descriptor(last->release(ec));
      if (!ec) ec = apart;
    }
    // If it is closed or apart, the kernel has given its number to the last socket of all.
    if (ec) descriptor = std::move(reserve_.back());
    if (ec) reserve_.pop_back();
    if (members_.size() < reserve_.size()) reserve_[members_.size()] = std::move(descriptor);
    if (ec) was_steered_to_.set(members_.size());
  }

private:
  void keep_first(owned_descriptor bound)
  {
    if (config_.share_queue && !can_share_ && platform::can_duplicate)
      queue_ = std::move(bound);
    else
      reserve_.push_back(std::move(bound));
  }

  /// The kernel has a group of two sockets or more, or of one that had a program before its bind.
  void attach(const platform::steering_program& program, platform::descriptor_type descriptor,
              error_code& ec)
  {
    program.attach(descriptor, ec);
    name_unsupported(ec);
    if (!ec) has_program_ = true;
  }

  /// Begins a group of one, if the system has groups. The option stays set then. Otherwise the
  /// socket stays as it was, so that it shares its port with no other.
  void start_group(udp::socket& socket)
  {
    if (!platform::has_steering) return;
    const auto descriptor = socket.native_handle();
    if (takes_unknown_options(descriptor, platform::names::socket_level)) return;
    option::reuse_port before;
    error_code ec, ignored;
    socket.get_option(before, ec);
    if (!ec) socket.set_option(option::reuse_port(true), ec);
    if (!ec) platform::steering_program(config_.steering, hash_, 1).attach(descriptor, ec);
    has_program_ = !ec;
    // A socket that was bound without the option is in no group, until a second one is bound.
    can_share_ = has_program_ || ec == net::error::invalid_argument;
    if (!can_share_) socket.set_option(before, ignored);
  }

  /// The program is there before the bind, so no datagram is ever steered otherwise. Without the
  /// option during the bind, the port is exclusive.
  void bind_first(const udp::endpoint& local, failed_step& step, error_code& ec)
  {
    net::io_context opener;
    udp::socket socket(opener);
    step = {};
    local_ = local;
    open_configured(socket, protocol_, config_.socket, step, ec);
    if (ec) return;
    start_group(socket);
    error_code refused;
    if (can_share_) socket.set_option(option::reuse_port(false), refused);
    socket.bind(local, ec);
    if (ec) {
      step = {.call = "bind"};
      return;
    }
    if (can_share_) socket.set_option(option::reuse_port(true), refused);
    local_ = socket.local_endpoint();
    keep_first(owned_descriptor(socket.release()));
  }

  void finish_bind(const failed_step& step, const error_code& ec)
  {
    if (ec && step.call == std::string_view("bind")) refuse_member(ec, 0);
    step.throw_if(ec);
    fill_reserve();
  }

  void fill_reserve()
  {
    if (queue_) return;
    while (reserve_.size() < config_.reserve) {
      error_code ec;
      owned_descriptor next = bind_next(ec);
      // The second socket of a group that began without a program lets the kernel make the group.
      if (!has_program_) was_steered_to_.set(reserve_.size());
      if (!ec && !has_program_)
        attach(platform::steering_program(config_.steering, hash_, 1), next.get(), ec);
      if (ec) refuse_member(ec, reserve_.size());
      reserve_.push_back(std::move(next));
    }
  }

  /// Binds one more socket to the port, or makes one more descriptor of the only one.
  owned_descriptor bind_next(error_code& ec) const
  {
    if (queue_) return platform::duplicate(queue_.get(), ec);
    if (!can_share_) {
      ec = net::error::operation_not_supported;
      return {};
    }
    net::io_context opener;
    udp::socket socket(opener);
    failed_step refused;
    socket_config config = config_.socket;
    config.dual_stack = false;  // the protocol says it
    open_configured(socket, protocol_, config, refused, ec);
    if (!ec) socket.set_option(option::reuse_port(true), ec);
    if (!ec) socket.bind(local_, ec);
    return ec ? owned_descriptor() : owned_descriptor(socket.release());
  }

public:
  /// Throws an error of a member, with what to do about it.
  [[noreturn]] DGRAM_COLD void refuse_member(const error_code& ec, std::size_t index) const
  {
    std::string detail = "member " + std::to_string(index);
    const std::string advice = shard_advice(ec, index, inherited_);
    if (!advice.empty()) detail.append(": ").append(advice);
    throw_failure({.code = ec,
                   .operation = "shard_group",
                   .address = local_.address().to_string(),
                   .port = local_.port(),
                   .detail = std::move(detail)});
  }

private:
  mutable std::mutex mutex_;
  shard_group_config config_;
  std::shared_ptr<shard_commons> commons_;  // null if the group keeps no sessions
  platform::steering_hash hash_;
  udp protocol_ = udp::v4();
  udp::endpoint local_;
  owned_descriptor queue_;  // the bound socket, if all members read it
  bool inherited_ = false;  // the first socket
  bool can_share_ = false;
  bool has_program_ = false;  // the kernel has one for the group

  /// An operation drains or closes the last member. It may end while a seat is visited, in which
  /// the mutex must not be locked.
  std::atomic<bool> ends_last_ = false;

  std::vector<member> members_;
  std::size_t steered_ = 0;                // members that datagrams go to
  std::vector<owned_descriptor> reserve_;  // a place for each member; empty while it is open

  /// The places whose sockets had the number of a member while they were not open.
  std::bitset<platform::max_shards> was_steered_to_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
