#!/usr/bin/env bash
# The relay in front of an echo server, and nginx's "stream" module in its place: clients see the same.
#   udp_relay.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
client="$examples/example_client"

run 2 "$examples/example_udp_relay"
prints '--to is missing'

listen server "$examples/example_echo_coroutine" 127.0.0.1:0
server=$endpoint

# What clients see of something that relays on $endpoint.
clients_see() {
  local i
  for i in 1 2 3 4 5; do
    run 0 "$client" "$endpoint" "hello $i"
    prints "hello $i"
  done
  run 0 "$client" "$endpoint" "$(printf '%01400d' 7)"
  prints "$(printf '%01400d' 7)"
}

listen relay "$examples/example_udp_relay" --to "$server" --idle 200
clients_see
# Every client is forgotten at the latest when the relay ends, and none of their datagrams is lost.
quits relay TERM
grep -qE '^clients 0, forgotten 6, refused 0, to the server 6, to clients 6, lost 0$' "$work/relay.out" ||
  fail "$(tail -1 "$work/relay.out")"

# One client more than the relay takes is refused; it gets no answer.
listen small "$examples/example_udp_relay" --to "$server" --clients 1 --idle 60000
run 0 "$client" "$endpoint" first
run 1 "$client" "$endpoint" second --timeout 100 --retries 0
quits small INT
grep -q 'refused 1' "$work/small.out" || fail "$(tail -1 "$work/small.out")"

command -v nginx >/dev/null || exit 0
module=$(find /usr/lib/nginx/modules /usr/share/nginx/modules -name 'ngx_stream_module.so' 2>/dev/null | head -1)
for ((tries = 0; tries < 10; ++tries)); do
  unused_port
  {
    if [ -n "$module" ]; then printf 'load_module %s;\n' "$module"; fi
    printf '%s\n' 'daemon off;' 'worker_processes 1;' "pid $work/nginx.pid;" "error_log stderr;" \
      'events { worker_connections 64; }' "stream { server { listen 127.0.0.1:$port udp; proxy_pass $server; } }"
  } >"$work/nginx.conf"
  start "nginx$tries" nginx -e stderr -p "$work" -c "$work/nginx.conf"
  status=0
  output=$("$client" "127.0.0.1:$port" ready --timeout 100 --retries 20 2>&1) || status=$?
  if [ "$status" -eq 0 ]; then break; fi
  if grep -q 'unknown directive "stream"' "$work/nginx$tries.err"; then exit 0; fi # built without it
done
[ "$status" -eq 0 ] || fail 'nginx does not relay'
endpoint=127.0.0.1:$port
clients_see
quit "nginx$tries" TERM || true
