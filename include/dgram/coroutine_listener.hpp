// SPDX-License-Identifier: BSL-1.0
// Coroutines as listeners of an emitter socket, whose exceptions become 'error' events.
#ifndef DGRAM_COROUTINE_LISTENER_HPP
#define DGRAM_COROUTINE_LISTENER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/emitter/awaited_event.hpp>
#include <dgram/emitter_socket.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What a listener threw, as what it is told of.
inline failure failure_of_exception(const std::exception_ptr& thrown)
{
  failure result{.code = error::listener_failed, .operation = "listener", .address = {}, .port = 0};
  try {
    std::rethrow_exception(thrown);
  } catch (const system_error& error) {
    result.code = error.code();
    result.detail = error.what();
  } catch (const std::exception& error) {
    result.detail = error.what();
  } catch (...) {  // what it is cannot be told
  }
  return result;
}

/// Each call spawns a coroutine that owns what the listener is given.
template <class Core, class Function>
class coroutine_listener {
public:
  coroutine_listener(const std::shared_ptr<Core>& core, Function function)
      : core_(core), function_(std::make_shared<Function>(std::move(function)))
  {
  }

  template <class... Args>
    requires std::invocable<Function&, typename kept_argument<Args>::type&...>
  void operator()(const Args&... args)
  {
    const auto core = core_.lock();
    if (!core) return;
    net::co_spawn(core->get_executor(),
                  run(function_, typename kept_argument<Args>::type(keep(args))...),
                  [core](const std::exception_ptr& thrown) {
                    if (thrown) core->post_error(failure_of_exception(thrown));
                  });
  }

private:
  /// Its frame has the function and the arguments.
  template <class... Values>
  static net::awaitable<void, typename Core::executor_type> run(std::shared_ptr<Function> function,
                                                                Values... values)
  {
    co_await (*function)(values...);
  }

  std::weak_ptr<Core> core_;
  std::shared_ptr<Function> function_;
};

}  // namespace detail

/// Makes a listener of a function that returns an `asio::awaitable<void>`: it is spawned on the
/// socket's executor for each event. What it throws is an 'error' event, whose `failure` has the
/// code of a `system_error`, else `error::listener_failed`, and the text as its detail.
///
/// What a coroutine is given is its own until it ends: the bytes of a message are copied into a
/// `std::vector<std::byte>`, which the function may take as such or as a `bytes_view`. Coroutines
/// of several events run side by side.
///
/// \code
/// auto server = dgram::create_socket(io, dgram::udp4);
/// server.on<dgram::event::message>(dgram::as_coroutine(
///     server, [&server](dgram::bytes_view bytes, const dgram::remote_info& from) -> asio::awaitable<void> {
///       co_await server.send(bytes, from, asio::use_awaitable);
///     }));
/// \endcode
///
/// Thread safety: as for the socket.
template <class Socket, class Function>
auto as_coroutine(const basic_emitter_socket<Socket>& socket, Function&& function)
{
  using core_type = detail::emitter_core<Socket>;
  return detail::coroutine_listener<core_type, std::decay_t<Function>>(
      detail::core_access::of(socket), std::forward<Function>(function));
}

DGRAM_NAMESPACE_END

#endif
