#!/usr/bin/env bash
# The DNS client with dnsmasq as its server: records of its own, no other server behind it.
#   dns_lookup.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
need dnsmasq
lookup="$examples/example_dns_lookup"
long=$(printf '%050d.' 1 2 3 4)test

# Any port that is free, without asking who has which: a few are tried.
started=no
for ((tries = 0; tries < 10; ++tries)); do
  unused_port
  start server dnsmasq --keep-in-foreground --log-facility=- --conf-file=/dev/null --pid-file= \
    --user="$(id -un)" --no-resolv --no-hosts --port "$port" --listen-address 127.0.0.1 \
    --bind-interfaces --host-record="host.test,192.0.2.7,2001:db8::7" --host-record="$long,192.0.2.8"
  # It says that it has started on its other stream.
  for ((wait = 0; wait < 100; ++wait)); do
    if ! kill -0 "${process_id[server]}" 2>/dev/null; then break; fi
    if grep -q 'started' "$work/server.err"; then started=yes; break; fi
    sleep 0.1
  done
  if [ "$started" = yes ]; then break; fi
  grep -q 'Address already in use' "$work/server.err" || skip "dnsmasq does not start here: $(cat "$work/server.err")"
  finish server || true
done
if [ "$started" = no ]; then skip "dnsmasq found no free port"; fi

run 0 "$lookup" 127.0.0.1 host.test --port "$port"
[ "$output" = 192.0.2.7 ] || fail "$output"
run 0 "$lookup" 127.0.0.1 host.test --port "$port" --type AAAA
[ "$output" = 2001:db8::7 ] || fail "$output"
run 0 "$lookup" 127.0.0.1 "$long" --port "$port"
[ "$output" = 192.0.2.8 ] || fail "$output"
run 1 "$lookup" 127.0.0.1 nobody.test --port "$port"
prints 'no address of nobody.test'
run 1 "$lookup" 127.0.0.1 "$long" --port "$port" --type AAAA
prints "no address of $long"
# The server by its name, which the system's resolver finds.
if getent ahostsv4 localhost >/dev/null; then
  run 0 "$lookup" localhost host.test --port "$port"
  [ "$output" = 192.0.2.7 ] || fail "$output"
fi

# A server that is held up answers a later try.
kill -STOP "${process_id[server]}"
start client "$lookup" 127.0.0.1 host.test --port "$port" --timeout 100 --retries 300
sleep 0.3
kill -CONT "${process_id[server]}"
expect client '^192\.0\.2\.7$'
ends 0 client

quit server KILL || true
run 1 "$lookup" 127.0.0.1 host.test --port "$port" --timeout 50
prints "no answer from 127.0.0.1:$port"
