const { close, open, ownPort } = require('../trace');
const reused = { type: 'udp4', reuseAddr: true };
const [a, b, c] = [open('a', reused), open('b', reused), open('c')];
a.bind(ownPort, '127.0.0.1', () => {
  c.on('error', () => close(a, b, c));
  b.bind(a.address().port, '127.0.0.1', () => c.bind(a.address().port, '127.0.0.1'));
});
