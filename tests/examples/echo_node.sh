#!/usr/bin/env bash
# An echo server with Node's UDP sockets: many datagrams of all sizes at once, each answered once.
#   echo_node.sh EXAMPLES SERVER
. "$(dirname "$0")/common.sh"
need node

cat >"$work/peer.js" <<'CODE'
const dgram = require('dgram');
const crypto = require('crypto');
const [address, port] = [process.argv[2], Number(process.argv[3])];
const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
const waiting = new Map();  // text of the bytes -> how many are still to come
const sizes = [0, 1, 2, 63, 64, 65, 1400, 1472, 1473, 9000, 40000, 65000];
let left = 0;
for (let i = 0; i < 24; ++i) sizes.push(100 + i);
const sent = sizes.map((size) => crypto.randomBytes(size));
for (const bytes of sent) {
  const key = bytes.toString('base64');
  waiting.set(key, (waiting.get(key) || 0) + 1);
  ++left;
}
socket.on('message', (bytes, from) => {
  const key = bytes.toString('base64');
  if (from.port !== port || !waiting.get(key)) {
    console.error(`${bytes.length} bytes from ${from.address}:${from.port} were not expected`);
    process.exit(1);
  }
  waiting.set(key, waiting.get(key) - 1);
  if (--left === 0) socket.close(() => console.log(`${sent.length} came back`));
});
socket.bind(0, () => sent.forEach((bytes) => socket.send(bytes, port, address)));
CODE

addresses=(127.0.0.1)
if has_ipv6; then addresses+=(::1); fi
for address in "${addresses[@]}"; do
  case "$address" in
    *:*) listen server "$examples/$2" "[$address]:0" ;;
    *) listen server "$examples/$2" "$address:0" ;;
  esac
  run 0 timeout 20 node "$work/peer.js" "$address" "$port"
  prints '36 came back'
  quits server TERM
done
