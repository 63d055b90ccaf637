// SPDX-License-Identifier: BSL-1.0
// The echo server in Node, on a bound socket that is inherited as descriptor 3.
'use strict';
const server = require('node:dgram').createSocket('udp4');
server.on('message', (message, peer) => server.send(message, peer.port, peer.address));
server.bind({ fd: 3 });
