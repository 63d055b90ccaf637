// SPDX-License-Identifier: BSL-1.0
// Wrong uses that a newcomer makes: each error names the call, the value and what is allowed, once.
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wrong_uses_test {

namespace {

using dgram::error;
using dgram::udp;

/// A wrong use, and the text of its exception in front of the error's own message.
struct wrong_use {
  std::function<void()> call;
  std::string text;
  dgram::error_code code;
};

std::size_t count(std::string_view text, std::string_view part)
{
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

void check_each(const std::vector<wrong_use>& all)
{
  for (const wrong_use& each : all) {
    CAPTURE(each.text);
    std::string thrown;
    dgram::error_code code;
    try {
      each.call();
    } catch (const dgram::system_error& failure) {
      thrown = failure.what();
      code = failure.code();
    }
    CHECK(code == each.code);
    CHECK(thrown == each.text + ": " + each.code.message());
    CHECK(count(thrown, "allowed") <= 1);
  }
}

struct wrong_uses_test {
  asio::io_context io;
  udp::socket socket{io, udp::v4()};
  udp::socket bound{io, test::loopback_v4()};
  udp::endpoint peer = bound.local_endpoint();
  std::string peer_text = dgram::to_string(peer);
  std::string too_large = std::string(65508, 'x');
};

}  // namespace

TEST_CASE_METHOD(wrong_uses_test,
                 "wrong uses: an endpoint that is none is named, with the ports there are",
                 "[errors]")
{
  check_each({
      {[&] { udp::socket(io, "127.0.0.1"); }, "bind \"127.0.0.1\"", error::bad_endpoint},
      {[&] { udp::socket(io, "127.0.0.1:99999"); },
       "bind \"127.0.0.1:99999\" (allowed are ports 0 to 65535)", error::bad_port},
      {[&] { udp::socket(io, "127.0.0.1:http"); },
       "bind \"127.0.0.1:http\" (allowed are ports 0 to 65535)", error::bad_port},
      {[&] { udp::socket(io, "local host:80"); }, "bind \"local host:80\"", error::bad_address},
      {[&] { udp::socket(io, "300.1.1.1:80"); }, "bind \"300.1.1.1:80\"", error::bad_address},
      {[&] { udp::socket(io, "::1:80"); }, "bind \"::1:80\"", error::bad_endpoint},
      {[&] { (void)dgram::parse_port("-1"); }, "parse_port \"-1\" (allowed are ports 0 to 65535)",
       error::bad_port},
      {[&] { (void)dgram::parse_endpoint("1.2.3.4:70000"); },
       "parse_endpoint \"1.2.3.4:70000\" (allowed are ports 0 to 65535)", error::bad_port},
      {[&] { socket.connect("127.0.0.1:70000"); },
       "connect \"127.0.0.1:70000\" (allowed are ports 0 to 65535)", error::bad_port},
      {[&] { socket.connect("127.0.0.1:0"); },
       "connect \"127.0.0.1:0\" (allowed are ports 1 to 65535)", error::bad_port},
  });
}

TEST_CASE_METHOD(wrong_uses_test, "wrong uses: an option out of range is named with its range",
                 "[errors]")
{
  namespace option = dgram::option;
  const std::string to = "send_to \"" + peer_text + "\" with \"";
  const auto bytes = asio::buffer("x", 1);
  check_each({
      {[&] { socket.set_option(option::hop_limit(300)); },
       "set_option \"hop_limit{300}\" (allowed are 1 to 255)", error::out_of_range},
      {[&] { socket.set_option(option::hop_limit(-5)); },
       "set_option \"hop_limit{-5}\" (allowed are 1 to 255)", error::out_of_range},
      {[&] { socket.set_option(option::multicast_hop_limit(256)); },
       "set_option \"multicast_hop_limit{256}\" (allowed are 0 to 255)", error::out_of_range},
      {[&] { socket.set_receive_buffer_size(-1); },
       "set_receive_buffer_size \"receive_buffer_size{-1}\" (allowed are 1 to 2147483647)",
       error::out_of_range},
      {[&] { socket.set_send_buffer_size(0); },
       "set_send_buffer_size \"send_buffer_size{0}\" (allowed are 1 to 2147483647)",
       error::out_of_range},
      {[&] { udp::socket(io).open(udp::v4(), {.send_buffer_size = -7}); },
       "open \"send_buffer_size{-7}\" (allowed are 1 to 2147483647)", error::out_of_range},
      {[&] { socket.send_to(bytes, peer, dgram::send_options{.hop_limit = 300}); },
       to + "hop_limit{300}\" (allowed are 1 to 255)", error::out_of_range},
      {[&] { socket.try_send_to(bytes, peer, dgram::send_options{.dscp = 64}); },
       "try_" + to + "dscp{64}\" (allowed are 0 to 63)", error::out_of_range},
#if DGRAM_HAS_UNIX_DATAGRAMS
      {[&] { dgram::unix_dgram::socket(io).open({}, {.file_mode = 01777}); },
       "open \"file_mode{01777}\" (allowed are 0 to 0777)", error::out_of_range},
#endif
  });
}

TEST_CASE_METHOD(wrong_uses_test, "wrong uses: a payload that is too large is measured", "[errors]")
{
  const std::string with = " with 65508 bytes (at most 65507)";
  const dgram::error_code code = asio::error::message_size;
  udp::socket connected(io, udp::v4());
  connected.connect(peer);
  const std::vector<asio::const_buffer> pieces(65, asio::buffer("x", 1));
  check_each({
      {[&] { socket.send_to(asio::buffer(too_large), peer); },
       "send_to \"" + peer_text + "\"" + with, code},
      {[&] { socket.try_send_to(asio::buffer(too_large), peer); },
       "try_send_to \"" + peer_text + "\"" + with, code},
      {[&] { socket.send_to(asio::buffer(too_large), peer, dgram::send_options{.dscp = 8}); },
       "send_to \"" + peer_text + "\"" + with, code},
      {[&] { connected.send(asio::buffer(too_large)); }, "send" + with, code},
      {[&] { connected.try_send(asio::buffer(too_large)); }, "try_send" + with, code},
      {[&] { socket.send_to(pieces, peer); },
       "send_to \"" + peer_text + "\" with 65 buffers (at most 64)", code},
  });
}

TEST_CASE_METHOD(wrong_uses_test,
                 "wrong uses: a payload that a queue never holds is measured, in each form",
                 "[errors]")
{
  const std::string nine = "123456789";
  const std::string with = " with 9 bytes (at most 8)";
  const std::string trains = " with 3 datagrams (at most 2)";
  const dgram::error_code code = asio::error::message_size;
  const dgram::writer_config queue{.datagrams = 2, .bytes = 8};
  const dgram::send_options train{.segment_size = std::size_t{1}};
  dgram::writer writer{socket, queue};
  dgram::listener listener{bound, {.amplification = 0, .queue = queue}};
  std::optional<udp::session> session;
  listener.async_accept([&](dgram::error_code, auto accepted) { session = std::move(accepted); });
  socket.send_to(asio::buffer("hello", 5), peer);
  while (!session)
    io.run_one();
  const auto reference = listener.find(session->id());
  const auto await = [&](asio::awaitable<void> sending) {
    std::exception_ptr failure;
    asio::co_spawn(io, std::move(sending), [&](std::exception_ptr thrown) { failure = thrown; });
    io.restart();
    io.poll();
    if (failure) std::rethrow_exception(failure);
  };
  check_each({
      {[&] { writer.push(nine, peer); }, "push" + with, code},
      {[&] { writer.push("123", peer, train); }, "push" + trains, code},
      {[&] { (void)writer.reserve(9); }, "reserve" + with, code},
      {[&] { (void)writer.reserve(3, 3); }, "reserve" + trains, code},
      {[&] { await(writer.send(nine, peer)); }, "send" + with, code},
      {[&] { await(writer.send("123", peer, train)); }, "send" + trains, code},
      {[&] { await(session->send(nine)); }, "send" + with, code},
      {[&] { await(session->send("123", train)); }, "send" + trains, code},
      {[&] { await(reference.send(nine)); }, "send" + with, code},
      {[&] { await(reference.send("123", train)); }, "send" + trains, code},
  });
  listener.close();
}

TEST_CASE_METHOD(wrong_uses_test,
                 "wrong uses: a limit of 0 is refused, and the text names the object and the limit",
                 "[errors]")
{
  const auto text_of = [](const auto& make) {
    try {
      make();
    } catch (const std::invalid_argument& refused) {
      return std::string(refused.what());
    } catch (const dgram::system_error& refused) {
      CHECK(refused.code() == error::out_of_range);
      const std::string text = refused.what();
      return text.substr(0, text.rfind(": "));
    }
    return std::string("not refused");
  };
  CHECK(text_of([&] { dgram::reader(bound, {.slots = 0}); }) == "reader: slots must not be 0");
  CHECK(text_of([&] { dgram::reader(bound, {.yield_after = 0}); }) ==
        "reader: yield_after must not be 0");
  CHECK(text_of([&] { dgram::writer(bound, {.datagrams = 0}); }) ==
        "writer: datagrams must not be 0");
  CHECK(text_of([&] { dgram::writer(bound, {.bytes = 0}); }) == "writer: bytes must not be 0");
  CHECK(text_of([] { dgram::receive_batch(0); }) == "receive_batch: capacity must not be 0");
  CHECK(text_of([] { dgram::receive_batch(1, 0); }) == "receive_batch: slot size must not be 0");
  CHECK(text_of([] { dgram::send_batch(0); }) == "send_batch: capacity must not be 0");
  const auto listen = [&](const dgram::listener_config& config) {
    return text_of([&] { dgram::listener(bound, config); });
  };
  const std::string allowed = ": 0; it must be 1 or more)";
  CHECK(listen({.slots = 0}) == "listener (slots" + allowed);
  CHECK(listen({.yield_after = 0}) == "listener (yield_after" + allowed);
  CHECK(listen({.queue = {.datagrams = 0}}) == "listener (queue.datagrams" + allowed);
  CHECK(listen({.queue = {.bytes = 0}}) == "listener (queue.bytes" + allowed);
  const auto exchange = [&](dgram::exchanger_config config) {
    return text_of([&] { dgram::exchanger(bound, dgram::same_bytes{0, 2}, std::move(config)); });
  };
  CHECK(exchange({.slots = 0}) == "exchanger (slots" + allowed);
  CHECK(exchange({.yield_after = 0}) == "exchanger (yield_after" + allowed);
  CHECK(exchange({.queue = {.datagrams = 0}}) == "exchanger (queue.datagrams" + allowed);
  CHECK(exchange({.queue = {.bytes = 0}}) == "exchanger (queue.bytes" + allowed);
  const auto create = [&](dgram::socket_options options) {
    options.type = dgram::udp4;
    return text_of([&] { dgram::create_socket(io, std::move(options)); });
  };
  CHECK(create({.queue_datagrams = 0}) == "create_socket (queue_datagrams" + allowed);
  CHECK(create({.queue_bytes = 0}) == "create_socket (queue_bytes" + allowed);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE_METHOD(wrong_uses_test, "wrong uses: a Unix path is named, and how long it may be",
                 "[errors]")
{
  const std::string path(200, 'p');
  const std::string most =
      std::to_string(dgram::platform::max_path_size);  // of the system that this is built for
  dgram::unix_dgram::socket local(io, dgram::unix_dgram());
  check_each({
      {[&] { dgram::unix_dgram::socket(io, path.c_str()); },
       "bind \"" + path + "\" (allowed are at most " + most + " bytes)",
       asio::error::name_too_long},
      {[&] { local.connect(path); },
       "connect \"" + path + "\" (allowed are at most " + most + " bytes)",
       asio::error::name_too_long},
      {[&] { (void)dgram::parse_unix_endpoint(path); },
       "parse_unix_endpoint \"" + path + "\" (allowed are at most " + most + " bytes)",
       asio::error::name_too_long},
      {[&] { local.connect("/nosuch/peer"); }, "connect \"/nosuch/peer\"",
       dgram::socket_error::no_such_file},
  });
}

TEST_CASE_METHOD(wrong_uses_test, "wrong uses: a second bind of a Unix socket names the first",
                 "[errors]")
{
  const test::temporary_directory directory;
  const std::string first = directory / "first";
  const std::string second = directory / "second";
  dgram::unix_dgram::socket local(io, first.c_str());
  check_each({
      {[&] { local.bind(second); },
       "bind \"" + second + "\" (the socket is bound to " + first + ")",
       asio::error::invalid_argument},
  });
}

#endif

TEST_CASE_METHOD(wrong_uses_test, "wrong uses: a group that is none is named", "[errors]")
{
  check_each({
      {[&] { socket.join("10.0.0.1"); }, "join \"10.0.0.1\"", error::not_multicast},
      {[&] { socket.join("not an address"); }, "multicast_group \"not an address\"",
       error::bad_address},
      {[&] { socket.join("239.1.2.3", dgram::network_interface("nosuch0")); },
       "join \"239.1.2.3 on nosuch0\"", error::unknown_interface},
      {[&] { socket.join("ff02::1"); }, "join \"ff02::1\"",
       asio::error::address_family_not_supported},
  });
}

TEST_CASE_METHOD(wrong_uses_test,
                 "wrong uses: a call on a socket in the wrong state names its peer", "[errors]")
{
  udp::socket closed(io);
  const udp::endpoint v6(asio::ip::address_v6::loopback(), 9);
  const auto bytes = asio::buffer("x", 1);
  check_each({
      {[&] { closed.send_to(bytes, peer); }, "send_to \"" + peer_text + "\"",
       asio::error::bad_descriptor},
      {[&] { socket.send(bytes); }, "send", dgram::socket_error::destination_address_required},
      {[&] { socket.send_to(bytes, v6); }, "send_to \"[::1]:9\"",
       asio::error::address_family_not_supported},
      {[&] { udp::socket(io, peer); }, "bind \"" + peer_text + "\"", asio::error::address_in_use},
      {[&] { bound.bind("127.0.0.1:0"); },
       "bind \"127.0.0.1:0\" (the socket is bound to " + peer_text + ")",
       asio::error::invalid_argument},
      {[&] { closed.set_option(dgram::option::hop_limit(3)); }, "set_option \"hop_limit{3}\"",
       asio::error::bad_descriptor},
  });
}

}  // namespace wrong_uses_test
