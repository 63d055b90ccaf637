// SPDX-License-Identifier: BSL-1.0
// The objects of one kind that a context has, and what becomes of them when the context ends.
#ifndef DGRAM_DETAIL_ASYNC_ROSTER_HPP
#define DGRAM_DETAIL_ASYNC_ROSTER_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The objects of one kind that a context has. Each removes itself before it is destroyed.
template <class Member>
class roster {
public:
  void add(Member& member)
  {
    const std::lock_guard lock(mutex_);
    member.place_in_roster = members_.size();
    members_.push_back(&member);
  }

  void remove(Member& member) noexcept
  {
    const std::lock_guard lock(mutex_);
    const std::size_t place = member.place_in_roster;
    if (place >= members_.size() || members_[place] != &member) return;
    members_[place] = members_.back();
    members_[place]->place_in_roster = place;
    members_.pop_back();
  }

  std::vector<std::shared_ptr<Member>> all()
  {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Member>> result;
    for (Member* const member : members_)
      if (auto held = member->weak_from_this().lock()) result.push_back(std::move(held));
    return result;
  }

private:
  std::mutex mutex_;
  std::vector<Member*> members_;
};

/// When the context ends, the service calls two functions of every member:
/// - `silence`: from then on, the member starts nothing;
/// - `discard`: the member releases the operations that wait in it.
///
/// In a child of fork(2), it calls `forked` of the members that have this function. What they know
/// must not be known to the parent.
///
/// A handler that dies with the context may destroy a member, so the roster outlives the service.
template <class Member>
class roster_service : public net::execution_context::service {
public:
  inline static net::execution_context::id id;

  explicit roster_service(net::execution_context& context)
      : net::execution_context::service(context)
  {
  }

  std::shared_ptr<roster<Member>> members = std::make_shared<roster<Member>>();

private:
  /// An operation that waits in a member may own that member. Only `discard` breaks that cycle.
  void shutdown() noexcept override
  {
    const auto held = members->all();
    // Silences all members first, since the `discard` of one may destroy another.
    for (const auto& member : held)
      member->silence();
    for (const auto& member : held)
      member->discard();
  }

  void notify_fork(net::execution_context::fork_event event) override
  {
    if constexpr (requires(Member& each) { each.forked(); })
      if (event == net::execution_context::fork_child)
        for (const auto& member : members->all())
          member->forked();
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
