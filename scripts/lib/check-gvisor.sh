#!/usr/bin/env bash
# Called by scripts/check gvisor [PRESET [SUITE...]]: runs the test suites in gVisor, the second implementation of Linux
# that containers meet. What gVisor cannot do is in tests/gvisor/cannot.txt.
#
# RUNSC names a runsc to use. Without it, one is built with Go, below build/deps. "scripts/check gvisor --why-not" prints
# why gVisor cannot be run here, if it cannot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh

version=v0.0.0-20260905035102-160fafc42237
preset=${1:-dev}
suites=("${@:2}")
if [ ${#suites[@]} -eq 0 ]; then suites=(unit behaviour emitter conformance server scripted faults); fi

runsc=${RUNSC:-$PWD/build/deps/gvisor/runsc}
# runsc mounts a root of its own over the temporary directory, so it must not be there itself.
sandbox=("$runsc" --network=none --ignore-cgroups --overlay2=root:memory)
if [ "$(id -u)" -ne 0 ]; then sandbox+=(--rootless); fi

why_not() { # prints why gVisor cannot be run here; builds runsc if there is none
  if [ ! -x "$runsc" ]; then
    if ! command -v go >/dev/null 2>&1; then
      echo "runsc is built with Go: install Go 1.24 or newer, or set RUNSC to a runsc"
      return
    fi
    # A dynamically linked runsc cannot start in its own sandbox.
    if ! CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN=$(dirname "$runsc") timeout 600 \
      go install "gvisor.dev/gvisor/runsc@$version" >&2; then
      echo "Go could not build runsc"
      return
    fi
  fi
  timeout -k 10 60 "${sandbox[@]}" "do" true >&2 || echo "gVisor's sandbox does not start on this machine"
}
if [ "$preset" = --why-not ]; then
  why_not
  exit
fi

step "looking for what gVisor needs"
need_library_build
need_catch2 build/deps/catch2
need_command python3 python3
install_packages
reason=$(why_not)
[ -z "$reason" ] || die "$reason"

step "building ($preset)"
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" --parallel "$(processors)" --target "${suites[@]/%/_tests}"

step "testing in gVisor ($preset)"
timeout -k 10 1800 "${sandbox[@]}" "do" python3 tests/support/run_cases.py tests/gvisor/cannot.txt "build/$preset/tests" "${suites[@]}"
