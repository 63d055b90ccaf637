// SPDX-License-Identifier: BSL-1.0
// Sockets that a supervisor such as systemd opens, passes on, and keeps over a restart.
#ifndef DGRAM_ACTIVATION_HPP
#define DGRAM_ACTIVATION_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/descriptors.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/platform/activation.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/socket_kind.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// A socket that this process was started with.
struct inherited_socket {
  /// The name from the supervisor's configuration (`FileDescriptorName=`), or `unknown`. Several
  /// sockets may have the same name.
  std::string name;
  socket_kind kind = socket_kind::no_socket;  ///< what it is; see `is_datagram`
  /// Its number. It belongs to the program, which may give it to `adopt` once.
  platform::descriptor_type descriptor = platform::no_descriptor;

  /// It as an owner, for `adopt`.
  owned_descriptor take() noexcept
  {
    return owned_descriptor(std::exchange(descriptor, platform::no_descriptor));
  }
};

struct inherited_sockets_config {
  /// Removes `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` from the environment, so that the
  /// programs that this one starts do not see them. A program with other threads must not ask for
  /// this: unsetenv(3) is not thread-safe.
  bool unset_environment = false;
};

namespace detail {

inline constexpr std::array<const char*, 3> activation_variables{"LISTEN_PID", "LISTEN_FDS",
                                                                 "LISTEN_FDNAMES"};

/// Reads a decimal number from 0 to `most`. Refuses everything else, and names the variable.
inline std::int64_t read_variable(const char* name, std::string_view text, std::int64_t most)
{
  std::uint32_t value = 0;
  if (!parse_decimal(text, value) || value > most)
    refuse("inherited_sockets", error::out_of_range,
           std::string(name).append("=").append(text).append("; allowed are numbers from 0 to ") +
               std::to_string(most));
  return value;
}

/// Splits at colons. Names are never escaped, because a name has no colon.
inline std::vector<std::string> split_names(std::string_view text)
{
  std::vector<std::string> names;
  for (;;) {
    const std::size_t colon = text.find(':');
    names.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return names;
    text.remove_prefix(colon + 1);
  }
}

/// The number of passed descriptors; 0 if none were passed to this process.
inline std::size_t passed_descriptors()
{
  const char* const owner = platform::environment("LISTEN_PID");
  const char* const count = platform::environment("LISTEN_FDS");
  if (owner == nullptr || count == nullptr) return 0;
  constexpr std::int64_t most = 0x7FFFFFFF;
  if (read_variable("LISTEN_PID", owner, most) != platform::process_id()) return 0;
  return static_cast<std::size_t>(
      read_variable("LISTEN_FDS", count, most - platform::first_passed_descriptor));
}

inline std::vector<inherited_socket> read_inherited()
{
  const std::size_t count = passed_descriptors();
  const char* const text = platform::environment("LISTEN_FDNAMES");
  std::vector<std::string> names;
  if (text != nullptr && count > 0) names = split_names(text);
  if (!names.empty() && names.size() != count)
    refuse("inherited_sockets", error::out_of_range,
           "LISTEN_FDNAMES=" + std::string(text) + " has " + std::to_string(names.size()) +
               " names, and LISTEN_FDS=" + std::to_string(count));
  std::vector<inherited_socket> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    const auto descriptor = static_cast<platform::descriptor_type>(
        static_cast<std::size_t>(platform::first_passed_descriptor) + i);
    const socket_kind kind = kind_of(descriptor);
    if (kind == socket_kind::not_open)
      refuse("inherited_sockets", net::error::bad_descriptor,
             "descriptor " + std::to_string(descriptor) +
                 " is not open, and LISTEN_FDS=" + std::to_string(count));
    sockets.push_back({names.empty() ? "unknown" : std::move(names[i]), kind, descriptor});
  }
  return sockets;
}

}  // namespace detail

/// The sockets that the supervisor opened for this process (`LISTEN_FDS`, sd_listen_fds(3)), in its
/// order. Empty if there are none, or if the variables are meant for another process
/// (`LISTEN_PID`).
///
/// This only looks: it changes no descriptor, and closes none. The kind says what each one is, so
/// that a program leaves those of others alone, such as TCP listeners. A second call returns the
/// same. A program calls it before it starts threads that change the environment.
///
/// Throws `system_error`, whose text names the variable and its value:
///  - `error::out_of_range` if a variable is no number, or if there are more or fewer names than
///    sockets;
///  - `bad_descriptor` if a descriptor is not open;
///  - `operation_not_supported` on Windows.
///
/// \code
/// for (auto& inherited : dgram::inherited_sockets())
///   if (dgram::is_datagram(inherited.kind))
///     socket = dgram::adopt<dgram::udp>(io, inherited.take());
///   else
///     fmt::print("{} is {}\n", inherited.name, dgram::to_string(inherited.kind));
/// \endcode
inline std::vector<inherited_socket> inherited_sockets(const inherited_sockets_config& config = {})
{
  if (!platform::has_socket_activation)
    detail::raise(net::error::operation_not_supported, "inherited_sockets");
  auto sockets = detail::read_inherited();
  if (config.unset_environment)
    for (const char* const name : detail::activation_variables)
      platform::unset_environment(name);
  return sockets;
}

namespace detail {

/// As systemd takes names (fdname_is_valid): at most 255 printable characters, and no colon.
inline bool is_descriptor_name(std::string_view name) noexcept
{
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != ':';
  });
}

}  // namespace detail

/// Gives a duplicate of the socket to the service manager (`FDSTORE=1`, sd_notify(3)), which keeps
/// it if this process ends, and even if it crashes. The next process of the service finds it in
/// `inherited_sockets` under this name. The unit needs `FileDescriptorStoreMax=`; without it the
/// service manager closes the duplicate and reports nothing.
///
/// Returns false if there is no service manager: `NOTIFY_SOCKET` is not set. Waits while the
/// manager's queue is full. Errors: `error::out_of_range` (the name has 1 to 255 printable ASCII
/// characters and no colon), `address_family_not_supported` (`NOTIFY_SOCKET` is neither a path nor
/// an abstract name), `bad_descriptor` (the socket is closed), `operation_not_supported` on
/// Windows, and those of the send.
///
/// \code
/// if (!dgram::store_in_systemd("dns", socket))
///   fmt::print("not started by systemd\n");
/// \endcode
template <class Protocol, class Executor>
bool store_in_systemd([[maybe_unused]] std::string_view name,
                      [[maybe_unused]] basic_socket<Protocol, Executor>& socket, error_code& ec)
{
#if DGRAM_HAS_UNIX_DATAGRAMS
  ec.clear();
  const char* const manager = platform::environment("NOTIFY_SOCKET");
  if (!detail::is_descriptor_name(name))
    ec = error::out_of_range;
  else if (!socket.is_open())
    ec = net::error::bad_descriptor;
  else if (manager != nullptr && *manager != '/' && *manager != '@')
    ec = net::error::address_family_not_supported;
  if (ec || manager == nullptr) return false;
  const auto to = parse_unix_endpoint(manager, ec);
  if (ec) return false;
  basic_socket<unix_dgram, Executor> sender(Executor(socket.get_executor()));
  sender.open(unix_dgram(), ec);
  if (ec) return false;
  const std::string text = std::string("FDSTORE=1\nFDNAME=").append(name);
  const std::array descriptors{socket.native_handle()};
  send_descriptors(sender, net::buffer(text), descriptors, to, ec);
  if (!ec) detail::hand_over_access::note_duplicate(socket.handle());
  return !ec;
#else
  ec = net::error::operation_not_supported;
  return false;
#endif
}

template <class Protocol, class Executor>
bool store_in_systemd(std::string_view name, basic_socket<Protocol, Executor>& socket)
{
  error_code ec;
  const bool stored = store_in_systemd(name, socket, ec);
  if (ec == error::out_of_range)
    detail::refuse("store_in_systemd", ec,
                   "name " + detail::in_quotes(name) +
                       "; allowed are 1 to 255 printable characters without a colon");
  if (ec == net::error::address_family_not_supported)
    detail::refuse("store_in_systemd", ec,
                   "NOTIFY_SOCKET=" + std::string(platform::environment("NOTIFY_SOCKET")));
  detail::throw_if(ec, "store_in_systemd");
  return stored;
}

DGRAM_NAMESPACE_END

#endif
