// SPDX-License-Identifier: BSL-1.0
// Just enough of the messages of DNS (RFC 1035, section 4) to ask for addresses.
#ifndef DGRAM_EXAMPLES_DNS_MESSAGE_HPP
#define DGRAM_EXAMPLES_DNS_MESSAGE_HPP

#include "command_line.hpp"

#include <fmt/format.h>
#include <asio/ip/address.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace example::dns {

inline constexpr unsigned type_a = 1;
inline constexpr unsigned type_aaaa = 28;

struct answer {
  unsigned code = 0;  ///< 0: no error, 3: there is no such name
  bool truncated = false;
  std::vector<asio::ip::address> addresses;
};

inline void append_number(std::string& message, unsigned value)
{
  message += static_cast<char>(value >> 8);
  message += static_cast<char>(value & 0xff);
}

/// A question; the server is asked to ask others where it does not know.
inline std::string make_query(unsigned id, std::string_view name, unsigned type)
{
  std::string message;
  for (const unsigned field : {id, 0x0100U, 1U, 0U, 0U, 0U})
    append_number(message, field);
  for (std::string_view rest = name; !rest.empty();) {
    const auto label = rest.substr(0, rest.find('.'));
    if (label.empty() || label.size() > 63 || name.size() > 253)
      throw bad_argument(fmt::format("\"{}\": not a domain name", name));
    message += static_cast<char>(label.size());
    message += label;
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
  }
  message += '\0';
  append_number(message, type);
  append_number(message, 1);  // IN
  return message;
}

/// Reads a message from the front; past its end it fails, and stays failed.
class cursor {
public:
  explicit cursor(std::string_view message) : rest_(message) {}

  bool failed() const { return failed_; }

  std::string_view take(std::size_t size)
  {
    failed_ = failed_ || size > rest_.size();
    if (failed_) return {};
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  unsigned number(std::size_t size)
  {
    unsigned value = 0;
    for (const char byte : take(size))
      value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }

  /// A name, of which nothing but its end matters here: a pointer to an earlier one ends it too.
  void skip_name()
  {
    for (unsigned size = number(1); size != 0 && !failed_; size = number(1)) {
      if (size >= 0xc0) {
        take(1);
        return;
      }
      take(size);
    }
  }

private:
  std::string_view rest_;
  bool failed_ = false;
};

/// The answer to this query; nothing where the message is another one's, or malformed.
inline std::optional<answer> read_answer(std::string_view message, std::string_view query)
{
  const std::string_view question = query.substr(12);
  if (message.size() < query.size() || message.substr(0, 2) != query.substr(0, 2) ||
      message.substr(12, question.size()) != question)
    return std::nullopt;
  cursor at(message);
  at.take(2);
  const unsigned flags = at.number(2);
  if ((flags & 0x8000) == 0) return std::nullopt;  // a query itself
  answer result{flags & 0xf, (flags & 0x0200) != 0, {}};
  at.take(2);
  const unsigned answers = at.number(2);
  at.take(4 + question.size());
  for (unsigned i = 0; i < answers; ++i) {
    at.skip_name();
    const unsigned type = at.number(2);
    at.take(2 + 4);  // class, and how long it may be kept
    const auto data = at.take(at.number(2));
    if (at.failed()) return std::nullopt;
    if (type == type_a && data.size() == 4) {
      asio::ip::address_v4::bytes_type bytes;
      std::copy(data.begin(), data.end(), bytes.begin());
      result.addresses.emplace_back(asio::ip::address_v4(bytes));
    } else if (type == type_aaaa && data.size() == 16) {
      asio::ip::address_v6::bytes_type bytes;
      std::copy(data.begin(), data.end(), bytes.begin());
      result.addresses.emplace_back(asio::ip::address_v6(bytes));
    }
  }
  return result;
}

}  // namespace example::dns

#endif
