#!/usr/bin/env bash
# When scripts/lib/skips.sh says that too many tests were skipped, and which reasons it prints.
#
#   skip_bounds.sh DIRECTORY       DIRECTORY is that of the repository
set -uo pipefail
. "$1/scripts/lib/skips.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
failures=0
skip_bounds=("some 2" "none 0")

check() { # WHAT EXPECTED COMMAND...: "yes" if the command is to succeed
  local got=no
  if "${@:3}" >got; then got=yes; fi
  if [ $got != "$2" ]; then
    printf 'FAILED: %s (%s)\n' "$1" "$got"
    cat got
    failures=$((failures + 1))
  fi
}

said() { # TEXT: in what was printed last
  if ! grep -qF "$1" got; then
    printf 'FAILED: "%s" is not in:\n' "$1"
    cat got
    failures=$((failures + 1))
  fi
}

cat >LastTest.log <<'LOG'
Start testing: Nov 30 06:23 UTC
----------------------------------------------------------
1/3 Testing: a queue: it is empty
1/3 Test: a queue: it is empty
Output:
----------------------------------------------------------
queue_test.cpp:12: SKIPPED:
explicitly with messages:
  this system has no queues

<end of output>
2/3 Testing: a script
2/3 Test: a script
Output:
----------------------------------------------------------
skipped: this host has no dig
<end of output>
LOG
check "nothing was skipped where nothing may be" yes check_skipped none .
said "0 tests were skipped, at most 0"
printf '1:a queue: it is empty\n2:a script\n' >LastTestsDisabled.log
check "as many were skipped as may be" yes check_skipped some .
said "a queue: it is empty: this system has no queues"
said "a script: this host has no dig"
said "2 tests were skipped, at most 2"
check "two were skipped where none may be" no check_skipped none .
check "a preset without a bound" yes check_skipped other .
said "2 tests were skipped; other has no bound"
printf '3:silent\n' >>LastTestsDisabled.log
check "one more was skipped than may be" no check_skipped some .
said "silent: no reason is printed"

echo "$failures failed"
[ "$failures" -eq 0 ]
