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

descriptors() { # NAME: how many a program has open
  find "/proc/${process_id[$1]}/fd" -mindepth 1 2>/dev/null | wc -l
}

listen relay "$examples/example_udp_relay" --to "$server" --idle 200
before=$(descriptors relay)
clients_see
# Each client had a socket to the server. No socket is left of those that are forgotten.
for ((tries = 0; tries < 200; ++tries)); do
  after=$(descriptors relay)
  if [ "$after" -le "$before" ]; then break; fi
  read -r -t 0.05 <> <(:) || true
done
[ "$after" -eq "$before" ] || fail "$after descriptors instead of $before"
clients_see
quits relay TERM
grep -qx '12 clients, refused 0 datagrams of others, to the server 12, to clients 12, lost 0' "$work/relay.out" ||
  fail "$(tail -1 "$work/relay.out")"

# One client more than the relay takes is refused; it gets no answer.
listen small "$examples/example_udp_relay" --to "$server" --clients 1 --idle 60000
run 0 "$client" "$endpoint" first
run 1 "$client" "$endpoint" second --timeout 100 --retries 0
quits small INT
grep -q 'refused 1 datagrams' "$work/small.out" || fail "$(tail -1 "$work/small.out")"

# Without descriptors a client gets no relay, and the relay goes on. UndefinedBehaviorSanitizer opens a pipe to look at
# an object, and takes its failure for that of the object.
if command -v prlimit >/dev/null && ! grep -q __ubsan_handle "$examples/example_udp_relay"; then
  listen poor "$examples/example_udp_relay" --to "$server" --idle 1000
  free=0
  while [ -e "/proc/${process_id[poor]}/fd/$free" ]; do free=$((free + 1)); done
  prlimit --pid "${process_id[poor]}" "--nofile=$((free + 1))" # room for one
  run 0 "$client" "$endpoint" first
  run 1 "$client" "$endpoint" second --timeout 50 --retries 0
  grep -q '^a client gets no relay: .*Too many open files$' "$work/poor.err" || fail 'no word of the refusal'
  run 0 "$client" "$endpoint" third --timeout 500 --retries 20
  quits poor TERM
fi

# Answers alone keep a client: the server says a lot more than it is asked.
if command -v socat >/dev/null; then
  cat >"$work/talk" <<'TALK'
read -r question
for i in 1 2 3 4 5 6 7 8; do
  printf '%s %s\n' "$question" "$i"
  sleep 0.25
done
TALK
  for ((tries = 0; tries < 10; ++tries)); do
    unused_port
    start "talker$tries" socat "UDP4-RECVFROM:$port,bind=127.0.0.1" "EXEC:bash $work/talk"
    talker=127.0.0.1:$port
    if kill -0 "${process_id[talker$tries]}" 2>/dev/null; then break; fi
  done
  listen patient "$examples/example_udp_relay" --to "$talker" --idle 1000
  for ((tries = 0; tries < 20; ++tries)); do
    output=$(printf 'and?\n' | socat -t 2.5 - "UDP4:$endpoint")
    if [ -n "$output" ]; then break; fi
  done
  prints 'and? 8'
  quits patient TERM
fi

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
