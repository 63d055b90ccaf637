#!/usr/bin/env bash
# Files that go from one process to another: from the example itself, and from Python.
#   unix_descriptors.sh EXAMPLES
. "$(dirname "$0")/common.sh"
program="$examples/example_unix_descriptors"
user=$(id -u)

run 2 "$program"
prints 'give either --listen or --send'
run 2 "$program" --send "$work/files"
prints 'FILE is missing'
run 1 "$program" --send "$work/nobody" /dev/null
prints "$work/nobody"

printf '12345' >"$work/five"
printf '1234567' >"$work/seven"
start receiver "$program" --listen "$work/files"
expect receiver "^listening on $work/files\$"
run 0 "$program" --send "$work/files" "$work/five" "$work/seven" /dev/null
prints 'sent 3 files'
expect receiver "^process [1-9][0-9]*, user $user: $work/five, 5 bytes\$"
expect receiver "^process [1-9][0-9]*, user $user: $work/seven, 7 bytes\$"
expect receiver "^process [1-9][0-9]*, user $user: /dev/null, no regular file\$"
run 1 "$program" --send "$work/files" "$work/no-such-file"
prints 'no-such-file'

# More files than the receiver's queue holds, which may not read meanwhile: none is lost, and all are closed.
kill -STOP "${process_id[receiver]}"
# shellcheck disable=SC2046 # a word for each file
start many "$program" --send "$work/files" $(printf "$work/five %.0s" {1..200}) "$work/seven"
kill -CONT "${process_id[receiver]}"
ends 0 many
expect receiver "$work/seven, 7 bytes\$"
[ "$(grep -c "$work/five, 5 bytes" "$work/receiver.out")" -eq 201 ] || fail 'a file was lost'

if command -v python3 >/dev/null; then
  # Two descriptors in one datagram, then more than there is room for.
  python3 - "$work/files" "$work/five" <<'PY'
import array, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, open(sys.argv[2]) as file:
    for name, count in ((b"two", 2), (b"many", 200), (b"end", 1)):
        sender.sendmsg([name], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()] * count))],
                       0, sys.argv[1])
PY
  expect receiver ': end, 5 bytes$'
  [ "$(grep -c ': two, 5 bytes' "$work/receiver.out")" -eq 2 ] || fail 'one of two descriptors was lost'
  grep -q 'more descriptors than there is room for' "$work/receiver.err" || fail 'cut descriptors were not reported'
fi
descriptors=("/proc/${process_id[receiver]}/fd/"*)
[ "${#descriptors[@]}" -lt 30 ] || fail "${#descriptors[@]} descriptors are open"
quits receiver INT

start two "$program" --listen "$work/files" --count 2
expect two '^listening on '
run 0 "$program" --send "$work/files" "$work/five" "$work/seven"
ends 0 two
