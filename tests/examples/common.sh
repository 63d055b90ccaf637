# shellcheck shell=bash
# Sourced by the tests of the examples; see scripts/lib/demo-processes.sh for most of what they use.
# The first argument of every test is the directory of the example programs.
set -euo pipefail

# A watchdog for the whole test, also if it is run by hand.
if [ -z "${DGRAM_TEST_WATCHDOG:-}" ]; then
  DGRAM_TEST_WATCHDOG=1 exec timeout 50 bash "$0" "$@"
fi

examples=$1
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib/demo-processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/demo-processes.sh"

skip() {
  printf 'skipped: %s\n' "$*"
  exit 77
}

need() { # COMMAND
  command -v "$1" >/dev/null 2>&1 || skip "this host has no $1"
}

need_dev_udp() {
  (exec 3<>/dev/udp/127.0.0.1/9) 2>/dev/null || skip "this bash has no /dev/udp"
}

has_ipv6() { # is there a ::1?
  grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6
}

# Runs a program to its end: its exit code must be $1. Leaves its output, both streams, in $output.
run() {
  local expected=$1 status=0
  shift
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [ "$status" -ne "$expected" ]; then
    fail "exit code $status instead of $expected: $*"$'\n'"$output"
  fi
}

prints() { # TEXT: the program that ran printed this
  case "$output" in
    *"$1"*) ;;
    *) fail "'$1' is missing in:"$'\n'"$output" ;;
  esac
}

unused_port() { # leaves in $port a number that no socket has, and that the kernel gives to none
  local hexadecimal
  while true; do
    port=$((20000 + RANDOM % 10000))
    printf -v hexadecimal ':%04X ' "$port"
    grep -qs "$hexadecimal" /proc/net/udp /proc/net/udp6 || return 0
  done
}

listen() { # NAME PROGRAM...: starts a server; leaves where it listens in $endpoint and $port
  start "$@"
  expect "$1" '^listening on (.*:([0-9]+))$'
  endpoint=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
}

ends() { # EXPECTED NAME: the program ends by itself, with this exit code
  local status=0
  finish "$2" || status=$?
  if [ "$status" -ne "$1" ]; then fail "$2 ended with $status instead of $1"; fi
}

quits() { # NAME SIGNAL: the program ends with exit code 0 when it gets the signal
  local status=0
  quit "$1" "$2" || status=$?
  if [ "$status" -ne 0 ]; then fail "$1 ended with $status after SIG$2"; fi
}
