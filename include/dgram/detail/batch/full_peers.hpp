// SPDX-License-Identifier: BSL-1.0
// Keeps the datagrams for Unix peers whose queues are full, and offers them again.
#ifndef DGRAM_DETAIL_BATCH_FULL_PEERS_HPP
#define DGRAM_DETAIL_BATCH_FULL_PEERS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/socket/peer_set.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One queue for each full peer, so that the work for a peer does not grow with what waits for
/// others. `Mark` is what the owner keeps with a datagram.
template <class Protocol, class Mark>
class full_peers {
public:
  using endpoint_type = typename Protocol::endpoint;

  struct entry {
    entry(kept_datagram<Protocol>&& kept, Mark&& with) noexcept
        : datagram(std::move(kept)), mark(std::move(with))
    {
    }

    kept_datagram<Protocol> datagram;
    Mark mark;
  };

  /// A datagram that has left the queue of its peer.
  struct departure {
    entry what;
    error_code why;  ///< clear if it was sent
  };

  bool empty() const noexcept { return count_ == 0; }
  std::size_t count() const noexcept { return count_; }
  std::size_t bytes() const noexcept { return bytes_; }

  bool contains(const endpoint_type& peer) const noexcept
  {
    return !empty() && queues_.find(peer) != queues_.end();
  }

  /// Puts a datagram behind those of its peer, which is full from now on. If there is no memory,
  /// throws, and leaves the mark with the caller.
  void push(kept_datagram<Protocol>&& kept, Mark&& mark)
  {
    const std::size_t size = kept.payload.size();
    const auto [found, is_new] = queues_.try_emplace(kept.peer);
    try {
      found->second.emplace(std::move(kept), std::move(mark));
    } catch (...) {
      if (is_new) queues_.erase(found);
      throw;
    }
    ++count_;
    bytes_ += size;
  }

  /// An empty batch to fill a datagram in, for `push`.
  basic_send_batch<Protocol>& scratch()
  {
    if (!batch_) batch_ = std::make_unique<basic_send_batch<Protocol>>(most_at_once);
    batch_->clear();
    return *batch_;
  }

  /// Offers each full peer what waits for it, as far as its queue takes it. Adds what has left to
  /// `gone`. Returns the error because of which nothing more can be sent to any peer, or else
  /// `would_block` if something is left.
  template <class Handle>
  error_code offer(Handle& handle, std::vector<departure>& gone)
  {
    error_code result;
    for (auto next = queues_.begin(); next != queues_.end();) {
      const error_code ec = offer_to(handle, next->second, gone);
      if (next->second.empty())
        next = queues_.erase(next);
      else
        ++next;
      if (ec) result = ec;
      if (ec && ec != net::error::would_block) break;
    }
    return result;
  }

  /// Removes the datagram with this property. Returns its mark; an empty one if there is none.
  template <class Predicate>
  Mark take(Predicate is_wanted)
  {
    for (auto next = queues_.begin(); next != queues_.end(); ++next) {
      auto& waiting = next->second;
      const auto found = std::find_if(waiting.begin(), waiting.end(),
                                      [&](const entry& each) { return is_wanted(each.mark); });
      if (found == waiting.end()) continue;
      Mark mark = std::move(found->mark);
      --count_;
      bytes_ -= found->datagram.payload.size();
      waiting.erase(found);
      if (waiting.empty()) queues_.erase(next);
      return mark;
    }
    return Mark();
  }

  /// Empties the queues, and calls a function with each datagram.
  template <class Function>
  void clear(Function function)
  {
    queues before = std::exchange(queues_, {});
    count_ = bytes_ = 0;
    for (auto& each : before)
      for (entry& next : each.second)
        function(next);
  }

private:
  static constexpr std::size_t most_at_once = 64;

  using queues = std::unordered_map<endpoint_type, operation_queue<entry>, endpoint_hash>;

  /// A peer that was full often takes a single datagram. So the first offer is of one, and the next
  /// one is twice as long.
  template <class Handle>
  error_code offer_to(Handle& handle, operation_queue<entry>& waiting, std::vector<departure>& gone)
  {
    error_code ec;
    for (std::size_t most = 1; !ec && !waiting.empty(); most = std::min(2 * most, most_at_once)) {
      auto& batch = scratch();
      for (auto next = waiting.begin(); next != waiting.end() && batch.size() < most; ++next)
        batch.push(next->datagram);
      gone.reserve(gone.size() + batch.size());
      const std::size_t before = batch.size();
      std::size_t left = 0;  // the queue
      const auto remove = [&](std::size_t end, const error_code& why) {
        for (; left < end; ++left) {
          entry first = waiting.pop();
          --count_;
          bytes_ -= first.datagram.payload.size();
          gone.push_back({std::move(first), why});
        }
      };
      batch.on_refused([&](error_code why, const endpoint_type&, std::size_t) {
        const std::size_t refused = before - batch.size();
        remove(refused - 1, {});
        remove(refused, why);
      });
      ec = handle.try_send_batch(batch).error;
      batch.on_refused(nullptr);
      remove(before - batch.size(), {});
      batch.clear();
    }
    return ec;
  }

  queues queues_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  std::unique_ptr<basic_send_batch<Protocol>> batch_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
