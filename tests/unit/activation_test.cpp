// SPDX-License-Identifier: BSL-1.0
// Sockets that a supervisor passes to the process, and sockets that it keeps.
#include <dgram/activation.hpp>

#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"
#include "support/thrown_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace activation_test {

using Catch::Matchers::ContainsSubstring;
using dgram::owned_descriptor;
using dgram::unix_dgram;

namespace {

/// The variables of a supervisor, which the destructor removes.
class environment {
public:
  environment() { clear(); }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;
  ~environment() { clear(); }

  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  /// As a supervisor sets them for this process.
  static void pass(const std::string& count, const char* names = nullptr)
  {
    set("LISTEN_PID", std::to_string(::getpid()));
    set("LISTEN_FDS", count);
    if (names != nullptr) set("LISTEN_FDNAMES", names);
  }

private:
  static void clear()
  {
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"})
      ::unsetenv(name);
  }
};

/// Runs `report` in a child process that has these descriptors from number 3 on, and returns what
/// it returned there.
std::string in_child(const std::vector<int>& descriptors,
                     const std::function<std::string()>& report)
{
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const ::pid_t child = ::fork();
  REQUIRE(child != -1);
  if (child == 0) {
    // Out of the way first, since the numbers overlap.
    const int out = ::fcntl(pipe[1], F_DUPFD, 100);
    std::vector<int> high;
    for (const int each : descriptors)
      high.push_back(::fcntl(each, F_DUPFD, 100));
    for (std::size_t i = 0; i < high.size(); ++i)
      ::dup2(high[i], static_cast<int>(i) + 3);
    ::close(3 + static_cast<int>(high.size()));
    std::string text;
    try {
      text = report();
    } catch (const std::exception& error) {
      text = error.what();
    }
    const bool written = ::write(out, text.data(), text.size()) != -1;
    ::_exit(written ? 0 : 1);
  }
  ::close(pipe[1]);
  std::string text;
  std::array<char, 1024> part{};
  for (::ssize_t size; (size = ::read(pipe[0], part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(size));
  ::close(pipe[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  return text;
}

std::string list(const std::vector<dgram::inherited_socket>& sockets)
{
  std::string text;
  for (const auto& each : sockets)
    text += each.name + "=" + std::to_string(each.descriptor) + " " + to_string(each.kind) + ";";
  return text;
}

}  // namespace

TEST_CASE("a process that no supervisor started inherits nothing", "[activation]")
{
  const environment none;
  CHECK(dgram::inherited_sockets().empty());
  // The variables of the parent's, which the child merely has too.
  environment::set("LISTEN_FDS", "1");
  CHECK(dgram::inherited_sockets().empty());
  environment::set("LISTEN_PID", std::to_string(::getppid()));
  environment::set("LISTEN_FDNAMES", "a:b:c");
  CHECK(dgram::inherited_sockets().empty());
  environment::pass("0", "");
  CHECK(dgram::inherited_sockets().empty());
}

TEST_CASE("inherited sockets are told with their names and kinds", "[activation]")
{
  const owned_descriptor udp(::socket(AF_INET, SOCK_DGRAM, 0));
  const owned_descriptor tcp(::socket(AF_INET, SOCK_STREAM, 0));
  const owned_descriptor local(::socket(AF_UNIX, SOCK_DGRAM, 0));
  const owned_descriptor file(::open("/dev/null", O_RDONLY));
  const std::vector<int> passed{udp.get(), tcp.get(), local.get(), file.get()};
  SECTION("names repeat")
  {
    const auto text = in_child(passed, [] {
      const environment variables;
      environment::pass("4", "dns:web:dns:");
      return list(dgram::inherited_sockets());
    });
    CHECK(text == "dns=3 UDP over IPv4;web=4 TCP over IPv4;dns=5 Unix datagrams;=6 no socket;");
  }
  SECTION("without names")
  {
    const auto text = in_child(passed, [] {
      const environment variables;
      environment::pass("2");
      return list(dgram::inherited_sockets());
    });
    CHECK(text == "unknown=3 UDP over IPv4;unknown=4 TCP over IPv4;");
  }
  SECTION("looking changes neither descriptors nor the environment")
  {
    const auto text = in_child(passed, [] {
      const environment variables;
      environment::pass("2", "a:b");
      ::fcntl(4, F_SETFD, 0);
      const int flags = ::fcntl(4, F_GETFL);
      const auto first = list(dgram::inherited_sockets());
      const bool same = first == list(dgram::inherited_sockets()) && ::fcntl(4, F_GETFD) == 0 &&
                        ::fcntl(4, F_GETFL) == flags && std::getenv("LISTEN_FDS") != nullptr;
      return std::string(same ? "same" : "changed");
    });
    CHECK(text == "same");
  }
  SECTION("the environment is cleared if the program asks for that")
  {
    const auto text = in_child(passed, [] {
      const environment variables;
      environment::pass("1", "a");
      auto first = list(dgram::inherited_sockets({.unset_environment = true}));
      for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
        if (std::getenv(name) != nullptr) first += name;
      return first + list(dgram::inherited_sockets());
    });
    CHECK(text == "a=3 UDP over IPv4;");
  }
  SECTION("one becomes a socket")
  {
    const auto text = in_child(passed, [] {
      const environment variables;
      environment::pass("1", "a");
      asio::io_context io;
      auto inherited = dgram::inherited_sockets();
      const auto socket = dgram::adopt<dgram::udp>(io, inherited.front().take());
      return dgram::to_string(socket.local_endpoint()) + (inherited.front().take() ? "twice" : "");
    });
    CHECK(text == "0.0.0.0:0");
  }
  SECTION("a number that is not open is an error")
  {
    const auto text = in_child({udp.get()}, [] {
      const environment variables;
      environment::pass("2");
      return list(dgram::inherited_sockets());
    });
    CHECK_THAT(text, ContainsSubstring("descriptor 4 is not open, and LISTEN_FDS=2"));
  }
}

TEST_CASE("variables that are no supervisor's are named in the error", "[activation]")
{
  const environment variables;
  const auto refused = [](const char* variable, const std::string& value) {
    environment::pass("1", nullptr);
    environment::set(variable, value);
    return test::thrown_text(dgram::error::out_of_range, [] { dgram::inherited_sockets(); });
  };
  for (const char* value : {"", "x", "-1", "1x", " 1", "+1", "99999999999999999999", "2147483647"})
    CHECK_THAT(refused("LISTEN_FDS", value),
               ContainsSubstring(std::string("LISTEN_FDS=") + value + ";"));
  for (const char* value : {"", "x", "-1", "99999999999999999999"})
    CHECK_THAT(refused("LISTEN_PID", value),
               ContainsSubstring(std::string("LISTEN_PID=") + value + ";"));
  CHECK_THAT(refused("LISTEN_FDNAMES", "a:b"),
             ContainsSubstring("LISTEN_FDNAMES=a:b has 2 names, and LISTEN_FDS=1"));
}

TEST_CASE("the service manager keeps a socket under its name", "[activation]")
{
  const environment variables;
  asio::io_context io;
  const test::temporary_directory directory;
  dgram::udp::socket udp{io, test::loopback_v4()};
  CHECK_FALSE(dgram::store_in_systemd("dns", udp));
  const std::string path = GENERATE(as<std::string>{}, "file", "abstract");
  const std::string address =
      path == "file" ? directory / "notify" : "@" + directory.path() + "/notify";
  unix_dgram::socket manager{io, address};
  environment::set("NOTIFY_SOCKET", address);
  REQUIRE(dgram::store_in_systemd("dns", udp));
  unix_dgram::receive_batch batch(1);
  batch.reserve_control(64);
  REQUIRE(manager.receive_batch(batch) == 1);
  CHECK(batch[0].payload().text() == "FDSTORE=1\nFDNAME=dns");
  auto stored = dgram::take_descriptors(batch[0]);
  REQUIRE(stored.size() == 1);
  const auto local = udp.local_endpoint();
  udp.close();
  const auto again = dgram::adopt<dgram::udp>(io, std::move(stored[0]));
  CHECK(again.local_endpoint() == local);
}

TEST_CASE("what cannot be stored is refused with the reason", "[activation]")
{
  const environment variables;
  asio::io_context io;
  dgram::udp::socket udp{io, test::loopback_v4()};
  for (const auto& name : {std::string(), std::string("a:b"), std::string("a\nb"),
                           std::string(256, 'x'), std::string("\xc3\xa4")})
    CHECK_THAT(
        test::thrown_text(dgram::error::out_of_range, [&] { dgram::store_in_systemd(name, udp); }),
        ContainsSubstring("name \"" + name + "\""));
  environment::set("NOTIFY_SOCKET", "vsock:2:1");
  CHECK_THAT(test::thrown_text(asio::error::address_family_not_supported,
                               [&] { dgram::store_in_systemd("a", udp); }),
             ContainsSubstring("NOTIFY_SOCKET=vsock:2:1"));
  dgram::error_code ec;
  environment::set("NOTIFY_SOCKET", "/" + std::string(1000, 'x'));
  CHECK_FALSE(dgram::store_in_systemd("a", udp, ec));
  CHECK(ec == asio::error::name_too_long);
  environment::set("NOTIFY_SOCKET", "/nonexistent/notify");
  CHECK_FALSE(dgram::store_in_systemd(std::string(255, 'x'), udp, ec));
  CHECK(ec == dgram::socket_error::no_such_file);
  ::rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const ::rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const bool stored = dgram::store_in_systemd("a", udp, ec);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK_FALSE(stored);
  CHECK(ec == asio::error::no_descriptors);
  udp.close();
  CHECK_FALSE(dgram::store_in_systemd("a", udp, ec));
  CHECK(ec == asio::error::bad_descriptor);
}

}  // namespace activation_test
