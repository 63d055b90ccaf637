#!/usr/bin/env bash
# The supervisor with systemd-notify(1), socat and itself as the programs that notify.
#   unix_notify.sh EXAMPLES
. "$(dirname "$0")/common.sh"
notify="$examples/example_unix_notify"
user=$(id -u)

run 2 "$notify"
prints 'give either --listen or --send'
run 0 env -u NOTIFY_SOCKET "$notify" --send READY=1
prints 'NOTIFY_SOCKET is not set'
run 1 env NOTIFY_SOCKET="$work/nobody" "$notify" --send READY=1
prints "$work/nobody"

export NOTIFY_SOCKET="$work/notify"
start supervisor "$notify" --listen "$work/notify"
expect supervisor "^listening on $work/notify\$"
run 0 "$notify" --send "$(printf 'READY=1\nSTATUS=up')"
expect supervisor "^process [1-9][0-9]*, user $user: READY=1 STATUS=up\$"
if command -v systemd-notify >/dev/null; then
  # It names this shell as the process to be supervised, if it may.
  systemd-notify --ready --status='waiting for data'
  expect supervisor "^process [1-9][0-9]*, user $user: .*READY=1 STATUS=waiting for data"
fi
if command -v python3 >/dev/null; then
  # A hundred notifications, each with descriptors that the supervisor does not want: it closes them, or the table would be full.
  python3 - "$work/notify" <<'PY'
import array, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
    for i in range(100):
        with open(os.devnull) as file:
            sender.sendmsg([b"FDSTORE=1 %d" % i],
                           [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()] * 20))], 0, sys.argv[1])
PY
  expect supervisor "user $user: FDSTORE=1 99\$"
  descriptors=("/proc/${process_id[supervisor]}/fd/"*)
  [ "${#descriptors[@]}" -lt 30 ] || fail "${#descriptors[@]} descriptors are open"
fi
quits supervisor INT
[ ! -e "$work/notify" ] || fail 'the file is still there'

start picky "$notify" --listen "$work/notify" --user $((user + 1))
expect picky '^listening on '
run 0 "$notify" --send READY=1
for ((wait = 0; wait < 100; ++wait)); do
  if grep -q 'ignored a notification of another user' "$work/picky.err"; then break; fi
  sleep 0.1
done
grep -q 'ignored' "$work/picky.err" || fail 'a notification of another user was taken'
quits picky INT
