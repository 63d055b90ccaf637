// SPDX-License-Identifier: BSL-1.0
// The events of a simulation in the order of their times.
#ifndef DGRAM_DETAIL_SIM_AGENDA_HPP
#define DGRAM_DETAIL_SIM_AGENDA_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Nanoseconds since the simulation began.
using sim_time = std::int64_t;

inline constexpr sim_time sim_never = std::numeric_limits<sim_time>::max();

/// Something that happens at a time. Its owner must remove it from the agenda before it is gone.
class sim_event {
public:
  sim_event() = default;
  sim_event(const sim_event&) = delete;
  sim_event& operator=(const sim_event&) = delete;

  bool is_planned() const noexcept { return place_ != nowhere; }

  /// Called at the event's time, when it is no longer in the agenda.
  virtual void happen() = 0;

  /// Called in place of `happen` if the simulation ends before.
  virtual void drop() noexcept = 0;

protected:
  ~sim_event() = default;

private:
  friend class sim_agenda;
  static constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();

  std::size_t place_ = nowhere;
};

/// A binary heap. Events of the same time happen in the order in which they were added.
class sim_agenda {
public:
  bool empty() const noexcept { return heap_.empty(); }

  sim_time next() const noexcept { return heap_.empty() ? sim_never : heap_.front().time; }

  void add(sim_event& added, sim_time time)
  {
    heap_.push_back({time, order_++, &added});
    rise(heap_.size() - 1);
  }

  void remove(sim_event& removed) noexcept
  {
    if (!removed.is_planned()) return;
    const std::size_t place = std::exchange(removed.place_, sim_event::nowhere);
    const entry last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    put(place, last);
    sink(place);
    rise(last.event->place_);
  }

  sim_event& pop() noexcept
  {
    sim_event& first = *heap_.front().event;
    remove(first);
    return first;
  }

private:
  struct entry {
    sim_time time;
    std::uint64_t order;
    sim_event* event;

    bool is_before(const entry& other) const noexcept
    {
      return time != other.time ? time < other.time : order < other.order;
    }
  };

  void put(std::size_t place, const entry& one) noexcept
  {
    heap_[place] = one;
    one.event->place_ = place;
  }

  void rise(std::size_t place) noexcept
  {
    const entry moved = heap_[place];
    for (; place > 0 && moved.is_before(heap_[(place - 1) / 2]); place = (place - 1) / 2)
      put(place, heap_[(place - 1) / 2]);
    put(place, moved);
  }

  void sink(std::size_t place) noexcept
  {
    const entry moved = heap_[place];
    for (;;) {
      std::size_t child = 2 * place + 1;
      if (child + 1 < heap_.size() && heap_[child + 1].is_before(heap_[child])) ++child;
      if (child >= heap_.size() || !heap_[child].is_before(moved)) break;
      put(place, heap_[child]);
      place = child;
    }
    put(place, moved);
  }

  std::vector<entry> heap_;
  std::uint64_t order_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
