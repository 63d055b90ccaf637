// SPDX-License-Identifier: BSL-1.0
// What errors say: the call, the value, what is allowed, and nothing twice.
#include "emitter/helpers.hpp"

#include <string>
#include <vector>

namespace errors_test {

using test::thrown_text;

namespace {

/// What the system says of a code.
std::string meaning(const dgram::error_code& ec)
{
  return ": " + ec.message();
}

const std::string invalid = meaning(asio::error::invalid_argument);
const std::string out_of_range = meaning(dgram::error::out_of_range);
const std::string bad_port = meaning(dgram::error::bad_port);

}  // namespace

TEST_CASE("Texts: creation", "[emitter]")
{
  asio::io_context io;
  CHECK(thrown_text([&] { dgram::create_socket(io, dgram::socket_type{}); }) ==
        "create_socket (type 0): bad socket type, valid types are udp4, udp6 and udp_any");
  CHECK(thrown_text(
            [&] { dgram::create_socket(io, {.type = dgram::udp4, .recv_buffer_size = -1}); }) ==
        "create_socket (recv_buffer_size -1; allowed are 0 to 4294967295 bytes)" + out_of_range);
  CHECK(thrown_text([&] {
          dgram::create_socket(io, {.type = dgram::udp4, .send_buffer_size = 4294967296});
        }) == "create_socket (send_buffer_size 4294967296; allowed are 0 to 4294967295 bytes)" +
                  out_of_range);
}

TEST_CASE("Texts: ports", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown_text([&] { socket.bind(65536); }) ==
        "bind (port 65536; allowed are 0 to 65535)" + bad_port);
  CHECK(thrown_text([&] { socket.bind_sync(-1); }) ==
        "bind (port -1; allowed are 0 to 65535)" + bad_port);
  CHECK(thrown_text([&] { socket.connect(0); }) ==
        "connect (port 0; allowed are 1 to 65535)" + bad_port);
  CHECK(thrown_text([&] { socket.connect(); }) == "connect (no port)" + bad_port);
  CHECK(thrown_text([&] { socket.connect_sync(70000); }) ==
        "connect (port 70000; allowed are 1 to 65535)" + bad_port);
  CHECK(thrown_text([&] { socket.send("x", 0); }) ==
        "send (port 0; allowed are 1 to 65535)" + bad_port);
  CHECK(thrown_text([&] { socket.send("x"); }) == "send (no port)" + bad_port);
}

TEST_CASE("Texts: names where only an address will do", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown_text([&] { socket.bind_sync(0, "localhost"); }) ==
        "bind EINVAL (\"localhost\" is not an address)" + invalid);
  CHECK(thrown_text([&] { socket.connect_sync(9, "localhost"); }) ==
        "connect EINVAL (\"localhost\" is not an address)" + invalid);
}

TEST_CASE("Texts: offset, length and pieces", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown_text([&] { socket.send("hello", 6, 0, 9); }) ==
        "send (offset 6; the message has 5 bytes)" + out_of_range);
  CHECK(thrown_text([&] { socket.send("hello", -1, 0, 9); }) ==
        "send (offset -1; the message has 5 bytes)" + out_of_range);
  CHECK(thrown_text([&] { socket.send("hello", 2, 4, 9); }) ==
        "send (length 4 from offset 2; the message has 5 bytes)" + out_of_range);
  CHECK(thrown_text([&] { socket.send({"a", "b"}, 0, 1, 9); }) ==
        "send (offset and length of a list of pieces)" + out_of_range);
  const std::vector<std::string> many(65, "x");
  CHECK(thrown_text([&] { socket.send(many, 9); }) == "send (more than 64 pieces)" + out_of_range);
}

TEST_CASE("Texts: state", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown_text([&] { socket.address(); }) ==
        "getsockname EBADF" + meaning(asio::error::bad_descriptor));
  CHECK(thrown_text([&] { socket.disconnect(); }) ==
        "disconnect ENOTCONN" + meaning(asio::error::not_connected));
  socket.bind_sync();
  const std::string already =
      "bind (bound to " + to_string(socket.address()) + "): socket is already bound";
  CHECK(thrown_text([&] { socket.bind(); }) == already);
  CHECK(thrown_text([&] { socket.bind_sync(); }) == already);
  socket.connect_sync(9);
  CHECK(thrown_text([&] { socket.connect(9); }) ==
        "connect EISCONN" + meaning(asio::error::already_connected));
  CHECK(thrown_text([&] { socket.send("x", 9); }) ==
        "send EISCONN" + meaning(asio::error::already_connected));
  socket.close();
  CHECK(thrown_text([&] { socket.close(); }) == "close: socket is not running");
  CHECK(thrown_text([&] { socket.send("x"); }) == "send: socket is not running");
  CHECK(thrown_text([&] { socket.send("x", 9, "127.0.0.1"); }) == "send: socket is not running");
  CHECK(thrown_text([&] { socket.set_ttl(3); }) == "set_ttl: socket is not running");
}

TEST_CASE("Texts: options", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown_text([&] { socket.set_ttl(3); }) ==
        "set_ttl EBADF" + meaning(asio::error::bad_descriptor));
  socket.bind_sync();
  CHECK(thrown_text([&] { socket.set_ttl(256); }) ==
        "set_ttl EINVAL (256; allowed are 1 to 255)" + invalid);
  CHECK(thrown_text([&] { socket.set_ttl(0); }) ==
        "set_ttl EINVAL (0; allowed are 1 to 255)" + invalid);
  CHECK(thrown_text([&] { socket.set_multicast_ttl(-1); }) ==
        "set_multicast_ttl EINVAL (-1; allowed are 0 to 255)" + invalid);
  CHECK(thrown_text([&] { socket.set_recv_buffer_size(0); }) ==
        "set_recv_buffer_size (0; allowed are 1 to 2147483647 bytes)" + out_of_range);
  CHECK(thrown_text([&] { socket.set_send_buffer_size(-5); }) ==
        "set_send_buffer_size (-5; allowed are 1 to 2147483647 bytes)" + out_of_range);
  CHECK(thrown_text([&] { socket.set_send_buffer_size(2147483648); }) ==
        "set_send_buffer_size EINVAL (2147483648; allowed are 1 to 2147483647 bytes)" + invalid);
  CHECK(thrown_text([&] { socket.bind({.fd = 0}); }) ==
        "bind (bound to " + to_string(socket.address()) + "): socket is already bound");
}

TEST_CASE("Texts: groups, sources and interfaces", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync();
  CHECK(thrown_text([&] { socket.add_membership(""); }) ==
        "add_membership EINVAL (no group)" + invalid);
  CHECK(thrown_text([&] { socket.add_membership("zzz"); }) ==
        "add_membership EINVAL (group \"zzz\" is not an address)" + invalid);
  CHECK(thrown_text([&] { socket.drop_membership("10.0.0.1"); }) ==
        "drop_membership EINVAL (group \"10.0.0.1\" is not a multicast address)" + invalid);
  for (const auto* nowhere : {"zzz", "fe80::1%", "%lo", "fe80::1%zzz"}) {
    CAPTURE(nowhere);
    CHECK(thrown_text([&] { socket.drop_membership("239.255.77.1", nowhere); }) ==
          "drop_membership EINVAL (interface \"" + std::string(nowhere) +
              "\" is neither an address of the group's family nor a name)" + invalid);
  }
  CHECK(thrown_text([&] { socket.add_membership("239.255.77.1", "zzz"); }) ==
        "add_membership EINVAL (interface \"zzz\" is neither an address of the group's family nor "
        "a name)" +
            invalid);
  CHECK(thrown_text([&] { socket.add_membership("239.255.77.1", "9.9.9.9"); }) ==
        "add_membership ENODEV (group \"239.255.77.1\", interface \"9.9.9.9\")" +
            meaning(dgram::platform::no_such_device()));
  CHECK(thrown_text([&] { socket.drop_membership("239.255.77.1", "9.9.9.9"); }) ==
        "drop_membership EADDRNOTAVAIL (group \"239.255.77.1\", interface \"9.9.9.9\")" +
            meaning(dgram::platform::address_not_available()));
  CHECK(thrown_text([&] { socket.add_source_specific_membership("zzz", "232.1.1.1"); }) ==
        "add_source_specific_membership EINVAL (source \"zzz\" is not an address)" + invalid);
  CHECK(thrown_text([&] { socket.add_source_specific_membership("239.1.1.1", "232.1.1.1"); }) ==
        "add_source_specific_membership EINVAL (source \"239.1.1.1\" is not the address of one "
        "host)" +
            invalid);
  CHECK(thrown_text([&] { socket.add_membership("ff02::1:77"); }) ==
        "add_membership ENOPROTOOPT (group \"ff02::1:77\" on a udp4 socket)" +
            meaning(asio::error::no_protocol_option));
  CHECK(thrown_text([&] { socket.set_multicast_interface("undefined"); }) ==
        "set_multicast_interface EINVAL (\"undefined\" is not an address)" + invalid);
  CHECK(thrown_text([&] { socket.set_multicast_interface("224.0.0.2"); }) ==
        "set_multicast_interface EADDRNOTAVAIL (\"224.0.0.2\" is of no interface here)" +
            meaning(dgram::platform::address_not_available()));
  CHECK(thrown_text([&] { socket.set_multicast_interface("::1"); }) ==
        "set_multicast_interface ENOPROTOOPT (\"::1\" on a udp4 socket)" +
            meaning(asio::error::no_protocol_option));
  CHECK(thrown_text([&] { socket.add_source_specific_membership("::1", "232.1.1.1"); }) ==
        "add_source_specific_membership EINVAL (source \"::1\" is not of the family of group "
        "\"232.1.1.1\")" +
            invalid);
  CHECK(thrown_text([&] { socket.add_membership("239.1.1.1", "::1"); }) ==
        "add_membership EINVAL (interface \"::1\" is neither an address of the group's family nor "
        "a name)" +
            invalid);
}

TEST_CASE("Texts: what the system reports, as an event and thrown", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  const std::string where = "127.0.0.1:" + std::to_string(taken.port);
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::vector<std::string> texts;
  const auto listener = socket.on<test::event::error>(
      [&](const dgram::failure& what) { texts.push_back(what.text()); });
  socket.bind(taken.port, "127.0.0.1");
  test::run_ready(io);
  CHECK(texts == std::vector<std::string>{"bind EADDRINUSE " + where});
  socket.off(listener);
  socket.bind(taken.port, "127.0.0.1");
  io.restart();
  CHECK(thrown_text([&] { io.run_for(test::seconds(1)); }) ==
        "bind EADDRINUSE " + where + meaning(asio::error::address_in_use));
  CHECK(thrown_text([&] { socket.bind({.fd = 100000}); }) ==
        "open EBADF (descriptor 100000)" + meaning(asio::error::bad_descriptor));
}

TEST_CASE("Texts: errors of the library's own, as an event and thrown", "[emitter]")
{
  asio::io_context io;
  auto blocked = std::make_shared<dgram::block_list>();
  blocked->add_address("127.0.0.9");
  auto socket = dgram::create_socket(io, {.type = dgram::udp4, .send_block_list = blocked});
  std::vector<std::string> texts;
  socket.on<test::event::error>([&](const dgram::failure& what) { texts.push_back(what.text()); });
  socket.send("x", 9, "127.0.0.9");
  test::run_ready(io);
  CHECK(texts == std::vector<std::string>{"send 127.0.0.9:9: address is on a block list"});
  CHECK(thrown_text([&] { socket.connect_sync(9, "127.0.0.9"); }) ==
        "connect 127.0.0.9:9: address is on a block list");
}

TEST_CASE("Texts: no error", "[emitter]")
{
  CHECK(dgram::failure().text() == "success");
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::string text;
  socket.send("x", target.port, [&](const dgram::failure& what) { text = what.text(); });
  test::run_until(io, [&] { return !text.empty(); });
  CHECK(text == "success");
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("Texts: paths", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_unix_socket(io);
  CHECK(thrown_text([&] { socket.connect(); }) == "connect EINVAL (no path)" + invalid);
  CHECK(thrown_text([&] { socket.send("x"); }) == "send EINVAL (no path)" + invalid);
  const std::string path(200, 'p');
  CHECK(thrown_text([&] { socket.bind(path); }) ==
        "bind ENAMETOOLONG (\"" + path + "\"; allowed are at most " +
            std::to_string(dgram::platform::max_path_size) + " bytes)" +
            meaning(asio::error::name_too_long));
}
#endif

}  // namespace errors_test
