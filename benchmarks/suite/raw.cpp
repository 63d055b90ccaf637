// SPDX-License-Identifier: BSL-1.0
#include "raw.hpp"

#include <netinet/udp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace bench::raw {

namespace {

int check(int result, const char* what)
{
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

void wait_for(int fd, short events)
{
  pollfd waiting{fd, events, 0};
  while (::poll(&waiting, 1, -1) < 0 && errno == EINTR) {}
}

void enlarge_queue(int fd, int privileged_option, int option)
{
  const int wanted = 64 << 20;
  // As root past the system's limit, otherwise as far as it goes.
  if (::setsockopt(fd, SOL_SOCKET, privileged_option, &wanted, sizeof wanted) != 0)
    ::setsockopt(fd, SOL_SOCKET, option, &wanted, sizeof wanted);
}

bool same_peer(const sockaddr_in& a, const sockaddr_in& b) noexcept
{
  return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
}

}  // namespace

descriptor& descriptor::operator=(descriptor&& other) noexcept
{
  std::swap(fd_, other.fd_);
  return *this;
}

descriptor::~descriptor()
{
  if (fd_ >= 0) ::close(fd_);
}

int descriptor::release() noexcept
{
  return std::exchange(fd_, -1);
}

std::size_t train_length(std::size_t payload) noexcept
{
  return payload == 0 ? 1 : std::min(max_train_datagrams, max_train_bytes / payload);
}

std::size_t longest_train(std::size_t payload)
{
  constexpr std::size_t newer = 2 * max_train_datagrams;
  static const bool takes_more = [] {
    const descriptor probe = make_socket();
    const sockaddr_in self = address_of(probe.get());
    connect(probe.get(), self);
    const int segment = 1;
    check(::setsockopt(probe.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment),
          "UDP_SEGMENT");
    const std::array<std::byte, newer> bytes{};
    return ::send(probe.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) >= 0;
  }();
  return takes_more ? std::min(newer, max_train_bytes / payload) : train_length(payload);
}

descriptor make_socket(in_addr_t address)
{
  descriptor made(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  enlarge_queue(made.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  enlarge_queue(made.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(address);
  check(::bind(made.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local), "bind");
  return made;
}

sockaddr_in address_of(int fd)
{
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return address;
}

void connect(int fd, const sockaddr_in& peer)
{
  check(::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer), "connect");
}

void set_coalescing(int fd, bool on)
{
  const int value = on ? 1 : 0;
  check(::setsockopt(fd, IPPROTO_UDP, UDP_GRO, &value, sizeof value), "UDP_GRO");
}

void wait_readable(int fd)
{
  wait_for(fd, POLLIN);
}
void wait_writable(int fd)
{
  wait_for(fd, POLLOUT);
}

receive_slots::receive_slots(std::size_t count, std::size_t size, bool coalesced)
    : stride_(size + stagger),
      storage_(std::make_unique_for_overwrite<std::byte[]>(count * stride_)),
      buffers_(count),
      senders_(count),
      controls_(coalesced ? count : 0),
      messages_(count)
{
  for (std::size_t i = 0; i < count; ++i) {
    buffers_[i] = {data(i), size};
    msghdr& header = messages_[i].msg_hdr;
    header.msg_iov = &buffers_[i];
    header.msg_iovlen = 1;
    header.msg_name = &senders_[i];
    if (coalesced) header.msg_control = controls_[i].bytes.data();
  }
  used_ = count;
}

std::size_t receive_slots::receive(int fd)
{
  for (std::size_t i = 0; i < used_; ++i) {
    messages_[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
    if (!controls_.empty()) messages_[i].msg_hdr.msg_controllen = sizeof(control);
  }
  const auto count = static_cast<unsigned>(messages_.size());
  const int taken = ::recvmmsg(fd, messages_.data(), count, MSG_DONTWAIT, nullptr);
  if (taken < 0 && errno != EAGAIN && errno != EINTR) check(taken, "recvmmsg");
  used_ = taken > 0 ? static_cast<std::size_t>(taken) : 0;
  return used_;
}

std::size_t receive_slots::segment_size(std::size_t slot) const noexcept
{
  const msghdr& header = messages_[slot].msg_hdr;
  const cmsghdr* const first = CMSG_FIRSTHDR(&header);
  if (controls_.empty() || first == nullptr || first->cmsg_level != IPPROTO_UDP ||
      first->cmsg_type != UDP_GRO)
    return size(slot);
  int segment = 0;
  std::memcpy(&segment, CMSG_DATA(first), sizeof segment);
  return static_cast<std::size_t>(segment);
}

std::size_t receive_slots::datagrams(std::size_t slot) const noexcept
{
  if (controls_.empty() || size(slot) == 0) return 1;
  return (size(slot) - 1) / segment_size(slot) + 1;
}

send_messages::send_messages(std::size_t capacity)
    : buffers_(capacity), controls_(capacity), messages_(capacity)
{
}

void send_messages::add(const void* data, std::size_t size, const sockaddr_in* peer,
                        std::size_t segment)
{
  buffers_[count_] = {const_cast<void*>(data), size};
  add_gathered(&buffers_[count_], 1, peer, segment < size ? segment : 0);
}

void send_messages::add_gathered(iovec* buffers, std::size_t count, const sockaddr_in* peer,
                                 std::size_t segment)
{
  msghdr& header = messages_[count_].msg_hdr;
  header.msg_iov = buffers;
  header.msg_iovlen = count;
  header.msg_name = const_cast<sockaddr_in*>(peer);
  header.msg_namelen = peer != nullptr ? sizeof *peer : 0;
  header.msg_control = nullptr;
  header.msg_controllen = 0;
  if (segment > 0) set_segment_size(count_, segment);
  ++count_;
}

void send_messages::extend(std::size_t size, std::size_t segment)
{
  buffers_[count_ - 1].iov_len += size;
  if (messages_[count_ - 1].msg_hdr.msg_control == nullptr) set_segment_size(count_ - 1, segment);
}

void send_messages::set_segment_size(std::size_t index, std::size_t segment)
{
  msghdr& header = messages_[index].msg_hdr;
  header.msg_control = controls_[index].bytes.data();
  header.msg_controllen = controls_[index].bytes.size();
  cmsghdr* const first = CMSG_FIRSTHDR(&header);
  first->cmsg_level = IPPROTO_UDP;
  first->cmsg_type = UDP_SEGMENT;
  first->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto value = static_cast<std::uint16_t>(segment);
  std::memcpy(CMSG_DATA(first), &value, sizeof value);
}

void send_messages::send(int fd)
{
  std::size_t sent = 0;
  while (sent < count_) {
    const auto rest = static_cast<unsigned>(count_ - sent);
    const int result = ::sendmmsg(fd, messages_.data() + sent, rest, MSG_DONTWAIT);
    if (result >= 0)
      sent += static_cast<std::size_t>(result);
    else if (errno == EAGAIN)
      wait_writable(fd);
    else if (errno != EINTR)
      check(result, "sendmmsg");
  }
}

reply_arena::reply_arena(std::size_t datagrams, std::size_t bytes)
    : bytes_(std::make_unique_for_overwrite<std::byte[]>(bytes)),
      capacity_(bytes),
      messages_(datagrams)
{
}

bool reply_arena::continues_run(std::size_t size, const sockaddr_in& peer) const noexcept
{
  return run_peer_ != nullptr && !run_ended_ && size > 0 && size <= run_segment_ &&
         run_datagrams_ < max_train_datagrams && run_bytes_ + size <= max_train_bytes &&
         same_peer(*run_peer_, peer);
}

void reply_arena::add(int fd, const std::byte* data, std::size_t size, const sockaddr_in& peer)
{
  if (messages_.full() || used_ + size > capacity_) flush(fd);
  std::byte* const copy = bytes_.get() + used_;
  std::memcpy(copy, data, size);
  used_ += size;
  if (continues_run(size, peer)) {
    messages_.extend(size, run_segment_);
    run_bytes_ += size;
    ++run_datagrams_;
    run_ended_ = size < run_segment_;
  } else {
    messages_.add(copy, size, &peer);
    run_peer_ = &peer;
    run_segment_ = run_bytes_ = size;
    run_datagrams_ = 1;
    run_ended_ = false;
  }
}

void reply_arena::flush(int fd)
{
  if (messages_.size() > 0) messages_.send(fd);
  messages_.clear();
  used_ = 0;
  run_peer_ = nullptr;
}

std::size_t answer_coalesced(int fd, receive_slots& in, std::size_t filled, reply_arena& out)
{
  std::size_t datagrams = 0;
  for (std::size_t i = 0; i < filled; ++i) {
    const std::size_t segment = in.segment_size(i);
    std::size_t offset = 0;
    do {
      const std::size_t size = std::min(in.size(i) - offset, segment);
      out.add(fd, in.data(i) + offset, size, in.sender(i));
      offset += size;
      ++datagrams;
    } while (offset < in.size(i));
  }
  out.flush(fd);
  return datagrams;
}

}  // namespace bench::raw
