#!/usr/bin/env bash
# Runs one scenario with Node's dgram and with ours, and compares the two traces.
#
#   compare.sh NODE PROGRAM NAME     NODE may be empty: then the test is skipped
#   compare.sh NODE PROGRAM          are the same scenarios there for both, and all differences used?
#
# A trace is compared socket by socket. In which order two sockets get their turns differs from run to
# run, with Node too. What is in the file `differences` for a scenario must be there, line by line.
set -euo pipefail
directory=$(dirname "$0")
node=$1 program=$2 name=${3:-}

skip() {
  printf 'skipped: %s\n' "$*"
  exit 77
}

# The blocks of `differences` are NAME: REASON, then the lines that differ, then an empty line.
expected_differences() {
  awk -v name="$name" '
    /^#/ { next }
    /^[-+]/ { if (ours) print; next }
    /^[a-z]/ { ours = ($0 ~ "^" name ":") }' "$directory/differences"
}

if [ -z "$name" ]; then
  diff <(cd "$directory/scenarios" && printf '%s\n' *.js | sed 's/\.js$//' | sort) \
    <("$program" --list | sort) || { echo "not the same scenarios for Node (<) and dgram (>)"; exit 1; }
  unknown=$(sed -n 's/^\([a-z][^:]*\):.*/\1/p' "$directory/differences" | sort |
    comm -23 - <("$program" --list | sort)) # also names what is there twice
  [ -z "$unknown" ] || { echo "differences of no scenario, or twice: $unknown"; exit 1; }
  empty=$(awk '/^[a-z]/ { if (name) print name; name = $1 } /^[-+]/ { name = "" }
    END { if (name) print name }' "$directory/differences")
  [ -z "$empty" ] || { echo "differences without a line: $empty"; exit 1; }
  exit 0
fi

[ -n "$node" ] || skip "this host has no Node (Debian's package nodejs)"
if [[ $name == *_v6 ]]; then
  grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 || skip "this host has no ::1"
fi

# For the socket whose port another one takes later. Kernels choose ports above 32767, and a number below 10000 may
# belong to a test of another program.
export DGRAM_PARITY_PORT=$((10000 + RANDOM % 10000))

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() { # WHO PROGRAM...
  local who=$1 status=0
  shift
  timeout 20 "$@" >"$work/$who" 2>"$work/$who.errors" || status=$?
  if [ "$status" -ne 0 ]; then
    echo "$who: exit code $status"
    cat "$work/$who" "$work/$who.errors"
    exit 1
  fi
  sort --stable --field-separator=: --key=1,1 "$work/$who" >"$work/$who.sorted"
}
run node "$node" --no-deprecation "$directory/scenarios/$name.js"
run dgram "$program" "$name"

diff --text --old-line-format='-%L' --new-line-format='+%L' --unchanged-line-format='' \
  "$work/node.sorted" "$work/dgram.sorted" >"$work/differences" || true
expected_differences >"$work/expected"
if ! diff "$work/expected" "$work/differences" >"$work/unexpected"; then
  printf 'the differences (< the expected, > the actual; - Node, + dgram):\n'
  cat "$work/unexpected"
  printf '\nNode:\n'
  cat "$work/node.sorted"
  printf '\ndgram:\n'
  cat "$work/dgram.sorted"
  exit 1
fi
