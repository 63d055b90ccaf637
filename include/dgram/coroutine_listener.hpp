// SPDX-License-Identifier: BSL-1.0
// Coroutines as listeners of an emitter socket. Their exceptions become 'error' events.
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

/// Turns an exception of a listener into a `failure`.
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
  } catch (...) {  // an exception without a text
  }
  return result;
}

/// Each call spawns a coroutine that owns its arguments.
template <class Core, class Function>
class coroutine_listener {
public:
  coroutine_listener(const std::shared_ptr<Core>& core, Function function)
      : core_(core), function_(std::make_shared<Function>(std::move(function)))
  {
  }

  template <class... Args>
    requires std::invocable<Function&, kept_argument<Args>&...>
  void operator()(const Args&... args)
  {
    const auto core = core_.lock();
    if (!core) return;
    net::co_spawn(core->get_executor(), run(function_, kept_argument<Args>(keep(args))...),
                  [core](const std::exception_ptr& thrown) {
                    if (thrown) core->post_error(failure_of_exception(thrown));
                  });
  }

private:
  /// The coroutine's frame owns the function and the arguments.
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

/// Makes a listener from a function that returns an `asio::awaitable<void>`. Each event spawns it
/// on the socket's executor. If the coroutine throws, the socket emits 'error'. The `failure` has
/// the code of a `system_error`, otherwise `error::listener_failed`, and the exception's text as
/// its detail.
///
/// A coroutine owns its arguments until it ends. The bytes of a message are copied into a
/// `std::vector<std::byte>`; the function may take that or a `bytes_view`. Coroutines of several
/// events run concurrently.
///
/// \code
/// auto server = dgram::create_socket(io, dgram::udp4);
/// server.on<dgram::event::message>(dgram::as_coroutine(
///     server, [&server](dgram::bytes_view bytes,
///                       const dgram::remote_info& from) -> asio::awaitable<void> {
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
