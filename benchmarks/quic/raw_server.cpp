// SPDX-License-Identifier: BSL-1.0
// The QUIC server of the examples over bare system calls, for benchmarks/quic/compare.sh: IPv4, one
// address, and Linux only.
//
//   bench_quic_raw CERTIFICATE KEY --listen ADDRESS:PORT

#include "../../examples/quic/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>

namespace {

volatile std::sig_atomic_t stopped = 0;

void check(int result, const char* call)
{
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
}

constexpr std::size_t control_size = 128;

struct message {
  dgram::udp::endpoint peer{dgram::udp::v4(), 0};
  alignas(cmsghdr) std::array<char, control_size> control{};
  ::iovec buffer{};
  std::size_t segment = 0;
  dgram::ecn_codepoint ecn{};

  /// Begins a train of packets of this size.
  void begin(std::byte* data, const dgram::udp::endpoint& to, dgram::ecn_codepoint mark,
             std::size_t size)
  {
    peer = to;
    buffer = {data, 0};
    segment = size;
    ecn = mark;
  }

  bool is_joined_by(std::size_t size, const dgram::udp::endpoint& to,
                    dgram::ecn_codepoint mark) const
  {
    const std::size_t longest = std::min<std::size_t>(65507, 64 * segment);
    return buffer.iov_len % segment == 0 && size <= segment && buffer.iov_len + size <= longest &&
           mark == ecn && to == peer;
  }

  template <class Value>
  std::size_t add_control(std::size_t at, int level, int type, Value value)
  {
    ::cmsghdr header{};
    header.cmsg_len = CMSG_LEN(sizeof value);
    header.cmsg_level = level;
    header.cmsg_type = type;
    std::memcpy(control.data() + at, &header, sizeof header);
    std::memcpy(control.data() + at + CMSG_LEN(0), &value, sizeof value);
    return at + CMSG_SPACE(sizeof value);
  }

  ::msghdr header()
  {
    ::msghdr result{};
    result.msg_name = peer.data();
    result.msg_namelen = static_cast<::socklen_t>(peer.size());
    result.msg_iov = &buffer;
    result.msg_iovlen = 1;
    result.msg_control = control.data();
    result.msg_controllen = control.size();
    return result;
  }

  ::msghdr header_to_send()
  {
    ::msghdr result = header();
    std::size_t at = 0;
    if (ecn != dgram::ecn_codepoint::not_ect)
      at = add_control(at, IPPROTO_IP, IP_TOS, static_cast<int>(ecn));
    if (buffer.iov_len > segment)
      at = add_control(at, IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment));
    result.msg_controllen = at;
    return result;
  }
};

/// Takes packets as the library's writer does. Packets of one size for one peer leave as one
/// message.
struct raw_writer {
  int socket = -1;
  std::vector<std::byte> memory = std::vector<std::byte>(std::size_t{256} * 1024);
  std::size_t used = 0;
  std::vector<message> messages = std::vector<message>(64);
  std::vector<::mmsghdr> headers = std::vector<::mmsghdr>(64);
  std::size_t count = 0, first = 0;
  std::uint64_t sent = 0, calls = 0;

  std::span<std::byte> reserve(std::size_t size)
  {
    if (memory.size() - used < size || count == messages.size()) flush();
    if (memory.size() - used < size || count == messages.size()) return {};
    return std::span(memory).subspan(used, size);
  }

  void commit(std::size_t size, const dgram::reply_path& to, const dgram::send_options& options)
  {
    const auto ecn = options.ecn.value_or(dgram::ecn_codepoint::not_ect);
    if (count == first || !messages[count - 1].is_joined_by(size, to.peer, ecn))
      messages[count++].begin(memory.data() + used, to.peer, ecn, size);
    messages[count - 1].buffer.iov_len += size;
    used += size;
    ++sent;
  }

  /// Returns false if the kernel takes no more now.
  bool flush()
  {
    for (std::size_t i = first; i < count; ++i)
      headers[i].msg_hdr = messages[i].header_to_send();
    while (first < count) {
      const int taken =
          ::sendmmsg(socket, headers.data() + first, static_cast<unsigned>(count - first), 0);
      if (taken < 0 && errno == EAGAIN) return false;
      ++calls;
      first += taken > 0 ? static_cast<std::size_t>(taken) : 1;  // a packet that is refused is lost
    }
    used = count = first = 0;
    return true;
  }
};

struct inlet {
  static constexpr std::size_t slots = 64, slot_size = 65536;
  std::vector<std::byte> memory = std::vector<std::byte>(slots * slot_size);
  std::vector<message> messages = std::vector<message>(slots);
  std::vector<::mmsghdr> headers = std::vector<::mmsghdr>(slots);

  int receive(int socket)
  {
    for (std::size_t i = 0; i < slots; ++i) {
      messages[i].buffer = {memory.data() + i * slot_size, slot_size};
      headers[i].msg_hdr = messages[i].header();
    }
    return ::recvmmsg(socket, headers.data(), slots, MSG_DONTWAIT, nullptr);
  }
};

void deliver(quic::server<raw_writer>& server, inlet& in, std::size_t count, ngtcp2_tstamp now)
{
  for (std::size_t i = 0; i < count; ++i) {
    ::msghdr& header = in.headers[i].msg_hdr;
    std::size_t segment = in.headers[i].msg_len;
    unsigned ecn = 0;
    for (::cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr;
         each = CMSG_NXTHDR(&header, each)) {
      std::uint8_t byte = 0;
      int number = 0;
      if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_TOS) {
        std::memcpy(&byte, CMSG_DATA(each), sizeof byte);
        ecn = byte & 3U;
      } else if (each->cmsg_level == IPPROTO_UDP && each->cmsg_type == UDP_GRO) {
        std::memcpy(&number, CMSG_DATA(each), sizeof number);
        segment = static_cast<std::size_t>(number);
      }
    }
    const auto* const bytes = static_cast<const std::uint8_t*>(in.messages[i].buffer.iov_base);
    quic::octets rest(bytes, in.headers[i].msg_len);
    do {
      const quic::octets packet = rest.first(std::min(segment, rest.size()));
      rest = rest.subspan(packet.size());
      server.receive({in.messages[i].peer}, ecn, packet, now);
    } while (!rest.empty());
  }
}

int run(const quic::server_config& config, const dgram::udp::endpoint& local)
{
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  check(socket, "socket");
  const int on = 1, probe = IP_PMTUDISC_PROBE, room = 1 << 20;
  check(::setsockopt(socket, IPPROTO_IP, IP_RECVTOS, &on, sizeof on), "IP_RECVTOS");
  check(::setsockopt(socket, IPPROTO_UDP, UDP_GRO, &on, sizeof on), "UDP_GRO");
  check(::setsockopt(socket, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe), "IP_MTU_DISCOVER");
  check(::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), "SO_RCVBUF");
  check(::bind(socket, local.data(), static_cast<::socklen_t>(local.size())), "bind");
  dgram::udp::endpoint bound = local;
  auto size = static_cast<::socklen_t>(bound.capacity());
  check(::getsockname(socket, bound.data(), &size), "getsockname");
  fmt::print("listening on {}\n", dgram::to_string(bound));
  std::fflush(stdout);
  raw_writer out;
  out.socket = socket;
  quic::server<raw_writer> server(config, std::move(out));
  inlet in;
  bool is_drained = false;
  while (stopped == 0) {
    const bool is_blocked = !server.work(quic::server<raw_writer>::now()) || !server.writer.flush();
    // As in a reader: after a short batch there is nothing to receive.
    int count = is_drained ? -1 : in.receive(socket);
    if (count < 0) {
      const auto left = server.deadline() == std::chrono::steady_clock::time_point::max()
                            ? std::chrono::nanoseconds(std::chrono::hours(1))
                            : server.deadline() - std::chrono::steady_clock::now();
      const auto wait = std::max(left, std::chrono::nanoseconds(0));
      const ::timespec limit{wait.count() / 1000000000, wait.count() % 1000000000};
      ::pollfd ready{socket, static_cast<short>(is_blocked ? POLLIN | POLLOUT : POLLIN), 0};
      if (::ppoll(&ready, 1, &limit, nullptr) > 0) count = in.receive(socket);
    }
    is_drained = count < static_cast<int>(inlet::slots);
    if (count > 0)
      deliver(server, in, static_cast<std::size_t>(count), quic::server<raw_writer>::now());
  }
  fmt::print("{} packets sent in {} calls\n", server.writer.sent, server.writer.calls);
  ::close(socket);
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  if (argc != 5 || std::string_view(argv[3]) != "--listen") {
    fmt::print(stderr, "usage: bench_quic_raw CERTIFICATE KEY --listen ADDRESS:PORT\n");
    return 2;
  }
  try {
    std::signal(SIGTERM, [](int) { stopped = 1; });
    quic::server_config config;
    config.chain = argv[1];
    config.key = argv[2];
    return run(config, dgram::parse_endpoint(argv[4]));
  } catch (const std::exception& failure) {
    fmt::print(stderr, "error: {}\n", failure.what());
    return 1;
  }
}
