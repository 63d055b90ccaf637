// SPDX-License-Identifier: BSL-1.0
// The calls of a socket that set and read its options.
#ifndef DGRAM_DETAIL_SOCKET_OPTION_OPERATIONS_HPP
#define DGRAM_DETAIL_SOCKET_OPTION_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/error.hpp>
#include <dgram/option.hpp>

#include <concepts>
#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Derived` has a `state()` and a `native_handle()`.
template <class Derived, class Protocol>
class option_operations {
public:
  /// Sets an option. On a dual-stack socket a `dgram::option` is applied to both families, or to
  /// neither if one refuses it. Asio's own options are applied to the IPv6 part only. An exception
  /// names the option and its value. Errors: `error::out_of_range` and others of the option's own
  /// check, `operation_not_supported` if the system has no such option, and those of setsockopt(2).
  template <class Option>
  sync_result set_option(const Option& option, error_code& ec)
  {
    ec.clear();
    if constexpr (std::same_as<Option, option::v6_only>)
      if (option && self().state().flags.dual) ec = net::error::invalid_argument;
    if constexpr (std::same_as<Option, option::receive_error>)
      if (option.value()) self().state().refuse_of_member(ec);
    if (ec) return sync_result(ec);
    self().state().forget_traffic_classes();
    // Times of sends are in the same queue. The kernel empties it when the option is turned off.
    if constexpr (std::same_as<Option, option::receive_error>) {
      if (self().state().reads_reports()) self().state().take_reports();
      if (option.value()) self().state().expect_reports();
    }
    if constexpr (std::same_as<Option, option::coalescing>)
      self().state().set_coalescing(option.value(), ec);
    else if constexpr (std::same_as<Option, option::receive_timestamp>)
      self().state().set_timestamps(self().native_handle(), option.value(),
                                    self().state().flags.send_timestamps, ec);
    else if constexpr (own_option<Option>)
      detail::set_option<Protocol>(self().state().socket, self().state().flags.dual, option, ec);
    else
      self().state().socket.set_option(option, ec);
    if constexpr (std::same_as<Option, option::multicast_interface>)
      if (!ec) self().state().multicast_interface = option.index();
    if constexpr (requires { Option::metadata; })
      if (!ec) note_metadata(option);
    return sync_result(ec);
  }

  template <class Option>
  void set_option(const Option& option)
  {
    error_code ec;
    set_option(option, ec);
    if constexpr (own_option<Option>) throw_if_refused(ec, "set_option", option);
    throw_if(ec, "set_option");
  }

  /// Reads an option. If the option exists for both families, reads that of the socket's family
  /// (IPv6 on a dual-stack socket). Errors: `operation_not_supported` if the system has no such
  /// option, and those of getsockopt(2).
  template <class Option>
  sync_result get_option(Option& option, error_code& ec) const
  {
    if constexpr (std::same_as<Option, option::multicast_interface> &&
                  dual_stack_protocol<Protocol>) {
      const bool remembered = is_ipv4(ec);
      if (remembered) option.assign(self().state().multicast_interface);
      if (remembered || ec) return sync_result(ec);
    }
    self().state().socket.get_option(option, ec);
    if constexpr (own_option<Option>) name_unsupported(ec);
    return sync_result(ec);
  }

  template <class Option>
  void get_option(Option& option) const
  {
    error_code ec;
    get_option(option, ec);
    if constexpr (own_option<Option>) throw_if(ec, "get_option", Option::label);
    throw_if(ec, "get_option");
  }

  /// The size of the kernel's receive queue in bytes, as the kernel counts. On Linux this is twice
  /// the size that was asked for, since the kernel includes its own overhead (socket(7)).
  std::size_t get_receive_buffer_size(error_code& ec)
  {
    return buffer_size(platform::names::receive_buffer, ec);
  }

  std::size_t get_receive_buffer_size()
  {
    return throwing("get_receive_buffer_size",
                    [&](error_code& ec) { return get_receive_buffer_size(ec); });
  }

  /// Asks for `size` bytes (at least 1) and returns the size that took effect. The kernel applies
  /// its limit without an error (`net.core.rmem_max` on Linux). Errors: `error::out_of_range`,
  /// `bad_descriptor`.
  std::size_t set_receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::receive_buffer_size(size), ec);
    return ec ? 0 : get_receive_buffer_size(ec);
  }

  std::size_t set_receive_buffer_size(int size)
  {
    error_code ec;
    const std::size_t effective = set_receive_buffer_size(size, ec);
    throw_if_refused(ec, "set_receive_buffer_size", option::receive_buffer_size(size));
    return effective;
  }

  /// The same beyond the system's limit, if the process has the privilege
  /// (`option::forced_receive_buffer_size`). Errors: `no_permission`, `operation_not_supported`,
  /// and those of `set_receive_buffer_size`.
  std::size_t force_receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::forced_receive_buffer_size(size), ec);
    return ec ? 0 : get_receive_buffer_size(ec);
  }

  std::size_t force_receive_buffer_size(int size)
  {
    error_code ec;
    const std::size_t effective = force_receive_buffer_size(size, ec);
    throw_if_refused(ec, "force_receive_buffer_size", option::forced_receive_buffer_size(size));
    return effective;
  }

  /// The size of the kernel's send queue in bytes; see `get_receive_buffer_size`.
  std::size_t get_send_buffer_size(error_code& ec)
  {
    return buffer_size(platform::names::send_buffer, ec);
  }

  std::size_t get_send_buffer_size()
  {
    return throwing("get_send_buffer_size",
                    [&](error_code& ec) { return get_send_buffer_size(ec); });
  }

  std::size_t set_send_buffer_size(int size, error_code& ec)
  {
    set_option(option::send_buffer_size(size), ec);
    return ec ? 0 : get_send_buffer_size(ec);
  }

  std::size_t set_send_buffer_size(int size)
  {
    error_code ec;
    const std::size_t effective = set_send_buffer_size(size, ec);
    throw_if_refused(ec, "set_send_buffer_size", option::send_buffer_size(size));
    return effective;
  }

  std::size_t force_send_buffer_size(int size, error_code& ec)
  {
    set_option(option::forced_send_buffer_size(size), ec);
    return ec ? 0 : get_send_buffer_size(ec);
  }

  std::size_t force_send_buffer_size(int size)
  {
    error_code ec;
    const std::size_t effective = force_send_buffer_size(size, ec);
    throw_if_refused(ec, "force_send_buffer_size", option::forced_send_buffer_size(size));
    return effective;
  }

private:
  friend Derived;
  option_operations() = default;

  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  const Derived& self() const noexcept { return static_cast<const Derived&>(*this); }

  bool is_ipv4(error_code& ec) const
  {
    const int family = self().state().family(ec);
    return !ec && family != platform::names::ipv6_family;
  }

  template <class Option>
  void note_metadata(const Option& option)
  {
    self().state().note_metadata(Option::metadata, option.value());
    if constexpr (std::same_as<Option, option::receive_error>)
      self().state().set_receives_errors(option.value());
    if constexpr (std::same_as<Option, option::receive_drop_count>)
      self().state().note_drops(self().native_handle());
    // An IPv6 socket may receive IPv4 datagrams, in the mapped form.
    error_code ignored;
    if constexpr (dual_stack_protocol<Protocol>) {
      const auto v4 = Protocol::native_protocol::v4();
      const int family = self().state().family(ignored);
      if (!ignored && family == platform::names::ipv6_family && !self().state().flags.dual)
        set_option_part(self().native_handle(), option_parts(option, v4, v4).v4(), ignored);
    }
  }

  std::size_t buffer_size(int name, error_code& ec)
  {
    const int size =
        platform::get_int_option(self().native_handle(), platform::names::socket_level, name, ec);
    return ec ? 0 : static_cast<std::size_t>(size);
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
