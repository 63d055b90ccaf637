// SPDX-License-Identifier: BSL-1.0
// Typed events: each has any number of listeners, which are checked at compile time and called in
// order.
#ifndef DGRAM_EVENT_EMITTER_HPP
#define DGRAM_EVENT_EMITTER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/local_ptr.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// Identifies a listener, so that it can be removed.
class listener_id {
public:
  constexpr listener_id() noexcept = default;
  constexpr explicit listener_id(std::uint64_t number) noexcept : number_(number) {}

  /// Whether it identifies a listener.
  constexpr explicit operator bool() const noexcept { return number_ != 0; }

  friend constexpr bool operator==(listener_id, listener_id) noexcept = default;

private:
  std::uint64_t number_ = 0;
};

namespace detail {

template <class Socket>
class emitter_core;

template <class Signature>
struct listener_base;

template <class... Args>
struct listener_base<void(Args...)> {
  explicit listener_base(bool only_once) noexcept : once(only_once) {}
  listener_base(const listener_base&) = delete;
  listener_base& operator=(const listener_base&) = delete;
  virtual ~listener_base() = default;
  virtual void call(Args... args) = 0;

  std::size_t holders = 0;
  listener_id id;
  bool once;
  bool spent = false;  // a `once` listener that was called
};

template <class Function, class Arguments, std::size_t... Index>
constexpr bool takes_leading(std::index_sequence<Index...>)
{
  return std::invocable<Function&, std::tuple_element_t<Index, Arguments>...>;
}

/// How many of the arguments a listener takes: the most that it can be called with, since a
/// listener may omit the last ones. -1 if it cannot be called at all.
template <class Function, class Arguments, std::size_t Count = std::tuple_size_v<Arguments>>
constexpr int leading_arguments()
{
  if constexpr (takes_leading<Function, Arguments>(std::make_index_sequence<Count>()))
    return static_cast<int>(Count);
  else if constexpr (Count > 0)
    return leading_arguments<Function, Arguments, Count - 1>();
  else
    return -1;
}

template <class Function, class Signature>
struct listener_of;

template <class Function, class... Args>
struct listener_of<Function, void(Args...)> final : listener_base<void(Args...)> {
  template <class F>
  listener_of(F&& taken, bool only_once)
      : listener_base<void(Args...)>(only_once), function(std::forward<F>(taken))
  {
  }

  void call(Args... args) override
  {
    constexpr auto count =
        static_cast<std::size_t>(leading_arguments<Function, std::tuple<Args...>>());
    call_with(std::tuple<Args&&...>(static_cast<Args&&>(args)...),
              std::make_index_sequence<count>());
  }

  template <class Arguments, std::size_t... Index>
  void call_with([[maybe_unused]] Arguments&& args, std::index_sequence<Index...>)
  {
    // NOLINTNEXTLINE(bugprone-use-after-move): each `get` moves another element
    std::invoke(function, std::get<Index>(std::forward<Arguments>(args))...);
  }

  Function function;
};

template <class Function, class Signature>
inline constexpr bool is_listener = false;

template <class Function, class... Args>
inline constexpr bool is_listener<Function, void(Args...)> =
    leading_arguments<Function, std::tuple<Args...>>() >= 0;

template <class Result>
inline constexpr bool is_awaitable = false;

template <class T, class Executor>
inline constexpr bool is_awaitable<net::awaitable<T, Executor>> = true;

template <class Function, class Arguments, std::size_t... Index>
constexpr bool is_coroutine(std::index_sequence<Index...>)
{
  return is_awaitable<std::invoke_result_t<Function&, std::tuple_element_t<Index, Arguments>...>>;
}

/// Whether a listener returns a coroutine. An emission discards the result, so the coroutine would
/// never run.
template <class Function, class Signature>
inline constexpr bool is_coroutine_listener = false;

template <class Function, class... Args>
  requires is_listener<Function, void(Args...)>
inline constexpr bool is_coroutine_listener<Function, void(Args...)> =
    is_coroutine<Function, std::tuple<Args...>>(
        std::make_index_sequence<static_cast<std::size_t>(
            leading_arguments<Function, std::tuple<Args...>>())>());

/// The listeners of one event. An emission holds the list as it was at its start; a change then
/// copies the list.
template <class Event>
class listener_list {
public:
  using signature = typename Event::signature;
  using listener = listener_base<signature>;

  struct entries {
    std::size_t holders = 0;
    std::vector<local_ptr<listener>> all;
  };

  std::size_t size() const noexcept { return current_ ? current_->all.size() : 0; }

  local_ptr<entries> snapshot() const noexcept { return current_; }

  /// Whether the list has not changed since this snapshot.
  bool is(const local_ptr<entries>& snapshot) const noexcept { return current_ == snapshot; }

  void add(local_ptr<listener> added, bool in_front);
  bool remove(listener_id id);
  void clear() noexcept { const auto released = std::exchange(current_, {}); }

private:
  entries& writable()
  {
    if (!current_)
      current_ = local_ptr<entries>(new entries);
    else if (current_.is_shared())
      current_ = local_ptr<entries>(new entries{0, current_->all});
    return *current_;
  }

  local_ptr<entries> current_;
};

// Outside the class, so that an `extern template` keeps each unit from compiling them.

template <class Event>
void listener_list<Event>::add(local_ptr<listener> added, bool in_front)
{
  auto& all = writable().all;
  all.insert(in_front ? all.begin() : all.end(), std::move(added));
}

template <class Event>
bool listener_list<Event>::remove(listener_id id)
{
  if (!current_) return false;
  const auto has_id = [id](const auto& entry) { return entry->id == id; };
  const auto& all = current_->all;
  const auto found = std::find_if(all.begin(), all.end(), has_id);
  if (found == all.end()) return false;
  const auto index = found - all.begin();
  auto& rest = writable().all;
  const auto removed = rest[static_cast<std::size_t>(index)];  // destroys the captures last
  rest.erase(rest.begin() + index);
  return true;
}

}  // namespace detail

/// Emits events. An event is a type that names the arguments of its listeners:
///
/// \code
/// struct progress { using signature = void(int percent); };
/// struct done { using signature = void(); };
/// dgram::event_emitter<progress, done> events;
/// auto id = events.on<progress>([](int percent) { fmt::print("{} %\n", percent); });
/// events.once<done>([] { fmt::print("done\n"); });
/// events.emit<progress>(50);
/// events.off(id);
/// \endcode
///
/// `emit` calls the listeners in order, before it returns. It calls the listeners that existed when
/// the emission began. A listener that is added meanwhile waits for the next emission. One that is
/// removed meanwhile is still called this time. A listener may:
///  - add and remove listeners, and emit
///  - destroy the emitter, whose remaining listeners are then not called
///  - throw; the exception leaves `emit`
///  - omit the last arguments, or all
///
/// Thread safety: distinct objects are safe; one object is not.
template <class... Events>
class event_emitter {
  struct core;

public:
  event_emitter() : core_(new core) {}
  event_emitter(event_emitter&&) noexcept = default;
  event_emitter& operator=(event_emitter&& other) noexcept
  {
    if (this != &other) {
      if (core_) core_->gone = true;
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~event_emitter()
  {
    if (core_) core_->gone = true;
  }

  /// Adds a listener behind the others.
  template <class Event, class Listener>
  listener_id on(Listener&& listener)
  {
    return add<Event>(std::forward<Listener>(listener), false, false);
  }

  /// Adds a listener that is removed before it is called.
  template <class Event, class Listener>
  listener_id once(Listener&& listener)
  {
    return add<Event>(std::forward<Listener>(listener), true, false);
  }

  /// Adds a listener in front of the others.
  template <class Event, class Listener>
  listener_id prepend(Listener&& listener)
  {
    return add<Event>(std::forward<Listener>(listener), false, true);
  }

  template <class Event, class Listener>
  listener_id prepend_once(Listener&& listener)
  {
    return add<Event>(std::forward<Listener>(listener), true, true);
  }

  /// Removes a listener. Returns false if it is already gone.
  bool off(listener_id id) { return (list<Events>().remove(id) || ...); }

  /// Removes the listeners of one event.
  template <class Event>
  void remove_all() noexcept
  {
    list<Event>().clear();
  }

  /// Removes the listeners of all events.
  void remove_all() noexcept { (list<Events>().clear(), ...); }

  template <class Event>
  std::size_t listener_count() const noexcept
  {
    return std::get<detail::listener_list<Event>>(core_->lists).size();
  }

  /// Calls the listeners of an event. Returns false if there are none.
  template <class Event, class... Args>
  bool emit(Args&&... args)
  {
    return emission<Event>(*this)(std::forward<Args>(args)...);
  }

  /// Emits one event many times, each time as `emit` does, for callers with many to emit:
  /// `emission<Event> emit(emitter);` and then `emit(values...)`. It may outlive the emitter, and
  /// emits nothing then.
  template <class Event>
  class emission {
    using list_type = detail::listener_list<Event>;
    using entry_type = detail::local_ptr<typename list_type::listener>;

  public:
    explicit emission(const event_emitter& emitter)
        : held_(emitter.core_), listeners_(&std::get<list_type>(held_->lists))
    {
      look_again();
    }

    template <class... Args>
    bool operator()(Args&&... args)
    {
      if (!listeners_->is(current_)) look_again();
      if (held_->gone || first_ == last_) return false;
      for (const entry_type* entry = first_; entry != last_ && !held_->gone; ++entry) {
        auto& listener = **entry;
        if (!listener.once)
          listener.call(args...);
        else if (!std::exchange(listener.spent, true))
          call_last(*entry, args...);
      }
      return true;
    }

  private:
    void look_again()
    {
      current_ = listeners_->snapshot();
      first_ = current_ ? current_->all.data() : nullptr;
      last_ = current_ ? first_ + current_->all.size() : nullptr;
    }

    template <class... Args>
    void call_last(const entry_type& entry, Args&... args)
    {
      // the list may hold the only
      // other one
      // NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
      const auto last_hold = entry;
      try {
        listeners_->remove(entry->id);
      } catch (const std::bad_alloc&) {
        // It stays in the list, which this emission shares, and is never called again.
      }
      last_hold->call(args...);
    }

    // A listener may destroy the emitter, or change the list.
    detail::local_ptr<core> held_;
    list_type* listeners_;
    detail::local_ptr<typename list_type::entries> current_;
    const entry_type* first_;
    const entry_type* last_;
  };

private:
  template <class Socket>
  friend class detail::emitter_core;

  struct core {
    std::size_t holders = 0;
    std::uint64_t last_number = 0;
    bool gone = false;
    std::tuple<detail::listener_list<Events>...> lists;
  };

  /// Removes the listeners, also those that a pending emission has not called yet. Nothing is
  /// emitted afterwards.
  void end() noexcept
  {
    core_->gone = true;
    remove_all();
  }

  template <class Event>
  detail::listener_list<Event>& list() noexcept
  {
    return std::get<detail::listener_list<Event>>(core_->lists);
  }

  template <class Event, class Listener>
  listener_id add(Listener&& listener, bool once, bool in_front)
  {
    using function = std::decay_t<Listener>;
    using signature = typename Event::signature;
    constexpr bool fits = detail::is_listener<function, signature>;
    static_assert(fits,
                  "This listener cannot be called with what the event gives, see the event's "
                  "`signature`. It may leave out the last arguments, and take no others.");
    static_assert(!detail::is_coroutine_listener<function, signature>,
                  "A coroutine does not run as a listener. Give it to `as_coroutine(socket, "
                  "function)`, or spawn it in the listener.");
    listener_id id;
    if constexpr (fits) {
      detail::local_ptr<detail::listener_base<signature>> added(
          new detail::listener_of<function, signature>(std::forward<Listener>(listener), once));
      id = added->id = listener_id(++core_->last_number);
      list<Event>().add(std::move(added), in_front);
    }
    return id;
  }

  detail::local_ptr<core> core_;
};

DGRAM_NAMESPACE_END

#endif
