#!/usr/bin/env bash
# Echo over Unix datagrams: with our own client and with socat, over a path and an abstract name.
#   unix_echo.sh EXAMPLES
. "$(dirname "$0")/common.sh"
program="$examples/example_unix_echo"
path="$work/echo.sock"

serve() { # ADDRESS
  start server "$program" "$1"
  expect server '^listening on '
  if [ "${line#listening on }" != "$1" ]; then fail "$line"; fi
}

for address in "$path" "@dgram-test-$$"; do
  serve "$address"
  run 0 "$program" "$address" hello 'Grüße aus München ✓' '' --timeout 20000
  if [ "$output" != $'hello\nGrüße aus München ✓\n' ] && [ "$output" != $'hello\nGrüße aus München ✓' ]; then
    fail "unexpected: $output"
  fi
  # Somebody is served there: a second server is refused, and does not disturb the first.
  run 1 "$program" "$address"
  prints "$address"
  run 0 "$program" "$address" 'still there' --timeout 20000
  quits server INT
done
if [ -e "$path" ]; then fail "the socket file was left behind"; fi

# A server that was killed leaves its file behind; the next one replaces it.
serve "$path"
kill -KILL "${process_id[server]}"
ends 137 server
if [ ! -S "$path" ]; then fail "there is no stale file to replace"; fi
run 1 "$program" "$path" hello
prints "$path"
serve "$path"
run 0 "$program" "$path" 'back again' --timeout 20000
prints 'back again'

if command -v socat >/dev/null; then
  reply=$(printf 'from socat' | socat -t 10 - "UNIX-SENDTO:$path,bind=$work/socat.sock" | head -c 10)
  if [ "$reply" != 'from socat' ]; then fail "socat heard '$reply'"; fi
  # A sender without an address gets no reply, and the others do.
  printf 'from nobody' | socat -u - "UNIX-SENDTO:$path"
  run 0 "$program" "$path" 'after nobody' --timeout 20000
fi
quits server TERM

# What is no socket is left alone; what cannot be is named.
echo precious >"$work/file"
run 1 "$program" "$work/file"
prints "$work/file"
[ "$(cat "$work/file")" = precious ] || fail "the file was changed"
run 1 "$program" "$work/no/folder"
prints "$work/no/folder"
