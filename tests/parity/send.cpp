// SPDX-License-Identifier: BSL-1.0
// The forms of send, its order, and its errors.

#include "trace.hpp"

namespace {

using namespace parity;
using namespace std::string_view_literals;

const std::string digits = "0123456789";

PARITY_SCENARIO(send_forms)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 8, [&] { close(a, b); });
  ready({&a, &b}, [&] {
    const auto data = bytes(digits);
    const int port = port_of(b);
    a.send(data, 2, 3, port, "127.0.0.1", done(a, "send"));
    a.send(data, 3, 3, port, "127.0.0.1");
    a.send(data, 4, 3, port, done(a, "send"));
    a.send(data, 5, 3, port);
    a.send(data, port, "127.0.0.1", done(a, "send"));
    a.send("a string", port, "127.0.0.1");
    a.send({"an", " ", "array"}, port, done(a, "send"));
    a.send(data, port);
  });
  run();
}

PARITY_SCENARIO(send_forms_connected)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 6, [&] { close(a, b); });
  ready({&a, &b}, [&] {
    a.connect(port_of(b), [&] {
      const auto data = bytes(digits);
      a.send(data, 2, 3, done(a, "send"));
      a.send(data, 3, 3);
      a.send(data, done(a, "send"));
      a.send("a string");
      a.send({"an", " ", "array"}, done(a, "send"));
      a.send(data);
    });
  });
  run();
}

PARITY_SCENARIO(sendto_forms)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 2, [&] { close(a, b); });
  ready({&a, &b}, [&] {
    a.sendto(bytes(digits), 1, 4, port_of(b), "127.0.0.1", done(a, "sendto"));
    a.sendto(bytes(digits), 5, 5, port_of(b), "127.0.0.1");
  });
  run();
}

PARITY_SCENARIO(send_strings)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 3, [&] { close(a, b); });
  ready({&a, &b}, [&] {
    a.send("latin1-\xc2\xa9", port_of(b), done(a, "send"));
    a.send("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", port_of(b), done(a, "send"));
    a.send("with\0zero"sv, port_of(b), done(a, "send"));
  });
  run();
}

PARITY_SCENARIO(send_arrays)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 4, [&] { close(a, b); });
  ready({&a, &b}, [&] {
    const int port = port_of(b);
    const std::string x(256, 'x');
    const std::string y(256, 'y');
    a.send({"foo", "bar", "baz"}, port, done(a, "send"));
    a.send({x, y}, port, done(a, "send"));
    a.send({"", "one", ""}, port, done(a, "send"));
    a.send({}, port, done(a, "send"));
  });
  run();
}

PARITY_SCENARIO(send_nothing)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 5, [&] { close(a, b); });
  ready({&a, &b}, [&] {
    const int port = port_of(b);
    a.send("first", port, done(a, "send"));
    a.send("", port, done(a, "send"));
    a.send(dgram::bytes_view{}, port, done(a, "send"));
    a.send(bytes("text"), 4, 0, port, done(a, "send"));
    a.send("last", port, done(a, "send"));
  });
  run();
}

PARITY_SCENARIO(send_without_address_v6)
{
  auto& a = open("a", {.type = dgram::udp6});
  auto& b = open("b", {.type = dgram::udp6});
  after(b, 1, [&] { close(a, b); });
  ready({&a, &b}, [&] { a.send("hello", port_of(b), done(a, "send")); }, "::1");
  run();
}

PARITY_SCENARIO(send_by_name)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 2, [&] { close(a, b); });
  const auto send = [&](const char* text, action next) {
    a.send(text, port_of(b), "localhost", done(a, text, std::move(next)));
  };
  ready({&a, &b}, [&] { send("hello", [&] { send("again", [] {}); }); });
  run();
}

PARITY_SCENARIO(send_bad_port)
{
  auto& a = open("a");
  for (const int number : {-1, 0, 65536}) {
    attempt(a, fmt::format("send {}", number),
            [&] { a.send("text", number, "127.0.0.1", done(a, "send")); });
  }
  attempt(a, "address", [&] { return port_of(a); });
  close(a);
  run();
}

PARITY_SCENARIO(send_out_of_bounds)
{
  auto& a = open("a");
  ready({&a}, [&] {
    const auto data = bytes("hello");
    for (const auto& range : {std::pair{6, 0}, {0, 6}, {3, 4}, {5, 1}}) {
      attempt(a, fmt::format("send {} {}", range.first, range.second),
              [&] { a.send(data, range.first, range.second, 9, done(a, "send")); });
    }
    attempt(a, "send 5 0", [&] { a.send(data, 5, 0, port_of(a)); });
    a.on<message>([&] { close(a); });
  });
  run();
}

PARITY_SCENARIO(send_too_long)
{
  auto& a = open("a");
  const std::string data(262144, '\0');
  ready({&a}, [&] {
    a.send(data, 12345, "127.0.0.1", done(a, "send", [&] {
             a.connect(12345, [&] { a.send(data, done(a, "connected send", [&] { close(a); })); });
           }));
  });
  run();
}

PARITY_SCENARIO(send_fails_without_callback)
{
  auto& a = open("a");
  const std::string data(70000, '\0');
  ready({&a}, [&] {
    a.send(data, 12345, "127.0.0.1");
    a.send("after it", port_of(a), done(a, "send"));
    a.on<message>([&] { later(20, [&] { close(a); }); });
  });
  run();
}

PARITY_SCENARIO(send_to_the_other_family)
{
  auto& a = open("a");
  ready({&a}, [&] { a.send("text", 9, "::1", done(a, "send", [&] { close(a); })); });
  run();
}

PARITY_SCENARIO(send_connected_with_address)
{
  auto& a = open("a");
  ready({&a}, [&] {
    a.connect(9, [&] {
      attempt(a, "send", [&] { a.send("text", 9, "127.0.0.1", done(a, "send")); });
      close(a);
    });
  });
  run();
}

PARITY_SCENARIO(send_while_connecting)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 1, [&] { close(a, b); });
  ready({&b}, [&] {
    a.connect(port_of(b), done(a, "connect", [&] { a.send("in the callback", done(a, "send")); }));
  });
  run();
}

PARITY_SCENARIO(send_lookup_fails)
{
  auto& a = open("a", {.lookup = looks_up(only_addresses)});
  ready({&a}, [&] {
    a.on<error>([&] { close(a); });
    a.send("text", 9, "peer.test", done(a, "send", [&] { a.send("text", 9, "peer.test"); }));
  });
  run();
}

PARITY_SCENARIO(send_behind_a_failing_bind)
{
  auto& a = open("a");
  a.bind(0, "1.1.1.1");
  a.send("one", 9, "127.0.0.1", done(a, "first"));
  a.send("two", 9, "127.0.0.1", done(a, "second"));
  later(20, [&] { close(a); });
  run();
}

PARITY_SCENARIO(send_order_before_bind)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 4, [&] { close(a, b); });
  ready({&b}, [&] {
    a.on<listening>([&] { say(a, "attached before"); });
    for (const auto* text : {"one", "two", "three", "four"})
      a.send(text, port_of(b), "127.0.0.1", done(a, text));
    a.on<listening>([&] { say(a, "attached after"); });
  });
  run();
}

PARITY_SCENARIO(send_from_callbacks)
{
  auto& a = open("a");
  auto& b = open("b");
  after(b, 5, [&] { close(a, b); });
  int left = 5;
  int depth = 0;
  std::function<void()> next = [&] {
    if (left-- == 0) return;
    ++depth;
    a.send(fmt::format("{} left", left), port_of(b), done(a, fmt::format("depth {}", depth), next));
    --depth;
  };
  ready({&a, &b}, next);
  run();
}

void show_queue(emitter& a, std::string_view when)
{
  say(a, fmt::format("{}: {} bytes, {} sends", when, a.get_send_queue_size(),
                     a.get_send_queue_count()));
}

PARITY_SCENARIO(send_queue)
{
  auto& a = open("a");
  a.bind(0, "127.0.0.1", [&] {
    a.connect(port_of(a), [&] {
      a.send("hello", done(a, "first"));
      a.send("world", done(a, "second", [&] {
               show_queue(a, "afterwards");
               close(a);
             }));
      show_queue(a, "after two sends");
    });
  });
  run();
}

PARITY_SCENARIO(send_queue_before_bind)
{
  auto& a = open("a");
  show_queue(a, "at first");
  a.send("hello", 9, done(a, "send", [&] {
           show_queue(a, "afterwards");
           close(a);
         }));
  show_queue(a, "after a send");
  run();
}

PARITY_SCENARIO(send_to_a_dead_port)
{
  auto& a = open("a");
  auto& gone = open("gone");
  int left = 5;
  std::function<void()> next = [&] {
    if (left-- == 0) return close(a);
    later(10, [&] { a.send("hello?", own_port(), done(a, "send", next)); });
  };
  ready({&a}, [&] { gone.bind(own_port(), "127.0.0.1", [&] { gone.close(next); }); });
  run();
}

PARITY_SCENARIO(send_echo)
{
  auto& server = open("server");
  auto& client = open("client");
  std::vector<std::string> texts{"three", "", "one"};
  const auto ask = [&] {
    const auto text = texts.back();
    texts.pop_back();
    client.send(text, port_of(server));
  };
  server.on<message>([&](dgram::bytes_view data, const dgram::remote_info& from) {
    server.send(data, from.port, from.address);
  });
  client.on<message>([&] { texts.empty() ? close(server, client) : ask(); });
  ready({&server, &client}, ask);
  run();
}

}  // namespace
