// SPDX-License-Identifier: BSL-1.0
// The source that dgram::compiled adds to each target which links it.
#include <dgram/compiled.hpp>
