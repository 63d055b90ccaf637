#!/usr/bin/env bash
# The way to a peer behind a router with a narrow link: the router says how much would pass.
#   path_probe.sh EXAMPLES
. "$(dirname "$0")/common.sh"

# On this host: a closed port says that the datagram has arrived, an open one says nothing.
unused_port
run 0 "$examples/example_path_probe" "127.0.0.1:$port" --timeout 20000
prints ' bytes: arrived'
listen server "$examples/example_echo_callback"
run 0 "$examples/example_path_probe" "$endpoint" --timeout 100
prints ' bytes: nobody complains'
quits server TERM

# Three hosts of our own: the namespaces have the number of this process in their names and go with it.
need ip
near=dgram$$a router=dgram$$b far=dgram$$c
remove() {
  local name
  for name in "$near" "$router" "$far"; do ip netns del "$name" 2>/dev/null || true; done
  end_processes
}
ip netns add "$near" 2>/dev/null || skip "network namespaces cannot be made here"
trap remove EXIT
ip netns add "$router"
ip netns add "$far"
ip -n "$near" link add up0 type veth peer name down0 netns "$router" || skip "no veth pairs here"
ip -n "$far" link add up0 type veth peer name down1 netns "$router"
ip -n "$near" addr add 10.78.0.1/24 dev up0
ip -n "$near" addr add fd78:0::1/64 dev up0 nodad
ip -n "$far" addr add 10.78.1.1/24 dev up0
ip -n "$far" addr add fd78:1::1/64 dev up0 nodad
ip -n "$router" addr add 10.78.0.2/24 dev down0
ip -n "$router" addr add fd78:0::2/64 dev down0 nodad
ip -n "$router" addr add 10.78.1.2/24 dev down1
ip -n "$router" addr add fd78:1::2/64 dev down1 nodad
for link in "$near up0" "$far up0" "$router down0" "$router down1"; do
  # shellcheck disable=SC2086 # two words
  set -- $link
  ip -n "$1" link set "$2" up
done
ip -n "$router" link set down1 mtu 1300
ip -n "$near" route add default via 10.78.0.2
ip -n "$near" route add default via fd78:0::2
ip -n "$far" route add default via 10.78.1.2
ip -n "$far" route add default via fd78:1::2
ip netns exec "$router" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward &&
  echo 1 >/proc/sys/net/ipv6/conf/all/forwarding' || skip "/proc/sys cannot be written here"

for way in '10.78.1.1 10.78.0.2' '[fd78:1::1] fd78::2'; do
  # shellcheck disable=SC2086 # two words
  set -- $way
  run 0 ip netns exec "$near" "$examples/example_path_probe" "$1:9" --timeout 20000
  prints "the way to $1:9 begins with 1500 bytes"
  prints "1500 bytes: $2 says: Message too long"
  prints '1300 bytes: arrived'
done
