// SPDX-License-Identifier: BSL-1.0
// Looks up names: tells names from addresses, runs a lookup, caches the results of an emitter.
#ifndef DGRAM_DETAIL_NAMES_NAME_LOOKUPS_HPP
#define DGRAM_DETAIL_NAMES_NAME_LOOKUPS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Returns the address that the text spells.
/// - For a name, returns none and no error: a resolver must look it up.
/// - For text that is neither, returns none and sets `ec`. No name has a colon. Digits alone are a
///   port in the wrong place.
/// - Other spellings that getaddrinfo(3) takes for an address, such as "127.1", are left to the
///   resolver.
inline std::optional<net::ip::address> read_host(std::string_view text, error_code& ec)
{
  auto address = parse_address(text, ec);
  if (!ec) return address;
  const bool is_name = !text.empty() && text.find(':') == std::string_view::npos &&
                       text.find('\0') == std::string_view::npos && !only_has(text, "0123456789");
  if (is_name) ec.clear();
  return std::nullopt;
}

/// A pending lookup. The operations that wait for it hold it. If they are gone when the resolver
/// reports, the result is dropped.
class lookup : public std::enable_shared_from_this<lookup> {
public:
  using endpoint_type = net::ip::udp::endpoint;

  /// `told` is called once, when there is a result.
  explicit lookup(std::function<void()> told) : told_(std::move(told)) {}

  bool is_done() const noexcept { return done_; }
  const error_code& error() const noexcept { return error_; }
  const std::vector<endpoint_type>& found() const noexcept { return found_; }

  template <class Results>
  void finish(const error_code& ec, const Results& results)
  {
    if (std::exchange(done_, true)) return;
    error_ = ec;
    try {
      for (const auto& result : results)
        found_.push_back(static_cast<endpoint_type>(result));
    } catch (const std::bad_alloc&) {
      error_ = net::error::no_memory;
    }
    if (!error_ && found_.empty()) error_ = net::error::host_not_found;
    std::exchange(told_, nullptr)();
  }

  /// The resolver calls this, on the associated executor.
  template <class Executor>
  class handler {
  public:
    using executor_type = Executor;

    handler(lookup& of, const Executor& executor)
        : lookup_(of.weak_from_this()), executor_(executor)
    {
    }

    executor_type get_executor() const noexcept { return executor_; }

    template <class Results>
    void operator()(const error_code& ec, const Results& results) const
    {
      if (const auto asked = lookup_.lock()) asked->finish(ec, results);
    }

    /// The same from any thread, at once or later. It may also be called when the context and the
    /// waiting operations are gone.
    void report(const error_code& ec, const net::ip::address& address) const
    {
      if (lookup_.expired()) return;
      net::post(executor_,
                [self = *this, ec, address] { self(ec, std::array{endpoint_type(address, 0)}); });
    }

  private:
    std::weak_ptr<lookup> lookup_;
    Executor executor_;
  };

  /// `family` is the family that the socket takes, if it takes only one.
  template <class Resolver, class Executor>
  void ask(Resolver& resolver, const Executor& executor, const std::optional<net::ip::udp>& family,
           const std::string& host, const std::string& service)
  {
    handler<Executor> report(*this, executor);
    if constexpr (requires { resolver.async_resolve(*family, host, service, report); }) {
      if (family) {
        resolver.async_resolve(*family, host, service, std::move(report));
        return;
      }
    }
    resolver.async_resolve(host, service, std::move(report));
  }

  /// Asks one of Asio's resolvers, which lives as long as the lookup.
  template <class Executor>
  void ask_system(const Executor& executor, const std::optional<net::ip::udp>& family,
                  const std::string& host, const std::string& service)
  {
    auto own = std::make_shared<net::ip::basic_resolver<net::ip::udp, Executor>>(executor);
    ask(*own, executor, family, host, service);
    resolver_ = std::move(own);
  }

private:
  std::function<void()> told_;
  std::shared_ptr<void> resolver_;
  std::vector<endpoint_type> found_;
  error_code error_;
  bool done_ = false;
};

/// The lookups of an emitter. Each name is looked up once for all operations that wait for it, and
/// its address is kept for a while, by `Clock`, which is the transport's. `Owner` has
/// `shared_from_this`, `get_executor`, `turns` and `options`, and its `family` has `is_v6`. These
/// functions of its `pending` get the results:
/// - `void looked_up(const std::string& name, const net::ip::address&)`
/// - `void not_looked_up(const failure&)`, whose address is the name
template <class Owner, class Executor, class Clock>
class name_lookups {
public:
  explicit name_lookups(Owner& owner) noexcept : owner_(owner) {}
  name_lookups(const name_lookups&) = delete;
  name_lookups& operator=(const name_lookups&) = delete;

  /// Returns the address of a name that was looked up recently.
  std::optional<net::ip::address> find(std::string_view name) const
  {
    for (const auto& each : known_)
      if (each.name == name && each.expiry > Clock::now()) return each.address;
    return std::nullopt;
  }

  /// Starts a lookup, unless one is pending for this name. The owner gets the result, unless this
  /// throws.
  void start(const std::string& name)
  {
    if (std::any_of(pending_.begin(), pending_.end(),
                    [&](auto& each) { return each.name == name; }))
      return;
    // The user's own lookup may run anywhere, so this work guard keeps the context running
    // meanwhile.
    auto begun = std::make_shared<lookup>([this, name, owner = owner_.weak_from_this(),
                                           work = net::make_work_guard(owner_.get_executor())] {
      if (const auto held = owner.lock()) finish(name, {});
    });
    pending_.push_back({name, begun});
    try {
      ask(name, *begun);
    } catch (...) {
      std::erase_if(pending_, [&](const auto& each) { return each.asked == begun; });
      throw;
    }
  }

  /// Gives up all pending lookups: the owner gets no result of them.
  void end() noexcept { const auto released = std::exchange(pending_, {}); }

private:
  static constexpr std::size_t most_known = 16;

  struct pending {
    std::string name;
    std::shared_ptr<lookup> asked;
  };

  struct known {
    std::string name;
    net::ip::address address;
    typename Clock::time_point expiry;
  };

  /// If the user's lookup throws, only the operations that wait for the name fail. Other operations
  /// are pending here, and must not suffer.
  void ask(const std::string& name, lookup& begun)
  {
    try {
      error_code ec;
      read_host(name, ec);
      if (ec)
        fail_later(name, begun, net::error::host_not_found, ec.message());
      else if (owner_.options.lookup)
        ask_user(name, begun);
      else
        begun.ask_system(owner_.get_executor(), family(), name, "");
    } catch (const system_error& error) {
      const error_code none = net::error::no_recovery;
      fail_later(name, begun, error.code() ? error.code() : none, error.what());
    } catch (const std::exception& error) {
      fail_later(name, begun, net::error::no_recovery, error.what());
    } catch (...) {
      fail_later(name, begun, net::error::no_recovery, {});
    }
  }

  /// The user's lookup may report on any thread, at once, or twice.
  void ask_user(const std::string& name, lookup& begun)
  {
    const lookup::handler<Executor> handler(begun, owner_.get_executor());
    owner_.options.lookup(name, owner_.options.type,
                          [handler](const error_code& ec, const net::ip::address& address) {
                            handler.report(ec, address);
                          });
  }

  net::ip::udp family() const
  {
    return owner_.family.is_v6() ? net::ip::udp::v6() : net::ip::udp::v4();
  }

  void fail_later(const std::string& name, lookup& begun, const error_code& ec, std::string detail)
  {
    owner_.turns.post([this, name, ec, detail = std::move(detail), asked = begun.weak_from_this()] {
      if (!asked.expired()) finish(name, failure{.code = ec, .address = {}, .detail = detail});
    });
  }

  void finish(const std::string& name, failure why)
  {
    const auto found = std::find_if(pending_.begin(), pending_.end(),
                                    [&](const auto& each) { return each.name == name; });
    if (found == pending_.end()) return;
    auto done = std::move(*found);
    pending_.erase(found);
    if (!why) why.code = done.asked->error();
    if (why) {
      why.operation = "getaddrinfo";
      why.address = std::move(done.name);
      owner_.pending.not_looked_up(why);
      return;
    }
    const net::ip::address address = done.asked->found().front().address();
    remember(done.name, address);
    owner_.pending.looked_up(done.name, address);
  }

  /// If there is no memory for the address, the name is looked up again next time.
  void remember(const std::string& name, const net::ip::address& address)
  {
    const auto lifetime = owner_.options.lookup_lifetime;
    if (lifetime.count() <= 0) return;
    const auto keep = [&] {
      std::erase_if(known_, [&](const known& each) { return each.name == name; });
      if (known_.size() == most_known) known_.erase(known_.begin());
      known_.push_back({name, address, deadline(Clock::now(), lifetime)});
    };
    unless_no_memory(keep, [] {});
  }

  Owner& owner_;
  std::vector<pending> pending_;
  std::vector<known> known_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
