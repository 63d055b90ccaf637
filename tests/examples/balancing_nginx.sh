#!/usr/bin/env bash
# nginx in front of two servers: which clients stay, and what is lost if a server is drained, killed, or silent.
#   balancing_nginx.sh EXAMPLES
#   DGRAM_ICMP_RATELIMIT=1000 balancing_nginx.sh EXAMPLES      with the kernel's limit on refusals
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
need nginx
need nft
# shellcheck source-path=SCRIPTDIR source=balancing_network.sh
. "$(dirname "$0")/balancing_network.sh"

configuration=$work/nginx.conf
cp "$(dirname "$0")"/../../examples/balancing/{nginx.conf,nginx_ids.conf,client_id.js} "$work"

module() { # NAME: a directive for this module, if it is a file
  local file
  file=$(find /usr/lib/nginx/modules /usr/share/nginx/modules -name "ngx_$1_module.so" 2>/dev/null | head -1)
  if [ -n "$file" ]; then printf 'load_module %s; ' "$file"; fi
}

balance() { # NAME CONFIGURATION DIRECTIVES: starts nginx
  rm -f "$work/nginx.pid"
  start "$1" ip netns exec "$balancer" nginx -e stderr -p "$work" -c "$2" \
    -g "$3 error_log stderr notice; pid nginx.pid;"
  for ((tries = 0; tries < 200; ++tries)); do
    if [ -s "$work/nginx.pid" ]; then return 0; fi # its socket is open then
    if grep -q 'unknown directive "stream"' "$work/$1.err"; then skip 'this nginx has no stream module'; fi
    if grep -q emerg "$work/$1.err"; then break; fi
    sleep 0.05
  done
  fail 'nginx does not start'
}
balance nginx "$configuration" "$(module stream)"

reload() { # SED-COMMAND: as an operator does; returns when the old worker takes no more datagrams
  local before
  before=$(grep -c 'gracefully shutting down' "$work/nginx.err" || true)
  sed -i "$1" "$configuration"
  kill -HUP "${process_id[nginx]}"
  for ((tries = 0; tries < 200; ++tries)); do
    if [ "$(grep -c 'gracefully shutting down' "$work/nginx.err")" -gt "$before" ]; then return 0; fi
    sleep 0.05
  done
  fail 'nginx does not reload'
}
take_out='s/server 10.79.1.2:7000 .*;/server 10.79.1.2:7000 down;/'
put_back='s/server 10.79.1.2:7000 .*;/server 10.79.1.2:7000 max_fails=1 fail_timeout=2s;/'

# A drained server. Its clients move at once. After a reload the old worker closes the socket that answers leave by. The
# new one has other sockets, so the sessions of the other clients begin anew, too.
serve A --idle 500 --drain 20000 --delay 10
serve B --delay 10
ask_as drained
reload "$take_out"
drained_clients_move drained
is sessions "$sessions" 32

# A killed one: its host refuses, and each client of it moves.
serve A
renew B
reload "$put_back"
ask_as killed
kill_server A
settle killed
count_moved_to_B killed
is sessions "$sessions" $((16 + moved))

# A silent host: nginx notices nothing, until an operator takes it out.
serve A
renew B
reload "$put_back"
ask_as silent
go_silent A
is_not_settled silent
reload "$take_out"
settle silent
count_moved_to_B silent
wake A

# Clients with new ports are new to nginx, and to the servers.
renew A
renew B
reload "$put_back"
ask_as 'new_ports'
change_ports new_ports
count new_ports
is lost "$lost" 0
is sessions "$sessions" 32
kill_server A
quits serverB TERM

# With ids in the datagrams for the servers, and the client's address alone for nginx, sessions survive both.
serve A --ids 8 --idle 500 --drain 20000
serve B --ids 8
# shellcheck disable=SC2016 # it is a variable of nginx
reload 's/hash .*;/hash $remote_addr consistent;/'
ask_as ids
change_ports ids
reload "$take_out"
drained_clients_move ids
is sessions "$sessions" $((16 + moved))

quit nginx TERM || true

# With njs nginx reads the ids, and the address may change as well.
[ -n "$(module stream_js)" ] || exit 0
serve A --ids 8
balance nginx_njs "$work/nginx_ids.conf" "$(module stream)$(module stream_js)"
ask_as njs
change_ports njs
change_ports njs
count njs
is lost "$lost" 0
is moved "$moved" 0
is sessions "$sessions" 16
is_some 'at A' "$at_A"
is_some 'at B' "$at_B"
quit nginx_njs TERM || true
