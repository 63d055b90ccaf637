// SPDX-License-Identifier: BSL-1.0
// A datagram socket that emits events: Node's dgram, on Asio.
#ifndef DGRAM_EMITTER_SOCKET_HPP
#define DGRAM_EMITTER_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/emitter/arguments.hpp>
#include <dgram/emitter/core.hpp>
#include <dgram/emitter/events.hpp>
#include <dgram/emitter/options.hpp>
#include <dgram/emitter/payload.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/failure.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Event, class Protocol>
struct event_of {
  using type = Event;
};

template <class Event, class Protocol>
  requires requires { typename Event::template of<Protocol>; }
struct event_of<Event, Protocol> {
  using type = typename Event::template of<Protocol>;
};

}  // namespace detail

/// A datagram socket that emits events. Made by `create_socket`.
template <class Socket>
class basic_emitter_socket {
  using core_type = detail::emitter_core<Socket>;
  using phase = typename core_type::phase;
  using target_type = typename core_type::target_type;

  template <class Event>
  using event_type = typename detail::event_of<Event, typename Socket::protocol_type>::type;
  template <class Event>
  using signature_of = typename event_type<Event>::signature;

public:
  using socket_type = Socket;
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Socket::executor_type;

  basic_emitter_socket(const executor_type& executor, net::io_context* io, socket_options options)
      : core_(std::make_shared<core_type>(executor, io, checked(std::move(options))))
  {
    core_->start();
  }

  basic_emitter_socket(basic_emitter_socket&&) noexcept = default;
  basic_emitter_socket& operator=(basic_emitter_socket&& other) noexcept
  {
    if (this != &other) {
      if (core_) core_->abandon();
      core_ = std::move(other.core_);
    }
    return *this;
  }

  /// Closes the socket: no event is emitted any more, and what is pending completes with `operation_aborted`.
  ~basic_emitter_socket()
  {
    if (core_) core_->abandon();
  }

  executor_type get_executor() { return core_->get_executor(); }

  // --- events ---

  template <class Event, class Listener>
    requires detail::is_listener<std::decay_t<Listener>, signature_of<Event>>
  listener_id on(Listener&& listener)
  {
    return core_->events.template on<event_type<Event>>(std::forward<Listener>(listener));
  }

  template <class Event, class Listener>
    requires detail::is_listener<std::decay_t<Listener>, signature_of<Event>>
  listener_id once(Listener&& listener)
  {
    return core_->events.template once<event_type<Event>>(std::forward<Listener>(listener));
  }

  template <class Event, class Listener>
    requires detail::is_listener<std::decay_t<Listener>, signature_of<Event>>
  listener_id prepend(Listener&& listener)
  {
    return core_->events.template prepend<event_type<Event>>(std::forward<Listener>(listener));
  }

  template <class Event, class Listener>
    requires detail::is_listener<std::decay_t<Listener>, signature_of<Event>>
  listener_id prepend_once(Listener&& listener)
  {
    return core_->events.template prepend_once<event_type<Event>>(std::forward<Listener>(listener));
  }

  bool off(listener_id id) { return core_->events.off(id); }

  template <class Event>
  void remove_all()
  {
    core_->events.template remove_all<event_type<Event>>();
  }
  void remove_all() { core_->events.remove_all(); }

  template <class Event>
  std::size_t listener_count() const
  {
    return core_->events.template listener_count<event_type<Event>>();
  }

  // --- bind ---

  template <class... Args>
    requires(!detail::starts_with<bind_options, Args...>)
  decltype(auto) bind(Args&&... args)
  {
    return detail::parse_call(
        detail::call(),
        [this](const detail::call& call, auto&&... callback) -> decltype(auto) {
          return bind_to(call, std::forward<decltype(callback)>(callback)...);
        },
        std::forward<Args>(args)...);
  }

  template <class... Callback>
  decltype(auto) bind(const bind_options& where, Callback&&... callback)
  {
    detail::call call;
    call.add(where.port);
    if (!where.address.empty()) call.to = where.address;
    if (where.fd <= 0) return bind_to(call, std::forward<Callback>(callback)...);
    adopt(where.fd);
    return (*this);
  }

  address_info bind_sync(std::int64_t port = 0, std::string_view address = {})
  {
    const std::uint16_t number = checked_port(port, 0);
    check_unbound();
    auto local = core_->any_address();
    if (!address.empty()) local.address(literal(address, "bind"));
    local.port(number);
    error_code ec;
    core_->bind_now(local, ec);
    if (ec) detail::throw_failure(detail::failure_at("bind", ec, &local));
    core_->template post_event<event::listening>();
    return this->address();
  }

  // --- connect ---

  template <class... Args>
  decltype(auto) connect(Args&&... args)
  {
    return detail::parse_call(
        detail::call(),
        [this](const detail::call& call, auto&&... callback) -> decltype(auto) {
          return connect_to(call, std::forward<decltype(callback)>(callback)...);
        },
        std::forward<Args>(args)...);
  }

  basic_emitter_socket& connect_sync(std::int64_t port, std::string_view address = {})
  {
    const std::uint16_t number = checked_port(port, 1);
    check_unconnected();
    auto peer = core_->default_peer(number);
    if (!address.empty()) peer.address(literal(address, "connect"));
    if (core_->bind_phase() == phase::pending) throw_now(error::already_bound, "connect");
    if (core_->bind_phase() == phase::none) bind_sync();
    error_code ec;
    core_->connect_now(peer, ec);
    if (ec) detail::throw_failure(detail::failure_at("connect", ec, &peer));
    core_->template post_event<event::connect>();
    return *this;
  }

  void disconnect()
  {
    if (core_->connect_phase() != phase::done) throw_now(net::error::not_connected, "disconnect");
    error_code ec;
    core_->disconnect(ec);
    if (ec) throw_now(ec, "disconnect");
  }

  // --- send ---

  template <class... Args>
  decltype(auto) send(const payload_view& message, Args&&... args)
  {
    return detail::parse_call(
        detail::call(),
        [this, &message](const detail::call& call, auto&&... callback) -> decltype(auto) {
          return send_to(message, call, std::forward<decltype(callback)>(callback)...);
        },
        std::forward<Args>(args)...);
  }

  // --- close ---

  template <class... Callback>
  decltype(auto) close(Callback&&... callback)
  {
    check_running("close");
    return start<event::close>(
        [](core_type& core, detail::completion<>* done) { core.close(done); },
        [](core_type& core, auto&& function) {
          core.events.template once<event::close>(std::forward<decltype(function)>(function));
          core.close(nullptr);
        },
        std::forward<Callback>(callback)...);
  }

  // --- addresses and state ---

  address_info address() const
  {
    check_running("getsockname");
    error_code ec = net::error::bad_descriptor;
    endpoint_type local;
    if (core_->bind_phase() == phase::done) local = core_->socket.local_endpoint(ec);
    if (ec) throw_now(ec, "getsockname");
    return address_info(local);
  }

  address_info remote_address() const
  {
    check_running("getpeername");
    error_code ec = net::error::not_connected;
    endpoint_type peer;
    if (core_->connect_phase() == phase::done) peer = core_->socket.remote_endpoint(ec);
    if (ec) throw_now(ec, "getpeername");
    return address_info(peer);
  }

  std::size_t get_send_queue_size() const
  {
    check_running("get_send_queue_size");
    return core_->sends().bytes();
  }

  std::size_t get_send_queue_count() const
  {
    check_running("get_send_queue_count");
    return core_->sends().count();
  }

  basic_emitter_socket& ref()
  {
    core_->ref();
    return *this;
  }

  basic_emitter_socket& unref()
  {
    if (!core_->can_unref()) throw_now(net::error::operation_not_supported, "unref");
    core_->unref();
    return *this;
  }

  bool has_ref() const noexcept { return core_->has_ref(); }

private:
  static socket_options checked(socket_options options)
  {
    if (options.type != dgram::socket_type::udp4 && options.type != dgram::socket_type::udp6)
      throw_now(error::bad_type, "create_socket");
    for (const auto size : {options.recv_buffer_size, options.send_buffer_size})
      if (size < 0 || size > 0xffffffff) throw_now(error::out_of_range, "create_socket");
    return options;
  }

  [[noreturn]] static void throw_now(const error_code& ec, const char* operation)
  {
    detail::throw_failure({.code = ec, .operation = operation, .address = {}, .port = 0});
  }

  void check_running(const char* operation) const
  {
    if (!core_->is_running()) throw_now(error::not_running, operation);
  }

  void check_unbound() const
  {
    check_running("bind");
    if (core_->bind_phase() != phase::none) throw_now(error::already_bound, "bind");
  }

  void check_unconnected() const
  {
    check_running("connect");
    if (core_->connect_phase() != phase::none) throw_now(net::error::already_connected, "connect");
  }

  static std::uint16_t checked_port(std::int64_t port, std::int64_t least)
  {
    if (port < least || port > 65535) {
      const std::string what = "port " + std::to_string(port);
      throw system_error(error::bad_port, what);
    }
    return static_cast<std::uint16_t>(port);
  }

  net::ip::address literal(std::string_view text, const char* operation) const
  {
    error_code ec;
    const auto address = parse_address(text, ec);
    if (ec) throw_now(net::error::invalid_argument, operation);
    return address;
  }

  /// Where a call that may look names up is to go.
  target_type target_of(const detail::host& to, std::uint16_t port) const
  {
    if (to.address) return {endpoint_type(*to.address, port), {}, port};
    error_code not_an_address;
    const auto address = parse_address(to.text, not_an_address);
    if (!not_an_address) return {endpoint_type(address, port), {}, port};
    return {std::nullopt, std::string(to.text), port};
  }

  /// Starts an operation whose callback is a listener where it takes no arguments, and a completion otherwise.
  template <class Event, class Launch, class Listen>
  basic_emitter_socket& start(Launch launch, Listen)
  {
    launch(*core_, nullptr);
    return *this;
  }

  template <class Event, class Launch, class Listen, class Callback>
  decltype(auto) start(Launch launch, Listen listen, Callback&& callback)
  {
    if constexpr (std::invocable<std::decay_t<Callback>&>) {
      listen(*core_, std::forward<Callback>(callback));
      return (*this);
    } else {
      auto begin = [core = core_, launch](detail::completion<>* done) { launch(*core, done); };
      if constexpr (detail::is_callback<std::decay_t<Callback>>) {
        detail::initiate_completion<>(core_->get_executor(), std::forward<Callback>(callback),
                                      std::move(begin));
        return (*this);
      } else {
        return detail::initiate_completion<>(core_->get_executor(),
                                             std::forward<Callback>(callback), std::move(begin));
      }
    }
  }

  template <class... Callback>
  decltype(auto) bind_to(const detail::call& call, Callback&&... callback)
  {
    const std::uint16_t port = checked_port(call.numbers[0], 0);
    check_unbound();
    auto local = core_->any_address();
    local.port(port);
    target_type to{local, {}, port};
    if (call.to)
      to = target_of(*call.to, port);
    else if (core_->options.lookup)
      to = {std::nullopt, local.address().to_string(), port};
    return start<event::listening>(
        [to](core_type& core, detail::completion<>* done) { core.bind(to, done); },
        [to](core_type& core, auto&& function) {
          core.bind_with(to, std::forward<decltype(function)>(function));
        },
        std::forward<Callback>(callback)...);
  }

  void adopt(int descriptor)
  {
    check_unbound();
    error_code ec;
    core_->adopt(descriptor, ec);
    if (ec) throw_now(ec, "open");
    core_->template post_event<event::listening>();
  }

  template <class... Callback>
  decltype(auto) connect_to(const detail::call& call, Callback&&... callback)
  {
    const std::uint16_t port = checked_port(call.numbers[0], 1);
    check_unconnected();
    target_type to =
        call.to ? target_of(*call.to, port) : target_type{core_->default_peer(port), {}, port};
    return start<event::connect>(
        [to](core_type& core, detail::completion<>* done) { core.connect(to, done); },
        [to](core_type& core, auto&& function) {
          core.connect_with(to, std::forward<decltype(function)>(function));
        },
        std::forward<Callback>(callback)...);
  }

  template <class... Callback>
  decltype(auto) send_to(const payload_view& message, const detail::call& call,
                         Callback&&... callback)
  {
    if (call.count >= 2) {
      const auto slice = detail::slice_of(message, call.numbers[0], call.numbers[1]);
      detail::call rest;
      if (call.count == 3) rest.add(call.numbers[2]);
      rest.to = call.to;
      return send_whole(payload_view(slice), rest, std::forward<Callback>(callback)...);
    }
    return send_whole(message, call, std::forward<Callback>(callback)...);
  }

  bool send_whole(const payload_view& message, const detail::call& call)
  {
    return core_->send(send_target(call), message, nullptr);
  }

  template <class Callback>
  decltype(auto) send_whole(const payload_view& message, const detail::call& call,
                            Callback&& callback)
  {
    using handler = std::decay_t<Callback>;
    target_type to = send_target(call);
    if constexpr (detail::is_callback<handler, std::size_t>) {
      core_->send(std::move(to), message,
                  detail::make_completion<std::size_t>(std::forward<Callback>(callback),
                                                       core_->get_executor()));
      return (*this);
    } else {
      // When a deferred or awaited send is launched, the message may be gone.
      return detail::initiate_completion<std::size_t>(
          core_->get_executor(), std::forward<Callback>(callback),
          [core = core_, to = std::move(to),
           bytes = message.copy()](detail::send_completion* done) { core->send(to, bytes, done); });
    }
  }

  target_type send_target(const detail::call& call) const
  {
    const bool connected = core_->connect_phase() != phase::none;
    if (connected && (call.count > 0 || call.to)) throw_now(net::error::already_connected, "send");
    std::uint16_t port = 0;
    if (!connected) port = checked_port(call.count > 0 ? call.numbers[0] : 0, 1);
    check_running("send");
    if (connected) return {};
    return call.to ? target_of(*call.to, port) : target_type{core_->default_peer(port), {}, port};
  }

  std::shared_ptr<core_type> core_;
};

/// The emitter on UDP.
using emitter_socket = basic_emitter_socket<udp::socket>;

/// Makes a socket that emits events.
inline emitter_socket create_socket(net::io_context& io, socket_options options)
{
  return {io.get_executor(), &io, std::move(options)};
}

inline emitter_socket create_socket(const net::any_io_executor& executor, socket_options options)
{
  return {executor, nullptr, std::move(options)};
}

template <class Context, class Listener>
  requires detail::is_listener<std::decay_t<Listener>, event::message::of<udp>::signature>
emitter_socket create_socket(Context&& context, socket_options options, Listener&& on_message)
{
  emitter_socket made = create_socket(std::forward<Context>(context), std::move(options));
  made.template on<event::message>(std::forward<Listener>(on_message));
  return made;
}

template <class Context, class... Listener>
emitter_socket create_socket(Context&& context, socket_type type, Listener&&... on_message)
{
  socket_options options;
  options.type = type;
  return create_socket(std::forward<Context>(context), std::move(options),
                       std::forward<Listener>(on_message)...);
}

DGRAM_NAMESPACE_END

#endif
