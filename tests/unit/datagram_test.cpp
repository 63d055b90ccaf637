// SPDX-License-Identifier: BSL-1.0
// datagram.hpp: views of bytes and what they convert from and to, and the datagram's own accessors.

#include "support/loopback.hpp"

#include <dgram/datagram.hpp>
#include <dgram/option.hpp>
#include <dgram/receive_batch.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace datagram_test {

namespace {

// By value, as `push` takes it: what is passed converts implicitly or not at all.
std::string as_text(dgram::bytes_view view)
{
  return std::string(view.text());
}

const void* address_of(dgram::bytes_view view)
{
  return view.data();
}

}  // namespace

TEST_CASE("bytes_view: an empty one has no bytes")
{
  const dgram::bytes_view none;
  CHECK(none.empty());
  CHECK(none.text().empty());
  CHECK(asio::const_buffer(none).size() == 0);
  CHECK(as_text("").empty());
}

TEST_CASE("bytes_view: a literal is its characters without the terminating zero")
{
  CHECK(as_text("hello") == "hello");
  CHECK(dgram::bytes_view("hello").size() == 5);
  const char* text = "world";
  CHECK(as_text(text) == "world");
}

TEST_CASE("bytes_view: octets are the same bytes as C libraries take them")
{
  const std::string text("\xff\0a", 3);
  const auto octets = dgram::bytes_view(text).octets();
  REQUIRE(octets.size() == 3);
  CHECK(static_cast<const void*>(octets.data()) == text.data());
  CHECK(octets[0] == 0xff);
  CHECK(dgram::bytes_view().octets().empty());
}

TEST_CASE("bytes_view: strings keep every character, zeros too")
{
  const std::string text("a\0b", 3);
  CHECK(as_text(text) == text);
  CHECK(as_text(std::string_view(text)) == text);
  CHECK(address_of(text) == text.data());
}

TEST_CASE("bytes_view: containers of plain elements are seen as their bytes")
{
  const std::vector<int> numbers{1, 2, 3};
  const dgram::bytes_view view = numbers;
  REQUIRE(view.size() == 3 * sizeof(int));
  CHECK(static_cast<const void*>(view.data()) == numbers.data());
  int second = 0;
  std::memcpy(&second, view.data() + sizeof(int), sizeof second);
  CHECK(second == 2);

  const std::array<char, 4> array{'a', 'b', '\0', 'c'};
  CHECK(as_text(array) == std::string("ab\0c", 4));
  const std::array<std::uint16_t, 2> wide{};
  CHECK(dgram::bytes_view(wide).size() == 4);
  const std::vector<std::byte> raw(7);
  CHECK(dgram::bytes_view(raw).size() == 7);
  CHECK(dgram::bytes_view(std::span<const std::byte>(raw).first(3)).size() == 3);
  CHECK(dgram::bytes_view(std::vector<int>()).empty());
}

TEST_CASE("bytes_view: elements that are more than their bytes are refused")
{
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::bytes_view, std::vector<std::string>>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::bytes_view, std::vector<std::string_view>>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::bytes_view, std::vector<asio::const_buffer>>);
  STATIC_REQUIRE_FALSE(
      std::is_constructible_v<dgram::bytes_view, std::vector<std::unique_ptr<int>>>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::bytes_view, std::vector<bool>>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::bytes_view, int>);
}

TEST_CASE("bytes_view: from a pointer and a size")
{
  const char text[] = "0123456789";
  const dgram::bytes_view view(text, 4);
  CHECK(view.text() == "0123");
}

TEST_CASE("bytes_view: Asio's buffers convert, constant and mutable ones")
{
  const std::string constant = "constant";
  std::string writable = "writable";
  std::array<char, 3> array{'x', 'y', 'z'};
  CHECK(as_text(asio::const_buffer(constant.data(), 5)) == "const");
  CHECK(as_text(asio::buffer(constant)) == "constant");
  // What `asio::buffer` makes of storage that is not const: the ordinary way to name a payload.
  CHECK(std::is_convertible_v<asio::mutable_buffer, dgram::bytes_view>);
  CHECK(dgram::bytes_view(asio::buffer(writable)).text() == "writable");
  CHECK(dgram::bytes_view(asio::buffer(array, 2)).text() == "xy");
}

TEST_CASE("bytes_view: is a buffer of Asio's")
{
  const std::string text = "to Asio";
  const dgram::bytes_view view = text;
  const asio::const_buffer buffer = view;
  CHECK(buffer.data() == text.data());
  CHECK(buffer.size() == text.size());
  CHECK(asio::buffer(view).size() == text.size());
  std::string copy(text.size(), '\0');
  CHECK(asio::buffer_copy(asio::buffer(copy), asio::buffer(view)) == text.size());
  CHECK(copy == text);
}

TEST_CASE("bytes_view: becomes a string that keeps the bytes, but never unasked")
{
  using namespace std::string_view_literals;
  std::string storage("a\0b", 3);
  const dgram::bytes_view view = storage;
  const std::string kept{view};
  storage = "xyz";
  CHECK(kept == "a\0b"sv);
  CHECK(static_cast<std::string>(dgram::bytes_view()).empty());
  std::string assigned;
  assigned = std::string(view);
  CHECK(assigned == "xyz");
  STATIC_REQUIRE(std::is_constructible_v<std::string, dgram::bytes_view>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<dgram::bytes_view, std::string>);
}

TEST_CASE("bytes_view: is a span, with its slices")
{
  STATIC_REQUIRE(std::is_base_of_v<std::span<const std::byte>, dgram::bytes_view>);
  STATIC_REQUIRE(std::is_trivially_copyable_v<dgram::bytes_view>);
  const dgram::bytes_view view = "payload";
  CHECK(dgram::bytes_view(view.subspan(3)).text() == "load");
  CHECK(view[0] == std::byte{'p'});
  const dgram::bytes_view copy = view;
  CHECK(copy.data() == view.data());
  CHECK(copy.size() == view.size());
}

TEST_CASE("datagram: says what it was made of")
{
  const auto sender = dgram::parse_endpoint("192.0.2.1:53");
  std::string storage = "abc";
  const auto bytes = std::as_writable_bytes(std::span(storage));
  dgram::detail::received_slot<dgram::udp> slot;
  slot.buffer = dgram::platform::make_buffer(bytes.data(), bytes.size());
  slot.wire_size = 3;
  slot.sender = sender;
  const dgram::datagram whole(bytes, slot);
  CHECK(whole.payload().text() == "abc");
  CHECK(whole.sender() == sender);
  CHECK_FALSE(whole.truncated());
  CHECK(whole.wire_size() == 3U);
  whole.mutable_payload()[0] = std::byte{'!'};
  CHECK(whole.payload().text() == "!bc");
  const dgram::owned_datagram kept = whole.to_owned();
  storage = "xyz";
  CHECK(kept.payload().text() == "!bc");
  CHECK(kept.sender() == sender);
  slot.truncated = true;
  slot.wire_size = 5;
  const dgram::datagram cut(bytes, slot);
  CHECK(cut.truncated());
  CHECK(cut.wire_size().value_or(5) == 5U);
  CHECK(cut.wire_size().has_value() == dgram::platform::backend::reports_wire_size);
  // Of a train only the last can have been cut.
  CHECK_FALSE(dgram::datagram(bytes, slot, false).truncated());
}

TEST_CASE("an owned datagram knows what the datagram knew, and outlives its batch")
{
  const auto sender = dgram::parse_endpoint("192.0.2.1:53");
  const auto local = asio::ip::make_address("10.0.0.1");
  const auto time = dgram::receive_time_point(std::chrono::nanoseconds(12345));
  std::optional<dgram::receive_batch> batch{std::in_place, 4, 16};
  REQUIRE(batch->store("question", sender,
                       {.local_address = local,
                        .interface_index = 3,
                        .ecn = dgram::ecn_codepoint::ce,
                        .dscp = 46,
                        .hop_limit = 63,
                        .receive_time = time,
                        .wildcard = true}));
  REQUIRE(
      batch->store("larger than its slot", sender, {.local_address = local, .interface_index = 3}));
  REQUIRE(batch->store("plain", sender));
  std::vector<dgram::owned_datagram> kept;
  for (const dgram::datagram& datagram : *batch)
    kept.push_back(datagram.to_owned());
  const auto path = (*batch)[0].reply_path();
  batch.reset();
  REQUIRE(kept.size() == 3);
  const auto copy = kept[0];
  kept[0] = dgram::owned_datagram();
  CHECK(kept[0].payload().empty());
  CHECK(copy.payload().text() == "question");
  CHECK(copy.sender() == sender);
  CHECK(copy.local_address() == local);
  CHECK(copy.interface_index() == 3);
  CHECK(copy.ecn() == dgram::ecn_codepoint::ce);
  CHECK(copy.dscp() == 46);
  CHECK(copy.hop_limit() == 63);
  CHECK((copy.receive_time() == time));  // Catch2 prints no nanoseconds with libc++
  CHECK(copy.wire_size() == 8U);
  CHECK_FALSE(copy.truncated());
  CHECK_FALSE(copy.segment_size());
  CHECK(copy.reply_path().peer == path.peer);
  CHECK(copy.reply_path().source == local);
  CHECK(copy.reply_path().source == path.source);
  CHECK(copy.reply_path().interface_index == path.interface_index);
  CHECK(kept[1].truncated());
  CHECK(kept[1].payload().size() == 16);
  CHECK(kept[1].arrived_like(copy));
  CHECK_FALSE(kept[2].local_address());
  CHECK(kept[2].control_messages().empty());
}

TEST_CASE("datagram: with a DSCP alone, no congestion was marked")
{
  dgram::receive_batch batch(1, 16);
  REQUIRE(batch.store("x", dgram::parse_endpoint("192.0.2.1:53"), {.dscp = 46}));
  CHECK(batch[0].dscp() == 46);
  CHECK(batch[0].ecn() == dgram::ecn_codepoint::not_ect);
}

TEST_CASE("an owned datagram keeps its control messages")
{
  asio::io_context io;
  const dgram::udp::endpoint loopback(asio::ip::address_v4::loopback(), 0);
  dgram::udp::socket to(io, loopback);
  dgram::udp::socket from(io, loopback);
  to.set_option(dgram::option::receive_hop_limit{true});
  from.send_to(asio::buffer("hello", 5), to.local_endpoint());
  std::optional<dgram::receive_batch> batch{std::in_place, 1, 16};
  REQUIRE(to.try_receive_batch(*batch) == 1);
  std::optional<dgram::owned_datagram> first = (*batch)[0].to_owned();
  const auto size = (*(*batch)[0].control_messages().begin()).data.size();
  batch.reset();
  const dgram::owned_datagram kept = *first;
  first.reset();
  REQUIRE_FALSE(kept.control_messages().empty());
  CHECK((*kept.control_messages().begin()).data.size() == size);
  CHECK(kept.hop_limit().has_value());
}

TEST_CASE("datagram: what was not asked for is absent")
{
  std::string storage = "abc";
  const auto bytes = std::as_writable_bytes(std::span(storage));
  dgram::detail::received_slot<dgram::udp> slot;
  slot.sender = dgram::parse_endpoint("192.0.2.1:53");
  const dgram::datagram plain(bytes, slot);
  CHECK_FALSE(plain.local_address());
  CHECK(plain.interface_index() == 0);
  CHECK_FALSE(plain.ecn());
  CHECK_FALSE(plain.dscp());
  CHECK_FALSE(plain.hop_limit());
  CHECK_FALSE(plain.receive_time());
  CHECK_FALSE(plain.hardware_receive_time());
  CHECK_FALSE(plain.segment_size());
  CHECK_FALSE(plain.dropped());
  CHECK_FALSE(plain.control_truncated());
  CHECK(plain.control_messages().empty());
  CHECK(plain.reply_path().peer == slot.sender);
  CHECK(plain.reply_path().is_plain());
  slot.needs_source = true;
  dgram::error_code ec;
  static_cast<void>(plain.reply_path(ec));
  CHECK(ec == dgram::error::no_packet_info);
  CHECK(ec == std::errc::invalid_argument);
  CHECK_THROWS_AS(plain.reply_path(), dgram::system_error);
}

TEST_CASE("datagram: the scopes of both addresses say where an answer leaves from, and by what",
          "[F8]")
{
  struct row {
    const char* sent_to;
    const char* sender;
    const char* stands_for;  // what the kernel names for the address; empty where it names none
    const char* source;      // empty: the system's choice
    bool by_interface;
  };
  const row table[]{
      // IPv4: an address of this host, which stands for itself.
      {"192.0.2.1", "198.51.100.1", "192.0.2.1", "192.0.2.1", false},
      {"192.0.2.1", "198.51.100.1", "", "192.0.2.1", false},
      {"10.0.0.1", "192.168.0.1", "10.0.0.1", "10.0.0.1", false},
      {"192.0.2.1", "169.254.9.9", "192.0.2.1", "192.0.2.1", true},
      {"169.254.0.1", "169.254.9.9", "169.254.0.1", "169.254.0.1", true},
      {"169.254.0.1", "192.0.2.9", "169.254.0.1", "169.254.0.1", true},
      {"169.253.0.1", "169.255.9.9", "169.253.0.1", "169.253.0.1", false},
      {"127.0.0.7", "127.0.0.1", "127.0.0.7", "127.0.0.7", false},
      {"127.0.0.1", "169.254.0.1", "127.0.0.1", "127.0.0.1", false},
      {"169.254.0.1", "127.0.0.1", "169.254.0.1", "169.254.0.1", false},
      // Of many: none to send from.
      {"255.255.255.255", "192.0.2.9", "192.0.2.1", "", true},
      {"255.255.255.255", "169.254.9.9", "192.0.2.1", "", true},
      {"255.255.255.255", "192.0.2.9", "", "", true},
      {"255.255.255.255", "0.0.0.0", "", "", true},  // a client of DHCP
      {"192.0.2.255", "192.0.2.9", "192.0.2.1", "", true},
      {"169.254.255.255", "169.254.9.9", "169.254.0.1", "", true},
      {"224.0.0.1", "192.0.2.9", "192.0.2.1", "", true},
      {"239.255.1.2", "192.0.2.9", "", "", true},
      {"232.1.2.3", "169.254.9.9", "192.0.2.1", "", true},
      // The same from this host, whose address the kernel names then.
      {"192.0.2.255", "192.0.2.1", "192.0.2.1", "", false},
      {"255.255.255.255", "192.0.2.1", "192.0.2.1", "", false},
      {"239.255.1.2", "192.0.2.1", "192.0.2.1", "", false},
      {"127.255.255.255", "127.0.0.1", "127.0.0.1", "", false},
      // IPv6.
      {"2001:db8::1", "2001:db8:1::9", "", "2001:db8::1", false},
      {"2001:db8::1", "fe80::9", "", "2001:db8::1", true},
      {"fe80::1", "fe80::9", "", "fe80::1", true},
      {"fe80::1", "2001:db8::9", "", "fe80::1", true},
      {"febf::1", "febf::9", "", "febf::1", true},
      {"fec0::1", "fec0::9", "", "fec0::1", false},  // site-local: routed
      {"fd00::1", "fc00::9", "", "fd00::1", false},  // unique local: routed
      {"::1", "::1", "", "::1", false},
      {"fe80::1", "::1", "", "fe80::1", false},
      {"ff01::1", "fe80::9", "", "", true},
      {"ff02::1", "fe80::9", "", "", true},
      {"ff02::1", "2001:db8::9", "", "", true},
      {"ff03::1", "2001:db8::9", "", "", true},
      {"ff05::1", "2001:db8::9", "", "", true},
      {"ff08::1", "2001:db8::9", "", "", true},
      {"ff0e::1", "2001:db8::9", "", "", true},
      {"ff3e::1", "fec0::9", "", "", true},
  };
  const auto address = [](std::string_view text) {
    return text.empty() ? asio::ip::address() : dgram::parse_address(text);
  };
  for (const row& each : table) {
    INFO(each.sent_to << " from " << each.sender);
    const auto way = dgram::detail::find_way_back(address(each.sent_to), address(each.sender),
                                                  address(each.stands_for));
    CHECK(way.source == address(each.source));
    CHECK(way.by_interface == each.by_interface);
  }
}

TEST_CASE("datagram: an IPv4 sender in the mapped form has IPv4's scope", "[F8]")
{
  for (const char* const sender : {"169.254.9.9", "::ffff:169.254.9.9"}) {
    std::array<std::byte, 1> bytes{};
    dgram::detail::slot_control<dgram::udp> said;
    said.present =
        dgram::platform::received_control::local | dgram::platform::received_control::local_is_v4;
    said.address = {192, 0, 2, 1};
    said.reply_source = {192, 0, 2, 1};
    said.interface_index = 7;
    dgram::detail::received_slot<dgram::udp> slot;
    slot.sender = {dgram::parse_address(sender), 53};
    slot.control = &said;
    slot.needs_source = true;
    const dgram::datagram datagram(bytes, slot);
    CHECK(datagram.reply_path().source == dgram::parse_address("192.0.2.1"));
    CHECK(datagram.reply_path().interface_index == 7);
    // A socket with an address of its own sends from there by itself.
    slot.needs_source = false;
    CHECK(datagram.reply_path().source.is_unspecified());
    CHECK(datagram.reply_path().interface_index == 7);
    const dgram::detail::received_slot<dgram::udp> bare;
    const dgram::datagram without(bytes, bare);
    CHECK_FALSE(datagram.arrived_like(without));
    CHECK_FALSE(without.arrived_like(datagram));
    CHECK(without.arrived_like(without));
  }
}

TEST_CASE("send_result: a fresh one says that nothing left and nothing failed")
{
  const dgram::send_result result;
  CHECK(result.sent == 0);
  CHECK_FALSE(result.error);
}

TEST_CASE("datagram: a receive time becomes one of the steady clock", "[Q7]")
{
  using namespace std::chrono_literals;
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  for (const auto age : {0s, 5s, 3600s}) {
    const auto before = steady_clock::now();
    const dgram::receive_time_point then = system_clock::now() - age;
    const auto steady = dgram::to_steady(then);
    const auto after = steady_clock::now();
    // The wall clock of a C++ library may have fewer digits.
    CHECK(steady >= before - age - system_clock::duration(1));
    CHECK(steady <= after - age + system_clock::duration(1));
  }
  // A time that lies ahead, as after a step of the wall clock, is not later than now.
  const auto ahead = dgram::to_steady(system_clock::now() + 3600s);
  CHECK(ahead <= steady_clock::now());
}

}  // namespace datagram_test
