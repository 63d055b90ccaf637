const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 4, () => close(a, b));
ready([a, b], () => {
  const { port } = b.address();
  a.send(['foo', 'bar', 'baz'], port, done(a, 'send'));
  a.send([Buffer.alloc(256, 'x'), Buffer.alloc(256, 'y')], port, done(a, 'send'));
  a.send(['', 'one', ''], port, done(a, 'send'));
  a.send([], port, done(a, 'send'));
});
