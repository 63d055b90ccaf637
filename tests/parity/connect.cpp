// SPDX-License-Identifier: BSL-1.0
// Connecting to one peer, and what remains of it after disconnecting.

#include "trace.hpp"

namespace {

using namespace parity;

PARITY_SCENARIO(connect_without_address_v6)
{
  auto& a = open("a", {.type = dgram::udp6});
  a.connect(9, done(a, "connect", [&] { close(a); }));
  run();
}

PARITY_SCENARIO(connect_bad_port)
{
  auto& a = open("a");
  for (const int number : {-1, 0, 65536, 78960}) {
    const auto what = fmt::format("connect {}", number);
    attempt(a, what, [&] { a.connect(number, done(a, what)); });
  }
  a.bind(0, "127.0.0.1", [&] {
    attempt(a, "connect 0", [&] { a.connect(0); });
    a.connect(65535, done(a, "connect", [&] { close(a); }));
  });
  run();
}

PARITY_SCENARIO(connect_twice)
{
  auto& a = open("a");
  auto& b = open("b");
  ready({&a, &b}, [&] {
    a.connect(port_of(b), done(a, "connect", [&] {
                attempt(a, "connect while connected", [&] { a.connect(9, done(a, "third")); });
                attempt(a, "bad port while connected", [&] { a.connect(0); });
                attempt(a, "peer", [&] { return place(a.remote_address()); });
                close(a, b);
              }));
    attempt(a, "connect while connecting", [&] { a.connect(9, done(a, "second")); });
    attempt(a, "disconnect while connecting", [&] { a.disconnect(); });
  });
  run();
}

PARITY_SCENARIO(connect_to_the_other_family)
{
  auto& a = open("a");
  a.connect(9, "::1", done(a, "connect", [&] {
              a.connect(9, "127.0.0.1", done(a, "second connect", [&] { close(a); }));
            }));
  run();
}

PARITY_SCENARIO(connect_fails_without_callback)
{
  auto& a = open("a");
  a.on<error>([&] { a.connect(9, "127.0.0.1", done(a, "second connect", [&] { close(a); })); });
  a.connect(9, "::1");
  run();
}

PARITY_SCENARIO(connect_lookup_fails)
{
  auto& a = open("a", {.lookup = looks_up(only_addresses)});
  ready({&a}, [&] {
    a.connect(9, "peer.test", done(a, "connect", [&] {
                attempt(a, "disconnect", [&] { a.disconnect(); });
                a.once<error>([&] { close(a); });
                a.connect(9, "peer.test");
              }));
  });
  run();
}

PARITY_SCENARIO(connect_after_a_failed_bind)
{
  auto& a = open("a");
  a.bind(0, "1.1.1.1");
  a.connect(9, "127.0.0.1", done(a, "connect"));
  later(20, [&] {
    attempt(a, "connect again", [&] { a.connect(9, "127.0.0.1", done(a, "second connect")); });
    later(20, [&] { close(a); });
  });
  run();
}

PARITY_SCENARIO(connect_and_disconnect)
{
  auto& a = open("a");
  ready({&a}, [&] {
    attempt(a, "disconnect before", [&] { a.disconnect(); });
    attempt(a, "peer before", [&] { return place(a.remote_address()); });
    a.connect(9, done(a, "connect", [&] {
                attempt(a, "disconnect", [&] { a.disconnect(); });
                attempt(a, "disconnect again", [&] { a.disconnect(); });
                attempt(a, "peer", [&] { return place(a.remote_address()); });
                attempt(a, "send without port", [&] { a.send("text"); });
                a.connect(10, done(a, "second connect", [&] { close(a); }));
              }));
  });
  run();
}

PARITY_SCENARIO(connect_refused)
{
  auto& a = open("a");
  auto& gone = open("gone");
  a.on<error>([&] { close(a); });
  ready({&a, &gone}, [&] {
    gone.close(
        [&, port = port_of(gone)] { a.connect(port, [&] { a.send("hello?", done(a, "send")); }); });
  });
  run();
}

PARITY_SCENARIO(connect_hears_only_its_peer)
{
  auto& a = open("a");
  auto& peer = open("peer");
  auto& stranger = open("stranger");
  after(a, 1, [&] { close(a, peer, stranger); });
  ready({&a, &peer, &stranger}, [&] {
    a.connect(port_of(peer), [&] {
      stranger.send("from the stranger", port_of(a),
                    [&](auto...) { peer.send("from the peer", port_of(a)); });
    });
  });
  run();
}

PARITY_SCENARIO(connect_changes_the_address)
{
  auto& a = open("a");
  a.bind(0, [&] {
    a.connect(9, done(a, "connect", [&] {
                attempt(a, "address", [&] { return place(a.address()); });
                close(a);
              }));
  });
  run();
}

PARITY_SCENARIO(connect_then_close)
{
  auto& a = open("a");
  ready({&a}, [&] {
    a.connect(9, done(a, "connect"));
    close(a);
  });
  run();
}

PARITY_SCENARIO(connect_by_name)
{
  auto& a = open("a");
  a.connect(9, "localhost", done(a, "connect", [&] { close(a); }));
  run();
}

}  // namespace
