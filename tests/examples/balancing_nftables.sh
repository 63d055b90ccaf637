#!/usr/bin/env bash
# nftables in front of two servers: which clients stay, and what is lost if a server is drained, killed, or silent.
#   balancing_nftables.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
need nft
need conntrack
# shellcheck source-path=SCRIPTDIR source=balancing_network.sh
. "$(dirname "$0")/balancing_network.sh"

rules=$work/balancer.nft
cp "$(dirname "$0")/../../examples/balancing/balancer.nft" "$rules"
in_balancer() { ip netns exec "$balancer" "$@"; }
in_balancer sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' || skip '/proc/sys cannot be written here'
if ! output=$(in_balancer nft -f "$rules" 2>&1); then
  if [[ $output == *'Could not process rule'* ]]; then skip "this kernel cannot balance: $output"; fi
  fail "$output"
fi

reload() { # SED-COMMAND: as an operator does
  sed -i "$1" "$rules"
  in_balancer nft -f "$rules"
}
take_out='s/0-7 : 10.79.1.2/0-7 : 10.79.2.2/'
put_back='s/0-7 : 10.79.2.2/0-7 : 10.79.1.2/'
move_flows() { in_balancer conntrack -D -p udp --dst-nat 10.79.1.2 >"$work/flows" 2>&1; }

# A drained server keeps its clients until they leave, and gets no others.
serve A --idle 500 --drain 30000 --delay 10
serve B --delay 10
ask_as drained
reload "$take_out"
ask_as later
kill -TERM "${process_id[serverA]}"
settle drained
count later
is lost "$lost" 0
is 'at B' "$at_B" 16
settle drained
count drained
is lost "$lost" 0
is moved "$moved" 0
is sessions "$sessions" 16
is_some 'at A' "$at_A"
has_drained A

# A killed one: the refusals of its host reach the clients, and move none of them.
serve A
renew B
reload "$put_back"
ask_as killed
kill_server A
is_not_settled killed
reload "$take_out"
move_flows
settle killed
count_moved_to_B killed
is sessions "$sessions" $((16 + moved))

# A silent host is the same to this balancer.
serve A
renew B
reload "$put_back"
ask_as silent
go_silent A
is_not_settled silent
reload "$take_out"
move_flows
settle silent
count_moved_to_B silent
is sessions "$sessions" $((16 + moved))
wake A

# Clients with new ports are new.
renew A
renew B
reload "$put_back"
ask_as new_ports
change_ports new_ports
count new_ports
is lost "$lost" 0
is sessions "$sessions" 32
kill_server A
quits serverB TERM

# A hash over ids in the datagrams: clients keep their server and their session.
serve A --ids 8
serve B --ids 8
reload 's/jhash ip saddr \. udp sport mod/jhash @th,64,64 mod/'
ids_keep_sessions ids
