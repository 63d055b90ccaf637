// SPDX-License-Identifier: BSL-1.0
// Trains of datagrams whose way changes: what one interface takes, the next one may refuse.
#if defined(__linux__)

#include "support/loopback.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace segmentation_test {

namespace {

constexpr std::uint64_t count = 40;  // datagrams at a time

/// A client that sends to an address behind two interfaces, and a server that has this address.
struct scene {
  scene()
  {
    net.host(1).ip("addr add 10.88.0.1/32 dev lo\n");
    net.host(0).ip(
        "link set lan1 mtu 1000\n"
        "route add 10.88.0.1 via 10.77.0.2 dev lan0\n");
    server.set_receive_buffer_size(1 << 20);
    out.on_error([this](dgram::error_code ec, const auto&, std::size_t, std::uint64_t number) {
      errors.push_back(ec);
      numbers.push_back(number);
    });
  }

  /// The socket stays, and its way becomes another one.
  void lose_first_interface() const { net.host(0).ip("link del lan0\n"); }
  void use_second_interface() const
  {
    net.host(0).ip("route add 10.88.0.1 via 10.77.1.2 dev lan1\n");
  }

  /// Sends datagrams of one size, and returns how many have arrived whole.
  std::uint64_t send(std::size_t size)
  {
    errors.clear();
    numbers.clear();
    const std::string payload(size, 'x');
    for (std::uint64_t i = 0; i < count; ++i)
      REQUIRE(out.try_send(payload, peer, {.ecn = ecn, .number = i + 1}));
    test::run(io, [this]() -> asio::awaitable<void> {
      dgram::error_code ec;
      co_await out.async_flush(asio::redirect_error(asio::use_awaitable, ec));
    }());
    std::uint64_t arrived = 0;
    dgram::receive_batch batch{64};
    dgram::error_code ec;
    while (server.try_receive_batch(batch, ec) > 0)
      for (const dgram::datagram& each : batch)
        arrived += each.payload().size() == size ? 1 : 0;
    return arrived;
  }

  std::uint64_t in_trains() { return client.statistics().segmented; }

  asio::io_context io;
  test::network net{{0, 1}, {0, 1}};
  dgram::udp::socket client =
      net.on(0, [this] { return dgram::udp::socket(io, dgram::udp::v4()); });
  dgram::udp::socket server =
      net.on(1, [this] { return dgram::udp::socket(io, {asio::ip::address_v4::any(), 0}); });
  dgram::udp::endpoint peer{asio::ip::make_address("10.88.0.1"), server.local_endpoint().port()};
  dgram::writer<dgram::udp> out{client};
  std::optional<dgram::ecn_codepoint> ecn;
  std::vector<dgram::error_code> errors;
  std::vector<std::uint64_t> numbers;
};

}  // namespace

TEST_CASE("trains whose way takes smaller ones than before leave one by one, and lose nothing",
          "[namespaces]")
{
  scene s;
  if (dgram::capabilities().max_segments == 1) SKIP("the kernel cuts no trains here");
  if (GENERATE(false, true)) s.ecn = dgram::ecn_codepoint::ect_0;
  CHECK(s.send(1200) == count);
  const auto before = s.in_trains();
  CHECK(before >= count / 2);

  // The interface goes to another namespace, or away: what was known of it is worth nothing.
  s.lose_first_interface();
  CHECK(s.send(1200) == 0);
  CHECK(s.errors == std::vector<dgram::error_code>(
                        count, asio::error::make_error_code(asio::error::network_unreachable)));
  REQUIRE(s.numbers.size() == count);
  CHECK(s.numbers.front() == 1);
  CHECK(s.numbers.back() == count);
  CHECK(s.in_trains() == before);

  // The next interface cannot take datagrams of a train that are larger than its packets.
  s.use_second_interface();
  CHECK(s.send(1200) == count);
  CHECK(s.send(1200) == count);
  CHECK(s.errors.empty());
  CHECK(s.in_trains() == before);
  // Smaller ones leave as trains still.
  CHECK(s.send(900) == count);
  CHECK(s.in_trains() >= before + count / 2);
}

}  // namespace segmentation_test

#endif
