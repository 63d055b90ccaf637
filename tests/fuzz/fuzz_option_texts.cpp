// SPDX-License-Identifier: BSL-1.0
// Fuzzes the texts of options and of the environment: interfaces, groups, memberships as Node
// writes them, paths of Unix sockets, and the variables of socket activation.

#include "fuzz/input.hpp"

#include <dgram/activation.hpp>
#include <dgram/detail/emitter/membership_text.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/unix_dgram.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using dgram::error;
using dgram::error_code;
using fuzz::require;

/// The error that a call throws, whose text has the name of the call first.
template <class Function>
error_code thrown(std::string_view operation, const Function& call)
{
  try {
    call();
    return {};
  } catch (const dgram::system_error& refused) {
    require(std::string_view(refused.what()).starts_with(operation),
            "a refusal names its call first");
    require(bool(refused.code()), "a refusal has an error");
    return refused.code();
  }
}

void check_interface(const std::string& text)
{
  const dgram::network_interface one(text);
  require(!one.is_any() && !one.is_all(), "a text names one interface");
  error_code ec;
  const unsigned index = one.index(ec);
  require(ec ? ec == error::unknown_interface && index == 0 : index != 0,
          "a text names an interface of this host, or none");
  const std::string printed = to_string(one);
  const dgram::network_interface again(printed);
  require(to_string(again) == printed, "printing is stable");
  error_code later;
  if (!ec && printed.find_first_not_of("0123456789") != std::string::npos)
    require(again.index(later) == index, "a printed interface is the same interface");
}

void check_group(const std::string& text, const std::string& source)
{
  error_code not_an_address;
  const auto address = dgram::parse_address(text, not_an_address);
  error_code no_source;
  dgram::parse_address(source, no_source);
  const error_code refused =
      thrown("multicast_group", [&] { (void)dgram::multicast_group(text, source); });
  require(bool(refused) == (not_an_address || no_source), "a group is two addresses");
  if (not_an_address) return;
  require(dgram::multicast_group(text).address() == address, "a group is an address");
}

void check_membership(fuzz::input& from, const std::string& group, const std::string& source,
                      const std::string& interface)
{
  using dgram::detail::membership_change;
  const bool is_v6 = from.one_in(2);
  const dgram::detail::membership_text asked{
      "add_membership",
      from.one_in(2) ? membership_change::join : membership_change::leave,
      is_v6,
      group,
      source,
      interface};
  error_code ec = thrown("add_membership", [&] { (void)asked.parse<dgram::udp::socket>(); });
  require(!ec || ec == asio::error::invalid_argument || ec == asio::error::no_protocol_option,
          "a membership is refused with one of the documented errors");
  error_code not_an_address;
  const auto address = dgram::parse_address(group, not_an_address);
  if (not_an_address)
    require(ec == asio::error::invalid_argument, "a group is an address");
  else if (address.is_v6() && address.is_multicast() && !is_v6)
    require(bool(ec), "a group of IPv6 is refused on a socket of IPv4");
  const std::array<error, 4> reasons{error::unknown_interface, error::not_multicast,
                                     error::bad_source, error::no_multicast};
  const error why = reasons[from.byte() % reasons.size()];
  require(bool(thrown("add_membership", [&] { asked.refuse(why); })),
          "a refusal of the system is one of the call");
  ec = thrown("set_multicast_interface", [&] {
    (void)dgram::detail::parse_outgoing_interface("set_multicast_interface", interface, is_v6);
  });
  require(!ec || ec == asio::error::invalid_argument || ec == asio::error::no_protocol_option ||
              ec == dgram::platform::address_not_available(),
          "an outgoing interface is refused with one of the documented errors");
}

#if DGRAM_HAS_UNIX_DATAGRAMS
void check_path(const std::string& text)
{
  error_code ec;
  const auto parsed = dgram::parse_unix_endpoint(text, ec);
  if (ec) {
    require(dgram::is_unnamed(parsed), "a refused path gives the unnamed endpoint");
    require(ec == asio::error::name_too_long || ec == asio::error::invalid_argument,
            "a path is refused with one of the documented errors");
    return;
  }
  require(dgram::is_abstract(parsed) == text.starts_with('@'), "only @ makes a name abstract");
  const std::string printed = dgram::to_string(parsed);
  require(printed == text || printed == "./" + text, "a printed path is the path");
  if (printed.size() > dgram::platform::max_path_size) return;
  const auto again = dgram::parse_unix_endpoint(printed, ec);
  require(!ec && dgram::to_string(again) == printed, "a printed path parses to the same");
}
#endif

void check_activation(const std::string& count, const std::string& names)
{
  const std::string own = std::to_string(dgram::platform::process_id());
  for (const auto& [name, value] : {std::pair("LISTEN_PID", own), std::pair("LISTEN_FDS", count)})
    ::setenv(name, value.c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  std::vector<dgram::inherited_socket> found;
  const error_code ec = thrown("inherited_sockets", [&] { found = dgram::inherited_sockets(); });
  require(!ec || ec == error::out_of_range || ec == asio::error::bad_descriptor,
          "variables are refused with one of the documented errors");
  // setenv(3) ends at the first NUL.
  const std::string seen(count.c_str());
  if (seen.empty() || seen.find_first_not_of("0123456789") != std::string::npos)
    require(ec == error::out_of_range, "what is no number is refused");
  std::string joined;
  for (const auto& each : found) {
    require(each.kind != dgram::socket_kind::not_open, "what is passed is open");
    joined += (joined.empty() && &each == found.data() ? "" : ":") + each.name;
  }
  if (!found.empty()) require(joined == names.c_str(), "each descriptor has its name");
  for (const char* const each : dgram::detail::activation_variables)
    ::unsetenv(each);
}

void check_name(const std::string& text)
{
  const bool is_name = dgram::detail::is_descriptor_name(text);
  const auto parts = dgram::detail::split_names(text);
  std::string joined = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i)
    joined += ":" + parts[i];
  require(joined == text, "names are split at colons alone");
  require(!is_name || (parts.size() == 1 && !text.empty()), "a name is not split");
}

std::string take_text(fuzz::input& from)
{
  static constexpr std::array<std::string_view, 12> usual{
      "lo",         "1",    "::1", "127.0.0.1", "239.1.2.3", "ff02::1",
      "fe80::1%lo", "::%1", "@a",  "./",        "@name",     "2"};
  if (from.one_in(3)) return std::string(from.one_of(usual));
  std::string text = from.text(130);
  if (from.one_in(4)) text.insert(0, from.one_of(usual));
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  fuzz::input from(data, size);
  const std::uint8_t which = from.byte();
  const std::string one = take_text(from);
  const std::string other = take_text(from);
  switch (which % 4) {
  case 0:
    check_interface(one);
    check_name(one);
    break;
  case 1: check_group(one, other); break;
  case 2: check_activation(one, other); break;
  default: check_membership(from, one, from.one_in(2) ? other : "", take_text(from));
  }
#if DGRAM_HAS_UNIX_DATAGRAMS
  check_path(other);
#endif
  return 0;
}
