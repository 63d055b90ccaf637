// SPDX-License-Identifier: BSL-1.0
// What the CoAP examples know of texts that are too long for one message (RFC 7959).
#ifndef DGRAM_EXAMPLES_COAP_BLOCKS_HPP
#define DGRAM_EXAMPLES_COAP_BLOCKS_HPP

#include "coap_message.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace example::coap {

/// A piece of what is too long for one message.
struct block {
  unsigned number = 0;
  bool more = false;
  unsigned exponent = 6;  ///< the size is 16 << exponent

  std::size_t size() const { return std::size_t{16} << exponent; }
  std::size_t begin() const { return number * size(); }
};

/// What the value of an option says; empty if it is no block.
inline std::optional<block> decode_block(std::string_view value)
{
  cursor at(value);
  const unsigned bits = at.number(value.size());
  if (value.size() > 3 || (bits & 7) == 7) return std::nullopt;
  return block{.number = bits >> 4, .more = (bits & 8) != 0, .exponent = bits & 7};
}

inline std::string encode(const block& said)
{
  const unsigned bits = said.number << 4 | (said.more ? 8U : 0U) | said.exponent;
  std::string value;
  append_number(value, bits, bits == 0 ? 0 : bits < 0x100 ? 1 : bits < 0x10000 ? 2 : 3);
  return value;
}

/// The option with which a client repeats the request: for the next block, or for the proof of its
/// address. Nothing if the answer is the last one.
inline std::optional<std::pair<unsigned, std::string>> follow_up(const message& request,
                                                                 const message& answer)
{
  const auto secret = answer.option(echo);
  if (secret && answer.what == unauthorized && !request.option(echo))
    return std::pair(echo, std::string(*secret));
  const auto sent = decode_block(answer.option(block2).value_or(""));
  if (!sent || !sent->more || answer.what != content) return std::nullopt;
  return std::pair(block2, encode(block{.number = sent->number + 1, .exponent = sent->exponent}));
}

/// The texts that a server and one client are passing to each other. A client may use another token
/// for each block, so they belong to the client and the path.
class transfers {
public:
  /// Answers with a block of the text. All blocks are of the text that there was at the first one.
  message give(const message& request, const std::string& text, const std::string& format = "")
  {
    const auto option = request.option(block2);
    auto wanted = option ? decode_block(*option) : block();
    if (!wanted) return {.what = bad_option};
    auto& given = given_.try_emplace(request.path(), text).first->second;
    if (wanted->number == 0) given = text;
    if (wanted->number > 0 && wanted->begin() >= given.size()) return {.what = bad_request};
    message reply{.what = content,
                  .options = {{content_format, format}},
                  .payload = given.substr(wanted->begin(), wanted->size())};
    wanted->more = wanted->begin() + wanted->size() < given.size();
    if (option || wanted->more) reply.options.emplace_back(block2, encode(*wanted));
    return reply;
  }

  /// Takes a block, and calls `use(text)` after the last one.
  template <class Use>
  message take(const message& request, Use use)
  {
    constexpr std::size_t most = 65536;
    const auto option = request.option(block1);
    const auto sent = option ? decode_block(*option) : block();
    if (!sent) return {.what = bad_option};
    if (sent->number == 0) taken_.clear();
    if (sent->begin() != taken_.size()) return {.what = incomplete};
    if (taken_.size() + request.payload.size() > most) return {.what = too_large};
    taken_ += request.payload;
    message reply{.what = sent->more ? go_on : changed};
    if (option) reply.options.emplace_back(block1, *option);
    if (!sent->more) use(std::exchange(taken_, {}));
    return reply;
  }

private:
  std::map<std::string, std::string> given_;  // by path
  std::string taken_;
};

}  // namespace example::coap

#endif
