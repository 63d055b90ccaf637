// SPDX-License-Identifier: BSL-1.0
// endpoint.hpp: endpoints, addresses and ports as text, and the two forms of an IPv4 endpoint.

#include "unit/host.hpp"

#include <dgram/endpoint.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace endpoint_test {

using namespace std::string_literals;

namespace {

using asio::ip::address_v4;
using asio::ip::address_v6;
using asio::ip::make_address;
using test::endpoint;

struct refused {
  std::string text;
  dgram::error code;
};

std::string link_local(const std::string& scope)
{
  return "[fe80::1%" + scope + "]:53";
}

endpoint random_endpoint(std::mt19937& random)
{
  const auto byte = [&] { return static_cast<std::uint8_t>(random() & 0xff); };
  const auto port = static_cast<std::uint16_t>(random() & 0xffff);
  const auto kind = random() % 4;
  if (kind == 0) {
    address_v4::bytes_type bytes;
    for (auto& each : bytes)
      each = byte();
    return {address_v4(bytes), port};
  }
  if (kind == 1) {
    const address_v4 v4(static_cast<std::uint32_t>(random()));
    return {asio::ip::make_address_v6(asio::ip::v4_mapped, v4), port};
  }
  address_v6::bytes_type bytes;
  for (auto& each : bytes)
    each = random() % 3 == 0 ? byte() : std::uint8_t{0};
  if (kind == 3) {
    bytes[0] = 0xfe;
    bytes[1] = 0x80;
    const std::string name = test::loopback_name();
    return {address_v6(bytes, ::if_nametoindex(name.c_str())), port};
  }
  return {address_v6(bytes), port};
}

}  // namespace

TEST_CASE("endpoint: well-formed texts are parsed")
{
  struct row {
    const char* text;
    endpoint expected;
  };
  const auto rows = std::vector<row>{
      {"127.0.0.1:53", {make_address("127.0.0.1"), 53}},
      {"0.0.0.0:0", {make_address("0.0.0.0"), 0}},
      {"255.255.255.255:65535", {make_address("255.255.255.255"), 65535}},
      {"192.0.2.1:00053", {make_address("192.0.2.1"), 53}},
      {"[::1]:53", {make_address("::1"), 53}},
      {"[::]:0", {make_address("::"), 0}},
      {"[2001:DB8::a]:8080", {make_address("2001:db8::a"), 8080}},
      {"[2001:db8:0:0:0:0:0:1]:1", {make_address("2001:db8::1"), 1}},
      {"[fe80::1]:53", {make_address("fe80::1"), 53}},
      {"[::ffff:192.0.2.1]:53", {make_address("::ffff:192.0.2.1"), 53}},
      {"[64:ff9b::192.0.2.33]:53", {make_address("64:ff9b::c000:221"), 53}},
  };
  for (const row& each : rows) {
    CAPTURE(each.text);
    dgram::error_code ec = asio::error::eof;  // a stale error is cleared
    CHECK(dgram::parse_endpoint(each.text, ec) == each.expected);
    CHECK_FALSE(ec);
    CHECK(dgram::parse_endpoint(each.text) == each.expected);
  }
}

TEST_CASE("endpoint: malformed texts are refused, each with its error and nothing defaulted")
{
  using dgram::error;
  const auto rows = std::vector<refused>{
      // another form
      {"", error::bad_endpoint},
      {":", error::bad_endpoint},
      {"53", error::bad_endpoint},
      {":53", error::bad_endpoint},
      {"[]:53", error::bad_endpoint},
      {"127.0.0.1", error::bad_endpoint},
      {"::1", error::bad_endpoint},
      {"::1:53", error::bad_endpoint},
      {"2001:db8::1:53", error::bad_endpoint},
      {"[::1]", error::bad_endpoint},
      {"[::1]53", error::bad_endpoint},
      {"[::1:53", error::bad_endpoint},
      {"::1]:53", error::bad_endpoint},
      {"[::1] :53", error::bad_endpoint},
      {" [::1]:53", error::bad_endpoint},
      {"[127.0.0.1]:53", error::bad_endpoint},
      {"[localhost]:53", error::bad_endpoint},
      {"127.0.0.1::53", error::bad_endpoint},
      // another address
      {"localhost:53", error::bad_address},
      {"abc:53", error::bad_address},
      {" 127.0.0.1:53", error::bad_address},
      {"127.0.0.1 :53", error::bad_address},
      {"127.0.0.:53", error::bad_address},
      {"127.0.0:53", error::bad_address},
      {"127.1:53", error::bad_address},
      {"2130706433:53", error::bad_address},
      {"0x7f.0.0.1:53", error::bad_address},
      {"127.0.0.01:53", error::bad_address},
      {"127.0.0.0001:53", error::bad_address},
      {"127.0.0.256:53", error::bad_address},
      {"127.0.0.1.1:53", error::bad_address},
      {"-127.0.0.1:53", error::bad_address},
      {"127.0.0.1%lo:53", error::bad_address},
      {"]:53", error::bad_address},
      {"[:53", error::bad_address},
      {"[[::1]]:53", error::bad_address},
      {"[ ::1]:53", error::bad_address},
      {"[::1 ]:53", error::bad_address},
      {"[:::1]:53", error::bad_address},
      {"[1::2::3]:53", error::bad_address},
      {"[1:2:3:4:5:6:7]:53", error::bad_address},
      {"[1:2:3:4:5:6:7:8:9]:53", error::bad_address},
      {"[12345::1]:53", error::bad_address},
      {"[::g]:53", error::bad_address},
      {"[::ffff:127.0.0.256]:53", error::bad_address},
      {"[:%lo]:53", error::bad_address},
      {"\0127.0.0.1:53"s, error::bad_address},
      {"127.0.0.1\0:53"s, error::bad_address},
      {"127.0.0.1\0junk:53"s, error::bad_address},
      {"[::1\0]:53"s, error::bad_address},
      {"[::1\0junk]:53"s, error::bad_address},
      {std::string(100'000, '1') + ":53", error::bad_address},
      {"[" + std::string(100'000, ':') + "]:53", error::bad_address},
      // another port
      {"127.0.0.1:", error::bad_port},
      {"[::1]:", error::bad_port},
      {"127.0.0.1:-1", error::bad_port},
      {"127.0.0.1:+1", error::bad_port},
      {"127.0.0.1: 1", error::bad_port},
      {"127.0.0.1:1 ", error::bad_port},
      {"127.0.0.1:1\n", error::bad_port},
      {"127.0.0.1:65536", error::bad_port},
      {"127.0.0.1:70000", error::bad_port},
      {"127.0.0.1:4294967349", error::bad_port},
      {"127.0.0.1:18446744073709551669", error::bad_port},
      {"127.0.0.1:0x10", error::bad_port},
      {"127.0.0.1:1e3", error::bad_port},
      {"127.0.0.1:5.3", error::bad_port},
      {"127.0.0.1:http", error::bad_port},
      {"127.0.0.1:53\0"s, error::bad_port},
      {"127.0.0.1:\000053"s, error::bad_port},
      {"127.0.0.1:" + std::string(100'000, '0'), error::bad_port},
      // an interface that is not there
      {link_local(""), error::unknown_interface},
      {link_local("no-such-if"), error::unknown_interface},
      {link_local("0"), error::unknown_interface},
      {link_local("-1"), error::unknown_interface},
      {link_local(std::to_string(test::unknown_index)), error::unknown_interface},
      {link_local("4294967296"), error::unknown_interface},
      {link_local("4294967297"), error::unknown_interface},
      {link_local(" lo"), error::unknown_interface},
      {link_local("lo%lo"), error::unknown_interface},
      {link_local("lo\0"s), error::unknown_interface},
      {link_local("\0lo"s), error::unknown_interface},
      {link_local(std::string(10'000, 'e')), error::unknown_interface},
      {"[2001:db8::1%no-such-if]:53", error::unknown_interface},
  };
  for (const refused& each : rows) {
    CAPTURE(each.text.substr(0, 80));
    dgram::error_code ec;
    CHECK(dgram::parse_endpoint(each.text, ec) == endpoint());
    CHECK(ec == each.code);
    CHECK_THROWS_AS(dgram::parse_endpoint(each.text), dgram::system_error);
  }
}

TEST_CASE("endpoint: the scope of a link-local address is an interface's name or index")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const std::string name = test::loopback_name();
  const unsigned index = ::if_nametoindex(name.c_str());
  const auto by_name = dgram::parse_endpoint(link_local(name));
  const auto by_index = dgram::parse_endpoint(link_local(std::to_string(index)));
  CHECK(by_name.address().to_v6().scope_id() == index);
  CHECK(by_name.port() == 53);
  CHECK(by_name == by_index);
  CHECK(dgram::to_string(by_index) == link_local(name));

  // A multicast group of link-local scope has one too (RFC 4007, section 6).
  const auto group = dgram::parse_address("ff02::fb%" + name);
  CHECK(group.to_v6().scope_id() == index);
  CHECK(dgram::to_string(group) == "ff02::fb%" + name);
}

TEST_CASE("endpoint: a scope elsewhere is checked and dropped")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const std::string name = test::loopback_name();
  CHECK(dgram::parse_address("::1%" + name) == address_v6::loopback());
  CHECK(dgram::parse_address("2001:db8::1%" + name).to_v6().scope_id() == 0);
}

TEST_CASE("endpoint: the scope of an interface that is gone is printed as its index")
{
  const address_v6 gone(make_address("fe80::1").to_v6().to_bytes(), test::unknown_index);
  CHECK(dgram::to_string(endpoint(gone, 53)) == link_local(std::to_string(test::unknown_index)));
}

TEST_CASE("endpoint: addresses are parsed and refused like the endpoints' own")
{
  using dgram::error;
  CHECK(dgram::parse_address("192.0.2.1") == make_address("192.0.2.1"));
  CHECK(dgram::parse_address("2001:db8::1") == make_address("2001:db8::1"));
  const auto rows = std::vector<refused>{
      {"", error::bad_address},           {"%", error::bad_address},
      {"%lo", error::bad_address},        {".", error::bad_address},
      {"1.2.3", error::bad_address},      {"[::1]", error::bad_address},
      {"1.2.3.4 ", error::bad_address},   {"::1\0"s, error::bad_address},
      {"1.2.3.4\0"s, error::bad_address}, {"localhost", error::bad_address},
      {"1.2.3.4:5", error::bad_address},  {"::1%no-such-if", error::unknown_interface},
  };
  for (const refused& each : rows) {
    CAPTURE(each.text);
    dgram::error_code ec;
    CHECK(dgram::parse_address(each.text, ec) == asio::ip::address());
    CHECK(ec == each.code);
    CHECK_THROWS_AS(dgram::parse_address(each.text), dgram::system_error);
  }
}

TEST_CASE("endpoint: a part of a longer text is read and no more of it")
{
  const std::string_view line = "127.0.0.1:53999 and more";
  CHECK(dgram::parse_endpoint(line.substr(0, 12)) == endpoint(make_address("127.0.0.1"), 53));
  dgram::error_code ec;
  CHECK(dgram::parse_port(line.substr(10, 4), ec) == 5399);
  CHECK_FALSE(ec);
}

TEST_CASE("endpoint: ports")
{
  dgram::error_code ec = asio::error::eof;
  constexpr std::string_view one("1");  // whose constructor is not noexcept in every library
  STATIC_REQUIRE(noexcept(dgram::parse_port(one, ec)));
  CHECK(dgram::parse_port("0", ec) == 0);
  CHECK_FALSE(ec);
  CHECK(dgram::parse_port("1", ec) == 1);
  CHECK_FALSE(ec);
  CHECK(dgram::parse_port("65535", ec) == 65535);
  CHECK_FALSE(ec);
  for (const auto& text : {""s, "-1"s, "+1"s, "65536"s, "70000"s, "99999"s, "100000"s, "0x10"s,
                           " 1"s, "1 "s, "1\0"s, "one"s, "1.0"s, "\xd9\xa1"s}) {
    CAPTURE(text);
    CHECK(dgram::parse_port(text, ec) == 0);
    CHECK(ec == dgram::error::bad_port);
  }
}

TEST_CASE("endpoint: the thrown text names the input")
{
  CHECK_THROWS_WITH(dgram::parse_endpoint("10.0.0.1:99999"),
                    Catch::Matchers::ContainsSubstring("\"10.0.0.1:99999\""));
}

TEST_CASE("endpoint: endpoints are printed in the form that is parsed")
{
  CHECK(dgram::to_string(endpoint(make_address("127.0.0.1"), 53)) == "127.0.0.1:53");
  CHECK(dgram::to_string(endpoint(make_address("::1"), 65535)) == "[::1]:65535");
  CHECK(dgram::to_string(endpoint(make_address("2001:DB8:0::0:1"), 0)) == "[2001:db8::1]:0");
  CHECK(dgram::to_string(endpoint()) == "0.0.0.0:0");
  CHECK(dgram::to_string(make_address("192.0.2.1")) == "192.0.2.1");
  CHECK(dgram::to_string(make_address("2001:db8::1")) == "2001:db8::1");
}

TEST_CASE("endpoint: what is printed parses to the same endpoint")
{
  // Catch2 prints the seed of its own generators; each of theirs is the seed of a run here.
  const auto seed = GENERATE(take(50, random(0U, 0xffff'ffffU)));
  std::mt19937 random(seed);
  for (int i = 0; i < 40; ++i) {
    const endpoint original = random_endpoint(random);
    const std::string text = dgram::to_string(original);
    CAPTURE(seed, i, text);
    dgram::error_code ec;
    const endpoint parsed = dgram::parse_endpoint(text, ec);
    REQUIRE_FALSE(ec);
    REQUIRE(parsed == original);
    REQUIRE(dgram::to_string(parsed) == text);
  }
}

TEST_CASE("endpoint: a changed character never parses to another endpoint in silence")
{
  // Where a damaged text still parses, printing the result and parsing again gives it back.
  const auto seed = GENERATE(take(50, random(0U, 0xffff'ffffU)));
  std::mt19937 random(seed);
  for (int i = 0; i < 40; ++i) {
    std::string text = dgram::to_string(random_endpoint(random));
    text[random() % text.size()] = static_cast<char>(random() & 0xff);
    CAPTURE(seed, i, text);
    dgram::error_code ec;
    const endpoint parsed = dgram::parse_endpoint(text, ec);
    if (ec)
      REQUIRE(parsed == endpoint());
    else
      REQUIRE(dgram::parse_endpoint(dgram::to_string(parsed)) == parsed);
  }
}

TEST_CASE("endpoint: canonical shows a mapped endpoint as IPv4 and leaves others alone")
{
  const auto parse = [](const char* text) { return dgram::parse_endpoint(text); };
  CHECK(dgram::canonical(parse("[::ffff:192.0.2.1]:53")) == parse("192.0.2.1:53"));
  CHECK(dgram::canonical(parse("[::ffff:0.0.0.0]:53")) == parse("0.0.0.0:53"));
  for (const char* text : {"192.0.2.1:53", "[::1]:53", "[::]:53", "[::192.0.2.1]:53",
                           "[64:ff9b::192.0.2.1]:53", "[2001:db8::ffff:c000:201]:53"}) {
    CAPTURE(text);
    CHECK(dgram::canonical(parse(text)) == parse(text));
  }
}

TEST_CASE("endpoint: mapped is the way back")
{
  const auto v4 = dgram::parse_endpoint("192.0.2.1:53");
  CHECK(dgram::mapped(v4) == dgram::parse_endpoint("[::ffff:192.0.2.1]:53"));
  CHECK(dgram::canonical(dgram::mapped(v4)) == v4);
  const auto v6 = dgram::parse_endpoint("[2001:db8::1]:53");
  CHECK(dgram::mapped(v6) == v6);
  CHECK(dgram::mapped(dgram::mapped(v4)) == dgram::mapped(v4));
}

TEST_CASE("endpoint: the type is the protocol's own")
{
  STATIC_REQUIRE(std::is_same_v<dgram::endpoint<dgram::udp>, asio::ip::udp::endpoint>);
}

TEST_CASE("endpoint: a port as text is a number, or an error that names it")
{
  CHECK(dgram::parse_port("0") == 0);
  CHECK(dgram::parse_port("65535") == 65535);
  for (const char* text : {"", "65536", "-1", "+1", " 1", "1 ", "0x1", "http", "100000"}) {
    CAPTURE(text);
    try {
      dgram::parse_port(text);
      FAIL("it was taken");
    } catch (const dgram::system_error& refused) {
      CHECK(refused.code() == dgram::error::bad_port);
      CHECK(std::string(refused.what()).find('"' + std::string(text) + '"') != std::string::npos);
    }
  }
}

TEST_CASE("endpoint: socket addresses of the system become endpoints, and those go back", "[Q7]")
{
  for (const char* text :
       {"192.0.2.1:53", "0.0.0.0:0", "[2001:db8::1]:65535", "[::ffff:1.2.3.4]:9"}) {
    CAPTURE(text);
    const auto expected = dgram::parse_endpoint(text);
    // In larger storage, at an odd place, with rubbish behind it.
    std::vector<unsigned char> room(sizeof(::sockaddr_storage) + 1, 0xee);
    std::memcpy(room.data() + 1, expected.data(), expected.size());
    dgram::error_code ec = asio::error::eof;
    const auto exact = dgram::from_sockaddr(expected.data(), expected.size(), ec);
    CHECK_FALSE(ec);
    CHECK(exact == expected);
    const auto spacious = dgram::from_sockaddr(room.data() + 1, sizeof(::sockaddr_storage));
    CHECK(spacious == expected);
    CHECK(spacious.size() == expected.size());
    CHECK(std::memcmp(spacious.data(), exact.data(), exact.size()) == 0);
    dgram::from_sockaddr(expected.data(), expected.size() - 1, ec);
    CHECK(ec == asio::error::invalid_argument);
  }
  ::sockaddr_in6 scoped{};
  scoped.sin6_family = AF_INET6;
  scoped.sin6_addr.s6_addr[0] = 0xfe;
  scoped.sin6_addr.s6_addr[1] = 0x80;
  scoped.sin6_scope_id = 7;
  scoped.sin6_flowinfo = 0x12345;
  const auto endpoint = dgram::from_sockaddr(&scoped, sizeof scoped);
  CHECK(endpoint.address().to_v6().scope_id() == 7);
  CHECK(reinterpret_cast<const ::sockaddr_in6*>(endpoint.data())->sin6_flowinfo == 0);
}

TEST_CASE("endpoint: a socket address that is none of IP is refused", "[Q7]")
{
  dgram::error_code ec;
  ::sockaddr_storage other{};
  other.ss_family = AF_UNIX;
  CHECK(dgram::from_sockaddr(&other, sizeof other, ec) == asio::ip::udp::endpoint());
  CHECK(ec == asio::error::address_family_not_supported);
  CHECK_THROWS_AS(dgram::from_sockaddr(&other, sizeof other), dgram::system_error);
  dgram::from_sockaddr(nullptr, 0, ec);
  CHECK(ec == asio::error::invalid_argument);
  other.ss_family = AF_INET6;
  dgram::from_sockaddr(&other, sizeof(::sockaddr_in), ec);
  CHECK(ec == asio::error::invalid_argument);
}

}  // namespace endpoint_test
