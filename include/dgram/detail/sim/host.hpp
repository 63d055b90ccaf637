// SPDX-License-Identifier: BSL-1.0
// A simulated host: its addresses, ports and NAT, and what a socket is for it.
#ifndef DGRAM_DETAIL_SIM_HOST_HPP
#define DGRAM_DETAIL_SIM_HOST_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/agenda.hpp>
#include <dgram/sim_config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

using sim_endpoint = net::ip::udp::endpoint;

struct sim_host;
class sim_link;

/// A datagram on its way, or in the queue of a socket.
struct sim_packet {
  std::vector<std::byte> payload;
  sim_endpoint source;
  sim_endpoint destination;
  // Where it came from and went to before a NAT changed it: path errors return there.
  sim_endpoint first_source;
  sim_endpoint first_destination;
  sim_host* origin = nullptr;
  sim_host* target = nullptr;
  sim_link* link = nullptr;
  std::uint64_t number = 0;
  std::uint32_t drops = 0;  // of the socket, when it was queued
  sim_time arrived = 0;
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 64;
};

/// What a host knows about a socket that is bound.
class sim_port {
public:
  sim_endpoint local;
  std::optional<sim_endpoint> peer;
  bool dual = false;
  bool reuses_address = false;
  bool reuses_port = false;

  /// Takes over the packet. Returns false, and leaves the packet, if its queue is full.
  virtual bool take(sim_packet* arrived) = 0;

  /// A datagram to this destination met an error on its way. The report quotes the datagram.
  virtual void report(const sim_endpoint& destination, const error_code& ec,
                      const net::ip::address& offender, std::span<const std::byte> quoted) = 0;

  /// The host is not paused any more.
  virtual void resume() = 0;

  /// The network has ended.
  virtual void end() noexcept = 0;

  /// Whether datagrams to this address may be the socket's.
  bool listens_to(const net::ip::address& address) const
  {
    if (!local.address().is_unspecified()) return local.address() == address;
    return dual || local.address().is_v4() == address.is_v4();
  }

protected:
  ~sim_port() = default;
};

/// A NAT, which is the host of its public address.
class sim_nat {
public:
  explicit sim_nat(const sim::nat_config& config) : config_(config) {}

  /// The public port for datagrams from this endpoint behind the NAT; 0 if no port is free.
  std::uint16_t leave(const sim_endpoint& inside, const sim_endpoint& to, sim_time now)
  {
    auto found = std::find_if(mappings_.begin(), mappings_.end(),
                              [&](const mapping& each) { return each.inside == inside; });
    if (found != mappings_.end() && is_over(*found, now)) {
      mappings_.erase(found);
      found = mappings_.end();
    }
    if (found == mappings_.end()) {
      const std::uint16_t port = free_port(now);
      if (port == 0) return 0;
      mappings_.push_back({inside, port, now, {}});
      found = mappings_.end() - 1;
    }
    found->last_used = now;
    if (config_.filter &&
        std::find(found->peers.begin(), found->peers.end(), to) == found->peers.end())
      found->peers.push_back(to);
    return found->port;
  }

  /// The endpoint behind the NAT that gets datagrams from this endpoint to the public port.
  std::optional<sim_endpoint> enter(std::uint16_t port, const sim_endpoint& from,
                                    sim_time now) const
  {
    for (const mapping& each : mappings_) {
      if (each.port != port || is_over(each, now)) continue;
      if (config_.filter &&
          std::find(each.peers.begin(), each.peers.end(), from) == each.peers.end())
        return std::nullopt;
      return each.inside;
    }
    return std::nullopt;
  }

  void rebind() noexcept { mappings_.clear(); }

private:
  struct mapping {
    sim_endpoint inside;
    std::uint16_t port;
    sim_time last_used;
    std::vector<sim_endpoint> peers;
  };

  bool is_over(const mapping& which, sim_time now) const noexcept
  {
    return now - which.last_used > config_.mapping_timeout.count();
  }

  /// A port is used again as late as possible, so that a peer notices a new mapping.
  std::uint16_t free_port(sim_time now)
  {
    std::erase_if(mappings_, [&](const mapping& each) { return is_over(each, now); });
    for (std::uint32_t tries = 0; tries < 65536 - first_port; ++tries) {
      const std::uint16_t port = next_;
      next_ = port == 65535 ? first_port : static_cast<std::uint16_t>(port + 1);
      const bool is_taken = std::any_of(mappings_.begin(), mappings_.end(),
                                        [&](const mapping& each) { return each.port == port; });
      if (!is_taken) return port;
    }
    return 0;
  }

  static constexpr std::uint16_t first_port = 1024;

  sim::nat_config config_;
  std::vector<mapping> mappings_;
  std::uint16_t next_ = first_port;
};

struct sim_host {
  std::uint32_t number = 0;
  std::string name;
  std::vector<net::ip::address> addresses;
  bool paused = false;
  std::unique_ptr<sim_nat> nat;  // if the host is a NAT
  sim_host* behind = nullptr;    // the NAT that the host is behind
  std::optional<sim::link_config> links;
  std::unordered_map<std::uint16_t, std::vector<sim_port*>> ports;
  std::uint16_t next_port = first_ephemeral;

  static constexpr std::uint16_t first_ephemeral = 49152;

  bool has(const net::ip::address& address) const
  {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  }

  /// The address from which datagrams to this peer leave; none if the host has none of its family.
  std::optional<net::ip::address> source_for(const net::ip::address& peer) const
  {
    if (peer.is_loopback()) return peer;
    for (const auto& each : addresses)
      if (each.is_v4() == peer.is_v4()) return each;
    return std::nullopt;
  }

  bool is_free(const sim_port& added, std::uint16_t port) const
  {
    const auto found = ports.find(port);
    if (found == ports.end()) return true;
    return std::none_of(found->second.begin(), found->second.end(), [&](const sim_port* other) {
      const auto& a = added.local.address();
      const auto& b = other->local.address();
      const bool same_family = a.is_v4() == b.is_v4() || added.dual || other->dual;
      const bool overlap = same_family && (a.is_unspecified() || b.is_unspecified() || a == b);
      const bool shared = (added.reuses_address && other->reuses_address) ||
                          (added.reuses_port && other->reuses_port);
      return overlap && !shared;
    });
  }

  /// A free port, or 0.
  std::uint16_t ephemeral(const sim_port& added)
  {
    for (std::uint32_t tries = 0; tries < 65536 - first_ephemeral; ++tries) {
      const std::uint16_t port = next_port;
      next_port = port == 65535 ? first_ephemeral : static_cast<std::uint16_t>(port + 1);
      if (!ports.contains(port) || ports[port].empty()) return port;
    }
    // All are taken by somebody, perhaps at another address.
    for (std::uint32_t port = first_ephemeral; port < 65536; ++port)
      if (is_free(added, static_cast<std::uint16_t>(port))) return static_cast<std::uint16_t>(port);
    return 0;
  }

  void add(sim_port& added) { ports[added.local.port()].push_back(&added); }

  void remove(sim_port& removed) noexcept
  {
    const auto found = ports.find(removed.local.port());
    if (found == ports.end()) return;
    std::erase(found->second, &removed);
    if (found->second.empty()) ports.erase(found);
  }

  /// The socket that gets a unicast datagram: one that is connected to the source, else one that is
  /// bound to the address, else one on the wildcard address. Among sockets that share a port, the
  /// source decides (`reuse_port`), or the last one gets it (`reuse_address`).
  sim_port* find(const sim_endpoint& source, const sim_endpoint& destination) const
  {
    const auto found = ports.find(destination.port());
    if (found == ports.end()) return nullptr;
    sim_port* best = nullptr;
    int best_score = 0;
    std::size_t sharing = 0;
    const auto score = [&](const sim_port& each) {
      if (!each.listens_to(destination.address())) return 0;
      if (each.peer && *each.peer != source) return 0;
      return 1 + (each.peer ? 2 : 0) + (each.local.address().is_unspecified() ? 0 : 1);
    };
    for (sim_port* each : found->second) {
      const int its = score(*each);
      if (its > best_score) sharing = 0;
      if (its < best_score || its == 0) continue;
      best_score = its;
      best = each;
      ++sharing;
    }
    if (sharing < 2 || !best->reuses_port) return best;
    std::size_t chosen = flow_hash(source) % sharing;
    for (sim_port* each : found->second)
      if (score(*each) == best_score && chosen-- == 0) best = each;
    return best;
  }

private:
  static std::size_t flow_hash(const sim_endpoint& source)
  {
    std::uint64_t hash = source.port();
    const auto mix = [&](const auto& bytes) {
      for (const auto byte : bytes)
        hash = (hash ^ byte) * 0x100000001B3U;
    };
    if (source.address().is_v4())
      mix(source.address().to_v4().to_bytes());
    else
      mix(source.address().to_v6().to_bytes());
    return static_cast<std::size_t>(hash >> 16U);
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
