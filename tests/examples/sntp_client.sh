#!/usr/bin/env bash
# The SNTP client with chronyd(8) as its server, which serves this host's own clock.
#   sntp_client.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
client="$examples/example_sntp_client"

# A port that no socket has: nothing answers there.
run 1 "$client" 127.0.0.1 --port 9 --timeout 50 --retries 1
prints 'no answer from 127.0.0.1:9'

need chronyd
[ "$(id -u)" -eq 0 ] || skip "chronyd starts as root only"
for ((tries = 0; tries < 10; ++tries)); do
  unused_port
  printf '%s\n' "port $port" 'bindaddress 127.0.0.1' 'allow 127.0.0.0/8' 'local stratum 7' 'cmdport 0' \
    "pidfile $work/chronyd.pid" "bindcmdaddress /" >"$work/chrony.conf"
  start "server$tries" chronyd -d -x -u root -f "$work/chrony.conf"
  # It takes a moment until chronyd answers: the client asks again.
  status=0
  output=$("$client" 127.0.0.1 --port "$port" --timeout 100 --retries 30 2>&1) || status=$?
  if [ "$status" -eq 0 ]; then break; fi
done
if [ "$status" -ne 0 ]; then skip "chronyd does not serve here: $(cat "$work"/server*.err)"; fi
# Both clocks are the same one: the offset is below a second however busy this host is.
[[ $output =~ ^127\.0\.0\.1:$port:\ offset\ [+-]0\.[0-9]{6}\ s,\ delay\ -?[0-9]+\.[0-9]{6}\ s,\ stratum\ 7$ ]] ||
  fail "$output"
