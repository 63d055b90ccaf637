// SPDX-License-Identifier: BSL-1.0
// What the scenarios for our emitter share; trace.js is its counterpart, and says what a trace is.
#ifndef DGRAM_TESTS_PARITY_TRACE_HPP
#define DGRAM_TESTS_PARITY_TRACE_HPP

#include <fmt/format.h>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace parity {

namespace net = dgram::net;
using emitter = dgram::emitter_socket;
using action = std::function<void()>;

using listening = dgram::event::listening;
using connected = dgram::event::connect;
using message = dgram::event::message;
using error = dgram::event::error;
using closed = dgram::event::close;

/// A scenario is found by its name. Its function runs the loop itself, so that what the listeners
/// capture lives as long as they do.
struct scenario {
  scenario(const char* name, void (*function)());
};

#define PARITY_SCENARIO(name)                             \
  void name();                                            \
  const ::parity::scenario scenario_##name{#name, &name}; \
  void name()

net::io_context& loop();

/// Runs the loop to its end. What leaves it is shown, and the loop goes on.
void run();

/// The socket that a line is about, or what stands in its place.
struct subject {
  subject(const emitter& of);
  subject(const char* text) : name(text) {}
  subject(std::string text) : name(std::move(text)) {}

  std::string name;
};

void say(const subject& who, std::string_view text);

/// A socket without any listener but the one that learns its port. It lives as long as the program.
emitter& quiet(const std::string& name, dgram::socket_options options = {});
emitter& open(const std::string& name, dgram::socket_options options = {});

int port_of(const emitter& of);

/// A port that is still free when the socket that has it is closed, and in the other family.
int own_port();

std::string place(const dgram::address_info& info);

/// Node's name of an error.
std::string name_of(dgram::error_code ec);

/// "bind EADDRINUSE 127.0.0.1:<a>"; errors that Node has names of its own for stand alone.
std::string failure(const dgram::failure& failed);

dgram::bytes_view bytes(std::string_view text);

/// A lookup of the scenario's own: `find` gives the address of a name, or "" for one that it does
/// not know.
dgram::lookup_function looks_up(std::function<std::string(std::string_view)> find);

inline std::string no_name(std::string_view)
{
  return "";
}

/// Knows the addresses that are spelled out.
inline std::string only_addresses(std::string_view name)
{
  return name.ends_with(".test") ? "" : std::string(name);
}

/// A callback that shows its arguments, and then goes on.
struct callback {
  void operator()(const dgram::failure& failed) const;
  void operator()(const dgram::failure& failed, std::size_t size) const;

  subject who;
  std::string what;
  action next;

private:
  void finish(std::string_view result) const;
};

inline callback done(const subject& who, std::string_view what, action next = [] {})
{
  return {who, std::string(what), std::move(next)};
}

/// As a callback of bind and close, which has no arguments: those add a listener, as in Node.
inline action heard(const subject& who, std::string_view what, action next = [] {})
{
  return [=, what = std::string(what)] {
    say(who, "callback " + what);
    next();
  };
}

/// Shows what a call gives back, or the code of what it throws.
void attempt_as_text(const subject& who, std::string_view what,
                     const std::function<std::string()>& call);

template <class Call>
void attempt(const subject& who, std::string_view what, Call call)
{
  attempt_as_text(who, what, [&]() -> std::string {
    using result = std::invoke_result_t<Call&>;
    if constexpr (std::is_void_v<result>) {
      call();
      return "ok";
    } else if constexpr (std::is_same_v<std::remove_cvref_t<result>, emitter>) {
      return subject(call()).name == who.name ? "returns the socket" : "returns another socket";
    } else {
      return fmt::format("{}", call());
    }
  });
}

/// Binds them to loopback one after the other, and then goes on.
void ready(std::vector<emitter*> sockets, action next, const char* address = "127.0.0.1");

/// Calls next once with the last of so many messages.
void after(emitter& of, int count, action next);

/// Calls next in so many milliseconds.
void later(int milliseconds, action next);

template <class... Sockets>
void close(Sockets&... sockets)
{
  (sockets.close(), ...);
}

}  // namespace parity

#endif
