// SPDX-License-Identifier: BSL-1.0
// Block lists: addresses, ranges and subnets, of both families and mapped.
#include <dgram/block_list.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace block_list_test {

TEST_CASE("OPT-10: single addresses, IPv4, IPv6 and mapped", "[block_list]")
{
  dgram::block_list list;
  CHECK(list.empty());
  list.add_address("1.1.1.1");
  list.add_address("8592:757c:efae:4e45:fb5d:d62a:0d00:8e17");
  list.add_address("::ffff:1.1.1.2");
  CHECK(list.check("1.1.1.1"));
  CHECK(list.check("::ffff:1.1.1.1"));
  CHECK(list.check("1.1.1.2"));
  CHECK(list.check("::ffff:1.1.1.2"));
  CHECK(list.check("8592:757c:efae:4e45:fb5d:d62a:0d00:8e17"));
  CHECK_FALSE(list.check("1.1.1.3"));
  CHECK_FALSE(list.check("8592::"));
  CHECK_FALSE(list.empty());
}

TEST_CASE("OPT-10: an address is looked for in its own family only", "[block_list]")
{
  dgram::block_list list;
  list.add_subnet("::", 0);
  CHECK(list.check("2001:db8::1"));
  CHECK_FALSE(list.check("1.1.1.1"));
}

TEST_CASE("OPT-11: ranges have both of their ends", "[block_list]")
{
  dgram::block_list list;
  list.add_range("1.1.1.1", "1.1.1.10");
  list.add_range("::1", "::f");
  list.add_range("::ffff:10.0.0.2", "10.0.0.10");
  for (const auto* inside :
       {"1.1.1.1", "1.1.1.5", "1.1.1.10", "::1", "::f", "::ffff:0a00:0002", "::ffff:0a00:000a"})
    CHECK(list.check(inside));
  for (const auto* outside :
       {"1.1.1.0", "1.1.1.11", "2.1.1.1", "::", "::10", "10.0.0.1", "10.0.0.11"})
    CHECK_FALSE(list.check(outside));
}

TEST_CASE("OPT-11: ranges that overlap become one", "[block_list]")
{
  dgram::block_list list;
  list.add_range("1.1.1.20", "1.1.1.30");
  list.add_range("1.1.1.1", "1.1.1.5");
  list.add_range("1.1.1.4", "1.1.1.25");
  list.add_address("1.1.1.2");
  CHECK(list.check("1.1.1.1"));
  CHECK(list.check("1.1.1.13"));
  CHECK(list.check("1.1.1.30"));
  CHECK_FALSE(list.check("1.1.1.31"));
}

TEST_CASE("OPT-12: subnets, also with edges inside a byte", "[block_list]")
{
  dgram::block_list list;
  list.add_subnet("1.1.1.0", 16);
  list.add_subnet("10.0.0.0", 27);
  list.add_subnet("9.9.9.9", 32);
  list.add_subnet("8592:757c:efaf::", 51);
  for (const auto* inside : {"1.1.0.1", "1.1.255.255", "10.0.0.31", "9.9.9.9", "::ffff:1.1.2.3",
                             "8592:757c:efaf:1fff:ffff:ffff:ffff:ffff"})
    CHECK(list.check(inside));
  for (const auto* outside :
       {"1.2.0.1", "10.0.0.32", "9.9.9.8", "9.9.9.10", "8592:757c:efaf:2fff::"})
    CHECK_FALSE(list.check(outside));
}

TEST_CASE("OPT-13: what is wrong is refused, and the list stays as it was", "[block_list]")
{
  dgram::block_list list;
  CHECK_THROWS_AS(list.add_range("1.1.1.2", "1.1.1.1"), dgram::system_error);
  CHECK_THROWS_AS(list.add_range("1.1.1.2", "::1"), dgram::system_error);
  CHECK_THROWS_AS(list.add_subnet("1.1.1.0", -1), dgram::system_error);
  CHECK_THROWS_AS(list.add_subnet("1.1.1.0", 33), dgram::system_error);
  CHECK_THROWS_AS(list.add_subnet("::", 129), dgram::system_error);
  CHECK_THROWS_AS(list.add_address("not an address"), dgram::system_error);
  CHECK_THROWS_AS(list.check("1.1.1"), dgram::system_error);
  CHECK(list.empty());
}

TEST_CASE("OPT-13: what is refused is named", "[block_list]")
{
  dgram::block_list list;
  const auto text = [](auto call) -> std::string {
    try {
      call();
    } catch (const dgram::system_error& error) {
      CHECK(error.code() == dgram::error::out_of_range);
      return error.what();
    }
    return {};
  };
  CHECK(text([&] { list.add_subnet("10.0.0.0", 33); }) ==
        "add_subnet (prefix 33; allowed are 0 to 32): value out of range");
  CHECK(text([&] { list.add_subnet("::", -1); }) ==
        "add_subnet (prefix -1; allowed are 0 to 128): value out of range");
  CHECK(text([&] { list.add_range("10.0.0.9", "10.0.0.1"); }) ==
        "add_range (10.0.0.9 to 10.0.0.1; the first is behind the last): value out of range");
  CHECK(text([&] { list.add_range("10.0.0.1", "::1"); }) ==
        "add_range (10.0.0.1 to ::1; they are of two families): value out of range");
}

TEST_CASE("the list answers as a plain comparison with each range does", "[block_list]")
{
  // Dense addresses, so that ranges meet, overlap and touch; both families and mapped.
  std::mt19937 random(12345);
  const auto number = [&](unsigned below) {
    return std::uniform_int_distribution<unsigned>(0, below - 1)(random);
  };
  const auto v4 = [](unsigned n) {
    return asio::ip::address(asio::ip::address_v4(0x0A000000U + n));
  };
  const auto v6 = [](unsigned n) {
    asio::ip::address_v6::bytes_type bytes{0x20, 1, 0x0d, 0xb8};
    // On both sides of the middle, where two numbers of 64 bits meet.
    const std::uint64_t at = 0xFFFFFFFFFFFFFF00U + n;
    for (std::size_t i = 0; i < 8; ++i)
      bytes[15 - i] = static_cast<unsigned char>(at >> (8 * i));
    bytes[7] = at < 0x1000 ? 1 : 0;
    return asio::ip::address(asio::ip::address_v6(bytes));
  };
  for (int round = 0; round < 50; ++round) {
    dgram::block_list list;
    std::array<bool, 600> in_v4{}, in_v6{};
    const unsigned ranges = number(60);
    for (unsigned i = 0; i < ranges; ++i) {
      const unsigned first = number(500);
      const unsigned last = first + number(20);
      const bool is_v4 = number(2) == 0;
      if (is_v4 && first == last && number(2) == 0)
        list.add_subnet(v4(first), 32);
      else
        is_v4 ? list.add_range(v4(first), v4(last)) : list.add_range(v6(first), v6(last));
      for (unsigned each = first; each <= last; ++each)
        (is_v4 ? in_v4 : in_v6)[each] = true;
    }
    bool same = true;
    for (unsigned n = 0; n < 600; ++n) {
      const auto mapped = asio::ip::make_address_v6(asio::ip::v4_mapped, v4(n).to_v4());
      same = same && list.check(v4(n)) == in_v4[n] &&
             list.check(asio::ip::address(mapped)) == in_v4[n];
      same = same && list.check(v6(n)) == in_v6[n];
      same = same && list.check(asio::ip::udp::endpoint(v4(n), 9)) == in_v4[n];
    }
    CHECK(same);
  }
}

TEST_CASE("subnets of every prefix have their first and last address", "[block_list]")
{
  const auto v6 = asio::ip::make_address_v6("2001:db8:ffff:0:ffff::1");
  for (int prefix = 1; prefix <= 128; ++prefix) {
    dgram::block_list list;
    list.add_subnet(asio::ip::address(v6), prefix);
    auto bytes = v6.to_bytes();
    const auto flip = [&](int bit) {
      const auto at = static_cast<std::size_t>(bit / 8);
      bytes[at] = static_cast<unsigned char>(bytes[at] ^ (0x80U >> (bit % 8)));
      const bool in = list.check(asio::ip::address(asio::ip::address_v6(bytes)));
      bytes[at] = static_cast<unsigned char>(bytes[at] ^ (0x80U >> (bit % 8)));
      return in;
    };
    CHECK_FALSE(flip(prefix - 1));
    if (prefix < 128) CHECK(flip(prefix));
    CHECK(list.check(asio::ip::address(v6)));
  }
  for (int prefix = 1; prefix <= 32; ++prefix) {
    dgram::block_list list;
    list.add_subnet("10.20.30.40", prefix);
    const std::uint32_t address = 0x0A141E28;
    CHECK(list.check(asio::ip::address_v4(address)));
    CHECK_FALSE(list.check(asio::ip::address_v4(address ^ (1U << (32 - prefix)))));
    if (prefix < 32) CHECK(list.check(asio::ip::address_v4(address ^ (1U << (31 - prefix)))));
  }
  dgram::block_list all;
  all.add_subnet("0.0.0.0", 0);
  CHECK(all.check("255.255.255.255"));
  CHECK(all.check("0.0.0.0"));
  CHECK_FALSE(all.check("::"));
}

TEST_CASE("lists of every size around whole blocks answer right, and after they shrink",
          "[block_list]")
{
  const bool is_v4 = GENERATE(true, false);
  // Each range has two addresses, and behind it are two that are in no range.
  const auto address = [&](std::uint32_t n) -> asio::ip::address {
    if (is_v4) return asio::ip::address_v4(n);
    asio::ip::address_v6::bytes_type bytes{0x20, 1, 0x0d, 0xb8};
    for (std::size_t i = 0; i < 4; ++i)
      bytes[15 - i] = static_cast<unsigned char>(n >> (8 * i));
    return asio::ip::address_v6(bytes);
  };
  constexpr std::uint32_t last_address = 0xFFFFFFFFU;
  for (const std::uint32_t count :
       {1U,   3U,   4U,   5U,   15U,  16U,   17U,   63U,   64U,   65U,   255U,
        256U, 257U, 271U, 272U, 273U, 1023U, 1024U, 1025U, 4095U, 4096U, 4097U}) {
    CAPTURE(count, is_v4);
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::mt19937(count));
    dgram::block_list list;
    for (const std::uint32_t i : order)
      list.add_range(address(last_address - 4 * i - 1), address(last_address - 4 * i));
    const auto wrong_from = [&](std::uint32_t joined) {
      std::uint32_t wrong = 0;
      for (std::uint32_t n = 0; n < 4 * count; ++n)
        wrong += list.check(address(last_address - n)) != (n % 4 < 2 || n < joined) ? 1U : 0U;
      return wrong;
    };
    CHECK(wrong_from(0) == 0);
    CHECK_FALSE(list.check(address(0)));
    // One range swallows half of the others, and then all.
    const std::uint32_t half = 4 * (count / 2);
    if (half > 0) list.add_range(address(last_address - half + 1), address(last_address));
    CHECK(wrong_from(half) == 0);
    list.add_range(address(7), address(9));
    CHECK(list.check(address(7)));
    CHECK(wrong_from(half) == 0);
    list.add_range(address(0), address(last_address));
    CHECK(wrong_from(4 * count) == 0);
    CHECK(list.check(address(0)));
    list = {};
    CHECK(list.empty());
    CHECK_FALSE(list.check(address(last_address)));
  }
}

}  // namespace block_list_test
