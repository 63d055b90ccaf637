// SPDX-License-Identifier: BSL-1.0
// The operations of an emitter socket that have a callback: how to check and to start each.
#ifndef DGRAM_DETAIL_EMITTER_OPERATIONS_HPP
#define DGRAM_DETAIL_EMITTER_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>

#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

// Each operation has:
// - `check`: says why the operation cannot start in the emitter's state;
// - `start`: starts it with a completion, with a callback that listens for `event`, or with
//   neither.

template <class Core>
struct binding {
  using event = dgram::event::listening;
  static constexpr const char* name = "bind";

  typename Core::destination_type to;

  static error_code check(const Core& core)
  {
    if (!core.is_running()) return error::not_running;
    return core.bind_phase() == Core::phase::none ? error_code() : error::already_bound;
  }

  void start(Core& core, any_completion_ptr done, listener_id listener) const
  {
    start_bind(core, to, std::move(done), listener);
  }
};

/// A bind that takes over a descriptor.
template <class Core>
struct adoption : binding<Core> {
  int descriptor;

  void start(Core& core, any_completion_ptr done, listener_id) const
  {
    error_code ec;
    core.pending().adopt(descriptor, ec);
    if (ec && !done) refuse("open", ec, "descriptor " + std::to_string(descriptor));
    if (!ec) core.template post_event<event::listening>();
    if (done) core.fail(done.release(), failure_of("open", ec));
  }
};

template <class Core>
struct connecting {
  using event = dgram::event::connect;
  static constexpr const char* name = "connect";

  typename Core::destination_type to;

  static error_code check(const Core& core)
  {
    if (!core.is_running()) return error::not_running;
    return core.connect_phase() == Core::phase::none ? error_code() : net::error::already_connected;
  }

  void start(Core& core, any_completion_ptr done, listener_id listener) const
  {
    start_connect(core, to, std::move(done), listener);
  }
};

template <class Core>
struct closing {
  using event = dgram::event::close;
  static constexpr const char* name = "close";

  static error_code check(const Core& core)
  {
    return core.is_running() && !core.is_closing() ? error_code() : error::not_running;
  }

  void start(Core& core, any_completion_ptr done, listener_id) const
  {
    start_close(core, std::move(done));
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
