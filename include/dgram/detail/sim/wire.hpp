// SPDX-License-Identifier: BSL-1.0
// The simulated network itself: finds hosts, carries datagrams, and keeps the account of them.
#ifndef DGRAM_DETAIL_SIM_WIRE_HPP
#define DGRAM_DETAIL_SIM_WIRE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/sim/engine.hpp>
#include <dgram/detail/sim/host.hpp>
#include <dgram/detail/sim/link.hpp>
#include <dgram/detail/sim/pcap.hpp>
#include <dgram/detail/sim/trace.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/sim_config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A socket that has joined a group.
struct sim_member {
  net::ip::address group;
  std::optional<net::ip::address> source;
  sim_host* host;
  sim_port* port;
};

/// What a socket asks for when it sends.
struct sim_sending {
  sim_host* host;
  sim_endpoint source;
  sim_endpoint destination;
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 64;
  bool broadcasts = false;
  bool loops_back = true;  // to members of the group on the own host
};

class sim_wire : public sim_engine {
public:
  sim_wire(net::io_context& io, const sim::network_config& config)
      : sim_engine(io),
        seed_(config.seed),
        default_(config.link()),
        random_(config.seed),
        trace_(*this)
  {
    check_link(default_);
    hosts_.push_back(std::make_unique<sim_host>());  // where datagrams go that reach no host
  }

  ~sim_wire() = default;

  sim::random& random() noexcept { return random_; }
  sim_trace& trace() noexcept { return trace_; }

  // --- hosts ---

  sim_host* find_host(const net::ip::address& address) const
  {
    const auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : found->second;
  }

  sim_host* find_host(std::string_view name) const
  {
    for (const auto& each : hosts_)
      if (!each->name.empty() && each->name == name) return each.get();
    return nullptr;
  }

  sim_host& add_host(std::string_view name, const std::vector<net::ip::address>& addresses)
  {
    if (!name.empty() && find_host(name) != nullptr)
      throw std::invalid_argument("sim::network: there is a host \"" + std::string(name) +
                                  "\" already");
    if (addresses.empty()) throw std::invalid_argument("sim::network: a host must have an address");
    for (const auto& each : addresses) {
      if (each.is_unspecified() || each.is_multicast() || each.is_loopback() ||
          each == net::ip::address(net::ip::address_v4::broadcast()))
        throw std::invalid_argument("sim::network: \"" + to_string(each) +
                                    "\" is not the address of one host");
      if (find_host(each) != nullptr)
        throw std::invalid_argument("sim::network: another host has the address " +
                                    to_string(each));
    }
    auto added = std::make_unique<sim_host>();
    added->number = static_cast<std::uint32_t>(hosts_.size());
    added->name = name;
    added->addresses = addresses;
    for (const auto& each : addresses)
      by_address_[each] = added.get();
    hosts_.push_back(std::move(added));
    return *hosts_.back();
  }

  /// The host with this address. Adds one if there is none.
  sim_host& host_of(const net::ip::address& address)
  {
    if (sim_host* const known = find_host(address)) return *known;
    return add_host({}, {address});
  }

  /// The host that the text names, by name or by address. Adds a host for an unknown address.
  sim_host& host_of(std::string_view text)
  {
    if (sim_host* const known = find_host(text)) return *known;
    error_code ec;
    const auto address = parse_address(text, ec);
    if (ec) throw std::invalid_argument("sim::network: no host \"" + std::string(text) + "\"");
    return host_of(address);
  }

  sim_host* default_host = nullptr;

  /// The resolver of operations by name that are given none.
  std::shared_ptr<void> names;

  // --- links ---

  void set_default(const sim::link_config& config)
  {
    check_link(config);
    default_ = config;
    ++version_;
  }

  void set_host_links(sim_host& host, const sim::link_config& config)
  {
    check_link(config);
    host.links = config;
    ++version_;
  }

  void set_link(const sim_host& from, const sim_host& to, const sim::link_config& config)
  {
    check_link(config);
    pairs_[pair_of(from, to)] = config;
    ++version_;
  }

  const sim::link_config& config_of(const sim_host& from, const sim_host& to) const
  {
    if (const auto found = pairs_.find(pair_of(from, to)); found != pairs_.end())
      return found->second;
    if (from.links) return *from.links;
    if (to.links) return *to.links;
    return default_;
  }

  sim_link& link_of(const sim_host& from, const sim_host& to)
  {
    auto& link = links_[pair_of(from, to)];
    if (!link) {
      // The seed of a link depends on its ends, not on the order in which links are used.
      sim::random seeds(seed_ ^ (pair_of(from, to) * 0xD6E8FEB86659FD93U));
      link = std::make_unique<sim_link>(seeds(), config_of(from, to));
      link->config_version = version_;
    }
    if (link->config_version != version_) {
      link->change(config_of(from, to));
      link->config_version = version_;
    }
    return *link;
  }

  const sim::link_counters* counters_of(const sim_host& from, const sim_host& to) const
  {
    const auto found = links_.find(pair_of(from, to));
    return found == links_.end() ? nullptr : &found->second->counters;
  }

  sim::link_counters total() const
  {
    sim::link_counters sum;
    for (const auto& [ends, link] : links_)
      sum += link->counters;
    return sum;
  }

  void cut(const sim_host& a, const sim_host& b)
  {
    if (&a == &b) return;
    cuts_.insert(pair_of(a, b));
    cuts_.insert(pair_of(b, a));
  }

  void heal() noexcept { cuts_.clear(); }

  void pause(sim_host& host)
  {
    trace_.note("pause", host);
    host.paused = true;
  }

  void resume(sim_host& host)
  {
    if (!std::exchange(host.paused, false)) return;
    trace_.note("resume", host);
    // A socket may be closed meanwhile, by the handler of another one.
    std::vector<sim_port*> resumed;
    for (sim_port* each : sockets_)
      resumed.push_back(each);
    for (sim_port* each : resumed)
      each->resume();
  }

  // --- groups ---

  void join(const sim_member& added) { members_.push_back(added); }
  bool has_joined(const sim_port& port, const net::ip::address& group,
                  const std::optional<net::ip::address>& source) const
  {
    return std::any_of(members_.begin(), members_.end(), [&](const sim_member& each) {
      return each.port == &port && each.group == group && each.source == source;
    });
  }
  bool leave(const sim_port& port, const net::ip::address& group,
             const std::optional<net::ip::address>& source)
  {
    return std::erase_if(members_, [&](const sim_member& each) {
             return each.port == &port && each.group == group && each.source == source;
           }) > 0;
  }
  void leave_all(const sim_port& port)
  {
    std::erase_if(members_, [&](const sim_member& each) { return each.port == &port; });
  }

  // --- sockets, so that all of them end with the network ---

  void add_socket(sim_port& added) { sockets_.push_back(&added); }
  void remove_socket(sim_port& removed) noexcept { std::erase(sockets_, &removed); }

  void end()
  {
    const auto all = std::exchange(sockets_, {});
    for (sim_port* each : all)
      each->end();
    sim_engine::end();
  }

  // --- datagrams ---

  void release(sim_packet* unused) noexcept { free_.push_back(static_cast<carried*>(unused)); }

  /// Sends a datagram of this size, which `fill(span)` writes. The errors are those of a send.
  /// `left` is the time when the datagram has left the host on all links.
  template <class Fill>
  error_code send(const sim_sending& what, std::size_t size, const Fill& fill, sim_time& left)
  {
    const auto& to = what.destination.address();
    const bool is_broadcast = to == net::ip::address(net::ip::address_v4::broadcast());
    if (is_broadcast && !what.broadcasts) return net::error::access_denied;
    if (is_broadcast || to.is_multicast())
      return send_to_many(what, is_broadcast, size, fill, left);
    sim_host* target = what.host;
    if (!to.is_loopback() && !to.is_unspecified()) target = find_host(to);
    if (target != nullptr && target != what.host && packet_size(size, to) > mtu(what, *target))
      return net::error::message_size;
    left = carry(what, target, size, fill);
    return {};
  }

  /// The path MTU between the hosts, as sends apply it.
  std::size_t mtu(const sim_sending& what, const sim_host& target)
  {
    return config_of(outer(*what.host, target), target).mtu;
  }

private:
  struct carried final : sim_packet, sim_event {
    sim_wire* wire = nullptr;

    void happen() override { wire->arrive(this); }
    void drop() noexcept override
    {
      --link->counters.in_flight;
      wire->release(this);
    }
  };

  /// Tells a socket of an error.
  struct path_notice final : sim_event {
    sim_host* host;
    sim_endpoint source;
    sim_endpoint destination;
    error_code code;
    net::ip::address offender;
    std::vector<std::byte> quoted;

    void happen() override
    {
      const std::unique_ptr<path_notice> self(this);
      if (sim_port* const port = host->find(destination, source))
        port->report(destination, code, offender, quoted);
    }
    void drop() noexcept override { delete this; }
  };

  struct address_hash {
    std::size_t operator()(const net::ip::address& address) const noexcept
    {
      if (address.is_v4()) return address.to_v4().to_uint() * 0x9E3779B9U;
      std::uint64_t hash = 0;
      for (const auto byte : address.to_v6().to_bytes())
        hash = (hash ^ byte) * 0x100000001B3U;
      return static_cast<std::size_t>(hash);
    }
  };

  static std::uint64_t pair_of(const sim_host& from, const sim_host& to) noexcept
  {
    return std::uint64_t{from.number} << 32U | to.number;
  }

  static std::size_t packet_size(std::size_t payload, const net::ip::address& to) noexcept
  {
    return payload + (to.is_v4() ? 28 : 48);
  }

  /// The host whose links the datagrams of `host` to `target` use: the NAT between the two.
  static sim_host& outer(sim_host& host, const sim_host& target) noexcept
  {
    return host.behind != nullptr && host.behind != target.behind ? *host.behind : host;
  }

  template <class Fill>
  error_code send_to_many(const sim_sending& what, bool is_broadcast, std::size_t size,
                          const Fill& fill, sim_time& left)
  {
    // Each host gets the datagram once, however many of its sockets are members.
    std::vector<sim_host*> targets;
    const auto add = [&](sim_host* host) {
      if (host == what.host && !what.loops_back && !is_broadcast) return;
      if (host->behind != what.host->behind || host->nat) return;
      if (std::find(targets.begin(), targets.end(), host) == targets.end()) targets.push_back(host);
    };
    if (is_broadcast)
      std::for_each(hosts_.begin() + 1, hosts_.end(), [&](const auto& each) { add(each.get()); });
    else
      for (const sim_member& each : members_)
        if (each.group == what.destination.address()) add(each.host);
    for (const sim_host* each : targets)
      if (each != what.host && packet_size(size, what.destination.address()) > mtu(what, *each))
        return net::error::message_size;
    left = now();
    for (sim_host* each : targets)
      left = std::max(left, carry(what, each, size, fill));
    return {};
  }

  carried& take_packet()
  {
    if (free_.empty()) {
      packets_.push_back(std::make_unique<carried>());
      packets_.back()->wire = this;
      free_.reserve(packets_.size());  // so that `release` cannot fail
      return *packets_.back();
    }
    carried* const last = free_.back();
    free_.pop_back();
    return *last;
  }

  /// Puts a datagram to one host on its way. Without a target, no host has the address. Returns
  /// when the link has sent the datagram, which is now if the link does not take it.
  template <class Fill>
  sim_time carry(const sim_sending& what, sim_host* target, std::size_t size, const Fill& fill)
  {
    carried& packet = take_packet();
    packet.payload.resize(size);
    fill(std::span<std::byte>(packet.payload));
    packet.source = packet.first_source = what.source;
    packet.destination = packet.first_destination = what.destination;
    if (what.destination.address().is_unspecified() && target != nullptr)
      packet.destination.address(what.source.address());
    packet.origin = what.host;
    packet.target = target != nullptr ? target : hosts_.front().get();
    packet.traffic_class = what.traffic_class;
    packet.hop_limit = what.hop_limit;
    packet.number = ++number_;
    // A private address behind another NAT cannot be reached.
    const bool is_unreachable =
        target == nullptr || (target->behind != nullptr && target->behind != what.host->behind);
    sim_host& from = is_unreachable ? *what.host : outer(*what.host, *target);
    sim_link& link = link_of(from, is_unreachable ? *hosts_.front() : *target);
    packet.link = &link;
    ++link.counters.sent;
    link.counters.sent_bytes += size;
    ++link.counters.in_flight;
    if (&from != what.host) {
      const auto port = from.nat->leave(what.source, what.destination, now());
      packet.source = {from.addresses.front(), port};
      if (port == 0) return drop(packet, link.counters.untranslated, "no NAT port");
    }
    trace_.datagram("send", packet);
    capture(packet, *what.host);
    if (is_unreachable) return drop(packet, link.counters.unreachable, "unreachable");
    if (target == what.host) {
      plan(packet, now() + sim_shortest_delay);
      return now();
    }
    if (cuts_.contains(pair_of(from, *target)))
      return drop(packet, link.counters.partitioned, "partitioned");
    const auto left = link.send(packet_size(size, packet.destination.address()), now());
    if (!left) return drop(packet, link.counters.queue_full, "queue full");
    if (link.loses()) {
      lose(packet, link.counters.lost, "lost");
      return *left;
    }
    if (link.duplicates()) duplicate(packet, *left);
    plan(packet, link.arrival(*left));
    return *left;
  }

  /// Drops a packet before it has taken time on its link.
  sim_time drop(carried& packet, std::uint64_t& cause, const char* why)
  {
    lose(packet, cause, why);
    return now();
  }

  void duplicate(const carried& original, sim_time left)
  {
    carried& copy = take_packet();
    static_cast<sim_packet&>(copy) = original;
    ++copy.link->counters.duplicated;
    ++copy.link->counters.in_flight;
    trace_.datagram("duplicate", copy);
    plan(copy, copy.link->arrival(left));
  }

  void lose(carried& packet, std::uint64_t& cause, const char* why)
  {
    --packet.link->counters.in_flight;
    ++cause;
    trace_.datagram("drop", packet, why);
    release(&packet);
  }

  void arrive(carried* packet)
  {
    auto& counters = packet->link->counters;
    sim_host* host = packet->target;
    const auto& to = packet->destination.address();
    if (host->nat) {
      const auto inside = host->nat->enter(packet->destination.port(), packet->source, now());
      if (!inside) return lose(*packet, counters.untranslated, "no NAT mapping");
      packet->destination = *inside;
      host = find_host(inside->address());
    }
    packet->arrived = now();
    if (host != packet->origin) capture(*packet, *host, true);
    if (to.is_multicast() || to == net::ip::address(net::ip::address_v4::broadcast()))
      return arrive_at_many(packet, *host);
    sim_port* const port = host->find(packet->source, packet->destination);
    if (port == nullptr) {
      refuse(*packet, *host);
      return lose(*packet, counters.refused, "refused");
    }
    trace_.datagram("arrive", *packet);
    const std::size_t size = packet->payload.size();
    if (!port->take(packet)) return lose(*packet, counters.overflowed, "receive queue full");
    --counters.in_flight;
    ++counters.delivered;
    counters.delivered_bytes += size;
  }

  /// All members on the host get the datagram. It counts once.
  void arrive_at_many(carried* packet, sim_host& host)
  {
    auto& counters = packet->link->counters;
    const auto& to = packet->destination.address();
    const bool is_broadcast = !to.is_multicast();
    trace_.datagram("arrive", *packet);
    bool found = false;
    bool taken = false;
    const auto ports = host.ports.find(packet->destination.port());
    if (ports != host.ports.end()) {
      const auto all = ports->second;
      for (sim_port* each : all) {
        if (each->peer && *each->peer != packet->source) continue;
        if (!each->local.address().is_unspecified() && each->local.address() != to) continue;
        if (!is_broadcast && !receives(*each, to, packet->source.address())) continue;
        found = true;
        carried& copy = take_packet();
        static_cast<sim_packet&>(copy) = *packet;
        if (each->take(&copy))
          taken = true;
        else
          release(&copy);
      }
    }
    if (!found) return lose(*packet, counters.refused, "refused");
    if (!taken) return lose(*packet, counters.overflowed, "receive queue full");
    --counters.in_flight;
    ++counters.delivered;
    counters.delivered_bytes += packet->payload.size();
    release(packet);
  }

  bool receives(const sim_port& port, const net::ip::address& group,
                const net::ip::address& source) const
  {
    return std::any_of(members_.begin(), members_.end(), [&](const sim_member& each) {
      return each.port == &port && each.group == group && (!each.source || *each.source == source);
    });
  }

  /// No socket has the port. The sender learns of it after the way back, which may lose the report.
  void refuse(const sim_packet& packet, sim_host& host)
  {
    sim_host* const back_to = packet.origin;
    sim_time at = now() + sim_shortest_delay;
    if (&host != back_to) {
      sim_host& from = outer(host, *back_to);
      sim_host& to = outer(*back_to, host);
      if (cuts_.contains(pair_of(from, to))) return;
      sim_link& back = link_of(from, to);
      if (back.loses()) return;
      at = back.arrival(now());
    }
    auto notice = std::make_unique<path_notice>();
    notice->host = back_to;
    notice->source = packet.first_source;
    notice->destination = packet.first_destination;
    notice->code = net::error::connection_refused;
    notice->offender = packet.first_destination.address();
    notice->quoted = packet.payload;
    plan(*notice, at);
    notice.release();
  }

  void capture(const sim_packet& packet, const sim_host& host, bool arrives = false)
  {
    for (const auto& each : captures_)
      if (each.host == nullptr ? !arrives : each.host == &host) each.file->write(packet, now());
  }

public:
  void add_capture(std::unique_ptr<sim_pcap> file, const sim_host* host)
  {
    captures_.push_back({std::move(file), host});
  }

private:
  struct capture_of {
    std::unique_ptr<sim_pcap> file;
    const sim_host* host;  // null: the whole network
  };

  std::uint64_t seed_;
  sim::link_config default_;
  sim::random random_;
  sim_trace trace_;
  std::vector<std::unique_ptr<sim_host>> hosts_;
  std::unordered_map<net::ip::address, sim_host*, address_hash> by_address_;
  std::unordered_map<std::uint64_t, std::unique_ptr<sim_link>> links_;
  std::unordered_map<std::uint64_t, sim::link_config> pairs_;
  std::unordered_set<std::uint64_t> cuts_;
  std::uint64_t version_ = 0;
  std::vector<sim_member> members_;
  std::vector<sim_port*> sockets_;
  std::vector<std::unique_ptr<carried>> packets_;
  std::vector<carried*> free_;
  std::vector<capture_of> captures_;
  std::uint64_t number_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
