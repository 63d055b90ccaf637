// SPDX-License-Identifier: BSL-1.0
// The exception for send_options that cannot be met names the member, its value, and the call.
#include <dgram/send_options.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <string>
#include <vector>

namespace send_options_text_test {

namespace {

struct thrown {
  dgram::error_code code;
  std::string text;
};

template <class Function>
thrown thrown_by(Function function)
{
  try {
    function();
  } catch (const dgram::system_error& failure) {
    return {failure.code(), failure.what()};
  }
  return {{}, "nothing was thrown"};
}

struct wrong {
  dgram::send_options options;
  std::string subject;
  dgram::error_code code;
  bool for_ipv6 = false;
  std::string allowed = {};

  /// The text behind the call and the peer.
  std::string rest() const
  {
    std::string text = " with \"" + subject + "\"";
    if (!allowed.empty()) text += " (allowed are " + allowed + ")";
    return text + ": " + code.message();
  }
};

const std::array<std::byte, 4096> too_much{};

/// What is wrong whatever the socket.
std::vector<wrong> wrong_values()
{
  std::vector<wrong> all;
  const dgram::error_code range = dgram::error::out_of_range;
  all.push_back({{.dscp = 64}, "dscp{64}", range, false, "0 to 63"});
  all.push_back({{.hop_limit = 0}, "hop_limit{0}", range, false, "1 to 255"});
  all.push_back({{.hop_limit = 256}, "hop_limit{256}", range, false, "1 to 255"});
  all.push_back({{.hop_limit = -1}, "hop_limit{-1}", range, true, "1 to 255"});
  all.push_back(
      {{.segment_size = 0}, "segment_size{0}", asio::error::invalid_argument, false, "1 and more"});
  all.push_back({{.control = too_much}, "control{4096 bytes}", asio::error::message_size});
  return all;
}

/// What is wrong towards a peer of this family.
std::vector<wrong> wrong_for_peer()
{
  auto all = wrong_values();
  all.push_back({{.source = asio::ip::address_v6::loopback()},
                 "source{::1}",
                 asio::error::address_family_not_supported});
  all.push_back({{.source = asio::ip::address_v4::loopback()},
                 "source{127.0.0.1}",
                 asio::error::address_family_not_supported,
                 true});
  all.push_back(
      {{.do_not_fragment = true}, "do_not_fragment{true}", asio::error::operation_not_supported});
  return all;
}

const dgram::bytes_view payload = "x";

}  // namespace

TEST_CASE("send_options: what is thrown names the member, its value, the call and the peer")
{
  asio::io_context io;
  for (const wrong& each : wrong_for_peer()) {
    if (each.for_ipv6 && !test::has_ipv6()) continue;
    CAPTURE(each.subject);
    const auto local = each.for_ipv6 ? test::loopback_v6() : test::loopback_v4();
    dgram::udp::socket socket(io, local);
    const auto peer = socket.local_endpoint();
    dgram::basic_reply_path<dgram::udp> path;
    path.peer = peer;
    const std::string rest = each.rest();
    const std::string named = " \"" + dgram::to_string(peer) + "\"";
    const auto check = [&](const std::string& call, auto function) {
      const thrown failure = thrown_by(function);
      CHECK(failure.code == each.code);
      CHECK(failure.text == call + rest);
    };
    check("send_to" + named, [&] { socket.send_to(asio::buffer(payload), peer, each.options); });
    check("send_to" + named, [&] { socket.send_to(asio::buffer(payload), path, each.options); });
    check("try_send_to" + named,
          [&] { socket.try_send_to(asio::buffer(payload), peer, each.options); });
    dgram::send_batch batch(2);
    check("push", [&] { batch.push(payload, peer, each.options); });
    check("push", [&] { batch.push(payload, path, each.options); });
    CHECK(batch.empty());
    dgram::error_code ec;
    socket.send_to(asio::buffer(payload), peer, each.options, ec);
    CHECK(ec == each.code);

    if (each.options.segment_size) continue;  // the writer has to count the datagrams first
    dgram::reader reader{socket};
    dgram::writer writer{reader};
    check("push", [&] { writer.try_send(payload, peer, each.options); });
    check("push", [&] {
      test::run(io, [&]() -> asio::awaitable<void> {
        co_await writer.send(payload, peer, each.options);
      }());
    });
  }
}

TEST_CASE("send_options: on a connected socket there is no peer to name")
{
  asio::io_context io;
  for (const wrong& each : wrong_for_peer()) {
    if (each.for_ipv6 && !test::has_ipv6()) continue;
    CAPTURE(each.subject);
    const auto local = each.for_ipv6 ? test::loopback_v6() : test::loopback_v4();
    dgram::udp::socket socket(io, local);
    socket.connect(socket.local_endpoint());
    const std::string rest = each.rest();
    const thrown by_send = thrown_by([&] { socket.send(asio::buffer(payload), each.options); });
    CHECK(by_send.code == each.code);
    CHECK(by_send.text == "send" + rest);
    const thrown by_try = thrown_by([&] { socket.try_send(asio::buffer(payload), each.options); });
    CHECK(by_try.code == each.code);
    CHECK(by_try.text == "try_send" + rest);
  }
}

TEST_CASE("send_options: an error that is not theirs names none of them")
{
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  const auto peer = socket.local_endpoint();
  const dgram::send_options options{.hop_limit = 9};
  const std::string large(70000, 'x');
  const thrown failure = thrown_by([&] { socket.send_to(asio::buffer(large), peer, options); });
  CHECK(failure.code == asio::error::message_size);
  CHECK(failure.text == "send_to \"" + dgram::to_string(peer) +
                            "\" with 70000 bytes (at most 65507): " + failure.code.message());
  // A peer is no reason to look at the options less closely.
  socket.connect(peer);
  const thrown connected =
      thrown_by([&] { socket.send_to(asio::buffer(payload), peer, {.dscp = 64}); });
  CHECK(connected.code == dgram::error::out_of_range);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("send_options: a Unix socket names what only IP has")
{
  asio::io_context io;
  dgram::unix_dgram::socket socket{io, dgram::unix_dgram{}};
  socket.bind({});
  const auto peer = socket.local_endpoint();
  const dgram::error_code code = asio::error::operation_not_supported;
  const auto check = [&](const dgram::send_options& options, const std::string& subject) {
    dgram::unix_dgram::send_batch batch(1);
    const thrown failure = thrown_by([&] { batch.push(payload, peer, options); });
    CHECK(failure.code == code);
    CHECK(failure.text == "push with \"" + subject + "\": " + code.message());
  };
  check({.source = asio::ip::address_v4::loopback()}, "source{127.0.0.1}");
  check({.interface_index = 3}, "interface_index{3}");
  check({.ecn = dgram::ecn_codepoint::ce}, "ecn{3}");
  check({.dscp = 46}, "dscp{46}");
  check({.hop_limit = 7}, "hop_limit{7}");
  check({.do_not_fragment = true}, "do_not_fragment{true}");
  check({.transmit_time = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(12))},
        "transmit_time{12 ns}");
  check({.timestamp = true}, "timestamp{true}");
}

#endif

}  // namespace send_options_text_test
