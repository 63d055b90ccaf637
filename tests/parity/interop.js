// SPDX-License-Identifier: BSL-1.0
// Node's half of the exchange with an emitter of ours; interop.cpp is the other half.
//   interop.js serve ADDRESS
//   interop.js ask ADDRESS PORT COUNT
'use strict';
const dgram = require('dgram');
const [role, address, port, count] = process.argv.slice(2);
const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');

function serve() {
  socket.on('message', (data, from) => socket.send(data, from.port, from.address));
  console.log(`listening on ${socket.address().port}`);
  process.on('SIGTERM', () => socket.close());
}

// 32 questions are on their way, and every answer brings the next one.
function ask() {
  const total = Number(count);
  const missing = new Map();
  let asked = 0;
  const next = () => {
    const text = `${asked} `.padEnd(8 + (asked % 1000), 'x');
    missing.set(asked++, text);
    socket.send(text, Number(port), address);
  };
  socket.on('message', (data, from) => {
    const text = String(data);
    const number = parseInt(text, 10);
    if (missing.get(number) !== text || from.port !== Number(port)) throw new Error(`not asked for: ${text}`);
    missing.delete(number);
    stalled.refresh();
    if (asked < total) return next();
    if (missing.size > 0) return;
    clearTimeout(stalled);
    socket.close(() => console.log(`${total} answers`));
  });
  const stalled = setTimeout(() => {
    console.log(`no answer to ${[...missing.keys()].join(' ')}`);
    process.exit(1);
  }, 5000);
  for (let i = 0; i < 32; ++i) next();
}

socket.bind(0, address, role === 'ask' ? ask : serve);
