#!/usr/bin/env bash
# The load program counts what does not come back, and what does not come back as it was.
#   load_lost.sh EXAMPLES
. "$(dirname "$0")/common.sh"
load="$examples/example_echo_load"

listen silent "$examples/example_syslog_collector" 127.0.0.1:0
run 1 "$load" "$endpoint" --seconds 1 --window 5
prints '0 datagrams/s, lost 5'
quits silent TERM

unused_port
run 1 "$load" "127.0.0.1:$port" --seconds 1
prints 'Connection refused'

need node
cat >"$work/careless.js" <<'CODE'
// Answers the first datagram with other bytes, the second one short, the third one twice.
const socket = require('dgram').createSocket('udp4');
let seen = 0;
socket.on('message', (bytes, from) => {
  ++seen;
  if (seen === 1) bytes[bytes.length - 1] ^= 1;
  if (seen === 2) bytes = bytes.subarray(0, 4);
  socket.send(bytes, from.port, from.address);
  if (seen === 3) socket.send(bytes, from.port, from.address);
});
socket.bind(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${socket.address().port}`));
CODE
listen careless node "$work/careless.js"
run 1 "$load" "$endpoint" --seconds 1 --window 10
prints ', lost 2'
