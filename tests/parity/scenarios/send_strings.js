const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 3, () => close(a, b));
ready([a, b], () => {
  const { port } = b.address();
  a.send('latin1-\u00a9', port, done(a, 'send'));
  a.send('\u65e5\u672c\u8a9e', port, done(a, 'send'));
  a.send('with\0zero', port, done(a, 'send'));
});
