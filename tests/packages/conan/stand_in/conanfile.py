"""What the public index has of asio, boost and fmt, made from headers of this machine: the index cannot be reached.

  DGRAM_STAND_IN_DIR=/usr/include conan create . --name=asio

The version is the one that the headers say; targets and defines are those of the index's recipes.
"""

import os
import re

from conan import ConanFile
from conan.tools.files import copy, load


class StandInConan(ConanFile):
    package_type = "header-library"
    license = "BSL-1.0 OR MIT"
    description = "A stand-in for the recipe of the public index"

    @property
    def _directory(self):
        return os.environ["DGRAM_STAND_IN_DIR"]

    def _number(self, header, macro):
        text = load(self, os.path.join(self._directory, header))
        return int(re.search(rf"#\s*define\s+{macro}\s+(\d+)", text)[1])

    def set_version(self):
        if self.name == "asio":
            number = self._number("asio/version.hpp", "ASIO_VERSION")
            self.version = f"{number // 100000}.{number // 100 % 1000}.{number % 100}"
        elif self.name == "boost":
            number = self._number("boost/version.hpp", "BOOST_VERSION")
            self.version = f"{number // 100000}.{number // 100 % 1000}.{number % 100}"
        else:
            number = self._number("fmt/core.h", "FMT_VERSION")
            self.version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def package_id(self):
        self.info.clear()

    def package(self):
        target = os.path.join(self.package_folder, "include")
        copy(self, f"{self.name}.hpp", self._directory, target)
        copy(self, f"{self.name}/*", self._directory, target)

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", {"boost": "Boost"}.get(self.name, self.name))
        if self.name == "boost":
            self.cpp_info.set_property("cmake_target_name", "Boost::boost")
            self.cpp_info.components["headers"].set_property("cmake_target_name", "Boost::headers")
            self.cpp_info.components["headers"].libdirs = []
            self.cpp_info.components["headers"].bindirs = []
        else:
            self.cpp_info.set_property("cmake_target_name", f"{self.name}::{self.name}")
        if self.name == "asio":
            self.cpp_info.defines = ["ASIO_STANDALONE"]
            self.cpp_info.system_libs = ["pthread"]
        if self.name == "fmt":
            self.cpp_info.defines = ["FMT_HEADER_ONLY=1"]
