#!/usr/bin/env bash
# Node and an emitter of ours exchange 100,000 datagrams each way, and none may be lost.
#   interop.sh NODE PROGRAM node|dgram ADDRESS      the third says who asks; the other one answers
set -euo pipefail
directory=$(dirname "$0")
node=$1 program=$2 client=$3 address=$4

skip() {
  printf 'skipped: %s\n' "$*"
  exit 77
}
[ -n "$node" ] || skip "this host has no Node (Debian's package nodejs)"
if [[ $address == *:* ]]; then
  grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 || skip "this host has no ::1"
fi

with_node=("$node" "$directory/interop.js") with_dgram=("$program")
if [ "$client" = node ]; then
  asks=("${with_node[@]}") answers=("${with_dgram[@]}")
else
  asks=("${with_dgram[@]}") answers=("${with_node[@]}")
fi

exec {output}< <(exec timeout 55 "${answers[@]}" serve "$address")
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
read -r -t 20 -u "$output" line || { echo "the server does not start"; exit 1; }
timeout 50 "${asks[@]}" ask "$address" "${line##* }" 100000
