#!/usr/bin/env bash
# The server restarts under load, and nothing is lost. Strangers are refused. By hand for longer:
#   DGRAM_RESTARTS=1000 DGRAM_TEST_WATCHDOG=1 restart.sh EXAMPLES
. "$(dirname "$0")/common.sh"
server="$examples/example_restart"
path="$work/hand-over"
restarts=${DGRAM_RESTARTS:-20}

offered() { # the socket is on offer at $path
  local wait
  for ((wait = 0; wait < 200; ++wait)); do
    if [ -S "$path" ]; then return 0; fi
    sleep 0.05
  done
  fail 'no socket is on offer'
}

listen server-0 "$server" --path "$path" 127.0.0.1:0
first=$endpoint
export first examples work
# shellcheck disable=SC2016 # the other shell expands it
start load bash -c 'while [ ! -e "$work/enough" ]; do "$examples/example_echo_load" "$first" --seconds 1 || exit 1; done'
for ((i = 1; i <= restarts; ++i)); do
  old=server-$((i - 1)) new=server-$i
  offered
  start "$new" "$server" --path "$path"
  expect "$new" "^taken from process ${process_id[$old]}\$"
  expect "$new" "^listening on $first\$"
  expect "$old" "^handed to process ${process_id[$new]}, after 0 refused and 0 failed\$"
  expect "$old" '^echoed [0-9]+ datagrams, dropped 0$'
  ends 0 "$old"
done
: >"$work/enough"
ends 0 load
if grep -v 'lost 0$' "$work/load.out" | grep -q 'lost'; then fail 'datagrams were lost'; fi
grep -q '[1-9][0-9]* datagrams/s, lost 0$' "$work/load.out" || fail 'there was no load'
current=server-$restarts
quits "$current" TERM
[ ! -e "$path" ] || fail 'the file is still there'

# The old process dies while it waits: it leaves its file, and the next process opens a socket of its own.
listen dies "$server" --path "$path" "$first"
offered
kill -KILL "${process_id[dies]}"
finish dies || true
[ -S "$path" ] || fail 'there is no file'
listen next "$server" --path "$path" "$first"
[ "$endpoint" = "$first" ] || fail "listens on $endpoint"
offered

# It dies with a process that has asked it.
kill -STOP "${process_id[next]}"
start asks "$server" --path "$path" "$first"
sleep 0.2 # so that it asks before, in most runs; the result is the same otherwise
kill -KILL "${process_id[next]}"
finish next || true
expect asks "^listening on $first\$"

if command -v python3 >/dev/null; then
  for bytes in 'GET / HTTP/1.1' '' 'dgho\x02'; do
    python3 -c '
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
    peer.connect(sys.argv[1])
    if sys.argv[2]: peer.send(sys.argv[2].encode().decode("unicode_escape").encode("latin1"))
    else: peer.shutdown(socket.SHUT_WR)
    peer.recv(100)' "$path" "$bytes"
  done
  expect asks 'refused process .*: the other process sent no message of a hand-over$'
  expect asks 'refused process .*: Connection reset by peer$'
  expect asks 'refused process .*: the other process hands over by another version$'
fi

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
  chmod 755 "$work"
  stranger=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  cp "$server" "$work/restart" # where a stranger may run it
  # Only its permissions keep a stranger from the file.
  run 1 "${stranger[@]}" "$work/restart" --path "$path" "$first"
  prints 'Permission denied'
  chmod 666 "$path"
  run 2 "${stranger[@]}" "$work/restart" --path "$path" "$first"
  prints 'not trusted'
  # The stranger itself does not trust the other user, and may say so first.
  expect asks 'refused process .* of user 65534: the other process is not trusted with the socket$'
fi
offered
start heir "$server" --path "$path"
expect heir "^listening on $first\$"
expect asks "^handed to process ${process_id[heir]}, after"
ends 0 asks
quits heir TERM
