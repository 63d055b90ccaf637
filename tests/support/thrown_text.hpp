// SPDX-License-Identifier: BSL-1.0
// The text of what a call throws.
#ifndef DGRAM_TESTS_SUPPORT_THROWN_TEXT_HPP
#define DGRAM_TESTS_SUPPORT_THROWN_TEXT_HPP

#include <catch2/catch_test_macros.hpp>
#include <dgram/error.hpp>

#include <string>

namespace test {

template <class Function>
std::string thrown_text(Function&& function)
{
  try {
    function();
  } catch (const dgram::system_error& thrown) {
    return thrown.what();
  }
  return "nothing was thrown";
}

/// The same, and checks the code.
template <class Function>
std::string thrown_text(const dgram::error_code& expected, Function&& function)
{
  try {
    function();
  } catch (const dgram::system_error& thrown) {
    CHECK(thrown.code() == expected);
    return thrown.what();
  }
  return "nothing was thrown";
}

}  // namespace test

#endif
