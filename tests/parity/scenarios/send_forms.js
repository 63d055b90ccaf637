const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
const data = Buffer.from('0123456789');
after(b, 8, () => close(a, b));
ready([a, b], () => {
  const { port } = b.address();
  a.send(data, 2, 3, port, '127.0.0.1', done(a, 'send'));
  a.send(data, 3, 3, port, '127.0.0.1');
  a.send(data, 4, 3, port, done(a, 'send'));
  a.send(data, 5, 3, port);
  a.send(data, port, '127.0.0.1', done(a, 'send'));
  a.send('a string', port, '127.0.0.1');
  a.send(['an', ' ', Buffer.from('array')], port, done(a, 'send'));
  a.send(data, port);
});
