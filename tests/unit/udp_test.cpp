// SPDX-License-Identifier: BSL-1.0
// udp.hpp: Asio's protocol and the dual one beside it.

#include "support/loopback.hpp"

#include <dgram/udp.hpp>

#include <catch2/catch_test_macros.hpp>

#include <type_traits>

TEST_CASE("udp: stands where Asio's protocol is expected, and the other way round")
{
  STATIC_REQUIRE(std::is_convertible_v<dgram::udp, asio::ip::udp>);
  STATIC_REQUIRE(std::is_convertible_v<asio::ip::udp, dgram::udp>);
  STATIC_REQUIRE(std::is_same_v<dgram::udp::endpoint, asio::ip::udp::endpoint>);
  STATIC_REQUIRE(std::is_same_v<dgram::udp::resolver, asio::ip::udp::resolver>);
  const asio::ip::udp asios = dgram::udp::v6();
  CHECK(asios == asio::ip::udp::v6());
  CHECK(dgram::udp(asio::ip::udp::v4()) == dgram::udp::v4());
}

TEST_CASE("udp: v4, v6 and dual are three different protocols")
{
  const auto v4 = dgram::udp::v4();
  const auto v6 = dgram::udp::v6();
  const auto dual = dgram::udp::dual();
  CHECK(v4.family() == asio::ip::udp::v4().family());
  CHECK(v6.family() == asio::ip::udp::v6().family());
  CHECK(dual.family() == v6.family());
  CHECK(dual.is_dual());
  CHECK_FALSE(v4.is_dual());
  CHECK_FALSE(v6.is_dual());
  CHECK(v4 == dgram::udp::v4());
  CHECK(dual == dgram::udp::dual());
  CHECK(v4 != v6);
  CHECK(v6 != dual);
  CHECK(v4 != dual);
}

TEST_CASE("udp: Asio's IPv6 is never dual")
{
  CHECK_FALSE(dgram::udp(asio::ip::udp::v6()).is_dual());
  CHECK_FALSE(dgram::udp(static_cast<const asio::ip::udp&>(dgram::udp::dual())).is_dual());
}
