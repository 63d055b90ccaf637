// SPDX-License-Identifier: BSL-1.0
#include "support/control_bytes.hpp"

#include <dgram/control_message.hpp>
#include <dgram/datagram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace control_message_test {

namespace {

/// Control messages as the kernel writes them, in any number.
class messages {
public:
  template <class T>
  messages& add(int level, int type, const T& value)
  {
    std::size_t used = bytes.size();
    bytes.resize(used + dgram::platform::control_space(sizeof value));
    REQUIRE(dgram::platform::append_control(bytes, used, level, type, &value, sizeof value));
    return *this;
  }

  std::vector<std::byte> bytes;
};

/// All that the library knows.
std::vector<std::byte> everything()
{
  ::in6_pktinfo v6{};
  v6.ipi6_ifindex = 3;
  v6.ipi6_addr.s6_addr[0] = 0xfe;
  v6.ipi6_addr.s6_addr[1] = 0x80;
  messages all;
  all.add(IPPROTO_IP, IP_TOS, std::uint8_t{0xB9})
      .add(IPPROTO_IP, IP_TTL, int{64})
      .add(IPPROTO_IPV6, dgram::platform::rfc3542::packet_info, v6)
      .add(IPPROTO_IPV6, IPV6_TCLASS, int{0xB9})
      .add(IPPROTO_IPV6, dgram::platform::rfc3542::hop_limit, int{63})
      .add(SOL_SOCKET, SCM_TIMESTAMP, ::timeval{1, 2});
#if defined(IP_PKTINFO)
  ::in_pktinfo v4{};
  v4.ipi_ifindex = 2;
  v4.ipi_addr.s_addr = htonl(0xC0000201);
  v4.ipi_spec_dst.s_addr = htonl(0xC0000202);
  all.add(IPPROTO_IP, IP_PKTINFO, v4);
#endif
#if defined(__linux__)
  ::sock_extended_err error{};
  error.ee_errno = EMSGSIZE;
  error.ee_origin = SO_EE_ORIGIN_ICMP;
  error.ee_info = 1280;
  struct {
    ::sock_extended_err said;
    ::sockaddr_in offender;
  } with_offender{error, {}};
  with_offender.offender.sin_family = AF_INET;
  all.add(SOL_SOCKET, SCM_TIMESTAMPING, std::array<::timespec, 3>{::timespec{1, 2}, {}, {3, 4}})
      .add(SOL_SOCKET, SO_RXQ_OVFL, std::uint32_t{7})
      .add(IPPROTO_UDP, UDP_GRO, int{1200})
      .add(IPPROTO_IP, IP_RECVERR, with_offender);
#endif
  all.add(12345, 678, std::array<char, 5>{});  // of no protocol
  return all.bytes;
}

/// In memory of exactly this size, so that a sanitizer sees what is read beyond it.
const char* broken(std::span<const std::byte> bytes)
{
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  return test::broken_property({exact.get(), bytes.size()});
}

}  // namespace

TEST_CASE("control_message: what was written is read")
{
  dgram::control_writer writer;
  CHECK(writer.empty());
  CHECK(writer.add(SOL_SOCKET, 36, std::uint32_t{7}));
  CHECK(writer.add(IPPROTO_IP, 1, std::span<const std::byte>()));
  const dgram::control_messages read(writer.bytes());
  std::vector<dgram::control_message> all(read.begin(), read.end());
  REQUIRE(all.size() == 2);
  CHECK(all[0].level == SOL_SOCKET);
  CHECK(all[0].type == 36);
  CHECK(all[0].as<std::uint32_t>() == 7U);
  CHECK_FALSE(all[0].as<std::uint64_t>());
  CHECK(all[1].data.empty());
  CHECK(read.find<std::uint32_t>(SOL_SOCKET, 36) == 7U);
  CHECK_FALSE(read.find<int>(SOL_SOCKET, 37));
  CHECK(read.bytes().size() == writer.bytes().size());
  auto next = read.begin();
  CHECK((*next++).type == 36);
  CHECK((*next++).type == 1);
  CHECK(next == read.end());
  writer.clear();
  CHECK(writer.empty());
  CHECK(dgram::control_messages().empty());
}

TEST_CASE("control_message: a writer takes what fits, and nothing of what does not")
{
  dgram::control_writer writer;
  const std::array<std::byte, dgram::control_writer::capacity> large{};
  CHECK_FALSE(writer.add(1, 2, large));
  CHECK(writer.empty());
  std::size_t count = 0;
  while (writer.add(1, 2, std::uint64_t{3}))
    ++count;
  CHECK(count == dgram::control_writer::capacity / dgram::platform::control_space(8));
  const dgram::control_messages read(writer.bytes());
  CHECK(std::distance(read.begin(), read.end()) == static_cast<std::ptrdiff_t>(count));
}

TEST_CASE("control_message: valid messages survive being cut anywhere")
{
  const auto bytes = everything();
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    INFO(size << " of " << bytes.size() << " bytes");
    const char* const property = broken(std::span(bytes).first(size));
    INFO((property != nullptr ? property : ""));
    REQUIRE(property == nullptr);
  }
}

TEST_CASE("control_message: valid messages survive any length in any header, and any byte anywhere")
{
  const auto bytes = everything();
  std::mt19937 random(5);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int value : {0, 1, 15, 16, 17, 127, 255, static_cast<int>(random() % 256)}) {
      auto changed = bytes;
      changed[at] = static_cast<std::byte>(value);
      const char* const property = broken(changed);
      INFO(at << " = " << value << ": " << (property != nullptr ? property : ""));
      REQUIRE(property == nullptr);
    }
  }
}

TEST_CASE("control_message: what the library knows is taken from them, and IPv4's own wins")
{
  const auto bytes = everything();
  dgram::platform::received_control said;
  dgram::platform::read_control(bytes, true, said);
  dgram::datagram_info info;
  dgram::detail::info_access::assign(info, dgram::udp::endpoint(), false, std::size_t{0}, said,
                                     true);
  CHECK(info.local_address() == dgram::parse_address("192.0.2.1"));
  CHECK(info.interface_index() == 2);
  // The kernel names another address for it, so it is a broadcast address.
  CHECK(info.reply_path().source.is_unspecified());
  CHECK(info.reply_path().interface_index == 2);
  CHECK(info.ecn() == dgram::ecn_codepoint::ect_1);
  CHECK(info.dscp() == 46);
  CHECK(info.hop_limit() == 63);
  CHECK(info.control_truncated());
  REQUIRE(info.receive_time());
#if defined(__linux__)
  CHECK(info.receive_time()->time_since_epoch() == std::chrono::nanoseconds(1'000'000'002));
  CHECK(info.hardware_receive_time()->time_since_epoch() ==
        std::chrono::nanoseconds(3'000'000'004));
  CHECK(info.dropped() == 7U);
  CHECK(said.segment == 1200);
#endif
}

#if defined(IP_PKTINFO)
TEST_CASE("control_message: IPv4's own message about the address wins in each order")
{
  ::in_pktinfo v4{};
  v4.ipi_ifindex = 2;
  v4.ipi_addr.s_addr = htonl(0xC0000201);
  v4.ipi_spec_dst = v4.ipi_addr;
  ::in6_pktinfo v6{};
  v6.ipi6_ifindex = 3;
  v6.ipi6_addr.s6_addr[0] = 0xfe;
  v6.ipi6_addr.s6_addr[1] = 0x80;
  messages all;
  all.add(IPPROTO_IP, IP_PKTINFO, v4).add(IPPROTO_IPV6, dgram::platform::rfc3542::packet_info, v6);
  dgram::platform::received_control said;
  dgram::platform::read_control(all.bytes, false, said);
  dgram::datagram_info info;
  dgram::detail::info_access::assign(info, dgram::udp::endpoint(), false, std::size_t{0}, said,
                                     true);
  CHECK(info.local_address() == dgram::parse_address("192.0.2.1"));
  CHECK(info.interface_index() == 2);
}
#endif

#if defined(__linux__)
TEST_CASE("control_message: the sender of a Unix datagram is found behind other messages")
{
  const ::ucred sender{.pid = 7, .uid = 8, .gid = 9};
  messages all;
  all.add(SOL_SOCKET, SCM_TIMESTAMP, ::timeval{1, 2})
      .add(IPPROTO_IP, SCM_CREDENTIALS, ::ucred{})
      .add(SOL_SOCKET, SCM_CREDENTIALS, int{1})  // too small
      .add(SOL_SOCKET, SCM_CREDENTIALS, sender);
  std::int32_t process = 0;
  std::uint32_t user = 0, group = 0;
  REQUIRE(dgram::platform::find_credentials(all.bytes, process, user, group));
  CHECK(process == 7);
  CHECK(user == 8);
  CHECK(group == 9);
}
#endif

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
TEST_CASE("control_message: an error of the path without the address of its sender has none")
{
  ::sock_extended_err error{};
  error.ee_errno = EHOSTUNREACH;
  error.ee_origin = SO_EE_ORIGIN_ICMP;
  messages all;
  all.add(IPPROTO_IP, IP_RECVERR, error);
  dgram::platform::queued_report report;
  dgram::platform::read_report(all.bytes, report);
  CHECK(report.what == dgram::platform::queued_report::kind::icmp);
  CHECK(report.error == EHOSTUNREACH);
  CHECK_FALSE(report.offender);
}

TEST_CASE("control_message: the size of joined datagrams is found behind other messages")
{
  const auto size_in = [](const messages& all) {
    dgram::platform::message received;
    received.set_control(std::span<const std::byte>(all.bytes));
    return received.segment_size();
  };
  CHECK(size_in(messages()) == 0);
  CHECK(size_in(messages().add(IPPROTO_IP, IP_TTL, int{64})) == 0);
  CHECK(size_in(messages().add(IPPROTO_IP, IP_TTL, int{64}).add(IPPROTO_UDP, UDP_GRO, int{1200})) ==
        1200);
  CHECK(size_in(messages().add(IPPROTO_UDP, UDP_GRO, int{-1})) == 0);
  CHECK(size_in(messages().add(IPPROTO_UDP, UDP_GRO, char{1}).add(IPPROTO_UDP, UDP_GRO, int{5})) ==
        5);
}
#endif

TEST_CASE("socket_statistics: the kernel's counter is followed across its wrap")
{
  dgram::detail::wrapping_counter counter;
  counter.read(0xFFFFFFF0U);
  CHECK(counter.value() == 0);  // no such step: it was older
  std::uint64_t expected = 0;
  for (int i = 0; i < 5; ++i) {
    expected += 0x7FFFFFFFU;
    counter.read(static_cast<std::uint32_t>(expected));
    CHECK(counter.value() == expected);
  }
  CHECK(expected > 0xFFFFFFFFU);
  counter.read(static_cast<std::uint32_t>(expected - 10));
  CHECK(counter.value() == expected);
}

namespace {

template <class T>
concept addable =
    requires(dgram::control_writer& writer, const T& value) { writer.add(1, 2, value); };

static_assert(addable<int> && addable<std::array<int, 2>>);
static_assert(!addable<int*> && !addable<std::string_view> && !addable<std::span<int>>);

}  // namespace

TEST_CASE("a view that is added is its bytes, and not itself")
{
  std::array<std::byte, 4> value{std::byte{7}};
  dgram::control_writer writer;
  SECTION("of bytes that may be changed")
  {
    REQUIRE(writer.add(1, 2, std::span<std::byte>(value)));
  }
  SECTION("of anything that bytes_view takes")
  {
    REQUIRE(writer.add(1, 2, dgram::bytes_view(value)));
  }
  const auto data = (*dgram::control_messages(writer.bytes()).begin()).data;
  REQUIRE(data.size() == 4);
  CHECK(data[0] == std::byte{7});
}

}  // namespace control_message_test
