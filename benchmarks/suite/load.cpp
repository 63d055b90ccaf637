// SPDX-License-Identifier: BSL-1.0
#include "load.hpp"

#include "measurement.hpp"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace bench {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t plain_slots = 64;
constexpr std::size_t train_slots = 16;
constexpr int answer_timeout_ms = 1000;

bool wait_for_answer(int fd)
{
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, answer_timeout_ms) == 1;
}

}  // namespace

load::load(const sockaddr_in& server, const load_config& config)
    : config_(config),
      train_(config.trains ? std::min(raw::train_length(config.payload),
                                      std::max<std::size_t>(config.window / config.flows / 2, 1))
                           : 1),
      window_(config.window / config.flows),
      payload_(config.payload * train_),
      slots_(config.coalesced ? train_slots : plain_slots, config.coalesced ? 65536 : 2048,
             config.coalesced),
      messages_(window_),
      epoll_(::epoll_create1(EPOLL_CLOEXEC))
{
  for (std::size_t i = 0; i < config.flows; ++i) {
    flow& added = flows_.emplace_back(flow{raw::make_socket()});
    raw::connect(added.socket.get(), server);
    if (config.coalesced) raw::set_coalescing(added.socket.get(), true);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, added.socket.get(), &event) != 0)
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

std::uint64_t load::collect(flow& from)
{
  std::uint64_t answers = 0;
  const std::size_t filled = slots_.receive(from.socket.get());
  for (std::size_t i = 0; i < filled; ++i)
    answers += slots_.datagrams(i);
  from.in_flight -= std::min<std::size_t>(answers, from.in_flight);
  return answers;
}

void load::fill(flow& to)
{
  messages_.clear();
  while (to.in_flight + train_ <= window_) {
    messages_.add(payload_.data(), payload_.size(), nullptr, config_.payload);
    to.in_flight += train_;
  }
  if (messages_.size() > 0) messages_.send(to.socket.get());
}

std::uint64_t load::collect_ready(int timeout_ms, bool refill)
{
  // Clients sleep while nothing has come, as ordinary ones do.
  std::array<epoll_event, 64> events;
  const int ready =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  std::uint64_t answers = 0;
  for (int i = 0; i < ready; ++i) {
    flow& one = flows_[events[static_cast<std::size_t>(i)].data.u64];
    answers += collect(one);
    if (refill && (config_.sliding || one.in_flight == 0)) fill(one);
  }
  return answers;
}

bool load::wait_for_server(std::chrono::milliseconds patience)
{
  messages_.clear();
  messages_.add(payload_.data(), config_.payload, nullptr);
  flows_.front().in_flight = 1;
  messages_.send(flows_.front().socket.get());
  return collect_ready(static_cast<int>(patience.count()), false) == 1;
}

std::uint64_t load::run(std::chrono::nanoseconds duration)
{
  const auto end = clock::now() + duration;
  for (flow& one : flows_)
    fill(one);
  std::uint64_t answers = 0;
  while (clock::now() < end) {
    const std::uint64_t more = collect_ready(answer_timeout_ms, true);
    if (more == 0) break;
    answers += more;
  }
  return answers;
}

std::uint64_t load::finish()
{
  while (collect_ready(answer_timeout_ms, false) > 0) {
    if (std::all_of(flows_.begin(), flows_.end(), [](const flow& f) { return f.in_flight == 0; }))
      return 0;
  }
  std::uint64_t lost = 0;
  for (flow& one : flows_) {
    lost += one.in_flight;
    one.in_flight = 0;
  }
  return lost;
}

ping_pong::ping_pong(const sockaddr_in& server, std::size_t payload)
    : socket_(raw::make_socket()), payload_(payload)
{
  raw::connect(socket_.get(), server);
}

ping_pong::outcome ping_pong::run(std::chrono::nanoseconds duration)
{
  std::vector<double> times;
  times.reserve(1 << 16);
  const auto end = clock::now() + duration;
  std::uint64_t lost = 0;
  for (auto start = clock::now(); start < end;) {
    ::send(socket_.get(), payload_.data(), payload_.size(), 0);
    if (!wait_for_answer(socket_.get())) {
      ++lost;
      break;
    }
    ::recv(socket_.get(), payload_.data(), payload_.size(), MSG_DONTWAIT);
    const auto now = clock::now();
    times.push_back(std::chrono::duration<double, std::nano>(now - start).count());
    start = now;
  }
  const std::size_t answered = times.size();
  return {median(std::move(times)), answered, lost};
}

}  // namespace bench
