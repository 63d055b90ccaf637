// SPDX-License-Identifier: BSL-1.0
// What the CoAP examples know of the protocol's messages (RFC 7252, section 3).
#ifndef DGRAM_EXAMPLES_COAP_MESSAGE_HPP
#define DGRAM_EXAMPLES_COAP_MESSAGE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example::coap {

enum class type : unsigned char { confirmable, non_confirmable, acknowledgement, reset };

/// Three bits of class and five of detail: 4.04 is `code(4, 4)`.
constexpr unsigned char code(unsigned whole, unsigned detail)
{
  return static_cast<unsigned char>(whole << 5 | detail);
}
constexpr unsigned char get = code(0, 1);
constexpr unsigned char post = code(0, 2);
constexpr unsigned char changed = code(2, 4);
constexpr unsigned char content = code(2, 5);
constexpr unsigned char go_on = code(2, 31);
constexpr unsigned char bad_request = code(4, 0);
constexpr unsigned char unauthorized = code(4, 1);
constexpr unsigned char bad_option = code(4, 2);
constexpr unsigned char not_found = code(4, 4);
constexpr unsigned char not_allowed = code(4, 5);
constexpr unsigned char incomplete = code(4, 8);
constexpr unsigned char too_large = code(4, 13);

constexpr unsigned uri_path = 11;
constexpr unsigned content_format = 12;
constexpr unsigned block2 = 23;  ///< of an answer
constexpr unsigned block1 = 27;  ///< of a request
constexpr unsigned echo = 252;   ///< proves an address (RFC 9175)

struct message {
  type kind = type::confirmable;
  unsigned char what = 0;
  std::uint16_t id = 0;
  std::string token{};
  std::vector<std::pair<unsigned, std::string>> options{};  ///< by number, in ascending order
  std::string payload{};

  std::optional<std::string_view> option(unsigned wanted) const
  {
    for (const auto& [number, value] : options)
      if (number == wanted) return value;
    return std::nullopt;
  }

  /// Whether there is a critical option, one with an odd number, beside these. A program that does
  /// not know such an option must not act.
  bool demands_more_than(std::initializer_list<unsigned> known) const
  {
    return std::any_of(options.begin(), options.end(), [&](const auto& option) {
      return option.first % 2 == 1 &&
             std::find(known.begin(), known.end(), option.first) == known.end();
    });
  }

  void append_path(std::string_view added)
  {
    while (!added.empty()) {
      if (added.starts_with('/')) added.remove_prefix(1);
      const auto segment = added.substr(0, added.find('/'));
      if (!segment.empty()) options.emplace_back(uri_path, segment);
      added.remove_prefix(segment.size());
    }
  }

  /// The path with a slash in front of each segment.
  std::string path() const
  {
    std::string result;
    for (const auto& [number, value] : options)
      if (number == uri_path) result += '/' + value;
    return result;
  }
};

/// Reads from the front of a message; false once something was missing.
class cursor {
public:
  explicit cursor(std::string_view bytes) : rest_(bytes) {}

  explicit operator bool() const { return good_; }
  bool at_end() const { return rest_.empty(); }

  std::string_view take(std::size_t size)
  {
    good_ = good_ && size <= rest_.size();
    const auto taken = rest_.substr(0, good_ ? size : 0);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view take_rest() { return take(rest_.size()); }

  unsigned number(std::size_t size)
  {
    unsigned value = 0;
    for (const char byte : take(size))
      value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }

  /// A delta or a length of four bits: 13 and 14 say that one or two bytes follow, and 15 is not
  /// allowed.
  unsigned extended(unsigned nibble)
  {
    if (nibble == 13) return 13 + number(1);
    if (nibble == 14) return 269 + number(2);
    good_ = good_ && nibble < 15;
    return nibble;
  }

private:
  std::string_view rest_;
  bool good_ = true;
};

/// What the bytes say; empty where they are no message of version 1.
inline std::optional<message> decode(std::string_view bytes)
{
  cursor at(bytes);
  message result;
  const unsigned first = at.number(1);
  if (first >> 6 != 1 || (first & 15) > 8) return std::nullopt;
  result.kind = static_cast<type>(first >> 4 & 3);
  result.what = static_cast<unsigned char>(at.number(1));
  result.id = static_cast<std::uint16_t>(at.number(2));
  result.token = at.take(first & 15);
  unsigned option = 0;
  while (at && !at.at_end()) {
    const unsigned head = at.number(1);
    if (head == 0xff) {
      if (at.at_end()) return std::nullopt;  // a payload marker without a payload
      result.payload = at.take_rest();
      break;
    }
    option += at.extended(head >> 4);
    result.options.emplace_back(option, at.take(at.extended(head & 15)));
  }
  if (!at) return std::nullopt;
  return result;
}

inline void append_number(std::string& to, unsigned value, std::size_t size)
{
  while (size-- > 0)
    to += static_cast<char>(value >> 8 * size & 0xff);
}

/// The bytes of a message. Its options must be in ascending order.
inline std::string encode(const message& said)
{
  const auto nibble = [](std::size_t value) {
    return static_cast<unsigned>(value < 13 ? value : value < 269 ? 13 : 14);
  };
  const auto extend = [](std::string& to, std::size_t value) {
    if (value >= 269)
      append_number(to, static_cast<unsigned>(value - 269), 2);
    else if (value >= 13)
      append_number(to, static_cast<unsigned>(value - 13), 1);
  };
  std::string bytes;
  append_number(
      bytes,
      1U << 6 | static_cast<unsigned>(said.kind) << 4 | static_cast<unsigned>(said.token.size()),
      1);
  append_number(bytes, said.what, 1);
  append_number(bytes, said.id, 2);
  bytes += said.token;
  unsigned before = 0;
  for (const auto& [number, value] : said.options) {
    append_number(bytes, nibble(number - before) << 4 | nibble(value.size()), 1);
    extend(bytes, number - before);
    extend(bytes, value.size());
    bytes += value;
    before = number;
  }
  if (!said.payload.empty()) bytes += '\xff' + said.payload;
  return bytes;
}

}  // namespace example::coap

#endif
