#!/usr/bin/env bash
# The collector of metrics, with bash's own UDP and with socat as clients.
#   statsd.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need_dev_udp

total() { # KIND NAME: the sum of the numbers behind "KIND NAME" in all blocks
  awk -v kind="$1" -v name="$2" '$1 == kind && $2 == name { sum += $3 } END { print sum + 0 }' "$work/server.out"
}

# The datagrams of one write may fall into two intervals, so sums are compared.
listen server "$examples/example_statsd" --interval 200
{
  printf 'requests:1|c\nrequests:2|c\nsampled:1|c|@0.1' >&3
  printf 'latency:30|ms\nlatency:10|ms\nlatency:20|ms\n' >&3
  printf 'users:7|g\nusers:+3|g\nusers:-1|g' >&3
  printf 'visitors:ann|s\nvisitors:bob|s\nvisitors:ann|s' >&3
  printf 'nonsense\n:1|c\nbad:x|c\nbad:1|c|@0\nbad:1|q' >&3
} 3>"/dev/udp/127.0.0.1/$port"
if command -v socat >/dev/null; then
  printf 'from_socat:5|c' | socat - "UDP-SENDTO:127.0.0.1:$port"
else
  printf 'from_socat:5|c' >"/dev/udp/127.0.0.1/$port"
fi
while [ "$(total counter from_socat)" != 5 ]; do next_line server || fail 'the server ended'; done
quits server INT
[ "$(total counter requests)" = 3 ] || fail "requests: $(total counter requests)"
[ "$(total counter sampled)" = 10 ] || fail "sampled: $(total counter sampled)"
grep -qx 'time latency count=3 min=10 median=20 p95=20 max=30' "$work/server.out" || fail 'latency'
grep -qx 'gauge users 9' "$work/server.out" || fail 'users'
grep -qx 'set visitors 2' "$work/server.out" || fail 'visitors'
grep -qx 'bad lines 5' "$work/server.out" || fail 'bad lines'
