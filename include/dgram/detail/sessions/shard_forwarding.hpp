// SPDX-License-Identifier: BSL-1.0
// How a listener of a group of shards passes datagrams to the listener that has their session.
#ifndef DGRAM_DETAIL_SESSIONS_SHARD_FORWARDING_HPP
#define DGRAM_DETAIL_SESSIONS_SHARD_FORWARDING_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/sessions/session_directory.hpp>
#include <dgram/detail/sessions/session_store.hpp>
#include <dgram/detail/sessions/shard_mailbox.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One listener's part. What a batch has for another listener is copied to a parcel, and all
/// parcels are delivered when the batch has been dealt out.
template <class Protocol>
class shard_forwarding final : public key_registry<packed_key<Protocol>> {
public:
  using directory_type = session_directory<Protocol>;
  using mailbox_type = shard_mailbox<Protocol>;
  using key_type = packed_key<Protocol>;
  using parcels = typename mailbox_type::parcels;

  /// `wake` and the limit are those of a mailbox.
  shard_forwarding(std::shared_ptr<directory_type> directory, std::size_t most_bytes,
                   std::function<void()> wake)
      : directory_(std::move(directory)),
        mailbox_(std::make_shared<mailbox_type>(most_bytes, std::move(wake))),
        own_(directory_->enroll(mailbox_))
  {
  }

  ~shard_forwarding() { leave(); }

  // --- keys of the listener's sessions ---

  bool claim(const key_type& key) override { return has_left_ || directory_->claim(key, own_); }

  void release(const key_type& key) noexcept override
  {
    if (!has_left_) directory_->release(key, own_);
  }

  // --- to other listeners ---

  /// Takes a datagram whose key another listener has. Returns false if none has it.
  bool pass_on(const key_type& key, const basic_datagram<Protocol>& received)
  {
    if (has_left_) return false;
    const auto owner = directory_->owner_of(key);
    if (owner == 0 || owner == own_) return false;
    route* const to = route_to(owner);
    if (to == nullptr) return false;
    ++(copy(*to, received) ? forwarded_ : dropped_);
    return true;
  }

  /// Delivers what the batch had for others.
  void deliver() noexcept
  {
    for (route& each : routes_)
      if (each.filling) deliver(each);
  }

  std::uint64_t forwarded() const noexcept { return forwarded_; }
  std::uint64_t dropped() const noexcept { return dropped_; }

  // --- from other listeners ---

  void take_full(parcels& into) { mailbox_->take_full(into); }
  void give_back(parcels& read) noexcept { mailbox_->give_back(read); }

  /// From now on nothing is forwarded, to this listener or by it. What this listener has not taken
  /// goes to another one. Returns how many datagrams are lost.
  std::size_t leave() noexcept
  {
    if (has_left_) return 0;
    deliver();
    has_left_ = true;
    // What others deliver meanwhile is left in the mailbox, or finds another listener.
    directory_->leave(own_);
    std::size_t lost = 0;
    for (const auto& each : mailbox_->leave())
      lost += pass_to_any(*each);
    return lost;
  }

private:
  struct route {
    typename directory_type::number owner;
    std::shared_ptr<mailbox_type> mailbox;
    typename mailbox_type::parcel_ptr filling;  // has datagrams of this listener only
  };

  route* route_to(typename directory_type::number owner)
  {
    for (route& each : routes_)
      if (each.owner == owner) return &each;
    auto mailbox = directory_->mailbox_of(owner);
    if (!mailbox) return nullptr;
    std::erase_if(routes_,
                  [](const route& each) { return !each.filling && each.mailbox->has_left(); });
    routes_.push_back({owner, std::move(mailbox), {}});
    return &routes_.back();
  }

  /// Returns false if there is no room.
  bool copy(route& to, const basic_datagram<Protocol>& received) noexcept
  {
    if (to.filling) {
      if (to.filling->add(received)) return true;
      deliver(to);
    }
    if (to.mailbox->add_to_last(received)) return true;
    to.filling = to.mailbox->take();
    return to.filling && to.filling->add(received);
  }

  void deliver(route& to) noexcept
  {
    const std::size_t copied = to.filling->size();
    if (to.mailbox->deliver(to.filling)) return;
    // The listener has left since the batch began.
    const auto left = std::move(to.filling);
    const std::size_t lost = left ? pass_to_any(*left) : copied;
    forwarded_ -= lost;
    dropped_ += lost;
  }

  /// Passes on what a listener that has left should have got. The listener that gets it may be this
  /// one, and takes the senders for strangers. Returns how many datagrams are lost.
  std::size_t pass_to_any(parcel<Protocol>& left) noexcept
  {
    std::size_t lost = 0;
    const auto mailbox = directory_->any_mailbox();
    typename mailbox_type::parcel_ptr filling = mailbox ? mailbox->take() : nullptr;
    const std::size_t all = left.size();
    while (auto* const next = left.next())
      if (!filling || !filling->add(next->view())) ++lost;
    return filling && mailbox->deliver(filling) ? lost : all;
  }

  const std::shared_ptr<directory_type> directory_;
  const std::shared_ptr<mailbox_type> mailbox_;
  const typename directory_type::number own_;
  std::vector<route> routes_;
  std::uint64_t forwarded_ = 0;
  std::uint64_t dropped_ = 0;
  bool has_left_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
