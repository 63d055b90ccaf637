const dgram = require('dgram');
const { say } = require('../trace');
const a = dgram.createSocket('udp4', (data, from) => {
  say('a', `got ${from.size} bytes from an ${from.family} address, ${from.address}`);
  a.close();
});
a.bind(0, '127.0.0.1', () => a.send('hello', a.address().port));
