// SPDX-License-Identifier: BSL-1.0
// What the mDNS example knows of the messages of DNS (RFC 1035, section 4; RFC 6762, section 18).
#ifndef DGRAM_EXAMPLES_MDNS_MESSAGE_HPP
#define DGRAM_EXAMPLES_MDNS_MESSAGE_HPP

#include "dns_message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace example::mdns {

using dns::append_number;

inline constexpr unsigned type_a = 1;
inline constexpr unsigned type_ptr = 12;
inline constexpr unsigned type_txt = 16;
inline constexpr unsigned type_srv = 33;
inline constexpr unsigned type_any = 255;

struct question {
  std::string name;
  unsigned type = 0;
  bool unicast = false;  ///< the client requests a unicast answer
};

struct record {
  std::string name;
  unsigned type = 0;
  unsigned seconds = 0;
  std::string data;    ///< as it is in the message
  std::string target;  ///< of PTR and SRV: the name that it has
};

struct message {
  unsigned id = 0;
  bool is_answer = false;
  std::vector<question> questions;
  std::vector<record> records;
};

/// A name, in which a label may have any bytes but dots, as it is in a message.
inline std::string encode_name(std::string_view name)
{
  std::string bytes;
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > 63)
      throw bad_argument(fmt::format("\"{}\": not a domain name", name));
    bytes += static_cast<char>(label.size());
    bytes += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return bytes + '\0';
}

/// Reads a message. A name may refer to an earlier place of the message, so the whole is kept.
class reader {
public:
  explicit reader(std::string_view bytes) : whole_(bytes) {}

  bool failed() const { return failed_; }
  std::size_t position() const { return at_; }

  unsigned number(std::size_t size)
  {
    unsigned value = 0;
    for (const char byte : take(size))
      value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }

  std::string_view take(std::size_t size)
  {
    failed_ = failed_ || size > whole_.size() - at_;
    if (failed_) return {};
    at_ += size;
    return whole_.substr(at_ - size, size);
  }

  std::string name() { return name_at(at_); }

  /// The name at a place; moves it behind the name. A reference leads backwards only, so there is
  /// no circle.
  std::string name_at(std::size_t& place)
  {
    std::string result;
    std::size_t at = place;
    bool jumped = false;
    while (at < whole_.size()) {
      const std::size_t size = static_cast<unsigned char>(whole_[at]);
      if (size < 64) {
        if (at + 1 + size > whole_.size()) break;
        if (!jumped) place = at + 1 + size;
        if (size == 0) return result;
        if (!result.empty()) result += '.';
        result += whole_.substr(at + 1, size);
        at += 1 + size;
      } else {
        if (size < 0xc0 || at + 1 >= whole_.size()) break;
        if (!jumped) place = at + 2;
        jumped = true;
        const std::size_t target = (size & 0x3f) << 8 | static_cast<unsigned char>(whole_[at + 1]);
        if (target >= at) break;
        at = target;
      }
      if (result.size() > 255) break;
    }
    failed_ = true;
    return {};
  }

private:
  std::string_view whole_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

/// What the bytes say; empty where they are no message.
inline std::optional<message> decode(std::string_view bytes)
{
  reader at(bytes);
  message result;
  result.id = at.number(2);
  result.is_answer = (at.number(2) & 0x8000) != 0;
  const unsigned questions = at.number(2);
  unsigned records = at.number(2);
  records += at.number(2);
  records += at.number(2);
  for (unsigned i = 0; i < questions && !at.failed(); ++i) {
    question asked{at.name(), at.number(2), false};
    asked.unicast = (at.number(2) & 0x8000) != 0;
    result.questions.push_back(asked);
  }
  for (unsigned i = 0; i < records && !at.failed(); ++i) {
    record known{at.name(), at.number(2), 0, {}, {}};
    at.take(2);  // the class
    known.seconds = at.number(4);
    const std::size_t size = at.number(2);
    std::size_t place = at.position() + (known.type == type_srv ? 6 : 0);
    known.data = at.take(size);
    if (!at.failed() && (known.type == type_ptr || known.type == type_srv))
      known.target = at.name_at(place);
    result.records.push_back(known);
  }
  if (at.failed()) return std::nullopt;
  return result;
}

/// A message without references. Records of multicast answers are the only ones of their name
/// (except PTR), and say so.
inline std::string encode(const message& said)
{
  std::string bytes;
  append_number(bytes, said.id);
  append_number(bytes, said.is_answer ? 0x8400 : 0);
  append_number(bytes, static_cast<unsigned>(said.questions.size()));
  append_number(bytes, static_cast<unsigned>(said.records.size()));
  append_number(bytes, 0);
  append_number(bytes, 0);
  for (const question& asked : said.questions) {
    bytes += encode_name(asked.name);
    append_number(bytes, asked.type);
    append_number(bytes, asked.unicast ? 0x8001 : 1);
  }
  for (const record& known : said.records) {
    bytes += encode_name(known.name);
    append_number(bytes, known.type);
    append_number(bytes, known.type == type_ptr ? 1 : 0x8001);
    append_number(bytes, known.seconds >> 16);
    append_number(bytes, known.seconds & 0xffff);
    append_number(bytes, static_cast<unsigned>(known.data.size()));
    bytes += known.data;
  }
  return bytes;
}

}  // namespace example::mdns

#endif
