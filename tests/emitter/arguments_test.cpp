// SPDX-License-Identifier: BSL-1.0
// The emitter: which arguments of a call compile, asked of what the calls ask.
#include "emitter/helpers.hpp"

#include <dgram/detail/emitter/arguments.hpp>

#include <cstdint>
#include <string>

namespace arguments_test {

namespace {

using callback = void (*)(dgram::error_code);

template <class... Args>
consteval dgram::detail::call_shape shape_of()
{
  return dgram::detail::shape_of<dgram::udp, Args...>();
}

template <class... Args>
consteval dgram::detail::call_shape unix_shape_of()
{
  return dgram::detail::shape_of<dgram::unix_dgram, Args...>();
}

template <class... Args>
constexpr bool is_place = shape_of<Args...>().is_place() && shape_of<Args...>().is_ordered;

template <class... Args>
constexpr bool binds = is_place<Args...> && shape_of<Args...>().is_endpoint(true);

template <class... Args>
constexpr bool sends = is_place<Args...> && shape_of<Args...>().is_datagram(true);

template <class... Args>
constexpr bool sends_by_path = is_place<Args...> && shape_of<Args...>().is_datagram(false);

}  // namespace

TEST_CASE("ERR_INVALID_ARG_TYPE: bind and connect take a port and an address, once each",
          "[emitter]")
{
  STATIC_CHECK(binds<>);
  STATIC_CHECK(binds<int>);
  STATIC_CHECK(binds<const char(&)[10]>);
  STATIC_CHECK(binds<std::uint16_t&, const std::string&, callback>);
  STATIC_CHECK(binds<long, asio::ip::address_v6>);
  STATIC_CHECK_FALSE(binds<int, int>);
  STATIC_CHECK_FALSE(binds<const char(&)[10], const char(&)[10]>);
  STATIC_CHECK_FALSE(binds<const char(&)[10], int>);
  STATIC_CHECK_FALSE(shape_of<int, const char*>().is_endpoint(false));
  STATIC_CHECK(shape_of<const char*, callback>().is_endpoint(false));
}

TEST_CASE("ERR_INVALID_ARG_TYPE: send takes at most offset, length and port", "[emitter]")
{
  STATIC_CHECK(sends<>);
  STATIC_CHECK(sends<int, const char*>);
  STATIC_CHECK(sends<int, int, callback>);
  STATIC_CHECK(sends<int, int, int, const asio::ip::address&, callback>);
  STATIC_CHECK_FALSE(sends<int, int, int, int>);
  STATIC_CHECK_FALSE(sends<int, int, int, int, int>);
  STATIC_CHECK_FALSE(sends<const char*, int>);
  STATIC_CHECK_FALSE(sends<int, const char*, const char*>);

  STATIC_CHECK(sends_by_path<const char*>);
  STATIC_CHECK(sends_by_path<int, int, const char*>);
  STATIC_CHECK_FALSE(sends_by_path<int, const char*>);
  STATIC_CHECK_FALSE(sends_by_path<int, int, int, const char*>);
}

}  // namespace arguments_test
