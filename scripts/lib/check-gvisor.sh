#!/usr/bin/env bash
# Called by scripts/check gvisor [PRESET]: runs the test suites in gVisor, the second implementation of Linux that
# containers meet. What gVisor cannot do is in tests/gvisor/cannot.txt.
#
# RUNSC names a runsc to use. Without it, one is built with Go, below build/deps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh

version=v0.0.0-20260905035102-160fafc42237
preset=${1:-dev}
suites=(unit behaviour emitter)

step "looking for what gVisor needs"
need_library_build
need_catch2 build/deps/catch2
need_command python3 python3
install_packages
runsc=${RUNSC:-$PWD/build/deps/gvisor/runsc}
if [ ! -x "$runsc" ]; then
  command -v go >/dev/null 2>&1 || die "runsc is built with Go: install Go 1.24 or newer, or set RUNSC to a runsc"
  # A dynamically linked runsc cannot start in its own sandbox.
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN=$(dirname "$runsc") go install "gvisor.dev/gvisor/runsc@$version"
fi
# runsc mounts a root of its own over the temporary directory, so it must not be there itself.
sandbox=("$runsc" --network=none --ignore-cgroups --overlay2=root:memory)
if [ "$(id -u)" -ne 0 ]; then sandbox+=(--rootless); fi
"${sandbox[@]}" "do" true || die "gVisor's sandbox does not start on this machine"

step "building ($preset)"
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" --parallel "$(processors)" --target "${suites[@]/%/_tests}"

step "testing in gVisor ($preset)"
timeout 900 "${sandbox[@]}" "do" python3 tests/support/run_cases.py tests/gvisor/cannot.txt "build/$preset/tests" "${suites[@]}"
