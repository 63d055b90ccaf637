// SPDX-License-Identifier: BSL-1.0
// Addresses that mean something on one link only: an answer has to leave by the link that the question came in by.
#include "support/network_namespace.hpp"

#if defined(__linux__)

#include <dgram.hpp>

#include <asio/ip/multicast.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace link_test {

using asio::ip::make_address;
using socket_type = dgram::udp::socket;
namespace option = dgram::option;
using test::endpoint;

namespace {

constexpr std::uint16_t port = 7077;

/// How a server answers everything that it gets; `first` is where it is bound.
using serving = std::function<void(asio::io_context&, const endpoint&, std::size_t count,
                                   const std::function<void()>& bound)>;

void join_groups(socket_type& socket)
{
  const bool v4 = socket.local_endpoint().address().is_v4();
  const std::vector<const char*> groups =
      v4 ? std::vector{"224.0.0.77", "239.1.2.3"}
         : std::vector{"ff02::77:1", "ff05::77:1", "ff08::77:1", "ff0e::77:1"};
  for (const char* group : groups)
    for (const char* lan : {"lan0", "lan1"})
      socket.join(dgram::multicast_group{group}, dgram::network_interface{lan});
}

void serve_singly(asio::io_context& io, const endpoint& local, std::size_t count,
                  const std::function<void()>& bound)
{
  socket_type socket(io, local);
  socket.set_option(option::packet_info(true));
  join_groups(socket);
  bound();
  for (; count > 0; --count) {
    std::array<char, 64> storage;
    dgram::datagram_info info;
    socket.non_blocking(false);
    const std::size_t size = socket.receive_from(asio::buffer(storage), info);
    socket.send_to(asio::buffer(storage, size), info.reply_path());
  }
}

void serve_by_reader(asio::io_context& io, const endpoint& local, std::size_t count,
                     const std::function<void()>& bound)
{
  socket_type socket(io, local);
  join_groups(socket);
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  bound();
  reader.async_for_each(
      [&](const dgram::datagram& datagram) {
        writer.try_send(datagram.payload(), datagram.reply_path());
        if (--count == 0) reader.stop();
      },
      [](dgram::error_code ec) { CHECK_FALSE(ec); });
  test::run(io);
}

void serve_by_emitter(asio::io_context& io, const endpoint& local, std::size_t count,
                      const std::function<void()>& bound)
{
  auto socket = dgram::create_socket(io, local.address().is_v4() ? dgram::udp4 : dgram::udp6);
  socket.on<dgram::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    socket.send(message, from);
    if (--count == 0) socket.close();
  });
  socket.bind_sync(local.port(), dgram::to_string(local.address()));
  join_groups(socket.next_layer());
  bound();
  test::run(io);
}

const std::map<std::string, serving> servers{{"single datagrams", serve_singly},
                                             {"a reader", serve_by_reader},
                                             {"an emitter", serve_by_emitter}};

/// Host 0 serves; host 1 is on its first link and host 2 on its second, with the same addresses. The routes of host 0 name the
/// first link for all that both have.
struct two_links {
  two_links()
  {
    for (const char* name : {"all", "lan0", "lan1"})
      net.host(0).sysctl(std::string("ipv4/conf/") + name + "/rp_filter", 0);
    net.host(0).ip(
        "addr add 169.254.0.1/16 brd + dev lan0\naddr add 169.254.0.2/16 brd + dev lan1\n"
        "addr del 10.77.0.1/24 dev lan0\naddr add 10.77.0.1/24 brd + dev lan0\n"
        "addr del 10.77.1.1/24 dev lan1\naddr add 10.77.1.1/24 brd + dev lan1\n"
        "route add 10.88.0.0/24 dev lan0 metric 10\nroute add 10.88.0.0/24 dev lan1 metric 20\n"
        "addr add fe80::1/64 dev lan0 nodad\naddr add fe80::1/64 dev lan1 nodad\n"
        "route add fd88::/64 dev lan0\nroute append fd88::/64 dev lan1\n");
    for (const std::size_t client : {1U, 2U}) {
      const std::string lan = network_name(client);
      const std::string subnet = std::to_string(client - 1);
      net.host(client).ip("addr add 169.254.9.9/16 brd + dev " + lan + "\naddr del 10.77." +
                          subnet + "." + std::to_string(client + 1) + "/24 dev " + lan +
                          "\naddr add 10.77." + subnet + ".9/24 brd + dev " + lan +
                          "\naddr add 10.88.0.9/32 dev " + lan +
                          "\nroute replace 224.0.0.0/4 dev " + lan + "\naddr add fe80::9/64 dev " +
                          lan + " nodad\naddr add fd88::9/128 dev " + lan + " nodad\n");
    }
    for (std::size_t host = 0; host < net.size(); ++host)
      net.host(host).await_links(true);
  }

  static std::string network_name(std::size_t client)
  {
    return test::network::lan(static_cast<int>(client) - 1);
  }

  /// In the text "%" stands for the client's link: its number, or behind a link-local address its name. "!" is one more
  /// than the number.
  static std::string on_link(std::string text, std::size_t client)
  {
    if (const auto at = text.find('%'); at != std::string::npos) {
      const bool scoped = text.substr(0, 4) == "fe80" || text.substr(0, 4) == "ff02";
      text.replace(at, 1, scoped ? "%" + network_name(client) : std::to_string(client - 1));
    }
    if (const auto at = text.find('!'); at != std::string::npos)
      text.replace(at, 1, std::to_string(client));
    return text;
  }

  socket_type client(asio::io_context& io, const std::string& address, std::size_t number)
  {
    return net.on(number, [&] {
      socket_type socket(io, {dgram::parse_address(on_link(address, number)), 0});
      socket.set_option(option::broadcast(true));
      if (socket.local_endpoint().address().is_v6())
        socket.set_option(
            option::multicast_interface(dgram::network_interface{network_name(number)}));
      return socket;
    });
  }

  test::network net{{0, 1}, {0}, {1}};
};

/// What the client receives within a while; nothing at the end of that time.
std::optional<std::size_t> hear(asio::io_context& io, socket_type& client,
                                std::array<char, 4>& storage, endpoint* from = nullptr)
{
  std::optional<std::size_t> size;
  endpoint sender;
  client.async_receive_from(asio::buffer(storage), sender,
                            [&](dgram::error_code ec, std::size_t received) {
                              if (!ec) size = received;
                            });
  io.restart();
  io.run_for(test::seconds(10));
  if (!size) client.cancel();
  io.restart();
  io.run();
  if (from != nullptr) *from = sender;
  return size;
}

/// Both clients ask, and each hears its own answer: where from?
std::array<endpoint, 2> ask_both(two_links& links, const serving& serve, const endpoint& local,
                                 const std::string& sent_to, const std::string& sender)
{
  asio::io_context io;
  asio::io_context clients_io;
  std::vector<socket_type> clients;
  for (const std::size_t number : {1U, 2U})
    clients.push_back(links.client(clients_io, sender, number));
  links.net.on(0, [&] {
    serve(io, local, 2, [&] {
      for (const std::size_t number : {1U, 2U})
        links.net.on(number, [&] {
          const auto to = dgram::parse_address(two_links::on_link(sent_to, number));
          const std::string text = std::to_string(number);
          clients[number - 1].send_to(asio::buffer(text), {to, local.port()});
        });
    });
  });
  std::array<endpoint, 2> from;
  for (const std::size_t number : {1U, 2U}) {
    INFO("the client on " << two_links::network_name(number));
    std::array<char, 4> storage;
    const auto size = hear(clients_io, clients[number - 1], storage, &from[number - 1]);
    REQUIRE(size == 1U);
    CHECK(std::string_view(storage.data(), *size) == std::to_string(number));
  }
  return from;
}

struct scopes {
  const char* sent_to;
  const char* sender;
  bool is_shared;  // an address of many, which is none to send from
};

std::ostream& operator<<(std::ostream& out, const scopes& of)
{
  return out << of.sent_to << " from " << of.sender;
}

}  // namespace

TEST_CASE("an answer leaves by the link of the question, where only that knows the client: IPv4",
          "[F8]")
{
  two_links links;
  for (const auto& [name, serve] : servers) {
    for (const scopes& of :
         {scopes{"169.254.0.!", "169.254.9.9", false}, scopes{"169.254.0.!", "10.88.0.9", false},
          scopes{"10.77.%.1", "169.254.9.9", false}, scopes{"255.255.255.255", "169.254.9.9", true},
          scopes{"255.255.255.255", "10.88.0.9", true},
          scopes{"255.255.255.255", "10.77.%.9", true},
          scopes{"169.254.255.255", "169.254.9.9", true}, scopes{"10.77.%.255", "10.88.0.9", true},
          scopes{"10.77.%.255", "10.77.%.9", true}, scopes{"224.0.0.77", "169.254.9.9", true},
          scopes{"239.1.2.3", "169.254.9.9", true}, scopes{"239.1.2.3", "10.88.0.9", true}}) {
      INFO(name << ": " << of);
      const auto from = ask_both(links, serve, {dgram::udp::v4(), port}, of.sent_to, of.sender);
      for (const std::size_t number : {1U, 2U})
        if (of.is_shared)
          CHECK_FALSE(from[number - 1].address() ==
                      make_address(two_links::on_link(of.sent_to, number)));
        else
          CHECK(from[number - 1].address() == make_address(two_links::on_link(of.sent_to, number)));
    }
  }
}

TEST_CASE("an answer leaves by the link of the question, where only that knows the client: IPv6",
          "[F8]")
{
  two_links links;
  for (const auto& [name, serve] : servers) {
    for (const scopes& of :
         {scopes{"fe80::1%", "fe80::9%", false}, scopes{"fe80::1%", "fd88::9", false},
          scopes{"fd77:%::1", "fe80::9%", false}, scopes{"ff02::77:1%", "fe80::9%", true},
          scopes{"ff02::77:1%", "fd88::9", true}, scopes{"ff05::77:1", "fd88::9", true},
          scopes{"ff08::77:1", "fd88::9", true}, scopes{"ff0e::77:1", "fd88::9", true},
          scopes{"ff0e::77:1", "fe80::9%", true}}) {
      INFO(name << ": " << of);
      const auto from = ask_both(links, serve, {dgram::udp::v6(), port}, of.sent_to, of.sender);
      for (const auto& each : from)
        CHECK_FALSE(each.address().is_multicast());
    }
  }
}

TEST_CASE("a socket that is bound to what each link has answers by the link of the question",
          "[F8]")
{
  two_links links;
  // A link-local address and a broadcast address of the second link; the routes name the first one.
  for (const char* const name : {"a reader", "an emitter"}) {
    for (const char* const bound : {"169.254.0.2", "255.255.255.255", "224.0.0.77", "239.1.2.3"}) {
      INFO(name << " on " << bound);
      asio::io_context io;
      asio::io_context client_io;
      auto client = links.client(client_io, "169.254.9.9", 2);
      const endpoint local(make_address(bound), port);
      links.net.on(0, [&] {
        servers.at(name)(io, local, 1, [&] { client.send_to(asio::buffer("?", 1), local); });
      });
      std::array<char, 4> storage;
      CHECK(hear(client_io, client, storage));
    }
  }
}

TEST_CASE("a client on an interface without an address is answered there", "[F8]")
{
  const auto sender = GENERATE(as<std::string>(), "169.254.9.9", "10.88.0.9");
  const auto sent_to = GENERATE(as<std::string>(), "255.255.255.255", "224.0.0.77", "239.1.2.3");
  INFO(sent_to << " from " << sender);
  two_links links;
  links.net.host(0).ip("addr del 169.254.0.2/16 dev lan1\naddr del 10.77.1.1/24 dev lan1\n");
  for (const auto& [name, serve] : servers) {
    INFO(name);
    asio::io_context io;
    asio::io_context client_io;
    auto client = links.client(client_io, sender, 2);
    links.net.on(0, [&] {
      serve(io, {dgram::udp::v4(), port}, 1,
            [&] { client.send_to(asio::buffer("?", 1), {make_address(sent_to), port}); });
    });
    std::array<char, 4> storage;
    CHECK(hear(client_io, client, storage));
  }
}

TEST_CASE("a client on the host itself is answered, whatever the scopes are", "[F8]")
{
  two_links links;
  for (const auto& [name, serve] : servers) {
    for (const scopes& of :
         {scopes{"169.254.0.2", "127.0.0.1", false}, scopes{"169.254.0.2", "169.254.0.2", false},
          scopes{"10.77.1.255", "10.77.1.1", true}, scopes{"10.77.1.255", "10.77.0.1", true},
          scopes{"10.77.1.255", "169.254.0.1", true}, scopes{"255.255.255.255", "10.77.1.1", true},
          scopes{"239.1.2.3", "10.77.1.1", true}}) {
      INFO(name << ": " << of);
      asio::io_context io;
      asio::io_context client_io;
      auto client = links.net.on(0, [&] {
        socket_type socket(client_io, {make_address(of.sender), 0});
        socket.set_option(option::broadcast(true));
        // To a group on the other interface.
        socket.set_option(option::multicast_interface(dgram::network_interface{"lan0"}));
        return socket;
      });
      links.net.on(0, [&] {
        serve(io, {dgram::udp::v4(), port}, 1,
              [&] { client.send_to(asio::buffer("?", 1), {make_address(of.sent_to), port}); });
      });
      std::array<char, 4> storage;
      CHECK(hear(client_io, client, storage));
    }
  }
}

}  // namespace link_test

#endif
