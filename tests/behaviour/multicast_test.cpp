// SPDX-License-Identifier: BSL-1.0
// Behaviour rows MCT-*: what members get, on loopback. Errors and round trips are in tests/unit/multicast_test.cpp, what
// crosses hosts in tests/namespaces/multicast_test.cpp.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <vector>

namespace multicast_test {

namespace {

namespace option = dgram::option;
using dgram::multicast_group;
using dgram::network_interface;
using dgram::udp;

network_interface loopback()
{
  for (const char* name : {"lo", "lo0"})
    if (::if_nametoindex(name) != 0) return network_interface(name);
  SKIP("no interface lo or lo0 here");
  return network_interface();
}

/// Sockets that share the port and have all joined the group on the loopback interface.
std::vector<udp::socket> make_listeners(asio::io_context& io, std::size_t count,
                                        const multicast_group& group,
                                        const test::reserved_port& port)
{
  const bool six = group.address().is_v6();
  const test::endpoint local(six ? udp::v6() : udp::v4(), port.number());
  std::vector<udp::socket> listeners;
  for (std::size_t i = 0; i < count; ++i) {
    auto& one = listeners.emplace_back(io, local, dgram::socket_config{.reuse_address = true});
    one.join(group, loopback());
  }
  return listeners;
}

void expect_all(asio::io_context& io, std::vector<udp::socket>& listeners,
                const std::vector<std::string>& texts, const test::endpoint& sender)
{
  for (auto& listener : listeners) {
    for (const auto& text : texts) {
      const auto datagram = test::receive(io, listener);
      CHECK(datagram.text == text);
      CHECK(datagram.sender == sender);
    }
    CHECK(test::nothing_queued(listener));
  }
}

template <class... Args>
concept can_join = requires(udp::socket& socket, Args... args) { socket.join(args...); };

}  // namespace

TEST_CASE("MCT-02 joining and leaving take a group")
{
  STATIC_REQUIRE(can_join<multicast_group>);
  STATIC_REQUIRE(can_join<const char*>);  // text of a group
  STATIC_REQUIRE_FALSE(can_join<>);
  STATIC_REQUIRE_FALSE(can_join<network_interface>);
}

TEST_CASE("MCT-10 every listener that shares a port gets every datagram of the group")
{
  const multicast_group group("224.0.0.114");
  asio::io_context io;
  const test::reserved_port port;
  auto listeners = make_listeners(io, 3, group, port);
  udp::socket sender(io, test::loopback_v4());
  sender.set_option(option::multicast_interface(loopback()));
  sender.set_option(option::multicast_hop_limit(1));
  sender.set_option(option::multicast_loopback(true));
  const std::vector<std::string> texts{"first", "second", "third", "fourth"};
  for (const auto& text : texts)
    sender.send_to(asio::buffer(text), {group.address(), listeners[0].local_endpoint().port()});
  expect_all(io, listeners, texts, sender.local_endpoint());
  for (auto& listener : listeners)
    listener.leave(group, loopback());
}

TEST_CASE("MCT-10 a port is exclusive unless sharing is asked for, by all")
{
  asio::io_context io;
  const test::endpoint any(udp::v4(), 0);
  udp::socket first(io, any);
  dgram::error_code ec;
  for (const auto& config : {dgram::socket_config{}, dgram::socket_config{.reuse_address = true},
                             dgram::socket_config{.reuse_port = true}}) {
    udp::socket second(io, udp::v4(), config);
    second.bind(first.local_endpoint(), ec);
    CHECK(ec == asio::error::address_in_use);
  }
}

TEST_CASE("MCT-11 every listener gets what the one source sends, and nothing of another")
{
  asio::io_context io;
  const multicast_group group("232.1.1.1", "127.0.0.1");
  const test::reserved_port port;
  auto listeners = make_listeners(io, 3, group, port);
  const auto send = [&](const char* from, const std::vector<std::string>& texts) {
    udp::socket sender(io, {asio::ip::make_address(from), 0});
    sender.set_option(option::multicast_interface(loopback()));
    for (const auto& text : texts)
      sender.send_to(asio::buffer(text), {group.address(), listeners[0].local_endpoint().port()});
    return sender.local_endpoint();
  };
  // Loopback delivers before send returns, so this would be in front.
  send("127.0.0.2", {"of another"});
  const std::vector<std::string> texts{"first", "second", "third", "fourth"};
  const auto sender = send("127.0.0.1", texts);
  expect_all(io, listeners, texts, sender);
  for (auto& listener : listeners)
    listener.leave(group, loopback());
}

TEST_CASE("MCT-11 a dual-stack socket takes a source of IPv4 too, and blocks one")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket member(io, test::endpoint(udp::v6(), 0), {.dual_stack = true});
  const auto port = member.local_endpoint().port();
  udp::socket sender(io, test::loopback_v4());
  sender.set_option(option::multicast_interface(loopback()));
  const auto send = [&](const multicast_group& group, std::string_view text) {
    sender.send_to(test::text_buffer(text), {group.address(), port});
  };
  const multicast_group of_sender("232.1.1.2", "127.0.0.1"), of_another("232.1.1.3", "127.0.0.9");
  member.join(of_sender, loopback());
  member.join(of_another, loopback());
  send(of_another, "of another");
  send(of_sender, "of the sender");
  const auto datagram = test::receive(io, member);
  CHECK(datagram.text == "of the sender");
  CHECK(datagram.sender == sender.local_endpoint());

  const multicast_group open("239.255.78.1");
  const multicast_group closed(open.address(), asio::ip::make_address("127.0.0.1"));
  member.join(open, loopback());
  member.block(closed, loopback());
  send(open, "blocked");
  member.unblock(closed, loopback());
  send(open, "unblocked");
  CHECK(test::receive(io, member).text == "unblocked");
}

TEST_CASE("MCT-14 loopback is refused on a closed socket; off, members of this host get nothing")
{
  asio::io_context io;
  udp::socket sender(io);
  dgram::error_code ec;
  sender.set_option(option::multicast_loopback(true), ec);
  CHECK(ec == asio::error::bad_descriptor);

  const multicast_group group("239.255.78.2");
  const test::reserved_port port;
  auto listeners = make_listeners(io, 1, group, port);
  sender.open(udp::v4());
  sender.bind(test::loopback_v4());
  sender.set_option(option::multicast_interface(loopback()));
  const test::endpoint to(group.address(), listeners[0].local_endpoint().port());
  for (const bool on : {true, false, true}) {
    sender.set_option(option::multicast_loopback(on));
    option::multicast_loopback read(!on);
    sender.get_option(read);
    CHECK(read.value() == on);
    // On Linux the device lo gives everything back by itself, so here the option shows in what is read only.
    sender.send_to(test::text_buffer("looped"), to);
    if (on) CHECK(test::receive(io, listeners[0]).text == "looped");
    while (!test::nothing_queued(listeners[0])) {}
  }
}

TEST_CASE("MCT-16 an outgoing interface is any, or one that there is")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const auto set = [&](const network_interface& interface) {
    dgram::error_code ec;
    socket.set_option(option::multicast_interface(interface), ec);
    return ec;
  };
  CHECK_FALSE(set(network_interface()));
  CHECK_FALSE(set(loopback()));
  CHECK_FALSE(set(network_interface("127.0.0.1")));
  for (const char* text : {"224.0.0.2", "::", "undefined", "", "::%lo0x"}) {
    CAPTURE(text);
    CHECK(set(network_interface(text)) == dgram::error::unknown_interface);
  }
  // The choice before stays.
  option::multicast_interface read;
  socket.get_option(read);
  CHECK(read.index() != 0);
}

TEST_CASE("MCT-16 named by an address, that is the sender's address too")
{
  asio::io_context io;
  const multicast_group group("239.255.78.3");
  const test::reserved_port port;
  auto listeners = make_listeners(io, 1, group, port);
  loopback();
  udp::socket sender(io, udp::v4());
  sender.set_option(option::multicast_interface(network_interface("127.0.0.1")));
  sender.send_to(test::text_buffer("from there"),
                 {group.address(), listeners[0].local_endpoint().port()});
  CHECK(test::receive(io, listeners[0]).sender.address() == asio::ip::make_address("127.0.0.1"));
}

TEST_CASE("MCT-18 options of a closed socket are refused; on an open one they need no bind")
{
  asio::io_context io;
  udp::socket socket(io);
  const auto each = [&](const auto& check) {
    const auto set = [&](const auto& option) {
      dgram::error_code ec;
      socket.set_option(option, ec);
      check(ec);
    };
    set(option::multicast_hop_limit(1));
    set(option::multicast_loopback(true));
    set(option::multicast_interface());
    set(option::broadcast(true));
    set(option::hop_limit(1));
  };
  each([](const dgram::error_code& ec) { CHECK(ec == asio::error::bad_descriptor); });
  socket.open(udp::v4());
  each([](const dgram::error_code& ec) { CHECK_FALSE(ec); });
}

TEST_CASE("MCT-19 sending to a group succeeds, or there is no route, or it is not allowed")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const test::endpoint group(asio::ip::make_address("239.255.78.4"), 9);
  const auto send = [&] {
    dgram::error_code ec = asio::error::eof;
    socket.async_send_to(test::text_buffer("to whom it concerns"), group,
                         [&](dgram::error_code result, std::size_t) { ec = result; });
    test::run(io);
    CAPTURE(ec.message());
    CHECK((!ec || ec == asio::error::network_unreachable || ec == asio::error::access_denied ||
           ec == asio::error::no_permission));
  };
  // Nothing of a test leaves the host.
  socket.set_option(option::multicast_hop_limit(0));
  send();
  socket.set_option(option::multicast_interface(loopback()));
  socket.set_option(option::multicast_hop_limit(32));
  send();
}

TEST_CASE("multicast: a socket gets the groups of others where it does not ask to be spared")
{
  asio::io_context io;
  const multicast_group own("239.255.78.5"), others("239.255.78.6");
  const test::reserved_port port;
  auto listeners = make_listeners(io, 2, own, port);
  listeners[1].join(others, loopback());
  dgram::error_code ec;
  listeners[0].set_option(option::receive_all_groups(false), ec);
  if (ec == asio::error::operation_not_supported) SKIP("only Linux gives a socket others' groups");
  udp::socket sender(io, test::loopback_v4());
  sender.set_option(option::multicast_interface(loopback()));
  const auto send = [&](const multicast_group& group, std::string_view text) {
    sender.send_to(test::text_buffer(text), {group.address(), port.number()});
  };
  send(others, "others'");
  send(own, "its own");
  CHECK(test::receive(io, listeners[0]).text == "its own");
  listeners[0].set_option(option::receive_all_groups(true));
  send(others, "others'");
  CHECK(test::receive(io, listeners[0]).text == "others'");
}

}  // namespace multicast_test
