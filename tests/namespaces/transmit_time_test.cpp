// SPDX-License-Identifier: BSL-1.0
// Datagrams that ask to leave later: the time that the kernel has for each, and the order in which they arrive where a
// queueing discipline keeps it.
#if defined(__linux__)

#include "behaviour/helpers.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <linux/bpf.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace transmit_time_test {

namespace {

using dgram::send_options;
using time_point = std::chrono::steady_clock::time_point;
using texts = std::vector<std::string>;

/// Sees each packet that leaves by an interface, and the time that it is not to leave before: a program that the kernel
/// runs (bpf(2)), which looks at nothing else.
class departures {
public:
  explicit departures(unsigned interface)
  {
    ::bpf_attr queue{};
    queue.map_type = BPF_MAP_TYPE_QUEUE;
    queue.value_size = sizeof(std::uint64_t);
    queue.max_entries = 1024;
    queue_ = call(BPF_MAP_CREATE, queue, "a queue");

    const std::array<::bpf_insn, 10> code{{
        {BPF_LDX | BPF_MEM | BPF_DW, 2, 1, offsetof(::__sk_buff, tstamp), 0},
        {BPF_STX | BPF_MEM | BPF_DW, 10, 2, -8, 0},
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, queue_},
        {0, 0, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0},
        {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -8},
        {BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_push_elem},
        {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, -1},  // as if this were not here
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    }};
    ::bpf_attr program{};
    program.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    program.insns = reinterpret_cast<std::uintptr_t>(code.data());
    program.insn_cnt = code.size();
    program.license = reinterpret_cast<std::uintptr_t>("BSL-1.0");
    program_ = call(BPF_PROG_LOAD, program, "a program");

    ::bpf_attr link{};
    link.link_create.prog_fd = static_cast<unsigned>(program_);
    link.link_create.target_fd = interface;
    // BPF_TCX_EGRESS, which Linux has since 6.6.
    link.link_create.attach_type = 47;
    link_ = call(BPF_LINK_CREATE, link, "a program on an interface");
  }

  departures(const departures&) = delete;
  departures& operator=(const departures&) = delete;

  ~departures()
  {
    for (const int descriptor : {link_, program_, queue_})
      if (descriptor != -1) ::close(descriptor);
  }

  /// The times of the packets that left since the last call and had one, in nanoseconds of the steady clock.
  std::vector<std::int64_t> take() const
  {
    std::vector<std::int64_t> all;
    std::int64_t time = 0;
    ::bpf_attr next{};
    next.map_fd = static_cast<unsigned>(queue_);
    next.value = reinterpret_cast<std::uintptr_t>(&time);
    while (::syscall(SYS_bpf, BPF_MAP_LOOKUP_AND_DELETE_ELEM, &next, sizeof next) == 0)
      if (time != 0) all.push_back(time);
    return all;
  }

private:
  static int call(int command, ::bpf_attr& arguments, const char* what)
  {
    const auto result = ::syscall(SYS_bpf, command, &arguments, sizeof arguments);
    if (result < 0) SKIP("no " << what << " in the kernel here: " << std::strerror(errno));
    return static_cast<int>(result);
  }

  int queue_ = -1;
  int program_ = -1;
  int link_ = -1;
};

/// Two hosts, the first of which sends to the second.
struct hosts {
  explicit hosts(bool six) : net{{0}, {0}}
  {
    if (!dgram::capabilities(dgram::udp::v4()).transmit_time) SKIP("this backend sends at once");
    receiver = net.on(1, [&] {
      return std::optional<dgram::udp::socket>(std::in_place, io,
                                               six ? net.endpoint_v6(1) : net.endpoint_v4(1));
    });
    sender = net.on(0, [&] {
      return std::optional<dgram::udp::socket>(std::in_place, io,
                                               six ? net.endpoint_v6(0) : net.endpoint_v4(0));
    });
    target = receiver->local_endpoint();
    // The peer's link-layer address is known from here on, so that nothing waits for that.
    sender->send_to(asio::buffer("first", 5), target);
    REQUIRE(take(1) == texts{"first"});
  }

  /// Gives the sender the queueing discipline fq (tc-fq(8)), which keeps the times.
  void use_fq() const
  {
    const std::string refused = net.on(0, [] { return tc("qdisc replace dev lan0 root fq"); });
    if (!refused.empty()) SKIP("no queueing discipline fq here: " << refused);
  }

  /// What it said where it refused.
  static std::string tc(const std::string& arguments)
  {
    std::string said;
    std::FILE* child = ::popen(("tc " + arguments + " 2>&1").c_str(), "r");
    for (int c = 0; child != nullptr && (c = std::fgetc(child)) != EOF;)
      said += static_cast<char>(c);
    const int status = child != nullptr ? ::pclose(child) : -1;
    return status == 0 ? std::string() : said + "(status " + std::to_string(status) + ")";
  }

  texts take(std::size_t count)
  {
    texts all;
    while (all.size() < count)
      all.push_back(test::receive(io, *receiver).text);
    return all;
  }

  /// Sends by `send(later)`, and returns what arrives; again where this machine was so slow that the time had come
  /// before all was sent, which would show nothing.
  template <class Send>
  texts arrivals(std::size_t count, Send send)
  {
    for (int attempt = 1;; ++attempt) {
      const time_point later = std::chrono::steady_clock::now() + test::milliseconds(80);
      send(later);
      const bool in_time = std::chrono::steady_clock::now() < later;
      texts all = take(count);
      if (in_time) return all;
      if (attempt == 20) SKIP("this machine is too busy to send within 80 ms");
    }
  }

  asio::io_context io;
  test::network net;
  std::optional<dgram::udp::socket> receiver;
  std::optional<dgram::udp::socket> sender;
  test::endpoint target;
};

const texts overtaken{"without", "with"};

}  // namespace

TEST_CASE("a datagram that asks to leave later is overtaken by one that does not", "[namespaces]")
{
  const bool six = GENERATE(false, true);
  hosts on(six);
  on.use_fq();

  SECTION("single sends")
  {
    CHECK(on.arrivals(2, [&](time_point later) {
      on.sender->send_to(asio::buffer("with", 4), on.target, send_options{.transmit_time = later});
      on.sender->send_to(asio::buffer("without", 7), on.target);
    }) == overtaken);
  }

  SECTION("a batch")
  {
    CHECK(on.arrivals(2, [&](time_point later) {
      dgram::send_batch batch(2);
      batch.push("with", on.target, {.transmit_time = later});
      batch.push("without", on.target);
      REQUIRE(on.sender->send_batch(batch).sent == 2);
    }) == overtaken);
  }

  SECTION("a writer")
  {
    dgram::reader reader{*on.sender};
    dgram::writer writer{reader};
    CHECK(on.arrivals(2, [&](time_point later) {
      REQUIRE(writer.try_send("with", on.target, send_options{.transmit_time = later}));
      REQUIRE(writer.try_send("without", on.target));
      writer.close();
      REQUIRE(writer.size() == 0);
    }) == overtaken);
  }

  SECTION("of a socket that is connected")
  {
    on.sender->connect(on.target);
    CHECK(on.arrivals(2, [&](time_point later) {
      on.sender->send(asio::buffer("with", 4), send_options{.transmit_time = later});
      on.sender->send(asio::buffer("without", 7));
    }) == overtaken);
  }
}

TEST_CASE("datagrams leave in the order of the times that they ask for", "[namespaces]")
{
  const bool six = GENERATE(false, true);
  hosts on(six);
  on.use_fq();
  const auto before = on.sender->statistics().segmented;
  CHECK(on.arrivals(3, [&](time_point later) {
    dgram::send_batch batch(3);
    batch.push("third", on.target, {.transmit_time = later + test::milliseconds(40)});
    batch.push("secnd", on.target, {.transmit_time = later + test::milliseconds(20)});
    batch.push("first", on.target, {.transmit_time = later});
    REQUIRE(on.sender->send_batch(batch).sent == 3);
  }) == texts{"first", "secnd", "third"});
  // One message has one time, so they were none.
  CHECK(on.sender->statistics().segmented == before);
}

TEST_CASE("datagrams of one message that ask for the same time leave together", "[namespaces]")
{
  if (dgram::platform::backend::max_segments == 1) SKIP("nothing cuts datagrams apart here");
  const bool six = GENERATE(false, true);
  hosts on(six);
  on.use_fq();
  const auto calls_with = [&](auto send) {
    const auto before = on.sender->statistics();
    CHECK(on.arrivals(4, send) == texts{"without", "a1", "a2", "a3"});
    const auto after = on.sender->statistics();
    // Each attempt sends three of one message.
    CHECK(after.segmented > before.segmented);
    CHECK((after.segmented - before.segmented) % 3 == 0);
  };

  SECTION("put together by us")
  {
    calls_with([&](time_point later) {
      dgram::send_batch batch(4);
      for (const char* text : {"a1", "a2", "a3"})
        batch.push(text, on.target, {.transmit_time = later});
      batch.push("without", on.target);
      REQUIRE(on.sender->send_batch(batch).sent == 4);
    });
  }

  SECTION("one buffer with a segment size")
  {
    calls_with([&](time_point later) {
      on.sender->send_to(asio::buffer("a1a2a3", 6), on.target,
                         send_options{.segment_size = 2, .transmit_time = later});
      on.sender->send_to(asio::buffer("without", 7), on.target);
    });
  }
}

TEST_CASE("the kernel has the time that each datagram asks for", "[namespaces]")
{
  const bool six = GENERATE(false, true);
  hosts on(six);
  const auto seen =
      on.net.on(0, [] { return std::make_unique<departures>(::if_nametoindex("lan0")); });
  static_cast<void>(seen->take());
  const auto now = std::chrono::steady_clock::now();
  const auto at = [&](int milliseconds) { return now + test::milliseconds(milliseconds); };
  const auto times = [](const std::vector<time_point>& points) {
    std::vector<std::int64_t> all;
    for (const time_point point : points)
      all.push_back(std::chrono::nanoseconds(point.time_since_epoch()).count());
    return all;
  };
  const auto asking = [&](int milliseconds) {
    return send_options{.transmit_time = at(milliseconds)};
  };

  on.sender->send_to(asio::buffer("with", 4), on.target, asking(1));
  on.sender->send_to(asio::buffer("without", 7), on.target);
  on.take(2);
  CHECK(seen->take() == times({at(1)}));

  dgram::send_batch batch(8);
  batch.push("with", on.target, asking(2));
  batch.push("without", on.target);
  batch.push("other", on.target, asking(3));
  batch.push("again", on.target, asking(2));
  REQUIRE(on.sender->send_batch(batch).sent == 4);
  on.take(4);
  CHECK(seen->take() == times({at(2), at(3), at(2)}));

  // Those of one message have one time, whether the kernel cuts it apart before or behind the interface's queue.
  for (int i = 0; i < 3; ++i)
    batch.push("equal", on.target, asking(4));
  REQUIRE(on.sender->send_batch(batch).sent == 3);
  on.take(3);
  const auto of_run = seen->take();
  CHECK_FALSE(of_run.empty());
  for (const auto time : of_run)
    CHECK(time == times({at(4)}).front());

  {
    dgram::reader reader{*on.sender};
    dgram::writer writer{reader};
    REQUIRE(writer.try_send("with", on.target, asking(5)));
    REQUIRE(writer.try_send("without", on.target));
    writer.close();
    REQUIRE(writer.size() == 0);
    on.take(2);
    CHECK(seen->take() == times({at(5)}));
  }

  on.sender->connect(on.target);
  on.sender->send(asio::buffer("with", 4), asking(6));
  on.sender->send(asio::buffer("without", 7));
  on.take(2);
  CHECK(seen->take() == times({at(6)}));
}

}  // namespace transmit_time_test

#endif
