// SPDX-License-Identifier: BSL-1.0
// Every system call of every operation fails, with every errno that its manual page names.
#include "faults/trial.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace system_calls_test {

namespace {

using faults::form;
using faults::operation;
using faults::supply;

/// The errnos of each call's manual page, and of udp(7), ip(7) and unix(7).
const std::map<std::string_view, std::vector<int>>& errnos()
{
  static const std::vector<int> receive{EAGAIN, EBADF,  ECONNREFUSED, EFAULT,       EINTR,
                                        EINVAL, ENOMEM, ENOTCONN,     EHOSTUNREACH, ENETDOWN};
  static const std::vector<int> send{
      EACCES, EAGAIN, EBADF,    ECONNREFUSED, ECONNRESET, EDESTADDRREQ, EFAULT,      EHOSTUNREACH,
      EINTR,  EINVAL, EIO,      EISCONN,      EMSGSIZE,   ENETDOWN,     ENETUNREACH, ENOBUFS,
      ENOENT, ENOMEM, ENOTCONN, EOPNOTSUPP,   EPERM,      EPIPE};
  static const std::map<std::string_view, std::vector<int>> all{
      {"recvmsg", receive},
      {"recvmmsg", receive},
      {"sendmsg", send},
      {"sendmmsg", send},
      // Without EAFNOSUPPORT: some systems report it for an association that they have ended.
      {"connect",
       {EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EALREADY, EBADF, ECONNREFUSED, EFAULT, EINTR,
        EISCONN, ENETUNREACH, ENOENT, EPERM, EPROTOTYPE}},
      {"getpeername", {EBADF, EFAULT, EINVAL, ENOBUFS, ENOTCONN}},
      {"getsockopt", {EBADF, EFAULT, EINVAL, ENOPROTOOPT}},
      {"setsockopt",
       {EADDRINUSE, EADDRNOTAVAIL, EBADF, EFAULT, EINVAL, ENOBUFS, ENODEV, ENOMEM, ENOPROTOOPT,
        EOPNOTSUPP, EPERM}},
      {"if_nametoindex", {ENODEV, ENOBUFS}},
      {"if_indextoname", {ENXIO}},
      {"getifaddrs", {ENOBUFS, ENOMEM, EMFILE}},
      {"socket", {EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM}},
      {"bind",
       {EACCES, EADDRINUSE, EADDRNOTAVAIL, EBADF, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM,
        ENOTDIR, EROFS}},
      {"listen", {EADDRINUSE, EBADF, EOPNOTSUPP}},
      {"accept4",
       {EAGAIN, EBADF, ECONNABORTED, EFAULT, EINTR, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM,
        EPERM}},
      {"poll", {EFAULT, EINTR, EINVAL, ENOMEM}},
      {"lstat", {EACCES, EFAULT, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR}},
      {"unlink", {EACCES, EBUSY, EIO, EISDIR, ENOENT, ENOMEM, EPERM, EROFS}},
      {"fchmod", {EACCES, EBADF, EIO, EPERM, EROFS}},
      {"fchmodat", {EACCES, EINVAL, EIO, ELOOP, ENOENT, ENOMEM, ENOTDIR, EOPNOTSUPP, EPERM, EROFS}},
      {"getcwd", {EACCES, EINVAL, ENOENT, ENOMEM, ERANGE}},
  };
  return all;
}

/// How long the call goes on to fail.
enum class lasts { once, some_time };

/// The calls of an operation, counted from its start.
class failing_call {
public:
  /// A call that sleeps between its attempts returns only if the trouble ends, so that does not
  /// last. A call may be repeated at once if it was interrupted, or if it told of an error that the
  /// kernel reports once.
  failing_call(const operation& which, std::size_t k, int error, lasts how) : k_(k), error_(error)
  {
    const bool is_told_once =
        error == ECONNREFUSED || error == EHOSTUNREACH || error == ECONNABORTED;
    const bool is_short = may_block(which) || error == EINTR || is_told_once;
    if (how == lasts::some_time) most_failures_ = is_short ? 5 : 10000;
  }

  faults::trouble as_trouble()
  {
    return {[this] { test::trouble = [this](std::string_view call) { return outcome(call); }; },
            [] { test::trouble = nullptr; }};
  }

  std::size_t calls() const noexcept { return calls_; }
  std::size_t failures() const noexcept { return failures_; }
  std::string_view failed() const noexcept { return failed_; }

private:
  static bool may_block(const operation& which)
  {
    return which.how == form::synchronous && which.on != faults::place::bound &&
           which.on != faults::place::emitter;
  }

  int outcome(std::string_view call)
  {
    ++calls_;
    if (calls_ < k_ || errnos().count(call) == 0) return 0;
    if (calls_ == k_) failed_ = call;
    if (call != failed_ || failures_ == most_failures_) return 0;
    ++failures_;
    return error_;
  }

  std::size_t k_;
  int error_;
  std::size_t most_failures_ = 1;
  std::size_t calls_ = 0;
  std::size_t failures_ = 0;
  std::string_view failed_;
};

/// The names of the calls that the operation makes, in order.
std::vector<std::string_view> calls_of(const operation& which, supply when)
{
  std::vector<std::string_view> calls;
  faults::attempt(which, when,
                  {[&] {
                     test::trouble = [&](std::string_view call) {
                       calls.push_back(call);
                       return 0;
                     };
                   },
                   [] { test::trouble = nullptr; }});
  return calls;
}

/// The k-th call fails with each of its errnos. Returns false if there is no k-th call.
bool fail_each_way(const operation& which, supply when, lasts how, std::size_t k)
{
  std::string_view call;
  std::vector<int> left{0};
  bool is_first = true;
  while (!left.empty()) {
    const int error = left.back();
    left.pop_back();
    failing_call failing(which, k, error, how);
    INFO(which.name << (when == supply::before ? ", supplied before" : ", supplied after")
                    << ", call " << k << " (" << call << ") fails "
                    << (how == lasts::once ? "once" : "for some time") << " with "
                    << std::strerror(error));
    faults::attempt(which, when, failing.as_trouble());
    if (error != 0 && failing.failures() > 0) ++faults::injected.system_calls;
    // Each call costs something, and a call that fails may be repeated, but not without end.
    CHECK(failing.calls() < 100);
    if (!is_first) continue;
    is_first = false;
    // The first try fails with errno 0, which is not a failure: it only finds out what is called.
    if (failing.calls() < k) return false;
    call = failing.failed();
    if (const auto found = errnos().find(call); found != errnos().end()) left = found->second;
  }
  return true;
}

}  // namespace

TEST_CASE(
    "each system call of each operation may fail with each errno: it completes once, and the "
    "object works afterwards",
    "[faults][F3]")
{
  const test::scripted guard;
  const auto how = GENERATE(lasts::once, lasts::some_time);
  for (const operation& which : faults::all_operations())
    for (const supply when : {supply::before, supply::after}) {
      if (!faults::has_time(which, when)) continue;
      for (std::size_t k = 1; fail_each_way(which, when, how, k); ++k)
        REQUIRE(k < 100);
    }
}

TEST_CASE("what is tried reaches every system call of the seam", "[faults]")
{
  const test::scripted guard;
  std::map<std::string_view, int> reached;
  for (const operation& which : faults::all_operations())
    for (const supply when : {supply::before, supply::after}) {
      if (!faults::has_time(which, when)) continue;
      for (const auto call : calls_of(which, when))
        ++reached[call];
    }
  // Only `capabilities` makes this one, on a socket of its own.
  dgram::capabilities(dgram::unix_dgram());
  reached["bind"] = static_cast<int>(test::script.bind.calls());
  for (const auto& [call, failures] : errnos()) {
    // A backend sends in one of two ways. Reports are always received one by one.
    if (call == (test::batched_calls ? "sendmsg" : "sendmmsg")) continue;
    if (call == "recvmmsg" && !test::batched_calls) continue;
    // Only Linux hands sockets over.
    if (!dgram::platform::has_local_links && (call == "listen" || call == "accept4")) continue;
    CAPTURE(call);
    CHECK(reached[call] > 0);
  }
}

}  // namespace system_calls_test
