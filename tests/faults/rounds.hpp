// SPDX-License-Identifier: BSL-1.0
// How many random tries, and from which seed on: DGRAM_FAULT_ROUNDS and DGRAM_FAULT_SEED.
#ifndef DGRAM_TESTS_FAULTS_ROUNDS_HPP
#define DGRAM_TESTS_FAULTS_ROUNDS_HPP

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace faults {

inline std::uint32_t number_of_environment(const char* name, std::uint32_t otherwise)
{
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::stoul(text));
}

/// The same in each run, so that a change is not blamed for what an earlier one did.
inline std::uint32_t first_seed()
{
  return number_of_environment("DGRAM_FAULT_SEED", 1);
}

inline std::uint32_t rounds(std::uint32_t otherwise)
{
  return number_of_environment("DGRAM_FAULT_ROUNDS", otherwise);
}

/// Random numbers that are the same with every standard library.
class dice {
public:
  explicit dice(std::uint32_t seed) : engine_(seed) {}

  /// Below `count`, which is not 0.
  std::size_t below(std::size_t count) { return engine_() % count; }

  bool one_in(std::size_t count) { return below(count) == 0; }

private:
  std::mt19937 engine_;
};

}  // namespace faults

#endif
