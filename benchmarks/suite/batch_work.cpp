// SPDX-License-Identifier: BSL-1.0
#include "batch_work.hpp"

#include "repetition.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

constexpr std::size_t most_datagrams = 2048;

bool is_empty(int fd)
{
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

}  // namespace

filler::filler(std::size_t payload, bool trains, std::size_t peers)
    : payload_(payload), train_(trains ? raw::train_length(payload) : 1), bytes_(payload * train_)
{
  for (std::size_t i = 0; i < peers; ++i)
    sockets_.push_back(raw::make_socket());
  count_ = find_count();
}

/// Half of what fits one by one, so that nothing is ever dropped. A queue always takes one.
std::size_t filler::find_count()
{
  const raw::descriptor probe = raw::make_socket();
  const std::size_t train = std::exchange(train_, 1);
  fill(probe.get(), 2 * most_datagrams);
  train_ = train;
  std::size_t fits = 0;
  char byte = 0;
  while (::recv(probe.get(), &byte, 1, MSG_DONTWAIT) >= 0)
    ++fits;
  return std::max<std::size_t>(fits / 2, 1);
}

void filler::fill(int fd, std::size_t datagrams)
{
  const sockaddr_in to = raw::address_of(fd);
  raw::send_messages message(1);
  for (std::size_t peer = 0; datagrams > 0; ++peer) {
    const std::size_t next = std::min(datagrams, train_);
    message.clear();
    message.add(bytes_.data(), next * payload_, &to, payload_);
    message.send(sockets_[peer % sockets_.size()].get());
    datagrams -= next;
  }
}

void filler::drain()
{
  char byte = 0;
  for (const raw::descriptor& one : sockets_)
    while (::recv(one.get(), &byte, 1, MSG_DONTWAIT) >= 0) {}
}

sample time_drain(filler& source, drain::drainer& by, int repetitions, metric measured)
{
  const auto work = [&](std::size_t count, repetition& now) {
    source.fill(by.descriptor(), count);
    now.time([&] { by.take(count); });
    if (!is_empty(by.descriptor())) throw std::runtime_error("a drain left datagrams behind");
    source.drain();
  };
  return repeat(source.count(), repetitions, work, measured);
}

receivers::receivers(std::size_t count, bool coalesced)
    : slots_(64, coalesced ? 65536 : 2048, coalesced)
{
  for (std::size_t i = 0; i < count; ++i) {
    sockets_.push_back(raw::make_socket());
    raw::set_coalescing(sockets_.back().get(), coalesced);
    addresses_.push_back(raw::address_of(sockets_.back().get()));
  }
}

std::size_t receivers::drain()
{
  std::size_t datagrams = 0;
  for (const raw::descriptor& one : sockets_)
    while (const std::size_t filled = slots_.receive(one.get()))
      for (std::size_t i = 0; i < filled; ++i)
        datagrams += slots_.datagrams(i);
  return datagrams;
}

sample time_send(send::sender& by, receivers& to, std::size_t datagrams, int repetitions,
                 metric measured)
{
  const auto work = [&](std::size_t count, repetition& now) {
    now.time([&] { by.send(count); });
    now.count_lost(count - to.drain());
  };
  return repeat(datagrams, repetitions, work, measured);
}

}  // namespace bench
