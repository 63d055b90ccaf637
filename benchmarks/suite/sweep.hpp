// SPDX-License-Identifier: BSL-1.0
// How a cost changes with a parameter.
#ifndef DGRAM_BENCHMARKS_SUITE_SWEEP_HPP
#define DGRAM_BENCHMARKS_SUITE_SWEEP_HPP

#include "rows.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct point {
  std::size_t parameter;
  double value;
};

struct series {
  std::string name;
  std::vector<point> points;
};

/// What the points of a sweep are.
enum class sweep_unit { ns_per_datagram, bytes };

/// One diagram. The first line has a point for each value of the parameter. Others may have fewer.
struct sweep {
  std::string id;
  std::string work;
  std::string parameter;
  std::vector<series> lines;
  sweep_unit unit = sweep_unit::ns_per_datagram;
  std::uint64_t lost = 0;
};

struct sweep_maker {
  std::string id;
  std::function<sweep(const run_config&)> measure;
};

std::vector<sweep_maker> all_sweeps();

}  // namespace bench

#endif
