// SPDX-License-Identifier: BSL-1.0
// Groups, sources, the interface and the reach of what is sent to a group.

#include "trace.hpp"

namespace {

using namespace parity;

PARITY_SCENARIO(multicast_bad_groups)
{
  auto& a = open("a");
  ready({&a}, [&] {
    for (const auto* group : {"256.256.256.256", "zzz", "0.0.0.0", "10.0.0.1"}) {
      attempt(a, fmt::format("join {}", group), [&] { a.add_membership(group); });
      attempt(a, fmt::format("leave {}", group), [&] { a.drop_membership(group); });
    }
    attempt(a, "join nothing", [&] { a.add_membership(""); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(multicast_bad_interfaces)
{
  auto& a = open("a");
  ready({&a}, [&] {
    attempt(a, "join on zzz", [&] { a.add_membership("239.255.77.1", "zzz"); });
    attempt(a, "join on 9.9.9.9", [&] { a.add_membership("239.255.77.1", "9.9.9.9"); });
    for (const auto* name : {"0.0.0.0", "127.0.0.1", "224.0.0.2", "9.9.9.9", "undefined", ""})
      attempt(a, fmt::format("send on {}", name), [&] { a.set_multicast_interface(name); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(multicast_join_twice)
{
  auto& a = open("a");
  ready({&a}, [&] {
    attempt(a, "join", [&] { a.add_membership("239.255.77.1", "127.0.0.1"); });
    attempt(a, "join again", [&] { a.add_membership("239.255.77.1", "127.0.0.1"); });
    attempt(a, "leave", [&] { a.drop_membership("239.255.77.1", "127.0.0.1"); });
    attempt(a, "leave again", [&] { a.drop_membership("239.255.77.1", "127.0.0.1"); });
    attempt(a, "join once more", [&] { a.add_membership("239.255.77.1", "127.0.0.1"); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(multicast_other_family)
{
  auto& a = open("a");
  ready({&a}, [&] {
    attempt(a, "join", [&] { a.add_membership("ff02::1:77"); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(multicast_delivery)
{
  auto& a = open("a", {.reuse_addr = true});
  auto& b = open("b", {.reuse_addr = true});
  auto& sender = open("sender", {.reuse_addr = true});
  int left = 2;
  for (auto* socket : {&a, &b}) {
    after(*socket, 2, [&] {
      if (--left == 0) close(a, b, sender);
    });
  }
  a.bind(own_port(), [&] {
    b.bind(port_of(a), [&] {
      sender.bind(0, "127.0.0.1", [&] {
        for (auto* socket : {&a, &b})
          socket->add_membership("239.255.77.2", "127.0.0.1");
        sender.set_multicast_interface("127.0.0.1");
        for (const auto* text : {"one", "two"})
          sender.send(text, port_of(a), "239.255.77.2", done(sender, "send"));
      });
    });
  });
  run();
}

PARITY_SCENARIO(multicast_after_leaving)
{
  auto& a = open("a");
  auto& sender = open("sender");
  const auto* group = "239.255.77.4";
  a.bind(0, [&] {
    sender.bind(0, "127.0.0.1", [&] {
      a.add_membership(group, "127.0.0.1");
      sender.set_multicast_interface("127.0.0.1");
      after(a, 1, [&] {
        a.drop_membership(group, "127.0.0.1");
        sender.send("not heard", port_of(a), group,
                    [&] { sender.send("straight", port_of(a), "127.0.0.1"); });
      });
      after(a, 2, [&] { close(a, sender); });
      sender.send("heard", port_of(a), group);
    });
  });
  run();
}

PARITY_SCENARIO(multicast_sources)
{
  auto& a = open("a");
  auto& sender = open("sender");
  auto& other = open("other");
  const auto* group = "232.1.77.1";
  after(a, 1, [&] { close(a, sender, other); });
  a.bind(0, [&] {
    sender.bind(0, "127.0.0.1", [&] {
      other.bind(0, "127.0.0.2", [&] {
        const auto join = [&] {
          a.add_source_specific_membership("127.0.0.1", group, "127.0.0.1");
        };
        attempt(a, "join", join);
        attempt(a, "join again", join);
        for (auto* socket : {&sender, &other})
          socket->set_multicast_interface("127.0.0.1");
        other.send("not heard", port_of(a), group,
                   [&] { sender.send("heard", port_of(a), group); });
      });
    });
  });
  run();
}

PARITY_SCENARIO(multicast_bad_sources)
{
  auto& a = open("a");
  ready({&a}, [&] {
    for (const auto* group : {"0", "10.0.0.1", "zzz"}) {
      attempt(a, fmt::format("join {}", group),
              [&] { a.add_source_specific_membership("127.0.0.1", group); });
      attempt(a, fmt::format("leave {}", group),
              [&] { a.drop_source_specific_membership("127.0.0.1", group); });
    }
    attempt(a, "join a source zzz", [&] { a.add_source_specific_membership("zzz", "232.1.77.1"); });
    attempt(a, "leave",
            [&] { a.drop_source_specific_membership("127.0.0.1", "232.1.77.1", "127.0.0.1"); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(multicast_ttl)
{
  auto& a = open("a");
  ready({&a}, [&] {
    for (const int ttl : {0, 1, 255, 256, 1000, -1})
      attempt(a, fmt::format("multicast TTL {}", ttl), [&] { a.set_multicast_ttl(ttl); });
    close(a);
  });
  run();
}

PARITY_SCENARIO(multicast_interface_v6)
{
  auto& a = open("a", {.type = dgram::udp6});
  ready(
      {&a},
      [&] {
        for (const auto* name : {"::", "::%lo", "::%1", "zzz", ""})
          attempt(a, fmt::format("send on {}", name), [&] { a.set_multicast_interface(name); });
        attempt(a, "join", [&] { a.add_membership("ff01::77:1", "::1%lo"); });
        attempt(a, "join again", [&] { a.add_membership("ff01::77:1", "::1%lo"); });
        close(a);
      },
      "::1");
  run();
}

// Each call with addresses of each family.
PARITY_SCENARIO(multicast_families_v6)
{
  auto& four = open("four");
  auto& six = open("six", {.type = dgram::udp6});
  const auto calls = [&](auto& socket) {
    for (const auto* group : {"239.255.77.9", "ff02::77:9"}) {
      for (const auto* on : {"0.0.0.0", "127.0.0.1", "9.9.9.9", "::", "::%lo", "::1%lo"}) {
        attempt(socket, fmt::format("join {} on {}", group, on),
                [&] { socket.add_membership(group, on); });
        attempt(socket, fmt::format("leave {} on {}", group, on),
                [&] { socket.drop_membership(group, on); });
      }
    }
    for (const auto* source : {"127.0.0.1", "::1"}) {
      for (const auto* group : {"232.1.77.9", "ff32::77:9"}) {
        for (const auto* on : {"127.0.0.1", "::%lo"}) {
          const auto what = fmt::format("{} from {} on {}", group, source, on);
          attempt(socket, "join " + what,
                  [&] { socket.add_source_specific_membership(source, group, on); });
          attempt(socket, "leave " + what,
                  [&] { socket.drop_source_specific_membership(source, group, on); });
        }
      }
    }
    for (const auto* on : {"0.0.0.0", "127.0.0.1", "9.9.9.9", "::", "::%lo", "::1", "::1%lo"})
      attempt(socket, fmt::format("send on {}", on), [&] { socket.set_multicast_interface(on); });
    close(socket);
  };
  four.bind(0, [&] {
    six.bind(0, [&] {
      calls(four);
      calls(six);
    });
  });
  run();
}

}  // namespace
