// SPDX-License-Identifier: BSL-1.0
// What the scenarios for Node share; trace.hpp is its counterpart. Every line of a trace starts with
// the socket that it is about, and variable ports are shown as the socket that has them, <a>.
'use strict';
const dgram = require('dgram');

const labels = new Map();
const names = new Map();

const say = (socket, text) => console.log(`${names.get(socket) || socket}: ${text}`);
const label = (socket, port = socket.address().port) => labels.set(port, `<${names.get(socket)}>`);
const port = (number) => labels.get(number) || (number >= 32768 ? '<port>' : number);
const host = (address) => (address.includes(':') ? `[${address}]` : address);
const place = ({ address, port: number }) => `${host(address)}:${port(number)}`;
const text = (data) => String(data).replaceAll('\0', '\\0');
const bytes = (data) => (data.length > 40 ? `${data.length} bytes` : `${data.length} "${text(data)}"`);

// What we do not tell apart.
const sameToUs = {
  ERR_BUFFER_OUT_OF_BOUNDS: 'ERR_OUT_OF_RANGE',
  ERR_SOCKET_BAD_BUFFER_SIZE: 'ERR_OUT_OF_RANGE',
};

function codeOf(error) {
  const code = error.info ? error.info.code : error.code || error.name;
  return sameToUs[code] || code;
}

// 'bind EADDRINUSE 127.0.0.1:<a>' as Node's own text has it; codes of Node's own stand alone.
function failure(error) {
  const code = codeOf(error);
  if (code.startsWith('ERR_') || !error.syscall) return code;
  if (error.address === undefined) return `${error.syscall} ${code}`;
  return `${error.syscall} ${code} ${host(error.address)}${error.port ? `:${port(error.port)}` : ''}`;
}

// A socket without any listener but the one that learns its port.
function quiet(name, options = 'udp4') {
  const socket = dgram.createSocket(options);
  names.set(socket, name);
  socket.on('listening', () => label(socket));
  return socket;
}

function open(name, options = 'udp4') {
  const socket = quiet(name, options);
  socket.on('listening', () => say(socket, `listening ${place(socket.address())}`));
  socket.on('connect', () => say(socket, `connect ${place(socket.remoteAddress())}`));
  socket.on('message', (data, from) => say(socket, `message ${bytes(data)} from ${place(from)}`));
  socket.on('error', (error) => say(socket, `error ${failure(error)}`));
  socket.on('close', () => say(socket, 'close'));
  return socket;
}

// A callback that shows its arguments, and then goes on.
function done(socket, what, next = () => {}) {
  return (error, size) => {
    const result = error ? ` failed: ${failure(error)}` : size === undefined ? '' : ` ${size}`;
    say(socket, `callback ${what}${result}`);
    next();
  };
}

// Only the code of what is thrown: which call threw it is plain to see.
function attempt(socket, what, action) {
  try {
    const result = action();
    say(socket, `${what} ${result === socket ? 'returns the socket' : result === undefined ? 'ok' : result}`);
  } catch (error) {
    say(socket, `${what} throws ${codeOf(error)}`);
  }
}

// A port that is still free when the socket that has it is closed, and in the other family.
const ownPort = Number(process.env.DGRAM_PARITY_PORT || 0);

// Binds them to loopback one after the other, and then goes on.
function ready([first, ...rest], next, address = '127.0.0.1') {
  first.bind(0, address, () => (rest.length ? ready(rest, next, address) : next()));
}

// Calls next once with the last of so many messages.
function after(socket, count, next) {
  socket.on('message', () => --count === 0 && next());
}

// What a lookup of the scenario's own answers for a name that it does not know.
const notFound = () => Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });

const close = (...sockets) => sockets.forEach((socket) => socket.close());

process.on('uncaughtException', (error) => console.log(`test: uncaught ${error.code}`));

module.exports = { after, attempt, close, done, failure, label, notFound, open, ownPort, place, quiet, ready, say };
