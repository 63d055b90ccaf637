#!/usr/bin/env bash
# An echo server with bash's own UDP sockets.
#   echo_dev_udp.sh EXAMPLES SERVER
. "$(dirname "$0")/common.sh"
need_dev_udp

# Sends an argument as a datagram; takes the next datagram, which must be the argument.
put() { printf '%s' "$2" >&"$1"; }
get() {
  local reply
  # dd takes a whole datagram with one read; bash would take one byte of it and lose the rest.
  reply=$(timeout 10 dd bs=65536 count=1 status=none <&"$1") || fail "no answer to '$2'"
  if [ "$reply" != "$2" ]; then fail "'$reply' came back for '$2'"; fi
}

listen server "$examples/$2" 127.0.0.1:0
exec {ann}<>"/dev/udp/127.0.0.1/$port" {bob}<>"/dev/udp/127.0.0.1/$port"
for text in 'one' 'two words' 'drei: ß'; do
  put "$ann" "$text"
  get "$ann" "$text"
done

# What two clients sent while the server was held up waits in its queue, mixed. Each gets its own back,
# in order.
kill -STOP "${process_id[server]}"
for number in 1 2 3 4 5 6 7 8; do
  put "$ann" "ann's $number"
  put "$bob" "bob's $number"
done
kill -CONT "${process_id[server]}"
for number in 1 2 3 4 5 6 7 8; do
  get "$ann" "ann's $number"
  get "$bob" "bob's $number"
done
quits server TERM
