// SPDX-License-Identifier: BSL-1.0
// The system-call seam for tests: a call plays its script, and is the kernel's own without one.
#ifndef DGRAM_TESTS_SUPPORT_SCRIPTED_SYSTEM_HPP
#define DGRAM_TESTS_SUPPORT_SCRIPTED_SYSTEM_HPP

// The library includes this in place of its own seam, so it may name nothing of the library's but
// its configuration.
#include "support/asio.hpp"

#include <dgram/config.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#if defined(__linux__)
#include <netinet/udp.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace test {

/// What one call does.
struct outcome {
  enum class kind : unsigned char { pass, fail, take, claim };

  kind what = kind::pass;
  int value = 0;
};

/// The kernel's own answer.
inline outcome pass()
{
  return {};
}

/// Fails with this errno; the kernel is not asked.
inline outcome fail(int error)
{
  return {outcome::kind::fail, error};
}

/// The kernel's own answer to a request for at most `count` messages.
inline outcome take(std::size_t count)
{
  return {outcome::kind::take, static_cast<int>(count)};
}

/// Returns `result`, of a batch as many as it asked for at most; the kernel is not asked.
inline outcome claim(std::size_t result)
{
  return {outcome::kind::claim, static_cast<int>(result)};
}

/// Asked at each call, by its name, before the call plays its script: the errno with which the call
/// fails, or 0. For tests that let any call fail, whichever it is.
inline std::function<int(std::string_view call)> trouble;

/// The script of one system call, and how often the call was made.
class call_script {
public:
  explicit call_script(std::string_view name = {}) : name_(name) {}

  /// Queues an outcome for the next calls that have none yet.
  void push(outcome next, std::size_t times = 1) { queue_.insert(queue_.end(), times, next); }

  /// What every call does once the queue is used up; the kernel's own answer unless said otherwise.
  void always(outcome next) { default_ = next; }

  std::size_t calls() const noexcept { return calls_; }
  std::size_t left() const noexcept { return queue_.size(); }

  /// The largest number of messages that a call asked for.
  unsigned most_asked() const noexcept { return most_asked_; }

  /// `real(count)` asks the kernel for `count` messages.
  template <class Result, class Real>
  Result play(Result failure, unsigned count, Real real)
  {
    ++calls_;
    most_asked_ = std::max(most_asked_, count);
    if (const int error = trouble ? trouble(name_) : 0; error != 0) {
      errno = error;
      return failure;
    }
    const outcome now = queue_.empty() ? default_ : queue_.front();
    if (!queue_.empty()) queue_.pop_front();
    if (now.what == outcome::kind::fail) {
      errno = now.value;
      return failure;
    }
    if constexpr (std::is_integral_v<Result>)
      if (now.what == outcome::kind::claim) return static_cast<Result>(now.value);
    if (now.what == outcome::kind::take) count = std::min(count, static_cast<unsigned>(now.value));
    return real(count);
  }

private:
  std::string_view name_;
  std::deque<outcome> queue_;
  outcome default_;
  std::size_t calls_ = 0;
  unsigned most_asked_ = 0;
};

/// Whether the backend of this build moves many datagrams with one call.
#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
inline constexpr bool batched_calls = true;
#else
inline constexpr bool batched_calls = false;
#endif

/// A message as a send offered it to the kernel.
struct offered_message {
  dgram::net::ip::udp::endpoint peer;  // as the kernel sees it; of a connected socket empty
  std::size_t size = 0;
  std::size_t segment = 0;  // what the kernel was to cut it into; 0: nothing was said
  int traffic_class = -1;   // -1: nothing was said

  bool is_run() const noexcept { return segment != 0; }
};

inline offered_message describe(const ::msghdr& header)
{
  offered_message result;
  if (header.msg_name != nullptr && header.msg_namelen <= result.peer.capacity()) {
    std::memcpy(result.peer.data(), header.msg_name, header.msg_namelen);
    result.peer.resize(header.msg_namelen);
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(header.msg_iovlen); ++i)
    result.size += header.msg_iov[i].iov_len;
  for (auto* item = CMSG_FIRSTHDR(&header); item != nullptr;
       item = CMSG_NXTHDR(const_cast<::msghdr*>(&header), item)) {
    if ((item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_TOS) ||
        (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_TCLASS))
      std::memcpy(&result.traffic_class, CMSG_DATA(item), sizeof result.traffic_class);
#if defined(__linux__)
    if (item->cmsg_level != IPPROTO_UDP || item->cmsg_type != UDP_SEGMENT) continue;
    std::uint16_t value = 0;
    std::memcpy(&value, CMSG_DATA(item), sizeof value);
    result.segment = value;
#endif
  }
  return result;
}

/// The scripts of all calls. A step is what the kernel does to a batch, whichever calls the backend
/// makes for it: with sendmmsg a step's count is one of messages, elsewhere one of datagrams.
struct system_script {
  call_script recvmsg{"recvmsg"}, sendmsg{"sendmsg"};
  call_script recvmmsg{"recvmmsg"}, sendmmsg{"sendmmsg"};
  call_script connect{"connect"}, getpeername{"getpeername"};
  call_script getsockname{"getsockname"};
  call_script getsockopt{"getsockopt"}, setsockopt{"setsockopt"};
  call_script if_nametoindex{"if_nametoindex"}, if_indextoname{"if_indextoname"};
  call_script getifaddrs{"getifaddrs"}, freeifaddrs{"freeifaddrs"};
  call_script socket{"socket"}, bind{"bind"}, poll{"poll"};
  call_script listen{"listen"}, accept4{"accept4"}, duplicate{"duplicate"};
  call_script lstat{"lstat"}, unlink{"unlink"}, getcwd{"getcwd"};
  call_script fchmod{"fchmod"}, fchmodat{"fchmodat"};

  /// What the kernel thinks of a message that it is asked to send, when it has taken so many
  /// before: an errno, or 0. A call ends in front of a message that is refused, and tells the error
  /// where that is its first, as the kernel does.
  std::function<int(const offered_message&, std::size_t before)> verdict;

  /// What the kernel thinks of an option that it is asked to set: an errno, or 0.
  std::function<int(int level, int name)> option_verdict;

  /// The messages of all sends, in order, and those of them that the kernel took.
  std::vector<offered_message> offered, taken;
  bool keeps_messages = true;  ///< which takes memory, inside calls that cannot stand a lack of it

  /// Transfers that could have blocked; the library may make none.
  std::size_t blocking_calls = 0;

  /// The calls that move nothing: what the library asked the kernel, or told it.
  std::size_t other_calls() const
  {
    return connect.calls() + getpeername.calls() + getsockname.calls() + getsockopt.calls() +
           setsockopt.calls() + if_nametoindex.calls() + if_indextoname.calls() +
           getifaddrs.calls() + socket.calls() + bind.calls();
  }

  call_script& receive(bool batched = batched_calls) { return batched ? recvmmsg : recvmsg; }
  call_script& send(bool batched = batched_calls) { return batched ? sendmmsg : sendmsg; }

  /// The kernel gives `count` datagrams and then this errno.
  void receive_step(std::size_t count, int error, bool batched = batched_calls)
  {
    push_moved(receive(batched), count, batched);
    // recvmmsg says nothing of an empty queue once it has datagrams, and keeps another error for
    // the next call.
    const bool told = !batched || count == 0 || error != EAGAIN;
    if (error != 0 && told) receive(batched).push(fail(error));
  }

  /// The kernel takes `count` datagrams and then fails with this errno; 0: it just takes no more in
  /// that call.
  void send_step(std::size_t count, int error = 0, bool batched = batched_calls)
  {
    push_moved(send(batched), count, batched);
    if (error != 0) send(batched).push(fail(error));
    // The portable backend does not tell of a full queue after datagrams: the caller finds out by
    // asking again.
    if (!batched && error == EAGAIN && count > 0) send(batched).push(fail(error));
  }

private:
  static void push_moved(call_script& calls, std::size_t count, bool batched)
  {
    if (count > 0) calls.push(batched ? take(count) : pass(), batched ? 1 : count);
  }
};

inline system_script script;

/// The fixture of every scripted test: starts with an empty script and checks at the end that all
/// was played.
class scripted {
public:
  scripted() { script = system_script(); }
  scripted(const scripted&) = delete;
  scripted& operator=(const scripted&) = delete;

  ~scripted()
  {
    if (std::uncaught_exceptions() > 0) return;
    CHECK(script.recvmsg.left() == 0);
    CHECK(script.sendmsg.left() == 0);
    CHECK(script.recvmmsg.left() == 0);
    CHECK(script.sendmmsg.left() == 0);
    CHECK(script.connect.left() == 0);
    CHECK(script.getpeername.left() == 0);
    CHECK(script.getsockname.left() == 0);
    CHECK(script.getsockopt.left() == 0);
    CHECK(script.setsockopt.left() == 0);
    CHECK(script.if_nametoindex.left() == 0);
    CHECK(script.if_indextoname.left() == 0);
    CHECK(script.getifaddrs.left() == 0);
    CHECK(script.freeifaddrs.left() == 0);
    CHECK(script.socket.left() == 0);
    CHECK(script.bind.left() == 0);
    CHECK(script.poll.left() == 0);
    CHECK(script.listen.left() == 0);
    CHECK(script.accept4.left() == 0);
    CHECK(script.duplicate.left() == 0);
    CHECK(script.lstat.left() == 0);
    CHECK(script.unlink.left() == 0);
    CHECK(script.fchmod.left() == 0);
    CHECK(script.fchmodat.left() == 0);
    CHECK(script.getcwd.left() == 0);
    CHECK(script.blocking_calls == 0);
  }
};

/// The other end: a socket of Asio's own, which no script reaches.
class plain_peer {
public:
  using native_endpoint = dgram::net::ip::udp::endpoint;

  explicit plain_peer(dgram::net::io_context& io, const dgram::net::ip::address& address =
                                                      dgram::net::ip::address_v4::loopback())
      : socket_(io, native_endpoint(address, 0))
  {
  }

  native_endpoint endpoint() const { return socket_.local_endpoint(); }

  void send(const std::string& text, const native_endpoint& to)
  {
    socket_.send_to(dgram::net::buffer(text), to);
  }

  /// The datagrams "0", "1", ...
  void send_numbers(std::size_t count, const native_endpoint& to)
  {
    for (std::size_t i = 0; i < count; ++i)
      send(std::to_string(i), to);
  }

  /// One message that the kernel cuts into datagrams, where it can; elsewhere the datagrams.
  void send_run(const std::string& whole, std::size_t segment, const native_endpoint& to)
  {
#if defined(__linux__)
    const auto cut_into = [&](int size) {
      return ::setsockopt(socket_.native_handle(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) ==
             0;
    };
    if (cut_into(static_cast<int>(segment))) {
      send(whole, to);
      cut_into(0);
      return;
    }
#endif
    for (std::size_t at = 0; at < whole.size(); at += segment)
      send(whole.substr(at, segment), to);
  }

  /// Waits for `expected` datagrams and returns them with everything that came besides.
  std::vector<std::string> received(std::size_t expected)
  {
    std::vector<std::string> texts;
    while (texts.size() < expected) {
      texts.push_back(receive());
      if (texts.back() == missing) return texts;
    }
    // One of our own behind the others shows where they end, without waiting for what should not
    // come.
    send(marker, endpoint());
    for (auto next = receive(); next != marker; next = receive()) {
      texts.push_back(next);
      if (next == missing) break;
    }
    return texts;
  }

private:
  static constexpr const char* marker = "<end>";
  static constexpr const char* missing = "<nothing came>";

  std::string receive()
  {
    ::pollfd readable{socket_.native_handle(), POLLIN, 0};
    if (::poll(&readable, 1, 5000) != 1) return missing;
    std::array<char, 2048> storage;
    return {storage.data(), socket_.receive(dgram::net::buffer(storage))};
  }

  dgram::net::ip::udp::socket socket_;
};

/// The texts "first", ..., "last - 1", as `send_numbers` sends them.
inline std::vector<std::string> numbers(std::size_t first, std::size_t last)
{
  std::vector<std::string> texts;
  for (std::size_t i = first; i < last; ++i)
    texts.push_back(std::to_string(i));
  return texts;
}

/// The texts "first", ..., "last - 1", each longer than the one before it. No two of them leave as
/// one message, since a run begins with its longest datagram: a step of the script is a datagram
/// then, on every backend.
inline std::vector<std::string> growing(std::size_t first, std::size_t last)
{
  std::vector<std::string> texts;
  for (std::size_t i = first; i < last; ++i)
    texts.push_back(std::to_string(i) + std::string(i, '.'));
  return texts;
}

/// Pushes texts, which must stay, for a peer.
template <class Batch, class Endpoint>
void push_all(Batch& batch, const std::vector<std::string>& texts, const Endpoint& peer)
{
  for (const auto& text : texts)
    batch.push(dgram::net::buffer(text), peer);
}

/// The payloads of a received batch.
template <class Batch>
std::vector<std::string> texts_of(const Batch& batch)
{
  std::vector<std::string> texts;
  for (const auto& datagram : batch)
    texts.emplace_back(datagram.payload().text());
  return texts;
}

/// How many descriptors this process has open.
inline int open_descriptors()
{
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd)
    if (::fcntl(fd, F_GETFD) != -1) ++count;
  return count;
}

}  // namespace test

DGRAM_NAMESPACE_BEGIN

namespace platform {

struct system {
  static ::ssize_t recvmsg(int fd, ::msghdr* message, int flags) noexcept
  {
    note_flags(flags);
    return test::script.recvmsg.play(::ssize_t{-1}, 1,
                                     [&](unsigned) { return ::recvmsg(fd, message, flags); });
  }

  static ::ssize_t sendmsg(int fd, const ::msghdr* message, int flags) noexcept
  {
    note_flags(flags);
    const auto one = test::describe(*message);
    note(test::script.offered, one);
    return test::script.sendmsg.play(::ssize_t{-1}, 1, [&](unsigned) -> ::ssize_t {
      if (!is_good(one, test::script.taken.size())) return -1;
      const ::ssize_t sent = ::sendmsg(fd, message, flags);
      if (sent >= 0) note(test::script.taken, one);
      return sent;
    });
  }

#if defined(__linux__)
  static int recvmmsg(int fd, ::mmsghdr* messages, unsigned count, int flags) noexcept
  {
    note_flags(flags);
    return test::script.recvmmsg.play(-1, count, [&](unsigned limit) {
      if ((flags & MSG_PEEK) == 0) return ::recvmmsg(fd, messages, limit, flags, nullptr);
      // As gVisor does, so that the library must do without.
      errno = EINVAL;
      return -1;
    });
  }

  static int sendmmsg(int fd, ::mmsghdr* messages, unsigned count, int flags) noexcept
  {
    note_flags(flags);
    for (unsigned i = 0; i < count; ++i)
      note(test::script.offered, test::describe(messages[i].msg_hdr));
    const int claimed = test::script.sendmmsg.play(-1, count, [&](unsigned limit) {
      const unsigned good = count_good(messages, limit);
      if (good == 0 && limit > 0) return -1;
      const int sent = ::sendmmsg(fd, messages, good, flags);
      for (int i = 0; i < sent; ++i)
        note(test::script.taken, test::describe(messages[i].msg_hdr));
      return sent;
    });
    return std::min(claimed, static_cast<int>(count));
  }
#endif

  static int madvise(void* memory, std::size_t size, int advice) noexcept
  {
    return ::madvise(memory, size, advice);
  }

  static int connect(int fd, const ::sockaddr* address, ::socklen_t size) noexcept
  {
    return test::script.connect.play(-1, 1, [&](unsigned) { return ::connect(fd, address, size); });
  }

  static int getpeername(int fd, ::sockaddr* address, ::socklen_t* size) noexcept
  {
    return test::script.getpeername.play(
        -1, 1, [&](unsigned) { return ::getpeername(fd, address, size); });
  }

  static int getsockname(int fd, ::sockaddr* address, ::socklen_t* size) noexcept
  {
    return test::script.getsockname.play(
        -1, 1, [&](unsigned) { return ::getsockname(fd, address, size); });
  }

  static int getsockopt(int fd, int level, int name, void* value, ::socklen_t* size) noexcept
  {
    return test::script.getsockopt.play(
        -1, 1, [&](unsigned) { return ::getsockopt(fd, level, name, value, size); });
  }

  static int setsockopt(int fd, int level, int name, const void* value, ::socklen_t size) noexcept
  {
    return test::script.setsockopt.play(-1, 1, [&](unsigned) {
      const int error = test::script.option_verdict ? test::script.option_verdict(level, name) : 0;
      if (error == 0) return ::setsockopt(fd, level, name, value, size);
      errno = error;
      return -1;
    });
  }

  static unsigned if_nametoindex(const char* name) noexcept
  {
    return test::script.if_nametoindex.play(0U, 1,
                                            [&](unsigned) { return ::if_nametoindex(name); });
  }

  static char* if_indextoname(unsigned index, char* name) noexcept
  {
    return test::script.if_indextoname.play(
        static_cast<char*>(nullptr), 1, [&](unsigned) { return ::if_indextoname(index, name); });
  }

  static int getifaddrs(::ifaddrs** first) noexcept
  {
    return test::script.getifaddrs.play(-1, 1, [&](unsigned) { return ::getifaddrs(first); });
  }

  static void freeifaddrs(::ifaddrs* first) noexcept
  {
    test::script.freeifaddrs.play(0, 1, [&](unsigned) {
      ::freeifaddrs(first);
      return 0;
    });
  }

  static int socket(int family, int type, int protocol) noexcept
  {
    return test::script.socket.play(-1, 1,
                                    [&](unsigned) { return ::socket(family, type, protocol); });
  }

  static int bind(int fd, const ::sockaddr* address, ::socklen_t size) noexcept
  {
    return test::script.bind.play(-1, 1, [&](unsigned) { return ::bind(fd, address, size); });
  }

  static int listen(int fd, int backlog) noexcept
  {
    return test::script.listen.play(-1, 1, [&](unsigned) { return ::listen(fd, backlog); });
  }

#if defined(__linux__)
  static int accept4(int fd, int flags) noexcept
  {
    return test::script.accept4.play(
        -1, 1, [&](unsigned) { return ::accept4(fd, nullptr, nullptr, flags); });
  }
#endif

  static int set_close_on_exec(int fd) noexcept { return ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

  static int duplicate(int fd) noexcept
  {
    return test::script.duplicate.play(-1, 1,
                                       [&](unsigned) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); });
  }

  static int close(int fd) noexcept { return ::close(fd); }

  static int poll(::pollfd* which, ::nfds_t count, int milliseconds) noexcept
  {
    return test::script.poll.play(-1, 1,
                                  [&](unsigned) { return ::poll(which, count, milliseconds); });
  }

  static int lstat(const char* path, struct ::stat* status) noexcept
  {
    return test::script.lstat.play(-1, 1, [&](unsigned) { return ::lstat(path, status); });
  }

  static int unlink(const char* path) noexcept
  {
    return test::script.unlink.play(-1, 1, [&](unsigned) { return ::unlink(path); });
  }

  static int fchmod(int fd, ::mode_t mode) noexcept
  {
    return test::script.fchmod.play(-1, 1, [&](unsigned) { return ::fchmod(fd, mode); });
  }

  static int fchmodat(const char* path, ::mode_t mode, int flags) noexcept
  {
    return test::script.fchmodat.play(
        -1, 1, [&](unsigned) { return ::fchmodat(AT_FDCWD, path, mode, flags); });
  }

  static char* getcwd(char* path, std::size_t size) noexcept
  {
    return test::script.getcwd.play(static_cast<char*>(nullptr), 1,
                                    [&](unsigned) { return ::getcwd(path, size); });
  }

  static int getentropy(void* buffer, std::size_t size) noexcept
  {
    return ::getentropy(buffer, size);
  }

  static int nanosleep(::timespec* left) noexcept { return ::nanosleep(left, left); }

private:
  static bool is_good(const test::offered_message& message, std::size_t before)
  {
    const int error = test::script.verdict ? test::script.verdict(message, before) : 0;
    if (error != 0) errno = error;
    return error == 0;
  }

#if defined(__linux__)
  static unsigned count_good(const ::mmsghdr* messages, unsigned count)
  {
    unsigned good = 0;
    while (good < count &&
           is_good(test::describe(messages[good].msg_hdr), test::script.taken.size() + good))
      ++good;
    return good;
  }
#endif

  static void note(std::vector<test::offered_message>& all, const test::offered_message& one)
  {
    if (test::script.keeps_messages) all.push_back(one);
  }

  static void note_flags(int flags) noexcept
  {
    if ((flags & MSG_DONTWAIT) == 0) ++test::script.blocking_calls;
  }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
