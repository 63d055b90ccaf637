#!/usr/bin/env bash
# A rare bug of a protocol on a simulated network: the seed that shows it is found, and its trace written.
#   simulated_counter.sh EXAMPLES
. "$(dirname "$0")/common.sh"

program=$(cd "$examples" && pwd)/example_simulated_counter
directory=$(mktemp -d)
trap 'rm -rf "$directory"; end_processes' EXIT
cd "$directory"

run 1 "$program"
prints 'seed 2370 fails: the counter is 17 after 16 requests'
prints '2369 seeds passed'
grep -q ' send #1 10.0.0.2:49152 > 10.0.0.1:7000 4 bytes$' counter-2370.trace ||
  fail "the trace of seed 2370 is not that of the protocol"

run 0 "$program" --fixed 400
prints '400 seeds passed'
run 2 "$program" many
prints 'error: "many"'
