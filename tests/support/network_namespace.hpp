// SPDX-License-Identifier: BSL-1.0
// Hosts of the test's own: network namespaces, joined by switches, that vanish with the object.
#ifndef DGRAM_TESTS_SUPPORT_NETWORK_NAMESPACE_HPP
#define DGRAM_TESTS_SUPPORT_NETWORK_NAMESPACE_HPP

#if defined(__linux__)

#include "support/loopback.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace test {

/// A network namespace without a name: it lives as long as this object, or a socket made in it, and
/// everything in it goes with it, also when the test is killed.
class network_namespace {
public:
  network_namespace()
  {
    const int before = current();
    if (::unshare(CLONE_NEWNET) != 0) {
      ::close(before);
      SKIP("no network namespaces here: " << std::strerror(errno));
    }
    descriptor_ = current();
    enter(before);
    ::close(before);
  }

  network_namespace(network_namespace&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1))
  {
  }

  network_namespace& operator=(network_namespace&&) = delete;

  ~network_namespace()
  {
    if (descriptor_ != -1) ::close(descriptor_);
  }

  /// Calls the function with this thread inside; the sockets that it opens stay there, wherever
  /// they are used later.
  template <class Function>
  auto run(Function function) const
  {
    struct visit {
      explicit visit(int inside) : outside(current()) { enter(inside); }
      visit(const visit&) = delete;
      visit& operator=(const visit&) = delete;
      ~visit()
      {
        if (::setns(outside, CLONE_NEWNET) != 0) std::abort();
        ::close(outside);
      }
      int outside;
    };
    const visit here(descriptor_);
    return function();
  }

  /// Runs `ip` inside, one command per line; `try_ip` returns what it said where it refused one.
  std::optional<std::string> try_ip(std::string_view commands) const
  {
    return run([&]() -> std::optional<std::string> {
      char path[] = "/tmp/dgram_test_XXXXXX";
      const int file = ::mkstemp(path);
      REQUIRE(file != -1);
      const bool written = ::write(file, commands.data(), commands.size()) ==
                           static_cast<::ssize_t>(commands.size());
      ::close(file);
      std::string said;
      // A child is where its parent's thread is.
      std::FILE* child =
          written ? ::popen(("ip -batch " + std::string(path) + " 2>&1").c_str(), "r") : nullptr;
      for (int c = 0; child != nullptr && (c = std::fgetc(child)) != EOF;)
        said += static_cast<char>(c);
      const int status = child != nullptr ? ::pclose(child) : -1;
      ::unlink(path);
      if (status == 0) return std::nullopt;
      return said;
    });
  }

  void ip(std::string_view commands) const
  {
    if (const auto refused = try_ip(commands)) FAIL("ip: " << *refused);
  }

  /// Sets a value below /proc/sys/net, such as "ipv4/ip_forward"; false where that is not allowed.
  template <class Value>
  bool sysctl(const std::string& name, const Value& value) const
  {
    return run([&] {
      std::ofstream file("/proc/sys/net/" + name);
      file << value << std::flush;
      return file.good();
    });
  }

  /// Waits until every interface carries datagrams: the kernel looks after new links in the
  /// background. `with_ipv6`: and has an IPv6 address of its link that may be used.
  void await_links(bool with_ipv6) const
  {
    const auto deadline = std::chrono::steady_clock::now() + seconds(10);
    while (!run([&] { return links_are_ready(with_ipv6); })) {
      if (std::chrono::steady_clock::now() > deadline) FAIL("the test's network does not come up");
      std::this_thread::sleep_for(milliseconds(2));
    }
    // What the background work did is done once this has had its turn with the same lock.
    ip("link set lo up\n");
  }

  /// What other processes of this user know it by.
  std::string path() const
  {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(descriptor_);
  }

private:
  static bool links_are_ready(bool with_ipv6)
  {
    std::set<std::string> waiting, ready;
    ::ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return false;
    for (const auto* entry = first; entry != nullptr; entry = entry->ifa_next) {
      // Some kernels put tunnels into every namespace, which are down.
      if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
      waiting.insert(entry->ifa_name);
      if ((entry->ifa_flags & IFF_RUNNING) != 0 && !with_ipv6) ready.insert(entry->ifa_name);
    }
    ::freeifaddrs(first);
    // Address, index, prefix, scope (20: link), flags (40: tentative), name.
    std::ifstream addresses("/proc/thread-self/net/if_inet6");
    for (std::string address, index, prefix, scope, flags, name;
         with_ipv6 && addresses >> address >> index >> prefix >> scope >> flags >> name;)
      if (scope == "20" && (std::stoi(flags, nullptr, 16) & 0x40) == 0) ready.insert(name);
    return ready.size() >= waiting.size();
  }

  static int current()
  {
    const int descriptor = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (descriptor == -1) SKIP("no network namespaces here: " << std::strerror(errno));
    return descriptor;
  }

  static void enter(int descriptor)
  {
    if (::setns(descriptor, CLONE_NEWNET) != 0)
      SKIP("network namespaces cannot be entered here: " << std::strerror(errno));
  }

  int descriptor_ = -1;
};

/// Hosts on switches (`lans`): `network{{0}, {0, 1}, {1}}` has three hosts, of which the second is
/// on both switches. Host h, counted from 1, has on switch s the interface "lan<s>" with the
/// addresses 10.77.<s>.<h> and fd77:<s>::<h>, and is up; IPv4 groups are routed to its first
/// interface. Everything is skipped, with the reason, where it is not allowed.
///
/// \code
/// test::network net{{0}, {0}};
/// auto receiver = net.on(0, [&] { return dgram::udp::socket(io, net.endpoint_v4(0)); });
/// \endcode
class network {
public:
  network(std::initializer_list<std::vector<int>> hosts)
  {
    const auto no_ip = switches_.try_ip("link set lo up\n");
    if (no_ip) SKIP("ip(8) cannot be used here: " << *no_ip);
    const bool with_ipv6 = has_ipv6();
    // The switches have no addresses, and say nothing of their own.
    switches_.sysctl("ipv6/conf/default/disable_ipv6", 1);
    for (const std::vector<int>& lans : hosts)
      add(lans);
    for (const auto& host : hosts_)
      if (with_ipv6) host.await_links(true);
    for (const auto& host : hosts_)
      host.await_links(false);
    switches_.await_links(false);
  }

  std::size_t size() const noexcept { return hosts_.size(); }

  const network_namespace& host(std::size_t h) const { return hosts_.at(h); }

  /// Calls the function on that host, and returns what it returns.
  template <class Function>
  auto on(std::size_t h, Function function) const
  {
    return host(h).run(std::move(function));
  }

  static std::string lan(int s) { return "lan" + std::to_string(s); }

  static asio::ip::address address_v4(std::size_t h, int s = 0)
  {
    return asio::ip::make_address("10.77." + std::to_string(s) + "." + std::to_string(h + 1));
  }

  static asio::ip::address address_v6(std::size_t h, int s = 0)
  {
    return asio::ip::make_address("fd77:" + std::to_string(s) + "::" + std::to_string(h + 1));
  }

  static endpoint endpoint_v4(std::size_t h, std::uint16_t port = 0, int s = 0)
  {
    return {address_v4(h, s), port};
  }

  static endpoint endpoint_v6(std::size_t h, std::uint16_t port = 0, int s = 0)
  {
    return {address_v6(h, s), port};
  }

  /// Lets that host pass on, between its switches, what is not for itself.
  void make_router(std::size_t h) const
  {
    if (!host(h).sysctl("ipv4/ip_forward", 1) || !host(h).sysctl("ipv6/conf/all/forwarding", 1))
      SKIP("/proc/sys/net cannot be written here");
  }

private:
  void add(const std::vector<int>& lans)
  {
    const std::size_t h = hosts_.size();
    const auto& host = hosts_.emplace_back();
    // An address is usable at once if the kernel does not ask other hosts whether it is taken.
    host.sysctl("ipv6/conf/default/accept_dad", 0);
    std::string inside = "link set lo up\n";
    for (const int s : lans) {
      add_switch(s);
      const std::string port = "p" + std::to_string(h) + "_" + std::to_string(s);
      const auto name = lan(s);
      switches_.ip("link add " + port + " type veth peer name " + name + " netns " + host.path() +
                   "\nlink set " + port + " master br" + std::to_string(s) + "\nlink set " + port +
                   " up\n");
      inside += "link set " + name + " up\naddr add " + address_v4(h, s).to_string() + "/24 dev " +
                name + "\naddr add " + address_v6(h, s).to_string() + "/64 dev " + name +
                " nodad\n";
    }
    if (!lans.empty()) inside += "route add 224.0.0.0/4 dev " + lan(lans.front()) + "\n";
    host.ip(inside);
  }

  void add_switch(int s)
  {
    while (switch_count_ <= s) {
      const std::string name = "br" + std::to_string(switch_count_++);
      // Without snooping every group reaches every port, whether or not its members' reports were
      // seen yet.
      const auto refused = switches_.try_ip("link add " + name + " type bridge mcast_snooping 0\n" +
                                            "link set " + name + " up\n");
      if (refused) SKIP("no bridges between network namespaces here: " << *refused);
    }
  }

  network_namespace switches_;
  int switch_count_ = 0;
  std::vector<network_namespace> hosts_;
};

}  // namespace test

#endif
#endif
