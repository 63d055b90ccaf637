// SPDX-License-Identifier: BSL-1.0
// Names of a simulated network in place of endpoints, for operations and for emitters.
#ifndef DGRAM_SIM_RESOLVE_HPP
#define DGRAM_SIM_RESOLVE_HPP

#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/names/named_op.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/name_resolver.hpp>
#include <dgram/sim_network.hpp>
#include <dgram/sim_socket.hpp>
#include <dgram/sim_timer.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Looks names up in a network, which must outlive it.
class sim_names {
public:
  using results = std::vector<net::ip::udp::endpoint>;

  sim_names(sim_wire& wire, sim_time delay) noexcept : wire_(wire), delay_(delay) {}

  template <class Handler>
  void async_resolve(const std::string& host, const std::string& service, Handler&& handler)
  {
    start(std::nullopt, host, service, std::forward<Handler>(handler));
  }

  template <class Handler>
  void async_resolve(const net::ip::udp& family, const std::string& host,
                     const std::string& service, Handler&& handler)
  {
    start(family, host, service, std::forward<Handler>(handler));
  }

private:
  template <class Handler>
  void start(const std::optional<net::ip::udp>& family, const std::string& host,
             const std::string& service, Handler&& handler)
  {
    auto wire = std::static_pointer_cast<sim_wire>(wire_.shared_from_this());
    const auto wait = std::make_shared<sim_alarm>(wire, wire_.get_executor());
    wait->set(wire_.now() + delay_);
    wait->async_wait(query<std::decay_t<Handler>>{std::forward<Handler>(handler), std::move(wire),
                                                  wait, family, host, service});
  }

  /// The handler of the wait, with the associates of the lookup's handler.
  template <class Handler>
  struct query {
    using executor_type = net::associated_executor_t<Handler, net::any_io_executor>;
    using allocator_type = net::associated_allocator_t<Handler>;

    Handler handler;
    std::shared_ptr<sim_wire> wire;
    std::shared_ptr<sim_alarm> wait;
    std::optional<net::ip::udp> family;
    std::string host;
    std::string service;

    executor_type get_executor() const noexcept
    {
      return net::get_associated_executor(handler, wire->get_executor());
    }
    allocator_type get_allocator() const noexcept { return net::get_associated_allocator(handler); }

    void operator()(error_code ec)
    {
      results found;
      if (!ec) found = look_up(ec);
      std::move(handler)(ec, found);
    }

    results look_up(error_code& ec) const
    {
      const auto port = service.empty() ? std::uint16_t{0} : parse_port(service, ec);
      if (ec) {
        ec = net::error::service_not_found;
        return {};
      }
      std::vector<net::ip::address> addresses;
      if (const auto* const found = wire->find_host(std::string_view(host))) {
        addresses = found->addresses;
      } else {
        error_code is_name;
        const auto address = parse_address(host, is_name);
        if (!is_name) addresses.push_back(address);
      }
      results all;
      for (const auto& each : addresses) {
        const net::ip::udp::endpoint one(each, port);
        if (!family || *family == one.protocol()) all.push_back(one);
      }
      if (all.empty()) ec = net::error::host_not_found;
      return all;
    }
  };

  sim_wire& wire_;
  sim_time delay_;
};

}  // namespace detail

namespace sim {

/// Looks names of hosts up in a simulated network, in place of the system's resolver. It is a
/// `name_resolver`, for `async_bind`, `async_connect` and `async_send_to` by name, and for
/// `socket_options::lookup`. Each lookup takes `delay` of virtual time. A name without a host is
/// `host_not_found`. Services are port numbers; any other text is `service_not_found`.
///
/// The resolver may be destroyed while a lookup is pending. A lookup that is pending when the
/// network ends completes with `operation_aborted`.
///
/// \code
/// dgram::sim::network net{io};
/// net.add_host("server", {"10.0.0.1"});
/// dgram::sim::resolver names{net, std::chrono::milliseconds(40)};
/// dgram::sim::socket client{net, {"10.0.0.2", 0}};
/// dgram::async_connect(client, "server", "7000", names, [](dgram::error_code) {});
/// net.run();
/// \endcode
class resolver {
public:
  explicit resolver(network& net, clock::duration delay = std::chrono::milliseconds(1))
      : wire_(net.wire_), names_(*wire_, delay.count())
  {
  }

  /// Calls `handler(error_code, std::vector<udp::endpoint>)` later.
  template <class Handler>
  void async_resolve(const std::string& host, const std::string& service, Handler&& handler)
  {
    names_.async_resolve(host, service, std::forward<Handler>(handler));
  }

  /// The same for addresses of one family.
  template <class Handler>
  void async_resolve(const net::ip::udp& family, const std::string& host,
                     const std::string& service, Handler&& handler)
  {
    names_.async_resolve(family, host, service, std::forward<Handler>(handler));
  }

private:
  std::shared_ptr<detail::sim_wire> wire_;
  detail::sim_names names_;
};

}  // namespace sim

namespace detail {

/// Gives the operations by name the network of a socket.
struct sim_access {
  static sim_names* names_of(const sim::socket& socket)
  {
    auto& names = socket.wire_->names;
    if (!names) names = std::make_shared<sim_names>(*socket.wire_, 0);
    return static_cast<sim_names*>(names.get());
  }
};

}  // namespace detail

// The operations of resolve.hpp for a simulated socket, with the same completions, errors and
// cancellation. Without a resolver they look names of the network up, which takes no virtual time.

/// Binds to an address by name. Without a host it binds to the wildcard of the socket's family.
template <net::completion_token_for<void(error_code)> Token = sim::socket::default_token>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_bind(sim::socket& socket, std::string_view host, std::string_view service,
                Token&& token = sim::socket::default_token())
{
  return detail::start_named<void(error_code)>(socket, host, service,
                                               detail::sim_access::names_of(socket),
                                               detail::bind_by_name(), std::forward<Token>(token));
}

/// The same with a resolver.
template <name_resolver Resolver,
          net::completion_token_for<void(error_code)> Token = sim::socket::default_token>
auto async_bind(sim::socket& socket, std::string_view host, std::string_view service,
                Resolver& resolver, Token&& token = sim::socket::default_token())
{
  return detail::start_named<void(error_code)>(socket, host, service, &resolver,
                                               detail::bind_by_name(), std::forward<Token>(token));
}

/// Connects to a peer by name, and opens a closed socket.
template <net::completion_token_for<void(error_code)> Token = sim::socket::default_token>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_connect(sim::socket& socket, std::string_view host, std::string_view service,
                   Token&& token = sim::socket::default_token())
{
  return detail::start_named<void(error_code)>(
      socket, host, service, detail::sim_access::names_of(socket), detail::connect_by_name(),
      std::forward<Token>(token));
}

/// The same with a resolver.
template <name_resolver Resolver,
          net::completion_token_for<void(error_code)> Token = sim::socket::default_token>
auto async_connect(sim::socket& socket, std::string_view host, std::string_view service,
                   Resolver& resolver, Token&& token = sim::socket::default_token())
{
  return detail::start_named<void(error_code)>(
      socket, host, service, &resolver, detail::connect_by_name(), std::forward<Token>(token));
}

/// Sends one datagram to a peer by name: the first peer that is not refused.
template <class ConstBuffers, net::completion_token_for<void(error_code, std::size_t)> Token =
                                  sim::socket::default_token>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_send_to(sim::socket& socket, const ConstBuffers& buffers, std::string_view host,
                   std::string_view service, Token&& token = sim::socket::default_token())
{
  return detail::start_named<void(error_code, std::size_t)>(
      socket, host, service, detail::sim_access::names_of(socket),
      detail::send_by_name<ConstBuffers>{buffers, 0}, std::forward<Token>(token));
}

/// The same with a resolver.
template <
    class ConstBuffers, name_resolver Resolver,
    net::completion_token_for<void(error_code, std::size_t)> Token = sim::socket::default_token>
auto async_send_to(sim::socket& socket, const ConstBuffers& buffers, std::string_view host,
                   std::string_view service, Resolver& resolver,
                   Token&& token = sim::socket::default_token())
{
  return detail::start_named<void(error_code, std::size_t)>(
      socket, host, service, &resolver, detail::send_by_name<ConstBuffers>{buffers, 0},
      std::forward<Token>(token));
}

DGRAM_NAMESPACE_END

#endif
