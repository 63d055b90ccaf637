#!/usr/bin/env bash
# Two hosts with a wire between them: one wakes the other, and a capture shows what the wire carried.
#   wake_on_lan.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
wake="$examples/example_wake_on_lan"

for mac in 52:54:00:12:34 52:54:00:12:34:5g 52:54:00:12:34:567 525400123456; do
  run 2 "$wake" "$mac"
  prints "\"$mac\" is no hardware address"
done
run 2 "$wake" 52:54:00:12:34:56 --to 127.0.0.1:9 --interface no-such-one
prints 'no-such-one'

need ip
need python3
[ "$(id -u)" -eq 0 ] || skip 'only root can make hosts of network namespaces'
here=dgram-wake-a-$$ there=dgram-wake-b-$$
remove() {
  ip netns delete "$here" 2>/dev/null || true
  ip netns delete "$there" 2>/dev/null || true
  end_processes
}
trap remove EXIT
ip netns add "$here" 2>/dev/null || skip 'network namespaces cannot be made here'
ip netns add "$there"
ip -n "$here" link add wire type veth peer name wire netns "$there"
ip -n "$here" address add 10.77.0.1/24 broadcast + dev wire
ip -n "$here" link set wire up
ip -n "$there" link set wire up

# Prints the destination of the frame, the addresses and ports, and the payload: no socket has to be bound for it.
cat >"$work/capture.py" <<'PY'
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind(("wire", 0))
print("listening", flush=True)
while True:
    frame = wire.recv(2048)
    if frame[14 + 9] == 17:
        ip = frame[14:]
        print(frame[:6].hex(), socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20]),
              int.from_bytes(ip[22:24], "big"), ip[28:].hex(), flush=True)
PY
start capture ip netns exec "$there" python3 "$work/capture.py"
expect capture '^listening$'
packet=ffffffffffff$(printf '52540012ab56%.0s' {1..16})

# There is no default route: the interface is what shows the way to 255.255.255.255.
run 0 ip netns exec "$here" "$wake" 52:54:00:12:ab:56 --interface wire
prints 'sent 102 bytes to 255.255.255.255:9'
expect capture "^ffffffffffff 10\.77\.0\.1 255\.255\.255\.255 9 $packet\$"
run 0 ip netns exec "$here" "$wake" 52-54-00-12-AB-56 --to 10.77.0.255:7
expect capture "^ffffffffffff 10\.77\.0\.1 10\.77\.0\.255 7 $packet\$"
