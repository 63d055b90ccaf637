// SPDX-License-Identifier: BSL-1.0
// Looks names up, each once for all that wait for it.
#ifndef DGRAM_DETAIL_NAMES_NAME_LOOKUPS_HPP
#define DGRAM_DETAIL_NAMES_NAME_LOOKUPS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/names/name_table.hpp>
#include <dgram/failure.hpp>
#include <dgram/socket_options.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Owner` is held by `shared_from_this`, has `get_executor`, `post` and `options`, and is told:
///   void looked_up(std::vector<Waiting>, net::ip::address);
///   void not_looked_up(std::vector<Waiting>, failure);
template <class Owner, class Waiting, class Executor>
class name_lookups {
public:
  explicit name_lookups(Owner& owner) noexcept : owner_(owner) {}
  name_lookups(const name_lookups&) = delete;
  name_lookups& operator=(const name_lookups&) = delete;

  /// The address of a name that was looked up a moment ago.
  std::optional<net::ip::address> find(std::string_view name) const { return known_.find(name); }

  void start(const std::string& name, Waiting waiting)
  {
    const auto same = std::find_if(pending_.begin(), pending_.end(),
                                   [&](const auto& each) { return each->name == name; });
    if (same != pending_.end()) {
      (*same)->waiting.push_back(std::move(waiting));
      return;
    }
    const auto number = ++last_number_;
    pending_.push_back(std::make_unique<lookup>(number, name, owner_.get_executor()));
    pending_.back()->waiting.push_back(std::move(waiting));
    ask(name, number);
  }

  /// Calls a function with the list of those that wait for each name, until it returns true.
  template <class Function>
  void find_among_waiting(Function function)
  {
    for (auto& each : pending_)
      if (function(each->waiting)) return;
  }

  /// Gives up; what is reported now finds nobody.
  std::vector<Waiting> end()
  {
    std::vector<Waiting> all;
    for (auto& each : std::exchange(pending_, {}))
      std::move(each->waiting.begin(), each->waiting.end(), std::back_inserter(all));
    resolver_.reset();
    return all;
  }

  /// The same, and tells nobody.
  void discard() noexcept { const auto released = std::exchange(pending_, {}); }

private:
  using resolver_type = net::ip::basic_resolver<net::ip::udp, Executor>;

  struct lookup {
    lookup(std::uint64_t count, std::string looked_for, const Executor& executor)
        : number(count), name(std::move(looked_for)), work(executor)
    {
    }

    std::uint64_t number;
    std::string name;
    std::vector<Waiting> waiting;
    net::executor_work_guard<Executor> work;  // a lookup of the user's own may be anywhere
  };

  void ask(const std::string& name, std::uint64_t number)
  {
    if (owner_.options.lookup)
      ask_user(name, number);
    else
      ask_system(name, number);
  }

  /// It may report on any thread, at once, or twice. What it throws is its failure: other operations than those that ask
  /// for the name are under way here, and are not to suffer.
  void ask_user(const std::string& name, std::uint64_t number)
  {
    try {
      owner_.options.lookup(name, owner_.options.type,
                            [this, weak = owner_.weak_from_this(), executor = owner_.get_executor(),
                             number](error_code ec, const net::ip::address& address) {
                              // The context may have gone with the socket.
                              if (weak.expired()) return;
                              net::post(executor, [this, weak, number, ec, address] {
                                if (const auto owner = weak.lock()) finish(number, ec, address);
                              });
                            });
    } catch (const system_error& error) {
      const error_code none = net::error::no_recovery;
      fail_later(number, error.code() ? error.code() : none, error.what());
    } catch (const std::exception& error) {
      fail_later(number, net::error::no_recovery, error.what());
    } catch (...) {
      fail_later(number, net::error::no_recovery, {});
    }
  }

  void fail_later(std::uint64_t number, const error_code& ec, std::string detail)
  {
    owner_.post([this, number, ec, detail = std::move(detail)] { finish(number, ec, {}, detail); });
  }

  /// Asio's resolver has a thread of its own.
  void ask_system(const std::string& name, std::uint64_t number)
  {
    if (!resolver_) resolver_.emplace(owner_.get_executor());
    const bool v6 = owner_.options.type == socket_type::udp6;
    resolver_->async_resolve(
        v6 ? net::ip::udp::v6() : net::ip::udp::v4(), name, "",
        [this, owner = owner_.shared_from_this(), number](
            error_code ec, const typename resolver_type::results_type& results) {
          if (!ec && results.begin() == results.end()) ec = net::error::host_not_found;
          finish(number, ec, ec ? net::ip::address() : results.begin()->endpoint().address());
        });
  }

  void finish(std::uint64_t number, const error_code& ec, const net::ip::address& address,
              const std::string& detail = {})
  {
    const auto found = std::find_if(pending_.begin(), pending_.end(),
                                    [number](const auto& each) { return each->number == number; });
    if (found == pending_.end()) return;  // closed meanwhile, or reported twice
    const auto done = std::move(*found);
    pending_.erase(found);
    if (!ec) known_.remember(done->name, address, owner_.options.lookup_lifetime);
    if (ec)
      owner_.not_looked_up(std::move(done->waiting), {.code = ec,
                                                      .operation = "getaddrinfo",
                                                      .address = done->name,
                                                      .port = 0,
                                                      .detail = detail});
    else
      owner_.looked_up(std::move(done->waiting), address);
  }

  Owner& owner_;
  std::vector<std::unique_ptr<lookup>> pending_;
  name_table known_;
  std::optional<resolver_type> resolver_;
  std::uint64_t last_number_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
