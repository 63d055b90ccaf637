import os
import re

from conan import ConanFile
from conan.errors import ConanException, ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, get, load
from conan.tools.layout import basic_layout
from conan.tools.scm import Version

required_conan_version = ">=2.0"


class DgramConan(ConanFile):
    name = "dgram"
    description = "Asynchronous datagrams on Asio: UDP and Unix datagram sockets, batched"
    license = "BSL-1.0"
    url = "https://dgram.example/"
    homepage = "https://dgram.example/"
    topics = ("udp", "datagram", "asio", "networking", "multicast", "coroutines", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "with_boost": [True, False],
        "with_fmt": [True, False],
    }
    default_options = {
        "with_boost": False,
        "with_fmt": True,
    }
    options_description = {
        "with_boost": "dgram::dgram is on Boost.Asio instead of standalone Asio",
        "with_fmt": "bring fmt for dgram/format.hpp (target dgram::fmt)",
    }
    no_copy_source = True

    # What makes dgram::compiled of dgram::dgram.
    _cmake_files = ("dgram-conan.cmake", "dgram-compiled.cmake", "dgram-compiled.cpp")

    @property
    def _own_tree(self):
        """The tree that this recipe is part of, or None for a recipe in an index."""
        tree = os.path.abspath(os.path.join(self.recipe_folder, "..", "..", ".."))
        return tree if os.path.isfile(os.path.join(tree, "include", "dgram", "version.hpp")) else None

    def set_version(self):
        if self._own_tree is None:
            return  # the index's config.yml says it
        text = load(self, os.path.join(self._own_tree, "include", "dgram", "version.hpp"))
        number = r"#define DGRAM_VERSION_{} (\d+)"
        version = ".".join(re.search(number.format(part), text)[1] for part in ("MAJOR", "MINOR", "PATCH"))
        if self.version and self.version != version:
            raise ConanException(f"this tree is dgram {version}, not {self.version}")
        self.version = version

    def export_sources(self):
        if self._own_tree is not None:
            copy(self, "LICENSE", self._own_tree, os.path.join(self.export_sources_folder, "src"))
            for files in ("include/*", "cmake/*"):
                copy(self, files, self._own_tree, os.path.join(self.export_sources_folder, "src"))

    def layout(self):
        basic_layout(self, src_folder="src")

    def requirements(self):
        # All are included by public headers.
        if self.options.with_boost:
            self.requires("boost/[>=1.79.0 <2]", transitive_headers=True)
        else:
            self.requires("asio/[>=1.22.1 <2]", transitive_headers=True)
        if self.options.with_fmt:
            self.requires("fmt/[>=9 <13]", transitive_headers=True, transitive_libs=True)

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)
        minimum = {"gcc": "12", "clang": "16"}.get(str(self.settings.compiler))
        if minimum and Version(self.settings.compiler.version) < minimum:
            raise ConanInvalidConfiguration(
                f"{self.ref} needs {self.settings.compiler} {minimum} or newer, "
                f"and the profile says {self.settings.compiler.version}")

    def source(self):
        # Exported from dgram's own tree, they are there.
        if os.path.isfile(os.path.join(self.source_folder, "LICENSE")):
            return
        sources = self.conan_data["sources"]
        if self.version not in sources:
            raise ConanException(f"conandata.yml has no dgram {self.version}; it has {', '.join(sources)}")
        get(self, **sources[self.version], strip_root=True)

    def build(self):
        pass

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))
        for name in self._cmake_files:
            copy(self, name, os.path.join(self.source_folder, "cmake"), os.path.join(self.package_folder, "lib", "cmake"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "dgram")
        self.cpp_info.set_property("cmake_target_name", "dgram::all")
        self.cpp_info.set_property("cmake_build_modules", [os.path.join("lib", "cmake", self._cmake_files[0])])

        main = self.cpp_info.components["main"]
        main.set_property("cmake_target_name", "dgram::dgram")
        main.set_property("pkg_config_name", "dgram")
        main.bindirs = []
        main.libdirs = []
        if self.options.with_boost:
            main.set_property("cmake_target_aliases", ["dgram::boost"])
            main.requires = ["boost::headers"]
            main.defines = ["DGRAM_USE_BOOST_ASIO=1"]
        else:
            main.requires = ["asio::asio"]
            main.defines = ["ASIO_STANDALONE"]
            if self.settings.compiler == "clang":
                # Asio before 1.26 has coroutines with Clang only if told so. Others find the same by themselves.
                main.defines.append("ASIO_HAS_CO_AWAIT=1")
        if self.settings.os in ("Linux", "FreeBSD"):
            main.system_libs = ["pthread"]
        elif self.settings.os == "Windows":
            main.system_libs = ["ws2_32", "mswsock", "iphlpapi"]

        if self.options.with_fmt:
            fmt = self.cpp_info.components["fmt"]
            fmt.set_property("cmake_target_name", "dgram::fmt")
            fmt.bindirs = []
            fmt.libdirs = []
            fmt.includedirs = []
            fmt.requires = ["fmt::fmt"]
