#!/usr/bin/env bash
# Lines to a Unix socket, as syslog(3) sends them.
#   syslog_sender.sh EXAMPLES PEER        rsyslogd, socat or collector
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
sender="$examples/example_syslog_sender"
path="$work/log.sock"
: >"$work/log"

wait_for() { # COMMAND...: until it succeeds
  local tries
  for ((tries = 0; tries < 200; ++tries)); do
    if "$@"; then return 0; fi
    sleep 0.1
  done
  fail "this did not come true: $*"
}

case "$2" in
  rsyslogd)
    need rsyslogd
    cat >"$work/rsyslog.conf" <<CONF
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$path" RateLimit.Interval="0")
template(name="line" type="string"
         string="%syslogfacility-text%.%syslogseverity-text%  %programname%: %msg%\n")
action(type="omfile" file="$work/log" template="line")
CONF
    rsyslogd -N1 -f "$work/rsyslog.conf" >"$work/check.out" 2>&1 ||
      skip "this rsyslogd takes no imuxsock: $(tail -n 1 "$work/check.out")"
    start peer rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid"
    wait_for test -S "$path"
    mail='mail\.warning  postfix:  the queue is long'
    user='user\.notice  dgram:  Grüße, 日本語'
    ;;
  socat)
    need socat
    start peer socat -u "UNIX-RECV:$path" "OPEN:$work/log,append"
    wait_for test -S "$path"
    mail='<20>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} postfix\[[0-9]+\]: the queue is long'
    user='<13>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} dgram\[[0-9]+\]: Grüße, 日本語'
    ;;
  collector)
    start peer "$examples/example_syslog_collector" --count 402 --timeout 40 "$path"
    expect peer '^listening on '
    mail='\(unnamed\)  mail\.warning  .* postfix\[[0-9]+\]: the queue is long'
    user='\(unnamed\)  user\.notice  .* dgram\[[0-9]+\]: Grüße, 日本語'
    ;;
esac

run 0 "$sender" --path "$path" --priority mail.warning --tag postfix 'the queue is long'
prints "sent 1 lines to $path"
run 0 "$sender" --path "$path" 'Grüße, 日本語'
if [ "$2" = collector ]; then
  # Many more than the queue holds, while the collector is held up: the sender waits, and none is lost.
  kill -STOP "${process_id[peer]}"
  # shellcheck disable=SC2046 # a word for each line
  start many "$sender" --path "$path" $(printf 'line%d ' {1..400})
  kill -CONT "${process_id[peer]}"
  ends 0 many
  ends 0 peer
  cp "$work/peer.out" "$work/log"
  for number in 1 200 400; do
    grep -qE "user\.notice  .*: line$number\$" "$work/log" || fail "line$number was lost"
  done
fi
wait_for grep -qE -- "$mail" "$work/log"
wait_for grep -qE -- "$user" "$work/log"

# No socket listens: an error that names the path.
run 1 "$sender" --path "$work/nobody.sock" 'lost'
prints "$work/nobody.sock"
