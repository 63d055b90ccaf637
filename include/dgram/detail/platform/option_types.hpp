// SPDX-License-Identifier: BSL-1.0
// Templates for socket options: a value with its checks, and level and name for each family.
#ifndef DGRAM_DETAIL_PLATFORM_OPTION_TYPES_HPP
#define DGRAM_DETAIL_PLATFORM_OPTION_TYPES_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/error.hpp>

#include <cstddef>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Text as a template argument: the name of an option in errors.
template <std::size_t Size>
struct literal {
  consteval literal(const char (&from)[Size]) noexcept  // NOLINT(*-explicit-*,*-avoid-c-arrays)
  {
    for (std::size_t i = 0; i < Size; ++i)
      text[i] = from[i];
  }

  char text[Size]{};  // NOLINT(*-avoid-c-arrays)
};

/// The parts that every option has: a value of type `T`, and the checks. `Names` gives level and
/// name for each family.
template <class Names, literal Label, class T>
class option_base {
public:
  static constexpr const char* label = Label.text;

  template <class Protocol>
  int level(const Protocol& protocol) const noexcept
  {
    return Names::level(protocol.family());
  }

  template <class Protocol>
  int name(const Protocol& protocol) const noexcept
  {
    return Names::name(protocol.family());
  }

  template <class Protocol>
  void* data(const Protocol&) noexcept
  {
    return &data_;
  }

  template <class Protocol>
  const void* data(const Protocol&) const noexcept
  {
    return &data_;
  }

  template <class Protocol>
  std::size_t size(const Protocol&) const noexcept
  {
    return sizeof data_;
  }

  template <class Protocol>
  void resize(const Protocol&, std::size_t) noexcept
  {
  }

protected:
  constexpr explicit option_base(T data) noexcept : data_(data) {}

  T data_;  // NOLINT(*-non-private-*,*-identifier-naming)
};

/// Returns text such as `hop_limit{7}`, by which errors show an option.
DGRAM_COLD inline std::string show_option(std::string_view label, std::string_view value)
{
  return std::string(label).append("{").append(value).append("}");
}

DGRAM_COLD inline std::string show_option(std::string_view label, int value)
{
  return show_option(label, std::to_string(value));
}

DGRAM_COLD inline std::string show_range(int least, int greatest)
{
  return std::to_string(least).append(" to ").append(std::to_string(greatest));
}

template <class Names, literal Label>
class boolean_option : public option_base<Names, Label, int> {
public:
  constexpr explicit boolean_option(bool on = false) noexcept
      : option_base<Names, Label, int>(on ? 1 : 0)
  {
  }

  constexpr bool value() const noexcept { return this->data_ != 0; }
  constexpr explicit operator bool() const noexcept { return value(); }

  static error_code check() noexcept { return {}; }

  friend std::string to_string(const boolean_option& option)
  {
    return show_option(boolean_option::label, option ? "true" : "false");
  }
};

/// An option that refuses a value outside `Least..Greatest`. On this library's sockets `check`
/// refuses it. On a plain Asio socket the kernel does (EINVAL), since the size of the value is then
/// 0.
template <class Names, literal Label, int Least, int Greatest>
class integer_option : public option_base<Names, Label, int> {
public:
  constexpr explicit integer_option(int value = Least) noexcept
      : option_base<Names, Label, int>(value)
  {
  }

  constexpr int value() const noexcept { return this->data_; }

  /// What errors say of the range.
  static std::string allowed() { return show_range(Least, Greatest); }

  error_code check() const noexcept
  {
    return is_valid() ? error_code() : make_error_code(error::out_of_range);
  }

  /// Asio calls this on the constant object for the size to set. It calls the other for the room to
  /// fill.
  template <class Protocol>
  std::size_t size(const Protocol&) const noexcept
  {
    return is_valid() ? sizeof this->data_ : 0;
  }

  template <class Protocol>
  std::size_t size(const Protocol&) noexcept
  {
    return sizeof this->data_;
  }

  friend std::string to_string(const integer_option& option)
  {
    return show_option(integer_option::label, option.value());
  }

private:
  constexpr bool is_valid() const noexcept { return value() >= Least && value() <= Greatest; }
};

template <int Name>
struct socket_names {
  static constexpr int level(int) noexcept { return platform::names::socket_level; }
  static constexpr int name(int) noexcept { return Name; }
};

template <int V4Name, int V6Name>
struct ip_names {
  static constexpr int level(int family) noexcept
  {
    return family == platform::names::ipv6_family ? platform::names::ipv6_level
                                                  : platform::names::ipv4_level;
  }
  static constexpr int name(int family) noexcept
  {
    return family == platform::names::ipv6_family ? V6Name : V4Name;
  }
};

template <int Name>
struct udp_names {
  static constexpr int level(int) noexcept { return platform::names::udp_level; }
  static constexpr int name(int) noexcept { return Name; }
};

template <int Name>
struct ipv6_names {
  static constexpr int level(int) noexcept { return platform::names::ipv6_level; }
  static constexpr int name(int) noexcept { return Name; }
};

/// Only Unix sockets have these. On other sockets the kernel refuses the name.
template <int Name>
struct unix_names {
  static constexpr int level(int) noexcept { return platform::names::socket_level; }
  static constexpr int name(int family) noexcept
  {
    return family == platform::names::unix_family ? Name : platform::names::unsupported;
  }
};

struct device_names {
  static constexpr int level(int family) noexcept { return platform::names::device_level(family); }
  static constexpr int name(int family) noexcept { return platform::names::device_name(family); }
};

inline constexpr int max_int = 0x7fffffff;

/// A buffer size beyond the system's limit. The name for setting it differs from the name for
/// reading it.
template <int ForcedName, int Name, literal Label>
class forced_size_option : public integer_option<socket_names<ForcedName>, Label, 1, max_int> {
  using base = integer_option<socket_names<ForcedName>, Label, 1, max_int>;

public:
  using base::base;

  template <class Protocol>
  int name(const Protocol& protocol) const noexcept
  {
    return base::name(protocol);
  }

  template <class Protocol>
  int name(const Protocol&) noexcept
  {
    return Name;
  }
};

/// An option that makes the kernel report more about each datagram. The socket must know about it,
/// so set it through the socket.
template <class Names, literal Label, platform::metadata::field Field>
class metadata_option : public boolean_option<Names, Label> {
public:
  static constexpr platform::metadata::field metadata = Field;

  using boolean_option<Names, Label>::boolean_option;

  static error_code check() noexcept
  {
    constexpr int name = Names::name(platform::names::ipv6_family);
    return name == platform::names::unsupported ? error_code(net::error::operation_not_supported)
                                                : error_code();
  }
};

/// The value is a set of flags, which are all set together.
template <int Name, literal Label, int On>
class flags_option : public option_base<socket_names<Name>, Label, int> {
public:
  constexpr explicit flags_option(bool on = false) noexcept
      : option_base<socket_names<Name>, Label, int>(on ? On : 0)
  {
  }

  constexpr bool value() const noexcept { return (this->data_ & On) == On; }
  constexpr explicit operator bool() const noexcept { return value(); }

  static error_code check() noexcept { return {}; }

  friend std::string to_string(const flags_option& option)
  {
    return show_option(flags_option::label, option ? "true" : "false");
  }
};

/// What this library's options have, and Asio's do not.
template <class Option>
concept own_option = requires(const Option& option) {
  option.check();
  Option::label;
  to_string(option);
};

/// The range of an option, if the value was out of range.
template <class Option>
std::string allowed_by(const error_code& ec)
{
  if constexpr (requires { Option::allowed(); })
    if (ec == make_error_code(error::out_of_range)) return Option::allowed();
  return {};
}

/// Throws if there is an error. The text names the call, the option with its value, and its range.
template <class Option>
void throw_if_refused(const error_code& ec, const char* call, const Option& option)
{
  if (ec) raise(ec, call, to_string(option), allowed_by<Option>(ec));
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
