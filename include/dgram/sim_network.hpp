// SPDX-License-Identifier: BSL-1.0
// A simulated network in virtual time: hosts, links, NATs, partitions, trace and capture.
#ifndef DGRAM_SIM_NETWORK_HPP
#define DGRAM_SIM_NETWORK_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/sim/service.hpp>
#include <dgram/detail/sim/wire.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/sim_clock.hpp>
#include <dgram/sim_config.hpp>
#include <dgram/sim_random.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace sim {

class socket;
class resolver;

/// A network in memory, on which `sim::socket`, readers, writers and emitters run in virtual time.
/// An hour takes as long as its events, and the same seed gives the same run on every system.
///
/// **Time**: `run_for`, `run_until` and `run` run the handlers of the context and advance the
/// clock. Use them in place of `run` of the context. Handlers take no virtual time.
///
/// **Hosts** are named by address, or by the name that `add_host` gave them. A host that is named
/// by an unknown address is added. Text that is neither throws `std::invalid_argument`.
///
/// **What stays real**: the wall clock, `std::random_device`, threads, the system's resolver, files
/// and sockets of the system. A program that uses them does not repeat itself. Draw random numbers
/// from `random()`.
///
/// **Limits**: one context, one thread, and one network of a thread at a time. A second network on
/// the thread throws `std::logic_error`, since all share the clock. `run` on another thread throws
/// too, and so does `run` inside a handler.
///
/// **Lifetime**: the context must outlive the network. Sockets and timers may outlive it. Sockets
/// are closed when it is destroyed, and pending operations complete with `operation_aborted` when
/// the context is run again.
///
/// \code
/// dgram::sim::network net{io, {.seed = 7, .delay = std::chrono::milliseconds(20), .loss = 0.01}};
/// dgram::sim::socket server{net, {"10.0.0.1", 7000}};
/// dgram::sim::socket client{net, {"10.0.0.2", 0}};
/// client.send_to(asio::buffer(query), server.local_endpoint());
/// net.run_for(std::chrono::hours(1));
/// fmt::print("{} datagrams arrived\n", net.counters().delivered);
/// \endcode
class network {
public:
  /// Throws `std::logic_error` if this thread or the context has a network, and
  /// `std::invalid_argument` for a link that cannot be (see `set_link`).
  explicit network(net::io_context& io, const network_config& config = {})
      : service_(net::use_service<detail::sim_service>(io))
  {
    if (service_.current)
      throw std::logic_error("sim::network: the context has a network already; destroy that first");
    if (detail::sim_networks_of_thread > 0)
      throw std::logic_error(
          "sim::network: this thread has a network already, and both would set the one clock; "
          "destroy that first");
    wire_ = std::make_shared<detail::sim_wire>(io, config);
    service_.current = wire_;
    ++detail::sim_networks_of_thread;
    wire_->begin();
  }

  network(const network&) = delete;
  network& operator=(const network&) = delete;

  ~network()
  {
    --detail::sim_networks_of_thread;
    service_.current.reset();
    try {
      service_.ended.push_back(wire_);
      wire_->end();
    } catch (...) {
      // There is no memory to complete what waits: the context destroys it.
    }
  }

  net::io_context& context() const noexcept { return wire_->context(); }
  net::any_io_executor get_executor() const noexcept { return wire_->get_executor(); }

  // --- time ---

  clock::time_point now() const noexcept
  {
    return clock::time_point(clock::duration(wire_->now()));
  }

  /// Runs until so much virtual time has passed. What a handler throws leaves this function, and
  /// the next run continues.
  void run_for(clock::duration time) { run_until(detail::deadline(now(), time)); }

  /// Runs until this time.
  void run_until(clock::time_point deadline)
  {
    // The largest time means "never" inside.
    wire_->run(std::min<std::int64_t>(deadline.time_since_epoch().count(), detail::sim_never - 1));
  }

  /// Runs until nothing is left to happen: no handler is ready, no datagram is on its way and no
  /// timer runs. Operations that only wait for datagrams are left pending.
  void run() { wire_->run(detail::sim_never); }

  /// Lets the current run return after the present handlers. `stop` of the context does not.
  void stop() noexcept { wire_->stop(); }

  // --- hosts ---

  /// Adds a host with a name and addresses. Throws `std::invalid_argument` if another host has the
  /// name or an address, and if an address is not that of one host.
  ///
  /// \code
  /// dgram::sim::network net{io};
  /// net.add_host("server", {"10.0.0.1", "2001:db8::1"});
  /// dgram::sim::socket socket{net, {"server", 7000}};
  /// \endcode
  void add_host(std::string_view name, const std::vector<std::string_view>& addresses)
  {
    std::vector<net::ip::address> parsed;
    parsed.reserve(addresses.size());
    for (const auto each : addresses)
      parsed.push_back(parse(each));
    wire_->add_host(name, parsed);
  }

  /// The addresses of a host; empty if there is no such host.
  std::vector<net::ip::address> addresses(std::string_view host) const
  {
    const detail::sim_host* found = wire_->find_host(host);
    error_code ec;
    if (found == nullptr)
      if (const auto address = parse_address(host, ec); !ec) found = wire_->find_host(address);
    return found != nullptr ? found->addresses : std::vector<net::ip::address>();
  }

  /// Sets the host of sockets that bind to a wildcard or loopback address, or send without a bind,
  /// and were not constructed on a host. Without it these calls fail with `address_not_available`.
  void set_default_host(std::string_view host) { wire_->default_host = &wire_->host_of(host); }

  /// Stops the program of a host, as a debugger or a busy machine does. Datagrams still arrive and
  /// fill the receive queues. Receives and sends of the host's sockets find nothing to do
  /// (`would_block`), and operations wait. Timers still run, because they belong to no host.
  void pause(std::string_view host) { wire_->pause(wire_->host_of(host)); }

  /// Ends a pause.
  void resume(std::string_view host) { wire_->resume(wire_->host_of(host)); }

  // --- links ---

  /// Sets the links between all pairs for which nothing else is set. Datagrams on their way are not
  /// affected. Throws `std::invalid_argument`, whose text names the field and its range.
  void set_links(const link_config& config) { wire_->set_default(config); }

  /// Sets all links of a host. A link between two such hosts follows the sender.
  void set_host_links(std::string_view host, const link_config& config)
  {
    wire_->set_host_links(wire_->host_of(host), config);
  }

  /// Sets the link between two hosts, in both directions.
  ///
  /// \code
  /// dgram::sim::network net{io};
  /// auto link = net.link("10.0.0.1", "10.0.0.2");
  /// link.loss = 0.5;
  /// net.set_link("10.0.0.1", "10.0.0.2", link);
  /// \endcode
  void set_link(std::string_view a, std::string_view b, const link_config& config)
  {
    set_path(a, b, config);
    set_path(b, a, config);
  }

  /// The same in one direction.
  void set_path(std::string_view from, std::string_view to, const link_config& config)
  {
    wire_->set_link(wire_->host_of(from), wire_->host_of(to), config);
  }

  /// The link as it is now: that of the pair, of the sending host, of the receiving host, or of the
  /// network.
  link_config link(std::string_view from, std::string_view to)
  {
    return wire_->config_of(wire_->host_of(from), wire_->host_of(to));
  }

  /// Lets no datagram pass between the two sets of hosts, in either direction. Datagrams on their
  /// way arrive. Several partitions add up.
  ///
  /// \code
  /// dgram::sim::network net{io};
  /// net.partition({"10.0.0.1", "10.0.0.2"}, {"10.0.0.3"});
  /// net.run_for(std::chrono::seconds(30));
  /// net.heal();
  /// \endcode
  void partition(const std::vector<std::string_view>& one,
                 const std::vector<std::string_view>& other)
  {
    for (const auto a : one)
      for (const auto b : other)
        wire_->cut(wire_->host_of(a), wire_->host_of(b));
    wire_->trace().note("partition");
  }

  /// Ends all partitions.
  void heal()
  {
    wire_->heal();
    wire_->trace().note("heal");
  }

  // --- NAT ---

  /// Puts hosts behind a NAT with a public address. Their datagrams to other hosts leave from a
  /// public port. Other hosts reach them through that port only, while the mapping lasts. Links to
  /// hosts outside are those of the NAT's address. Between the hosts and their NAT there is no
  /// delay. Groups and broadcasts stay inside. Throws `std::invalid_argument` if a host has the
  /// public address, or is behind a NAT.
  ///
  /// \code
  /// dgram::sim::network net{io};
  /// net.add_nat("203.0.113.1", {"192.168.0.2", "192.168.0.3"},
  ///             {.mapping_timeout = std::chrono::seconds(20)});
  /// \endcode
  void add_nat(std::string_view public_address, const std::vector<std::string_view>& inside,
               const nat_config& config = {})
  {
    if (config.mapping_timeout.count() <= 0)
      throw std::invalid_argument("sim::nat_config: mapping_timeout must be above 0");
    std::vector<detail::sim_host*> hosts;
    for (const auto each : inside) {
      hosts.push_back(&wire_->host_of(each));
      if (hosts.back()->behind != nullptr || hosts.back()->nat)
        throw std::invalid_argument("sim::network: \"" + std::string(each) +
                                    "\" is behind a NAT, or is one");
    }
    auto& nat = wire_->add_host({}, {parse(public_address)});
    nat.nat = std::make_unique<detail::sim_nat>(config);
    for (detail::sim_host* each : hosts)
      each->behind = &nat;
  }

  /// Lets a NAT forget its mappings, as after a restart. The next datagram of each endpoint inside
  /// leaves from a new port. Throws `std::invalid_argument` if the host is no NAT.
  void rebind(std::string_view public_address)
  {
    auto& host = wire_->host_of(public_address);
    if (!host.nat)
      throw std::invalid_argument("sim::network: \"" + std::string(public_address) +
                                  "\" is no NAT");
    host.nat->rebind();
    wire_->trace().note("rebind", host);
  }

  // --- the account, the trace and captures ---

  /// The account of all datagrams.
  link_counters counters() const { return wire_->total(); }

  /// The account of the datagrams from one host to another. Datagrams that pass a NAT are those of
  /// its address.
  link_counters counters(std::string_view from, std::string_view to)
  {
    const auto* const found = wire_->counters_of(wire_->host_of(from), wire_->host_of(to));
    return found != nullptr ? *found : link_counters();
  }

  /// Calls a function with each line of the trace, without the end of line. The lines are the same
  /// for the same seed and program, on every system.
  ///
  /// \code
  /// dgram::sim::network net{io};
  /// net.on_trace([](std::string_view line) { fmt::print("{}\n", line); });
  /// \endcode
  void on_trace(std::function<void(std::string_view)> listener)
  {
    wire_->trace().listen(std::move(listener));
  }

  /// Adds a line of the program's own to the trace.
  void note(std::string_view text) { wire_->trace().note(text); }

  /// Writes all datagrams to a pcap file when they are sent, also those that are lost later. Throws
  /// `std::runtime_error` if the file cannot be created.
  void capture(const std::string& path)
  {
    wire_->add_capture(std::make_unique<detail::sim_pcap>(path), nullptr);
  }

  /// The same for what one host sends and receives, as tcpdump(8) on that host sees it.
  void capture(const std::string& path, std::string_view host)
  {
    wire_->add_capture(std::make_unique<detail::sim_pcap>(path), &wire_->host_of(host));
  }

  /// Random numbers for the program, from the seed. The links have generators of their own.
  sim::random& random() noexcept { return wire_->random(); }

private:
  friend socket;
  friend resolver;

  static net::ip::address parse(std::string_view text)
  {
    error_code ec;
    const auto address = parse_address(text, ec);
    if (ec)
      throw std::invalid_argument("sim::network: \"" + std::string(text) + "\" is not an address");
    return address;
  }

  detail::sim_service& service_;
  std::shared_ptr<detail::sim_wire> wire_;
};

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
