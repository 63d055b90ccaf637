// SPDX-License-Identifier: BSL-1.0
// One try of an operation in trouble, and what has to hold afterwards.
#ifndef DGRAM_TESTS_FAULTS_TRIAL_HPP
#define DGRAM_TESTS_FAULTS_TRIAL_HPP

#include "faults/operations.hpp"

#include <cstddef>
#include <functional>

namespace faults {

/// In how many tries a failure was injected. The program prints these at its end.
struct injected_failures {
  std::size_t system_calls = 0;
  std::size_t allocations = 0;
};
inline injected_failures injected;

/// What goes wrong, from `begin` to `end`.
struct trouble {
  std::function<void()> begin;
  std::function<void()> end;
};

/// Whether what an operation waits for is there before it starts.
enum class supply { before, after };

/// Whether it makes a difference for this operation. An old process waits for a new one, and a new
/// one needs an old one that waits.
bool has_time(const operation& which, supply when);

/// Tries the operation on new objects while the trouble lasts. Fails the test unless
///  - the operation completed exactly once, not inside its call, or its call threw, or an exception
///    left the context;
///  - the objects work when the trouble is over;
///  - the context ran few handlers meanwhile;
///  - no handler and no descriptor is left.
void attempt(const operation& which, supply when, const trouble& what);

/// The trouble lasts while the objects of a pending operation are destroyed, and what that causes
/// runs.
void attempt_destruction(const operation& which, const trouble& what);

}  // namespace faults

#endif
