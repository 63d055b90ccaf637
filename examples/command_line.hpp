// SPDX-License-Identifier: BSL-1.0
// What the examples' command lines have in common: words, numbers, clear errors and exit codes.
#ifndef DGRAM_EXAMPLES_COMMAND_LINE_HPP
#define DGRAM_EXAMPLES_COMMAND_LINE_HPP

#include <fmt/format.h>

#include <dgram/error.hpp>

#include <charconv>
#include <concepts>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace example {

/// A command line that cannot be right; the text names what was wrong.
struct bad_argument : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The words of a command line, taken from the front.
class command_line {
public:
  explicit command_line(std::vector<std::string_view> words) : words_(std::move(words)) {}

  bool empty() const { return next_ == words_.size(); }

  /// The next word, which must be there: `what` says what it is.
  std::string_view operand(std::string_view what)
  {
    if (empty()) throw bad_argument(fmt::format("{} is missing", what));
    if (words_[next_].starts_with("--"))
      throw bad_argument(fmt::format("{} is expected in place of \"{}\"", what, words_[next_]));
    return words_[next_++];
  }

  /// Whether the next word is this one; takes it then, and notes that it was there.
  bool flag(std::string_view name, bool& is_given)
  {
    if (empty() || words_[next_] != name) return false;
    ++next_;
    is_given = true;
    return true;
  }

  /// Whether the next word is this option; takes it and its value then.
  bool option(std::string_view name, std::string& value)
  {
    if (empty() || words_[next_] != name) return false;
    ++next_;
    value = operand(fmt::format("the value of {}", name));
    return true;
  }

  /// The same for an option that may be given several times.
  bool option(std::string_view name, std::vector<std::string>& values)
  {
    std::string value;
    if (!option(name, value)) return false;
    values.push_back(value);
    return true;
  }

  /// The same for a number.
  template <std::integral Number>
  bool option(std::string_view name, Number& number, std::type_identity_t<Number> least,
              std::type_identity_t<Number> most)
  {
    std::string text;
    if (!option(name, text)) return false;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = failure == std::errc() && end == text.data() + text.size();
    if (!is_number || number < least || number > most)
      throw bad_argument(
          fmt::format("{} \"{}\": not a number from {} to {}", name, text, least, most));
    return true;
  }

  /// Refuses what nothing took.
  void finish() const
  {
    if (!empty()) throw bad_argument(fmt::format("unexpected argument \"{}\"", words_[next_]));
  }

private:
  std::vector<std::string_view> words_;
  std::size_t next_ = 0;
};

/// Text from the network as it may be shown: control characters, which a terminal would obey, are
/// written as \xNN.
inline std::string printable(std::string_view text)
{
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      result += fmt::format("\\x{:02x}", byte);
    else
      result += c;
  }
  return result;
}

/// For a coroutine's end: what it threw comes out of `io_context::run`.
inline void rethrow(const std::exception_ptr& failure)
{
  if (failure) std::rethrow_exception(failure);
}

/// Calls `program(command_line&)` and returns the exit code: the program's own, 2 for arguments
/// that cannot be right, and 1 for everything else that is thrown.
template <class Program>
int run(int argc, char** argv, std::string_view usage, Program program)
{
  // A program that reads the output through a pipe waits for whole lines, not for a full buffer.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  try {
    command_line words(std::vector<std::string_view>(argv + 1, argv + argc));
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
      fmt::print("usage: {}\n", usage);
      return 0;
    }
    return program(words);
  } catch (const bad_argument& refused) {
    fmt::print(stderr, "error: {}\nusage: {}\n", refused.what(), usage);
    return 2;
  } catch (const dgram::system_error& failure) {
    fmt::print(stderr, "error: {}\n", failure.what());
    // The library's own errors, unlike the system's, are about what was typed.
    return failure.code().category() == dgram::error_category() ? 2 : 1;
  } catch (const std::exception& failure) {
    fmt::print(stderr, "error: {}\n", failure.what());
    return 1;
  }
}

}  // namespace example

#endif
