// SPDX-License-Identifier: BSL-1.0
// Runs a test on many seeds, and keeps the trace of the first one that fails.
#ifndef DGRAM_SIM_SEEDS_HPP
#define DGRAM_SIM_SEEDS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/trace.hpp>

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Runs the test once. Returns why it failed.
template <class Function>
std::optional<std::string> try_seed(Function& function, std::uint64_t seed)
{
  try {
    if constexpr (std::convertible_to<std::invoke_result_t<Function&, std::uint64_t>, bool>) {
      if (!static_cast<bool>(std::invoke(function, seed))) return "returned false";
    } else {
      std::invoke(function, seed);
    }
    return std::nullopt;
  } catch (const std::exception& thrown) {
    return thrown.what();
  } catch (...) {
    return "threw something that is no std::exception";
  }
}

}  // namespace detail

namespace sim {

/// Where `for_each_seed` writes.
struct seed_options {
  /// The trace of the failing seed is `<directory>/<name>-<seed>.trace`.
  std::string directory = ".";
  std::string name = "sim";
  bool quiet = false;  ///< print nothing to the standard error stream
};

/// The result of `for_each_seed`. Converts to true if no seed failed.
struct seed_result {
  std::uint64_t passed = 0;               ///< how many seeds did not fail
  std::optional<std::uint64_t> failed{};  ///< the first seed that failed
  std::string reason{};                   ///< the text of the exception, or "returned false"
  std::string trace_file{};               ///< empty if the file could not be written
  bool is_repeatable = true;              ///< the seed failed again when the trace was taken

  explicit operator bool() const noexcept { return !failed; }
};

/// Calls `function(seed)` for `count` seeds from `first` on, until one fails. A call fails if it
/// throws, or returns something that converts to false. A function that returns nothing fails only
/// by throwing, so it suits the assertions of any test framework that throw.
///
/// The function constructs the context and the `network` with the seed. A seed that fails is run
/// once more, and the trace of its networks goes to a file then. So passing seeds cost no trace.
/// The failing seed, the reason and the file are printed to the standard error stream. Exceptions
/// of the function do not leave this one.
///
/// \code
/// const auto result = dgram::sim::for_each_seed(1, 1000, [](std::uint64_t seed) {
///   asio::io_context io;
///   dgram::sim::network net{io, {.seed = seed, .loss = 0.1}};
///   net.run_for(std::chrono::hours(1));
///   return net.counters().is_balanced();
/// });
/// if (!result) fmt::print("seed {} fails: {}\n", *result.failed, result.reason);
/// \endcode
template <std::invocable<std::uint64_t> Function>
[[nodiscard]] seed_result for_each_seed(std::uint64_t first, std::uint64_t count,
                                        Function&& function, const seed_options& options = {})
{
  seed_result result;
  for (std::uint64_t seed = first; result.passed < count; ++seed, ++result.passed) {
    auto why = detail::try_seed(function, seed);
    if (!why) continue;
    result.failed = seed;
    result.reason = std::move(*why);
    struct scope {
      std::string trace;
      std::string* const before = std::exchange(detail::sim_trace_of_thread, &trace);
      scope() = default;
      scope(const scope&) = delete;
      scope& operator=(const scope&) = delete;
      ~scope() { detail::sim_trace_of_thread = before; }
    } again;
    result.is_repeatable = detail::try_seed(function, seed).has_value();
    std::string path =
        options.directory + "/" + options.name + "-" + std::to_string(seed) + ".trace";
    if (std::ofstream file(path); file << again.trace << std::flush)
      result.trace_file = std::move(path);
    if (options.quiet) break;
    std::string text = "seed " + std::to_string(seed) + " fails: " + result.reason;
    text += result.trace_file.empty() ? "\n  the trace could not be written to " + path + "\n"
                                      : "\n  its trace is in " + result.trace_file + "\n";
    if (!result.is_repeatable)
      text += "  the second run passed: the test depends on something besides the seed\n";
    std::fputs(text.c_str(), stderr);
    break;
  }
  return result;
}

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
