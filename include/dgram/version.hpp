// SPDX-License-Identifier: BSL-1.0
// The version of the library, as macros that the preprocessor and CMake can read.
#ifndef DGRAM_VERSION_HPP
#define DGRAM_VERSION_HPP

#define DGRAM_VERSION_MAJOR 0
#define DGRAM_VERSION_MINOR 1
#define DGRAM_VERSION_PATCH 0

/// MAJOR * 10000 + MINOR * 100 + PATCH
#define DGRAM_VERSION \
  (DGRAM_VERSION_MAJOR * 10000 + DGRAM_VERSION_MINOR * 100 + DGRAM_VERSION_PATCH)

#endif
