// SPDX-License-Identifier: BSL-1.0
// Finds the simulated network of a context, and ends what waits in it with the context.
#ifndef DGRAM_DETAIL_SIM_SERVICE_HPP
#define DGRAM_DETAIL_SIM_SERVICE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/wire.hpp>

#include <memory>
#include <stdexcept>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class sim_service : public net::execution_context::service {
public:
  inline static net::execution_context::id id;

  explicit sim_service(net::execution_context& context) : net::execution_context::service(context)
  {
  }

  /// The network that the context has now.
  std::shared_ptr<sim_wire> current;

  /// Those that have ended may still have completions to deliver.
  std::vector<std::shared_ptr<sim_wire>> ended;

  /// The network of the executor's context. Throws `std::logic_error` if it has none.
  static const std::shared_ptr<sim_wire>& find(const net::any_io_executor& executor,
                                               const char* what)
  {
    auto& context = net::query(executor, net::execution::context_as<net::execution_context&>);
    const auto& found = net::use_service<sim_service>(context).current;
    if (!found)
      throw std::logic_error(std::string(what) + ": the executor's context has no sim::network");
    return found;
  }

private:
  void shutdown() noexcept override
  {
    const auto all = ended;
    for (const auto& each : all)
      each->discard();
    if (const auto last = current) last->discard();
    ended.clear();
    current.reset();
  }
};

/// How many networks this thread has: at most one, because it has one virtual clock.
inline thread_local int sim_networks_of_thread = 0;

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
