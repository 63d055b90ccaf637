// SPDX-License-Identifier: BSL-1.0
// How a cost changes with a parameter.
#ifndef DGRAM_BENCHMARKS_SUITE_SWEEP_HPP
#define DGRAM_BENCHMARKS_SUITE_SWEEP_HPP

#include "rows.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct point {
  std::size_t parameter;
  double ns_per_datagram;
};

struct series {
  std::string name;
  std::vector<point> points;
};

/// One diagram.
struct sweep {
  std::string id;
  std::string work;
  std::string parameter;
  std::vector<series> lines;
};

struct sweep_maker {
  std::string id;
  std::function<sweep(const run_config&)> measure;
};

std::vector<sweep_maker> all_sweeps();

}  // namespace bench

#endif
