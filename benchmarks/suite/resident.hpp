// SPDX-License-Identifier: BSL-1.0
// How much memory this process has resident.
#ifndef DGRAM_BENCHMARKS_SUITE_RESIDENT_HPP
#define DGRAM_BENCHMARKS_SUITE_RESIDENT_HPP

namespace bench {

double resident_bytes();

}  // namespace bench

#endif
