// SPDX-License-Identifier: BSL-1.0
// A directory for socket files, gone at the end with all that is in it.
#ifndef DGRAM_TESTS_SUPPORT_TEMPORARY_DIRECTORY_HPP
#define DGRAM_TESTS_SUPPORT_TEMPORARY_DIRECTORY_HPP

#include <catch2/catch_test_macros.hpp>

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace test {

class temporary_directory {
public:
  temporary_directory()
  {
    // Short, since a socket's path may have 107 bytes.
    char name[] = "/tmp/dgram.XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
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
  struct ::stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace test

#endif
