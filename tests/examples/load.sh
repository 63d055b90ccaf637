#!/usr/bin/env bash
# The load program with an echo server: nothing is lost.
#   load.sh EXAMPLES SERVER
. "$(dirname "$0")/common.sh"
load="$examples/example_echo_load"

listen server "$examples/$2" 127.0.0.1:0
for arguments in '' '--window 1' '--size 8' '--size 1400 --window 32'; do
  # shellcheck disable=SC2086 # several words
  run 0 "$load" "$endpoint" --seconds 1 $arguments
  if [[ ! $output =~ $'\n'([0-9]+)\ datagrams/s,\ lost\ 0$ ]]; then
    fail "unexpected output: $output"
  fi
  if [ "${BASH_REMATCH[1]}" -lt 64 ]; then fail "hardly anything came: $output"; fi
done
quits server TERM
