// SPDX-License-Identifier: BSL-1.0
// Connects an operation to the cancellation slot of its handler.
#ifndef DGRAM_DETAIL_ASYNC_CANCELLATION_HPP
#define DGRAM_DETAIL_ASYNC_CANCELLATION_HPP

#include <dgram/config.hpp>

#include <memory>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

// An operation may be destroyed uncalled, with its context, after the signal has gone. So a
// destructor never touches a slot. The signal may also outlive the operation, its socket and its
// context. So what is left in the slot refers to them weakly. An operation that completes may clear
// its slot, as Asio's own do.

/// A slot type that no handler has, so that it differs from every handler's.
struct default_slot : net::cancellation_slot {};

/// Whether a handler may have a cancellation slot. Its type decides: for a handler without one,
/// however it is wrapped, the trait returns the default that it is given.
template <class Handler>
inline constexpr bool may_have_slot =
    !std::is_same_v<net::associated_cancellation_slot_t<std::decay_t<Handler>, default_slot>,
                    default_slot>;

/// Whether a handler has a slot that a signal is connected to.
template <class Handler>
bool is_cancellable([[maybe_unused]] const Handler& handler) noexcept
{
  if constexpr (may_have_slot<Handler>)
    return net::get_associated_cancellation_slot(handler).is_connected();
  else
    return false;
}

/// Calls `function(Owner&, cancellation_type)` when the slot is signalled, while the owner exists.
template <class Slot, class Owner, class Function>
void on_cancellation(Slot slot, std::weak_ptr<Owner> owner, Function function)
{
  slot.assign([owner = std::move(owner), function](net::cancellation_type type) {
    if (const auto alive = owner.lock()) function(*alive, type);
  });
}

/// Lets every type of cancellation pass while the owner exists, and none afterwards. Asio's
/// operations leave a plain pointer to the insides of their socket or timer in a slot.
class while_exists {
public:
  explicit while_exists(std::weak_ptr<const void> owner) noexcept : owner_(std::move(owner)) {}

  net::cancellation_type_t operator()(net::cancellation_type_t type) const noexcept
  {
    if (owner_.expired()) return net::cancellation_type::none;
    return type;
  }

private:
  std::weak_ptr<const void> owner_;
};

/// Enables every type of cancellation for a composed operation. `owner` is a shared or weak pointer
/// to the object on which the operation waits.
template <class Self, class Owner>
void enable_cancellation(Self& self, const Owner& owner)
{
  if (!self.get_cancellation_state().slot().is_connected()) return;
  self.reset_cancellation_state(while_exists(owner), net::enable_total_cancellation());
}

/// The handler for one of Asio's own operations on an object of `owner`. It has a slot of its own,
/// which is connected to the handler's slot. Asio does not touch a slot when it completes an
/// operation, and neither does this.
template <class Handler>
class guarded_handler {
public:
  using cancellation_slot_type = net::cancellation_slot;

  template <class From>
  guarded_handler(From&& handler, const std::weak_ptr<const void>& owner)
      : slot_(net::cancellation_state(net::get_associated_cancellation_slot(handler),
                                      while_exists(owner), net::enable_total_cancellation())
                  .slot()),
        handler_(std::forward<From>(handler))
  {
  }

  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }
  const Handler& handler() const noexcept { return handler_; }

  template <class... Args>
  void operator()(Args&&... args)
  {
    std::move(handler_)(std::forward<Args>(args)...);
  }

private:
  cancellation_slot_type slot_;
  Handler handler_;
};

/// Out of line, so that handlers without a slot do not pay for it.
template <class State, class Handler, class Launch>
DGRAM_COLD void pass_on_cancellable(State& state, Handler&& handler, const Launch& launch)
{
  using guarded = guarded_handler<std::decay_t<Handler>>;
  launch(state, guarded(std::forward<Handler>(handler), state.weak_from_this()));
}

/// Launches one of Asio's own operations. Asio leaves a pointer to the socket's insides in a slot.
/// The pointer stays there when the operation is done or the socket is gone, so a slot needs a
/// guard. Usually there is no slot, and Asio gets the handler itself. A handler that cannot have a
/// slot instantiates nothing else.
template <class State, class Handler, class Launch>
void pass_on(State& state, Handler&& handler, const Launch& launch)
{
  if constexpr (may_have_slot<Handler>) {
    if (is_cancellable(handler)) [[unlikely]] {
      pass_on_cancellable(state, std::forward<Handler>(handler), launch);
      return;
    }
  }
  launch(state, std::forward<Handler>(handler));
}

}  // namespace detail

DGRAM_NAMESPACE_END

/// Everything except the slot is the handler's.
template <template <class, class> class Associator, class Handler, class Default>
struct dgram::net::associator<Associator, dgram::detail::guarded_handler<Handler>, Default>
    : Associator<Handler, Default> {
  static auto get(const dgram::detail::guarded_handler<Handler>& guarded) noexcept
  {
    return Associator<Handler, Default>::get(guarded.handler());
  }

  static auto get(const dgram::detail::guarded_handler<Handler>& guarded,
                  const Default& otherwise) noexcept
  {
    return Associator<Handler, Default>::get(guarded.handler(), otherwise);
  }
};

#endif
