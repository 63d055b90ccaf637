# shellcheck shell=bash
# Sourced by scripts/test: how many tests may be skipped, so that a missing tool does not go unnoticed.

# For each preset, the most tests that a full run may skip where every tool is installed. These are tests of what the
# preset's backend, its compiler or its sanitizer does not have. A bound is some tests above what a run of .ci/run has skipped.
# Raise it only for a test that cannot run with the preset anywhere.
skip_bounds=(
  "dev 20"
  "programs 10"
  "uses 2"
  "asan 30"
  "posix-newest-asio 130"
  "posix-clang-newest-asio 130"
  "windows 2"
  "windows-uses 2"
)

skip_bound() { # PRESET: prints its bound; nothing if it has none
  local each
  for each in "${skip_bounds[@]}"; do
    if [ "${each% *}" = "$1" ]; then printf '%s' "${each##* }"; fi
  done
}

# What ctest has written into DIRECTORY is read: each skipped test is printed with its reason. Sets "skipped".
print_skipped() { # DIRECTORY
  local number name line test='' next=no
  local -A reasons=()
  skipped=0
  if [ ! -s "$1/LastTestsDisabled.log" ]; then return 0; fi
  while IFS= read -r line; do
    if [[ $line =~ ^[0-9]+/[0-9]+\ Test:\ (.*)$ ]]; then
      test=${BASH_REMATCH[1]}
    elif [ $next = yes ]; then # Catch2's
      reasons[$test]=${line#"${line%%[! ]*}"}
    elif [[ $line == 'skipped: '* ]]; then # that of a script
      reasons[$test]=${line#skipped: }
    fi
    if [[ $line == 'explicitly with message'* ]]; then next=yes; else next=no; fi
  done <"$1/LastTest.log"
  while IFS= read -r line; do
    number=${line%%:*}
    name=${line#*:}
    printf '%5d %s: %s\n' "$number" "$name" "${reasons[$name]:-no reason is printed}"
    skipped=$((skipped + 1))
  done <"$1/LastTestsDisabled.log"
}

check_skipped() { # PRESET DIRECTORY: false if there are more than may be
  local skipped bound
  print_skipped "$2"
  bound=$(skip_bound "$1")
  if [ -z "$bound" ]; then
    echo "$skipped tests were skipped; $1 has no bound in scripts/lib/skips.sh"
    return 0
  fi
  echo "$skipped tests were skipped, at most $bound where every tool is installed"
  [ "$skipped" -le "$bound" ]
}
