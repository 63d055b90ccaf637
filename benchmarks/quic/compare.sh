#!/usr/bin/env bash
# Processor time of the QUIC server of the examples beside the same server over bare system calls.
#   compare.sh EXAMPLE_SERVER RAW_SERVER [ROUNDS]
# Each round starts each server once, and gtlsclient sends 20 MB three times, which come back.
set -euo pipefail
rounds=${3:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -keyout "$work/key.pem" -out "$work/chain.pem" 2>/dev/null
head -c 20000000 /dev/urandom >"$work/data"

measure() { # SERVER: prints its processor time in microseconds
  local id line port fields
  mkfifo "$work/fifo"
  "$1" "$work/chain.pem" "$work/key.pem" --listen 127.0.0.1:0 >"$work/fifo" &
  id=$!
  exec 3<"$work/fifo"
  rm "$work/fifo"
  read -r line <&3
  port=${line##*:}
  for _ in 1 2 3; do
    gtlsclient -q --exit-on-all-streams-close --download "$work" -d "$work/data" 127.0.0.1 "$port" https://localhost/echo
    cmp "$work/data" "$work/echo"
  done
  read -ra fields <"/proc/$id/schedstat"
  kill -TERM "$id"
  wait "$id"
  cat <&3 >/dev/null
  exec 3<&-
  echo $((fields[0] / 1000))
}

library=0 raw=0
for ((round = 0; round < rounds; ++round)); do
  one=$(measure "$1")
  other=$(measure "$2")
  echo "library $one us, raw $other us"
  library=$((library + one)) raw=$((raw + other))
done
echo "ratio $((library * 100 / raw)) %"
