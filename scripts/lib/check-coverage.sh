#!/usr/bin/env bash
# Called by scripts/check coverage [report] [PROGRAM...]: which lines and conditions of the headers the tests run through.
#
#   scripts/check coverage              builds the tests for Linux's backend and for the portable one, runs and reports
#   scripts/check coverage unit thread  the same with these programs only, and without bounds
#   scripts/check coverage report       reports the last run again
#
# Prints tables of the headers and writes build/coverage/report/index.html. Fails below the bounds. Fails as well if a
# block that no test runs through is not in tests/coverage/uncovered.txt, or if a test runs through one that is there.
#
# Clang counts by the source. A line counts if code is on it. A branch is a condition, each way; exceptions that a call may
# throw are no branches. A template counts as one, however often it is instantiated. One that is never instantiated does
# not count.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh

lines_wanted=95
branches_wanted=85
version=19
legs=(coverage coverage-posix) # the presets
all_programs=(unit behaviour emitter thread scripted faults conformance server namespace)
linux_programs=(conformance server namespace) # not built for the portable backend, or the same there
only_report=no
if [ "${1:-}" = report ]; then
  only_report=yes
  shift
fi
wanted=("$@")
for name in ${wanted[@]+"${wanted[@]}"}; do
  has_word "$name" "${all_programs[*]}" || die "'$name' is none of these programs: ${all_programs[*]}"
done

programs_of() { # LEG: sets "programs"
  local name
  programs=()
  for name in "${all_programs[@]}"; do
    if [ "$1" = coverage-posix ] && has_word "$name" "${linux_programs[*]}"; then continue; fi
    if [ ${#wanted[@]} -gt 0 ] && ! has_word "$name" "${wanted[*]}"; then continue; fi
    programs+=("$name")
  done
}

gcovr=build/deps/gcovr
out=build/coverage/report
failed=()

need_tools() {
  step "coverage: looking for what is needed"
  need_library_build
  need_catch2 build/deps/catch2
  need_python
  need_command clang-$version clang++-$version
  need_command llvm-$version llvm-cov-$version
  need_command llvm-$version llvm-profdata-$version
  need_file libclang-rt-$version-dev /usr/lib/llvm-$version/lib/clang/$version/lib/*/libclang_rt.profile*.a
  need_command iproute2 ip /usr/sbin/ip /sbin/ip
  install_packages
  from_pypi "$gcovr" "gcovr==8.8" # coverage.py writes the form of this version
}

run_leg() { # LEG
  local name programs=()
  programs_of "$1"
  if [ ${#programs[@]} -eq 0 ]; then return 0; fi
  step "coverage: building ($1)"
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1" --parallel "$(processors)" --target "${programs[@]/%/_tests}"
  mkdir -p "build/$1/profiles"
  for name in "${programs[@]}"; do
    step "coverage: $name ($1)"
    rm -f "build/$1/profiles/$name-"*
    # All processes of a program count in one file (%m%c), also those that are killed.
    if ! LLVM_PROFILE_FILE="$PWD/build/$1/profiles/$name-%m%c.profraw" python3 tests/support/run_cases.py --patience 300 \
      /dev/null "build/$1/tests" "$name"; then
      failed+=("$name ($1)")
    fi
  done
}

# Of each program by itself: those that replace the system calls have other functions by the same names.
export_leg() { # LEG: for each program NAME.json, and NAME.trace for gcovr
  local name programs=() profiles=build/$1/profiles
  programs_of "$1"
  if [ ${#programs[@]} -eq 0 ]; then return 0; fi
  step "coverage: counts ($1)"
  for name in "${programs[@]}"; do
    compgen -G "$profiles/$name-*.profraw" >/dev/null || die "$name ($1) was not run; scripts/check coverage does"
    llvm-profdata-$version merge -sparse -o "$profiles/$name.profdata" "$profiles/$name-"*.profraw
    llvm-cov-$version export -instr-profile="$profiles/$name.profdata" -skip-functions -skip-expansions \
      "build/$1/tests/${name}_tests" include >"$profiles/$name.json"
    python3 scripts/lib/coverage.py trace "$profiles/$name.json" "$profiles/$name.trace"
    traces+=(--add-tracefile "$profiles/$name.trace")
    exports+=("$profiles/$name.json")
  done
}

report() {
  local leg bounds=() traces=() exports=() result=0
  for leg in "${legs[@]}"; do export_leg "$leg"; done
  step "coverage: lines and branches of include/"
  rm -rf "$out"
  mkdir -p "$out"
  if [ ${#wanted[@]} -eq 0 ]; then bounds=(--fail-under-line "$lines_wanted" --fail-under-branch "$branches_wanted"); fi
  "$gcovr/bin/gcovr" --root . "${traces[@]}" --txt - --txt-metric line --txt-metric branch --print-summary \
    --html-nested "$out/index.html" --html-title dgram --json-summary "$out/summary.json" \
    ${bounds[@]+"${bounds[@]}"} || result=1
  echo "the report is $PWD/$out/index.html"
  if [ ${#wanted[@]} -gt 0 ]; then
    rm "$out/summary.json" # docs/quality.md has the figures of all programs, or none
    return $result
  fi
  step "coverage: blocks that no test runs through"
  python3 scripts/lib/coverage.py blocks tests/coverage/uncovered.txt "${exports[@]}" || result=1
  return $result
}

need_tools
if [ $only_report = no ]; then
  for leg in "${legs[@]}"; do run_leg "$leg"; done
fi
result=0
report || result=1
if [ ${#failed[@]} -gt 0 ]; then die "tests failed: ${failed[*]}"; fi
exit $result
