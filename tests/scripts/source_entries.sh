#!/usr/bin/env bash
# Entries of apt's sources, and what is derived of them for another suite.
#
#   source_entries.sh DIRECTORY      DIRECTORY is that of the repository
set -uo pipefail
cd "$1" || exit
. scripts/lib/apt.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

derives() { # FUNCTION WHAT INPUT EXPECTED; nothing expected: it must say that there is none
  local got status=0
  printf '%s' "$3" >"$work/input"
  got=$("$1" "$work/input" bookworm sid) || status=$?
  if [ "$got" != "$4" ] || { [ -z "$4" ] && [ "$status" -eq 0 ]; } || { [ -n "$4" ] && [ "$status" -ne 0 ]; }; then
    printf 'FAILED: %s %s (%s)\n--- got\n%s\n--- expected\n%s\n' "$1" "$2" "$status" "$got" "$4"
    failures=$((failures + 1))
  fi
}

first=$'Types: deb deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main'
security=$'Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main'
derived=$'Types: deb\nURIs: http://mirror.test/debian\nSuites: sid\nComponents: main'

derives derive_sources "one paragraph" "$first"$'\n' "$derived"
derives derive_sources "no newline at the end" "$first" "$derived"
derives derive_sources "the second paragraph" "$security"$'\n\n'"$first"$'\n' "$derived"
derives derive_sources "several, the first of them" "$first"$'\n\n'"$first"$'\nTrusted: yes\n' "$derived"
derives derive_sources "empty lines at both ends" $'\n\n'"$first"$'\n\n\n' "$derived"
derives derive_sources "tabs" "${first/Suites: bookworm /$'Suites:\tbookworm\t'}" "$derived"
derives derive_sources "comments" $'# one\n'"${first/URIs/$'# two\nURIs'}" "$derived"
derives derive_sources "keys and what goes on in the next line" \
  "$first"$'\nSigned-By:\n -----BEGIN\n .\n end\n' "$derived"$'\nSigned-By:\n -----BEGIN\n .\n end'
derives derive_sources "turned off, then one that is not" \
  "Enabled: no"$'\n'"$first"$'\n\n'"$first"$'\n' "$derived"
derives derive_sources "turned off" "$first"$'\nEnabled: no\n' ''
derives derive_sources "another release" "$security" ''
derives derive_sources "an empty file" '' ''

derives derive_list "a line" $'deb http://mirror.test/debian bookworm main\n' 'deb http://mirror.test/debian sid main'
derives derive_list "no newline at the end" 'deb http://m.test/d bookworm main' 'deb http://m.test/d sid main'
derives derive_list "options" 'deb [arch=amd64 signed-by=/a b] http://m.test/d bookworm main contrib' \
  'deb [arch=amd64 signed-by=/a b] http://m.test/d sid main contrib'
derives derive_list "comments, sources, other suites before it" \
  $'# deb http://m.test/1 bookworm main\ndeb-src http://m.test/2 bookworm main
deb http://m.test/3 bookworm-updates main\n\ndeb http://m.test/4 bookworm main\ndeb http://m.test/5 bookworm main\n' \
  'deb http://m.test/4 sid main'
derives derive_list "another release" 'deb http://m.test/d trixie main' ''
derives derive_list "an empty file" '' ''

echo "$failures failed"
[ "$failures" -eq 0 ]
