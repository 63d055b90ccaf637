# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with the files around
# Sourced by the tests of load balancers, after common.sh: clients, a balancer and two servers, each in a network namespace.
# The namespaces have the number of this process in their names and go with it.
#
#   10.79.0.10 to .25, clients --- 10.79.0.1 balancer 10.79.1.1 --- 10.79.1.2 server A
#                                                    10.79.2.1 --- 10.79.2.2 server B
export PATH="$PATH:/usr/sbin:/sbin"
need ip
need python3
clients=dgram$$c balancer=dgram$$b
declare -A host=([A]="dgram$$d" [B]="dgram$$e") address=([A]=10.79.1.2 [B]=10.79.2.2)

remove_network() {
  local name
  end_processes
  for name in "$clients" "$balancer" "${host[@]}"; do
    # A balancer that is killed leaves its workers.
    ip netns pids "$name" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$name" 2>/dev/null || true
  done
}

connect_to_balancer() { # NAMESPACE NETWORK
  local link=to${2##*.}
  ip netns add "$1"
  ip -n "$1" link add up0 type veth peer name "$link" netns "$balancer" || skip 'no veth pairs here'
  ip -n "$1" addr add "$2.2/24" dev up0
  ip -n "$1" link set up0 up
  ip -n "$1" route add default via "$2.1"
  ip -n "$balancer" addr add "$2.1/24" dev "$link"
  ip -n "$balancer" link set "$link" up
}

ip netns add "$balancer" 2>/dev/null || skip 'network namespaces cannot be made here'
trap remove_network EXIT
connect_to_balancer "$clients" 10.79.0
client_addresses=()
for ((i = 10; i < 26; ++i)); do
  client_addresses+=("10.79.0.$i")
  ip -n "$clients" addr add "10.79.0.$i/24" dev up0
done
connect_to_balancer "${host[A]}" 10.79.1
connect_to_balancer "${host[B]}" 10.79.2

# A host refuses six datagrams at once, and then one a second. DGRAM_ICMP_RATELIMIT=1000 leaves that as it is.
for name in "${host[@]}"; do
  ip netns exec "$name" sh -c "echo ${DGRAM_ICMP_RATELIMIT:-0} >/proc/sys/net/ipv4/icmp_ratelimit" ||
    skip '/proc/sys cannot be written here'
done

serve() { # A|B [OPTION...]: starts a server
  local name=$1
  shift
  start "server$name" ip netns exec "${host[$name]}" "$examples/example_sharded_server" --shards 1 --name "$name" "$@" \
    "${address[$name]}:7000"
  if ! next_line "server$name"; then
    grep -q 'cannot steer' "$work/server$name.err" || fail "server $name does not start"
    skip 'this system has no groups of sockets'
  fi
}

drain_server() { # A|B: ends a server that gets nothing new
  kill -TERM "${process_id[server$1]}"
  has_drained "$1"
}

has_drained() { # A|B: the server ends, and has cut off and refused nothing
  ends 0 "server$1"
  grep -q ' sessions, 0 cut at the end, 0 datagrams of new peers refused$' "$work/server$1.out" ||
    fail "server $1 was not drained"
}

kill_server() { # A|B
  kill -KILL "${process_id[server$1]}"
  finish "server$1" 2>/dev/null || true
}

# A balancer gives its new clients ports that gone ones had. An old server would go on with the sessions of those.
renew() { # A|B: a server without sessions takes the place of one whose clients have ended
  kill_server "$1"
  serve "$1"
}

ask_as() { # NAME: starts 16 clients, which send all the time; returns when all have had answers
  start "$1" ip netns exec "$clients" python3 "$(dirname "${BASH_SOURCE[0]}")/balancing_client.py" \
    10.79.0.1 7000 "${client_addresses[@]}"
  expect "$1" '^ready$'
}

settle() { # NAME: returns when each client has had answers to datagrams that it sent later
  kill -USR2 "${process_id[$1]}"
  expect "$1" '^settled$'
}

change_ports() { # NAME
  kill -USR1 "${process_id[$1]}"
  settle "$1"
}

count() { # NAME: ends the clients; leaves what they counted in $sent, $lost, $moved, $sessions, $at_A and $at_B
  quits "$1" TERM
  local text
  text=$(grep -v -e ready -e settled "$work/$1.out")
  printf '%s: %s\n' "$1" "${text//$'\n'/; }"
  [[ $text =~ sent\ ([0-9]+),\ lost\ ([0-9]+) ]] && sent=${BASH_REMATCH[1]} lost=${BASH_REMATCH[2]}
  [[ $text =~ 16\ clients,\ ([0-9]+)\ moved,\ ([0-9]+)\ sessions ]] && moved=${BASH_REMATCH[1]} sessions=${BASH_REMATCH[2]}
  at_A=0 at_B=0
  if [[ $text =~ ([0-9]+)\ at\ A ]]; then at_A=${BASH_REMATCH[1]}; fi
  if [[ $text =~ ([0-9]+)\ at\ B ]]; then at_B=${BASH_REMATCH[1]}; fi
}

go_silent() { # A|B: its host receives no more packets, and refuses none
  ip netns exec "${host[$1]}" nft 'table ip silent { chain everything { type filter hook input priority 0; drop; }; }'
}

wake() { # A|B
  ip netns exec "${host[$1]}" nft delete table ip silent
}

is_not_settled() { # NAME: not within a second
  kill -USR2 "${process_id[$1]}"
  if IFS= read -r -t 1 line <&"${process_fd[$1]}"; then fail "the balancer has moved the clients by itself: $line"; fi
}

is() { # WHAT ACTUAL EXPECTED: one of the counts
  [ "$2" -eq "$3" ] || fail "$1: $2 instead of $3"
}

is_some() { # WHAT ACTUAL
  [ "$2" -gt 0 ] || fail "$1: none"
}

loses_only_what_is_on_its_way() { # after `count`: nothing is lost but answers that a moved client cannot get
  [ "$lost" -lt $((sent / 4)) ] || fail "$lost of $sent are lost"
}

count_moved_to_B() { # NAME: as `count`; A's clients have lost datagrams, and all clients are at B now
  count "$1"
  is_some lost "$lost"
  is_some moved "$moved"
  is 'at B' "$at_B" 16
}

ids_keep_sessions() { # NAME: clients that change their ports twice stay in their sessions, some at each server
  ask_as "$1"
  change_ports "$1"
  change_ports "$1"
  count "$1"
  is lost "$lost" 0
  is moved "$moved" 0
  is sessions "$sessions" 16
  is_some 'at A' "$at_A"
  is_some 'at B' "$at_B"
}

drained_clients_move() { # NAME: after A was taken out: A drains, and each of its clients moves to B with its next datagram
  settle "$1"
  drain_server A
  count "$1"
  loses_only_what_is_on_its_way
  is_some moved "$moved"
  is 'at B' "$at_B" 16
}
