#!/usr/bin/env bash
# Started by "scripts/check backends": the behaviour tests pass on the backends of Asio's that no other leg uses. One of them
# has an Asio between the oldest and the newest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh

step "backends: looking for what is needed"
need_library_build
need_catch2 build/deps/catch2
need_command clang-19 clang++-19
need_file liburing-dev /usr/include/liburing.h
need_newest_asio build/deps/asio-newest
if [ "$(os_release ID)" = debian ]; then need_from_suite trixie libasio-dev build/deps/asio-trixie; fi
install_packages
other=$PWD/build/deps/asio-trixie
if [ ! -d "$other" ]; then other=$PWD/build/deps/asio-newest; fi

# NAME ASIO LIBRARY DEFINITION...: builds the behaviour tests in build/backends/NAME
build() {
  local name=$1 asio=$2 library=$3
  shift 3
  step "backends: $name"
  cmake --preset clang-newest-asio -B "build/backends/$name" -DDGRAM_FUZZ=OFF -DDGRAM_BUILD_EXAMPLES=OFF \
    "-DDGRAM_ASIO_ROOT=$asio" "-DCMAKE_CXX_FLAGS=$*" "-DCMAKE_CXX_STANDARD_LIBRARIES=$library" | grep 'dgram: Asio'
  cmake --build "build/backends/$name" --parallel "$(processors)" --target behaviour_tests
}

build select "$other" "" -DASIO_DISABLE_EPOLL
build/backends/select/tests/behaviour_tests

build io_uring "$PWD/build/deps/asio-newest" -luring \
  -DASIO_HAS_IO_URING -DASIO_HAS_IO_URING_AS_DEFAULT -DASIO_DISABLE_EPOLL
tests=build/backends/io_uring/tests/behaviour_tests
if ! "$tests" "BND-01*" >build/backends/log 2>&1 && grep -q io_uring_queue_init build/backends/log; then
  echo "this kernel gives the process no io_uring: the tests were built, and not run"
else
  "$tests"
fi
