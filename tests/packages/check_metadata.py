"""Checks what package managers read: every version is that of version.hpp, each file is there, and vcpkg's JSON is in
order. Fails and names each mistake."""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
mistakes = []


def expect(what, condition):
    if not condition:
        mistakes.append(what)


def read(name):
    path = ROOT / name
    if not path.is_file():
        mistakes.append(f"{name} is missing")
        return ""
    return path.read_text(encoding="utf-8")


def read_json(name):
    try:
        return json.loads(read(name) or "{}")
    except json.JSONDecodeError as error:
        mistakes.append(f"{name}: {error}")
        return {}


header = read("include/dgram/version.hpp")
version = ".".join(re.search(rf"define DGRAM_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH"))
minor = version.rsplit(".", 1)[0]

# Conan
for name in ("config.yml", "all/conandata.yml"):
    versions = re.findall(r'^ *"([^"]+)":$', read(f"packaging/conan/{name}"), re.M)
    expect(f"packaging/conan/{name}: has the versions {versions}, and version.hpp says {version}", version in versions)
expect(f"packaging/conan/all/conandata.yml: the address is not that of version {version}",
       f"-{version}.tar.gz" in read("packaging/conan/all/conandata.yml"))
for name in ("all/conanfile.py", "all/test_package/conanfile.py", "all/test_package/CMakeLists.txt",
             "all/test_package/test_package.cpp"):
    read(f"packaging/conan/{name}")

# vcpkg
port = read_json("packaging/vcpkg/ports/dgram/vcpkg.json")
known = {"name", "version", "port-version", "description", "homepage", "license", "dependencies", "features", "supports"}
expect(f"vcpkg.json: unknown fields {sorted(set(port) - known)}", set(port) <= known)
expect("vcpkg.json: the name is not dgram", port.get("name") == "dgram")
expect(f"vcpkg.json: the version is {port.get('version')}, and version.hpp says {version}", port.get("version") == version)
expect("vcpkg.json: the licence is not BSL-1.0", port.get("license") == "BSL-1.0")
expect("vcpkg.json: the features are not boost and fmt", set(port.get("features", {})) == {"boost", "fmt"})


def names(dependencies):
    return {entry if isinstance(entry, str) else entry["name"] for entry in dependencies}


expect("vcpkg.json: needs asio, vcpkg-cmake and vcpkg-cmake-config",
       names(port.get("dependencies", [])) == {"asio", "vcpkg-cmake", "vcpkg-cmake-config"})
for feature, needed in (("boost", {"boost-asio"}), ("fmt", {"fmt"})):
    entry = port.get("features", {}).get(feature, {})
    expect(f"vcpkg.json: feature {feature} has no description", bool(entry.get("description")))
    expect(f"vcpkg.json: feature {feature} does not need {needed}", names(entry.get("dependencies", [])) == needed)
portfile = read("packaging/vcpkg/ports/dgram/portfile.cmake")
for call in ("vcpkg_cmake_configure", "vcpkg_cmake_install", "vcpkg_cmake_config_fixup", "vcpkg_install_copyright"):
    expect(f"portfile.cmake: does not call {call}", f"{call}(" in portfile)
for option in re.findall(r"-D(DGRAM_\w+)=", portfile):
    expect(f"portfile.cmake: CMakeLists.txt has no option {option}", f"option({option} " in read("CMakeLists.txt"))
for target in re.findall(r"dgram::\w+", read("packaging/vcpkg/ports/dgram/usage")):
    expect(f"usage: cmake/dgram-components.cmake has no target {target}",
           f"add_library({target} " in read("cmake/dgram-components.cmake"))
found = {path.name for path in (ROOT / "packaging/vcpkg/ports/dgram").iterdir()}
expect(f"packaging/vcpkg/ports/dgram holds {sorted(found)}", found == {"portfile.cmake", "usage", "vcpkg.json"})

manifest = read_json("packaging/vcpkg/example/vcpkg.json")
expect("the manifest of the vcpkg example does not need dgram", "dgram" in names(manifest.get("dependencies", [])))
configuration = read_json("packaging/vcpkg/example/vcpkg-configuration.json")
for overlay in configuration.get("overlay-ports", [None]):
    expect(f"vcpkg-configuration.json: {overlay} holds no port dgram",
           overlay and (ROOT / "packaging/vcpkg/example" / overlay / "dgram/vcpkg.json").is_file())
for name in ("CMakeLists.txt", "server.cpp"):
    read(f"packaging/vcpkg/example/{name}")

# These pages name the archive and the version to ask for.
for page in ("README.md", "docs/install.md"):
    text = read(page)
    for archive in re.findall(r"dgram-([\d.]+)\.tar\.gz", text):
        expect(f"{page} names the archive of version {archive}, and version.hpp says {version}", archive == version)
    for asked in re.findall(r"find_package\(dgram ([\d.]+)", text):
        expect(f"{page} asks for dgram {asked}, and version.hpp says {version}", asked.rstrip(".") == minor)

if mistakes:
    print("\n".join(f"error: {mistake}" for mistake in mistakes), file=sys.stderr)
    sys.exit(1)
print(f"every package says version {version}, and has its files")
