// SPDX-License-Identifier: BSL-1.0
// The operations of an emitter socket that have a callback, in the ways in which they can be started.
#ifndef DGRAM_DETAIL_EMITTER_OPERATIONS_HPP
#define DGRAM_DETAIL_EMITTER_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/completion.hpp>
#include <dgram/error.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>

#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

// The operations that have a callback: `start` begins one whose arguments and state were checked, `start_later` one that
// a completion token launches, `listen` one whose callback is a listener.

template <class Core>
struct binding {
  typename Core::target_type to;

  void start(Core& core, completion<>* done) const { core.bind(to, done); }

  template <class Callback>
  void listen(Core& core, Callback&& callback) const
  {
    core.bind_with(to, std::forward<Callback>(callback));
  }

  void start_later(Core& core, completion<>* done) const
  {
    if (!core.is_running())
      core.fail(done, failure_of("bind", error::not_running));
    else if (core.bind_phase() != Core::phase::none)
      core.fail(done, failure_of("bind", error::already_bound));
    else
      start(core, done);
  }
};

template <class Core>
struct connecting {
  typename Core::target_type to;

  void start(Core& core, completion<>* done) const { core.connect(to, done); }

  template <class Callback>
  void listen(Core& core, Callback&& callback) const
  {
    core.connect_with(to, std::forward<Callback>(callback));
  }

  void start_later(Core& core, completion<>* done) const
  {
    if (!core.is_running())
      core.fail(done, failure_of("connect", error::not_running));
    else if (core.connect_phase() != Core::phase::none)
      core.fail(done, failure_of("connect", net::error::already_connected));
    else
      start(core, done);
  }
};

template <class Core>
struct adoption {
  int descriptor;

  void start(Core& core, completion<>*) const
  {
    error_code ec;
    core.adopt(descriptor, ec);
    if (ec) refuse("open", ec, "descriptor " + std::to_string(descriptor));
    core.template post_event<event::listening>();
  }

  template <class Callback>
  void listen(Core& core, Callback&& callback) const
  {
    start(core, nullptr);
    core.events.template once<event::listening>(std::forward<Callback>(callback));
  }

  void start_later(Core& core, completion<>* done) const
  {
    error_code ec = error::already_bound;
    if (!core.is_running())
      ec = error::not_running;
    else if (core.bind_phase() == Core::phase::none)
      core.adopt(descriptor, ec);
    if (!ec) core.template post_event<event::listening>();
    core.fail(done, failure_of("open", ec));
  }
};

template <class Core>
struct closing {
  void start(Core& core, completion<>*) const { core.close(); }

  template <class Callback>
  void listen(Core& core, Callback&& callback) const
  {
    core.events.template once<event::close>(std::forward<Callback>(callback));
    core.close();
  }

  void start_later(Core& core, completion<>* done) const
  {
    if (core.is_running())
      core.close(done);
    else
      core.fail(done, failure_of("close", error::not_running));
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
