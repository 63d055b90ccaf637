const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 5, () => close(a, b));
ready([a, b], () => {
  const { port } = b.address();
  a.send('first', port, done(a, 'send'));
  a.send('', port, done(a, 'send'));
  a.send(Buffer.alloc(0), port, done(a, 'send'));
  a.send(Buffer.from('text'), 4, 0, port, done(a, 'send'));
  a.send('last', port, done(a, 'send'));
});
