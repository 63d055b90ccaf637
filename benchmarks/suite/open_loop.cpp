// SPDX-License-Identifier: BSL-1.0
#include "open_loop.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <system_error>

namespace bench {

namespace {

constexpr std::size_t slots = 64;
constexpr std::chrono::seconds patience{1};

/// Datagrams that are late leave so many at a time, and answers are taken in between.
constexpr std::size_t most_at_once = 16;

double nanoseconds_since(std::chrono::steady_clock::time_point start)
{
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

/// The least of the values that so large a share of them does not exceed.
double percentile(std::vector<double>& values, double share)
{
  if (values.empty()) return 0;
  const auto count = static_cast<double>(values.size());
  const auto index = std::min(static_cast<std::size_t>(share * count), values.size() - 1);
  const auto found = values.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(values.begin(), found, values.end());
  return *found;
}

}  // namespace

open_loop::open_loop(const sockaddr_in& server, std::size_t payload, std::size_t flows)
    : payload_(std::max(payload, sizeof(std::uint64_t))),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      slots_(slots, 2048, false),
      alone_(::sysconf(_SC_NPROCESSORS_ONLN) < 2)
{
  for (std::size_t i = 0; i < flows; ++i) {
    const raw::descriptor& added = sockets_.emplace_back(raw::make_socket());
    raw::connect(added.get(), server);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = added.get();
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, added.get(), &event) != 0)
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void open_loop::plan(double datagrams_per_second, std::chrono::nanoseconds duration)
{
  // Each run has the same plan, at its own rate.
  std::mt19937_64 random(1);
  std::exponential_distribution<double> distance(datagrams_per_second / 1e9);
  first_ += planned_.size();
  planned_.clear();
  for (double at = distance(random); at < static_cast<double>(duration.count());
       at += distance(random))
    planned_.push_back(static_cast<std::int64_t>(at));
  answered_.assign(planned_.size(), false);
}

std::size_t open_loop::send_due(std::size_t next, clock::time_point start,
                                std::vector<double>& late)
{
  const std::size_t end = std::min(next + most_at_once, planned_.size());
  for (; next < end; ++next) {
    const double behind = nanoseconds_since(start) - static_cast<double>(planned_[next]);
    if (behind < 0) break;
    late.push_back(behind);
    const std::uint64_t number = first_ + next;
    std::memcpy(payload_.data(), &number, sizeof number);
    const int fd = sockets_[next % sockets_.size()].get();
    while (::send(fd, payload_.data(), payload_.size(), MSG_DONTWAIT) < 0 && errno == EAGAIN)
      raw::wait_writable(fd);
  }
  return next;
}

std::size_t open_loop::collect(clock::time_point start, std::vector<double>& taken)
{
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  std::size_t answers = 0;
  for (int i = 0; i < ready; ++i) {
    const std::size_t filled = slots_.receive(events[static_cast<std::size_t>(i)].data.fd);
    const double now = nanoseconds_since(start);
    for (std::size_t slot = 0; slot < filled; ++slot) {
      std::uint64_t number = 0;
      if (slots_.size(slot) != payload_.size()) continue;
      std::memcpy(&number, slots_.data(slot), sizeof number);
      // The number of an answer that an earlier run has given up is far too large now.
      const std::uint64_t index = number - first_;
      if (index >= planned_.size() || answered_[index]) continue;
      answered_[index] = true;
      taken.push_back(now - static_cast<double>(planned_[index]));
      ++answers;
    }
  }
  return answers;
}

open_loop::outcome open_loop::run(double datagrams_per_second, std::chrono::nanoseconds duration)
{
  plan(datagrams_per_second, duration);
  std::vector<double> taken;
  std::vector<double> late;
  taken.reserve(planned_.size());
  late.reserve(planned_.size());
  const auto start = clock::now();
  auto heard = start;
  for (std::size_t sent = 0; taken.size() < planned_.size();) {
    const std::size_t before = sent;
    sent = send_due(sent, start, late);
    if (collect(start, taken) > 0 || sent != before || sent < planned_.size())
      heard = clock::now();
    else if (clock::now() - heard > patience)
      break;
    if (alone_) ::sched_yield();
  }
  outcome result;
  result.answered = taken.size();
  result.lost = planned_.size() - taken.size();
  result.late_ns = percentile(late, 0.99);
  result.tail = {.p50 = percentile(taken, 0.5),
                 .p99 = percentile(taken, 0.99),
                 .p999 = percentile(taken, 0.999),
                 .max = taken.empty() ? 0 : *std::max_element(taken.begin(), taken.end())};
  return result;
}

}  // namespace bench
