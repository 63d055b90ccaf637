// SPDX-License-Identifier: BSL-1.0
// The controls: echo servers as one writes them in C.
#include "echo.hpp"
#include "raw.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace bench::echo {

namespace {

constexpr std::size_t plain_slot_size = 2048;
constexpr std::size_t train_slot_size = 65536;
constexpr std::size_t arena_datagrams = 1024;
constexpr std::size_t arena_bytes = 256 << 10;

/// Calls `drain` whenever the socket becomes readable; it must take everything that is queued.
template <class Drain>
[[noreturn]] void serve_edges(int fd, Drain drain)
{
  const raw::descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  for (;;) {
    ::epoll_wait(epoll.get(), &event, 1, -1);
    drain();
  }
}

/// Takes batches until one is short: then nothing was left.
template <class Answer>
void serve_batches(int fd, raw::receive_slots& in, std::size_t slots, Answer answer)
{
  serve_edges(fd, [&] {
    for (std::size_t filled = slots; filled == slots;) {
      filled = in.receive(fd);
      if (filled > 0) answer(filled);
    }
  });
}

}  // namespace

void serve_raw_one_by_one(int fd)
{
  std::array<char, plain_slot_size> buffer;
  serve_edges(fd, [&] {
    for (;;) {
      sockaddr_in sender;
      socklen_t size = sizeof sender;
      auto* const address = reinterpret_cast<sockaddr*>(&sender);
      const ssize_t received =
          ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, address, &size);
      if (received < 0) return;
      const auto length = static_cast<std::size_t>(received);
      while (::sendto(fd, buffer.data(), length, MSG_DONTWAIT, address, size) < 0 &&
             errno == EAGAIN)
        raw::wait_writable(fd);
    }
  });
}

void serve_raw_mmsg(int fd, std::size_t slots)
{
  raw::receive_slots in(slots, plain_slot_size, false);
  raw::send_messages out(slots);
  serve_batches(fd, in, slots, [&](std::size_t filled) {
    out.clear();
    for (std::size_t i = 0; i < filled; ++i)
      out.add(in.data(i), in.size(i), &in.sender(i));
    out.send(fd);
  });
}

void serve_raw_coalesce(int fd, std::size_t slots)
{
  raw::set_coalescing(fd, true);
  raw::receive_slots in(slots, train_slot_size, true);
  raw::reply_arena out(arena_datagrams, arena_bytes);
  serve_batches(fd, in, slots,
                [&](std::size_t filled) { raw::answer_coalesced(fd, in, filled, out); });
}

void serve_raw_in_place(int fd, std::size_t slots)
{
  raw::set_coalescing(fd, true);
  raw::receive_slots in(slots, train_slot_size, true);
  raw::send_messages out(slots);
  serve_batches(fd, in, slots, [&](std::size_t filled) {
    out.clear();
    for (std::size_t i = 0; i < filled; ++i)
      out.add(in.data(i), in.size(i), &in.sender(i), in.segment_size(i));
    out.send(fd);
  });
}

}  // namespace bench::echo
