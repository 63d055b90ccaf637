#!/usr/bin/env bash
# The sharded server: every shard serves, and shards come and go under load without a loss. By hand for longer:
#   DGRAM_RESIZES=100 DGRAM_TEST_WATCHDOG=1 sharded_server.sh EXAMPLES
. "$(dirname "$0")/common.sh"
server="$examples/example_sharded_server"
resizes=${DGRAM_RESIZES:-8}

start probe "$server" --shards 2 --steer payload
if next_line probe; then
  steers=yes
  quits probe TERM
else
  steers=no
  grep -q 'cannot steer' "$work/probe.err" || fail 'the server does not start'
fi

run 2 "$server" --steer wind
prints '"wind"'
run 2 "$server" --shards 0
prints '--shards "0"'

ask() { # TEXT: asks the server of the last listen, which answers the same
  run 0 "$examples/example_client" "$endpoint" "$1"
  prints "$1"
}

listen server "$server" --shards 3
run 1 "$server" "$endpoint"
prints 'a group begins alone on its port'
for ((i = 0; i < 12; ++i)); do ask "hello $i"; done
quits server TERM
total=0
while read -r _ _ count _; do total=$((total + count)); done < <(grep '^shard ' "$work/server.out")
[ "$total" -eq 12 ] || fail "the shards had $total datagrams"

# The first byte selects the shard: "a" is 97, which is 1 modulo 3.
if [ "$steers" = yes ]; then
  listen chosen "$server" --shards 3 --steer payload
  for ((i = 0; i < 5; ++i)); do ask "a $i"; done
  quits chosen TERM
  for line in 'shard 0: 0 ' 'shard 1: 5 ' 'shard 2: 0 '; do
    grep -q "^$line" "$work/chosen.out" || fail "not '$line'"
  done
fi

# Each question has a port of its own, so any shard may receive it. The session stays at the shard of the first one.
listen kept "$server" --shards 3 --keep-sessions --ids 4 --name kept
for ((i = 1; i <= 12; ++i)); do
  run 0 "$examples/example_client" "$endpoint" 'id 1, asked'
  prints "kept $i id 1, asked"
done
quits kept TERM
grep -q '^1 sessions, ' "$work/kept.out" || fail 'the id has more than one session'
[ "$steers" = no ] || grep -q '^[1-9][0-9]* datagrams forwarded to the shards of their sessions$' "$work/kept.out" ||
  fail 'no shard has forwarded'

# Up to three shards and down to one, again and again.
resize() { # NAME OPTION...: of the server
  local name=$1 shards=1 i
  listen "$@" --shards 1
  # shellcheck disable=SC2016 # the other shell expands it
  start "load_$name" bash -c 'while [ ! -e "$1" ]; do "$2" "$3" --seconds 1 || exit 1; done' load \
    "$work/enough_$name" "$examples/example_echo_load" "$endpoint"
  for ((i = 0; i < resizes; ++i)); do
    if ((i % 4 < 2)); then signal=USR1 shards=$((shards + 1)); else signal=USR2 shards=$((shards - 1)); fi
    sleep 0.1 # so that there is load between
    kill "-$signal" "${process_id[$name]}"
    expect "$name" "^$shards shards\$"
  done
  : >"$work/enough_$name"
  ends 0 "load_$name"
  if grep -v 'lost 0$' "$work/load_$name.out" | grep -q 'lost'; then fail 'datagrams were lost'; fi
  grep -q '[1-9][0-9]* datagrams/s, lost 0$' "$work/load_$name.out" || fail 'there was no load'
  quits "$name" TERM
}
resize resized "$server"
resize resized_kept "$server" --keep-sessions
