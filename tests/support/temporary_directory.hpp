// SPDX-License-Identifier: BSL-1.0
// A directory for socket files, gone at the end with all that is in it.
#ifndef DGRAM_TESTS_SUPPORT_TEMPORARY_DIRECTORY_HPP
#define DGRAM_TESTS_SUPPORT_TEMPORARY_DIRECTORY_HPP

#include <catch2/catch_test_macros.hpp>

#if !defined(_WIN32)
#include <stdlib.h>
#endif

#include <filesystem>
#include <random>
#include <string>
#include <system_error>

namespace test {

class temporary_directory {
public:
  temporary_directory()
  {
#if defined(_WIN32)
    // Windows has no mkdtemp.
    const auto name = "dgram." + std::to_string(std::random_device()());
    path_ = (std::filesystem::temp_directory_path() / name).generic_string();
    REQUIRE(std::filesystem::create_directory(path_));
#else
    // Short, since a socket's path may have 107 bytes.
    char name[] = "/tmp/dgram.XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
#endif
  }
  ~temporary_directory()
  {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  const std::string& path() const noexcept { return path_; }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

/// Whether there is anything at the path, a link included.
inline bool exists(const std::string& path)
{
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

}  // namespace test

#endif
