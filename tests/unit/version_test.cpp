// SPDX-License-Identifier: BSL-1.0
// version.hpp: the version is there for the preprocessor, and its parts agree.

#include <dgram/fwd.hpp>
#include <dgram/version.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <typeinfo>

namespace version_test {

#if DGRAM_VERSION < 100
#error "the preprocessor can compare the version"
#endif

TEST_CASE("version: the number is made of its parts")
{
  STATIC_REQUIRE(DGRAM_VERSION ==
                 DGRAM_VERSION_MAJOR * 10000 + DGRAM_VERSION_MINOR * 100 + DGRAM_VERSION_PATCH);
}

TEST_CASE("version: no part runs into the next one, so that versions compare as numbers")
{
  STATIC_REQUIRE(DGRAM_VERSION_MAJOR >= 0);
  STATIC_REQUIRE((DGRAM_VERSION_MINOR >= 0 && DGRAM_VERSION_MINOR < 100));
  STATIC_REQUIRE((DGRAM_VERSION_PATCH >= 0 && DGRAM_VERSION_PATCH < 100));
}

TEST_CASE("version: arithmetic around the macro does not reach into it")
{
  STATIC_REQUIRE(DGRAM_VERSION * 2 == DGRAM_VERSION + DGRAM_VERSION);
}

TEST_CASE("version: units that were compiled with two minor versions do not link")
{
  const std::string tag =
      "v" + std::to_string(DGRAM_VERSION_MAJOR) + "_" + std::to_string(DGRAM_VERSION_MINOR) + "_";
  const std::string name = typeid(dgram::socket_statistics*).name();
  INFO(name);
  CHECK(name.find(tag) != std::string::npos);
}

}  // namespace version_test
