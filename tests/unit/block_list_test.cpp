// SPDX-License-Identifier: BSL-1.0
// Block lists: addresses, ranges and subnets, of both families and mapped.
#include <dgram/block_list.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

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
