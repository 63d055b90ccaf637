#!/usr/bin/env bash
# Started by "scripts/check packages". Everything is made in build/packages, each time from nothing but the virtual
# environment of Conan.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh
. scripts/lib/parallel.sh

work=$PWD/build/packages
mkdir -p "$work"

step "packages: looking for what is needed"
need_library_build
need_python
need_boost build/deps/boost
install_packages
from_pypi "$work/conan" 'conan>=2.4,<3'

step "packages: versions and files"
python3 tests/packages/check_metadata.py

step "packages: Conan"
# A home of its own, without the public index, which cannot be reached from everywhere. What dgram needs of it is made
# from the headers of this machine.
export CONAN_HOME=$work/conan-home
rm -rf "$CONAN_HOME" "$work/index" "$work/consumer" "$work/tests"
conan() { "$work/conan/bin/conan" "$@"; }
quietly() { # COMMAND...: what it says is shown if it fails
  if ! "$@" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    die "failed: $*"
  fi
}
refused() { # TEXT COMMAND...: fails, and says TEXT
  local text=$1
  shift
  if "$@" >"$work/log" 2>&1; then die "was not refused: $*"; fi
  grep -qF "$text" "$work/log" || { cat "$work/log" >&2; die "was refused without '$text': $*"; }
}
quietly conan profile detect
quietly conan remote disable '*'
include_of() { # HEADER: the directory that holds it
  local directory
  for directory in /usr/local/include /usr/include; do
    if [ -e "$directory/$1" ]; then printf '%s' "$directory"; return; fi
  done
  die "no $1 here"
}
stand_in() { # NAME DIRECTORY
  DGRAM_STAND_IN_DIR=$2 quietly conan create tests/packages/conan/stand_in --name="$1"
}
stand_in asio "$(include_of asio.hpp)"
stand_in fmt "$(include_of fmt/core.h)"
boost=$PWD/build/deps/boost/usr/include
if [ ! -e "$boost/boost/version.hpp" ]; then boost=$(include_of boost/version.hpp); fi
stand_in boost "$boost"

# Nothing may be written into the source tree.
options=(-s build_type=Debug -c "tools.cmake.cmake_layout:test_folder=$work/tests"
  -c tools.cmake.cmaketoolchain:user_presets=)
standard=(-s compiler.cppstd=20)
echo "conan create, from this tree, with test_package"
quietly conan create packaging/conan/all "${options[@]}" "${standard[@]}"
grep -q '^5 bytes from 127.0.0.1:' "$work/log" || die "test_package did not run"
refused 'Current cppstd (17) is lower than the required C++ standard (20)' \
  conan create packaging/conan/all "${options[@]}" -s compiler.cppstd=17
refused "this tree is dgram" conan create packaging/conan/all "${options[@]}" "${standard[@]}" --version=99.0.0

echo "a consumer with CMakeDeps"
mkdir -p "$work/consumer"
quietly conan install tests/packages/conan/consumer -of "$work/consumer" "${options[@]}" "${standard[@]}"
quietly cmake -S tests/packages/conan/consumer -B "$work/consumer/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_TOOLCHAIN_FILE="$work/consumer/conan_toolchain.cmake"
quietly cmake --build "$work/consumer/build"
for program in server compiled; do
  "$work/consumer/build/$program" | grep -q '^5 bytes from' || die "the consumer's $program does not run"
done

echo "conan create, as in an index, from an archive; on Boost.Asio"
version=$(conan inspect packaging/conan/all --format=json | python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')
mkdir -p "$work/index/dgram-$version"
cp -r packaging/conan "$work/index/recipes"
cp -r include cmake LICENSE "$work/index/dgram-$version"
tar -C "$work/index" -czf "$work/index/dgram-$version.tar.gz" "dgram-$version"
sed -i -e "s|url: .*|url: \"file://$work/index/dgram-$version.tar.gz\"|" \
  -e "s|sha256: .*|sha256: \"$(sha256sum "$work/index/dgram-$version.tar.gz" | cut -d' ' -f1)\"|" \
  "$work/index/recipes/all/conandata.yml"
quietly conan create "$work/index/recipes/all" --version="$version" "${options[@]}" "${standard[@]}" \
  -o 'dgram/*:with_boost=True' -o 'dgram/*:with_fmt=False'
grep -q '^5 bytes from 127.0.0.1:' "$work/log" || die "test_package did not run"
refused 'conandata.yml has no dgram 99.0.0' conan create "$work/index/recipes/all" --version=99.0.0 "${options[@]}" "${standard[@]}"

step "packages: one header, with all examples"
rm -rf "$work/single"
mkdir -p "$work/single"
scripts/amalgamate --forward "$work/single/include"
compiler=${CXX:-c++}
for candidate in clang++-19 clang++-18 clang++-17 clang++-16; do # takes half the time
  if [ -z "${CXX:-}" ] && command -v "$candidate" >/dev/null 2>&1; then compiler=$candidate; break; fi
done
flags=(-std=c++20 -O0 -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1 -I"$work/single/include" -pthread)
name_of() { # SOURCE: the example's program
  local name=${1#examples/}
  name=${name%.cpp}
  printf 'example_%s' "${name//\//_}"
}
build_example() { # SOURCE
  "$compiler" "${flags[@]}" "$1" -o "$work/single/$(name_of "$1")" -lfmt || die "does not compile: $1"
}
check_example() { # SOURCE: with the header precompiled
  "$compiler" "${flags[@]}" -Winvalid-pch -include "$header" -fsyntax-only "$1" || die "does not compile: $1"
}
in_parallel build_example examples/{client,echo_coroutine,echo_callback,syslog_collector,unix_echo}.cpp
[ "$failed" -eq 0 ] || die "$failed examples do not compile with the single header"
for test in 'client.sh' 'echo.sh example_echo_coroutine' 'echo.sh example_echo_callback' 'unix_echo.sh'; do
  # shellcheck disable=SC2086
  set -- $test
  script=$1
  shift
  bash "tests/examples/$script" "$work/single" "$@" || [ $? -eq 77 ] || die "tests/examples/$script $* failed with the single header"
done
header=$work/single/include/dgram.hpp
"$compiler" "${flags[@]}" -x c++-header "$header" -o "$header.gch"
# The QUIC server needs libraries of its own.
examples=(examples/*.cpp examples/dgram/*.cpp)
in_parallel check_example "${examples[@]}"
[ "$failed" -eq 0 ] || die "$failed examples do not compile with the single header"
echo "${#examples[@]} examples compile, and the tests of five pass"

step "packages: vcpkg"
if ! command -v vcpkg >/dev/null 2>&1; then
  echo "vcpkg is not on the path: the port's metadata was checked, and the port was not run"
  exit
fi
[ -x "${VCPKG_ROOT:-}/vcpkg" ] || die "set VCPKG_ROOT to a clone of vcpkg that has its tool"
rm -rf "$work/vcpkg"
mkdir -p "$work/vcpkg"
export VCPKG_FORCE_SYSTEM_BINARIES=1 VCPKG_DISABLE_METRICS=1
vcpkg_flags=("--overlay-ports=$PWD/packaging/vcpkg/ports" "--overlay-ports=$PWD/tests/packages/vcpkg/ports"
  "--overlay-triplets=$PWD/tests/packages/vcpkg/triplets" --host-triplet=x64-linux --binarysource=clear)
echo "vcpkg install"
quietly vcpkg install 'dgram[fmt]' --classic --triplet=x64-linux "${vcpkg_flags[@]}" \
  --x-install-root="$work/vcpkg/installed"
if grep -F 'portfile.cmake: warning' "$work/log" | grep -F "ports/dgram/"; then die "vcpkg warns about the port"; fi
echo "the example, in manifest mode"
cp -r packaging/vcpkg "$work/vcpkg/project"
# The overlay port takes the sources from the tree around it.
sed -i "s|\"../ports\"|\"$PWD/packaging/vcpkg/ports\"|" "$work/vcpkg/project/example/vcpkg-configuration.json"
quietly cmake -S "$work/vcpkg/project/example" -B "$work/vcpkg/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_TOOLCHAIN_FILE="$VCPKG_ROOT/scripts/buildsystems/vcpkg.cmake" -DVCPKG_TARGET_TRIPLET=x64-linux \
  "-DVCPKG_INSTALL_OPTIONS=$(IFS=';'; echo "${vcpkg_flags[*]:1}")"
quietly cmake --build "$work/vcpkg/build"
[ -x "$work/vcpkg/build/server" ] || die "the example was not built"
echo "the port installs without a warning, and the example builds"
