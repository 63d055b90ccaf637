// SPDX-License-Identifier: BSL-1.0
// Sending while no port is free: every way to send says so at once, and works when a port is free again.
#include "support/loopback.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ports_test {

#if defined(__linux__)

namespace {

using dgram::error_code;
using udp_socket = dgram::udp::socket;

/// A host with two ports, of which others have one for each family that they hold.
struct host_without_ports {
  host_without_ports()
  {
    host.ip("link set lo up\n");
    if (!host.sysctl("ipv4/ip_local_port_range", "40000 40001"))
      SKIP("the range of ports cannot be set here");
  }

  udp_socket open(dgram::udp protocol)
  {
    return host.run([&] { return udp_socket(io, protocol); });
  }

  void take_ports(dgram::udp protocol)
  {
    for (int i = 0; i < 2; ++i) {
      auto socket = open(protocol);
      socket.bind({protocol, 0});
      holders.push_back(std::move(socket));
    }
  }

  test::network_namespace host;
  asio::io_context io;
  std::vector<udp_socket> holders;
};

/// Runs what is pending; each resumption is counted, so that waiting for what is there already shows.
std::optional<error_code> completion(asio::io_context& io, const std::optional<error_code>& done)
{
  io.restart();
  for (int resumptions = 0; resumptions < 20 && !done; ++resumptions)
    if (io.run_one_for(test::seconds(1)) == 0) break;
  return done;
}

struct way_to_send {
  std::string name;
  std::function<std::optional<error_code>(asio::io_context&, udp_socket&, const test::endpoint&)>
      send;
};

std::vector<way_to_send> ways_to_send()
{
  const std::string payload = "any";
  const auto bytes = [payload] { return asio::buffer(payload); };
  const auto keep = [](std::optional<error_code>& done) {
    return [&done](error_code ec, auto&&...) { done = ec; };
  };
  std::vector<way_to_send> ways;
  const auto add = [&](const char* name, auto send) { ways.push_back({name, std::move(send)}); };
  const dgram::send_options asking{.hop_limit = 3};
  add("send_to", [=](auto&, udp_socket& from, const auto& to) {
    error_code ec;
    from.send_to(bytes(), to, 0, ec);
    return std::optional(ec);
  });
  add("send_to with options", [=](auto&, udp_socket& from, const auto& to) {
    error_code ec;
    from.send_to(bytes(), to, asking, ec);
    return std::optional(ec);
  });
  add("try_send_to", [=](auto&, udp_socket& from, const auto& to) {
    error_code ec;
    from.try_send_to(bytes(), to, ec);
    return std::optional(ec);
  });
  add("connect", [=](auto&, udp_socket& from, const auto& to) {
    error_code ec;
    from.connect(to, ec);
    return std::optional(ec);
  });
  add("async_connect", [=](asio::io_context& io, udp_socket& from, const auto& to) {
    std::optional<error_code> done;
    from.async_connect(to, keep(done));
    return completion(io, done);
  });
  add("async_send_to", [=](asio::io_context& io, udp_socket& from, const auto& to) {
    std::optional<error_code> done;
    from.async_send_to(bytes(), to, keep(done));
    return completion(io, done);
  });
  add("async_send_to with options", [=](asio::io_context& io, udp_socket& from, const auto& to) {
    std::optional<error_code> done;
    from.async_send_to(bytes(), to, asking, keep(done));
    return completion(io, done);
  });
  if (dgram::capabilities(dgram::udp::v4()).receive_error)
    add("async_send_to with receive_error",
        [=](asio::io_context& io, udp_socket& from, const auto& to) {
          std::optional<error_code> done;
          from.set_option(dgram::option::receive_error{true});
          from.async_send_to(bytes(), to, keep(done));
          return completion(io, done);
        });
  add("async_send_batch", [=](asio::io_context& io, udp_socket& from, const auto& to) {
    std::optional<error_code> done;
    dgram::send_batch batch{2};
    batch.push(payload, to);
    batch.push(payload, to);
    from.async_send_batch(batch, keep(done));
    return completion(io, done);
  });
  add("async_send_segments", [=](asio::io_context& io, udp_socket& from, const auto& to) {
    std::optional<error_code> done;
    from.async_send_segments(payload, 1, to, keep(done));
    return completion(io, done);
  });
  add("try_send_batch", [=](auto&, udp_socket& from, const auto& to) {
    dgram::send_batch batch{2};
    batch.push(payload, to);
    const auto result = from.try_send_batch(batch);
    CHECK(batch.empty() == !result.error);
    return std::optional(result.error);
  });
  add("try_send_batch that drops what is refused", [=](auto&, udp_socket& from, const auto& to) {
    dgram::send_batch batch{2};
    batch.on_refused([](error_code, const test::endpoint&, std::size_t) {
      FAIL_CHECK("no fault of the datagram");
    });
    batch.push(payload, to);
    return std::optional(from.try_send_batch(batch).error);
  });
  add("send_batch", [=](auto&, udp_socket& from, const auto& to) {
    dgram::send_batch batch{2};
    batch.push(payload, to);
    return std::optional(from.send_batch(batch).error);
  });
  return ways;
}

}  // namespace

TEST_CASE("without a free port each way to send says so, and works when there is one",
          "[namespaces][F3]")
{
  host_without_ports host;
  const auto protocol = GENERATE(dgram::udp::v4(), dgram::udp::v6());
  host.take_ports(protocol);
  // The destination does not matter: no socket has to be there.
  const test::endpoint peer(
      protocol == dgram::udp::v4() ? test::loopback_v4().address() : test::loopback_v6().address(),
      9);
  for (const auto& way : ways_to_send()) {
    INFO(way.name);
    auto socket = host.open(protocol);
    CHECK(way.send(host.io, socket, peer) == asio::error::address_in_use);
    CHECK(socket.local_endpoint().port() == 0);

    host.holders.pop_back();
    CHECK(way.send(host.io, socket, peer) == error_code());
    socket.close();
    auto holder = host.open(protocol);
    holder.bind({protocol, 0});
    host.holders.push_back(std::move(holder));
  }
}

TEST_CASE("a writer without a free port loses what it has, and goes on", "[namespaces][F3]")
{
  host_without_ports host;
  host.take_ports(dgram::udp::v4());
  const test::endpoint peer(test::loopback_v4().address(), 9);
  auto socket = host.open(dgram::udp::v4());
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  std::vector<error_code> told;
  writer.on_error([&](error_code ec, const test::endpoint&, std::size_t) { told.push_back(ec); });
  REQUIRE(writer.try_send(std::string_view("one"), peer));
  std::size_t resumptions = 0;
  while (resumptions < 20 && host.io.poll_one() > 0)
    ++resumptions;
  CHECK(resumptions < 5);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == asio::error::address_in_use);

  host.holders.pop_back();
  host.io.restart();
  REQUIRE(writer.try_send(std::string_view("two"), peer));
  host.io.poll();
  CHECK(writer.statistics().sent == 1);
}

#endif

}  // namespace ports_test
