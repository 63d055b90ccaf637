#!/usr/bin/env bash
# The emitter's server that keeps a state for each client: calls are counted for each of them, and
# silent clients leave.
#   dgram_clients.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need_dev_udp

says() { # DESCRIPTOR TEXT ANSWER
  local answer
  printf '%s' "$2" >&"$1"
  # dd takes a whole datagram with one read; bash would take one byte of it and lose the rest.
  answer=$(timeout 10 dd bs=65536 count=1 status=none <&"$1") || fail "no answer to '$2'"
  if [ "$answer" != "$3" ]; then fail "'$answer' instead of '$3'"; fi
}

listen server "$examples/example_dgram_clients" --port 0 --idle 1500
exec 3<>"/dev/udp/127.0.0.1/$port" 4<>"/dev/udp/127.0.0.1/$port"
says 3 hello 'call 1: hello'
says 4 hello 'call 1: hello'
says 3 again 'call 2: again'
for _ in 1 2; do expect server '^127\.0\.0\.1:[1-9][0-9]* is gone after [12] calls$'; done
for calls in 1 2; do
  grep -q " is gone after $calls calls\$" "$work/server.out" || fail "nobody is gone after $calls calls"
done
says 3 back 'call 1: back'
