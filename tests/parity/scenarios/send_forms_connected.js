const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
const data = Buffer.from('0123456789');
after(b, 6, () => close(a, b));
ready([a, b], () => a.connect(b.address().port, () => {
  a.send(data, 2, 3, done(a, 'send'));
  a.send(data, 3, 3);
  a.send(data, done(a, 'send'));
  a.send('a string');
  a.send(['an', ' ', 'array'], done(a, 'send'));
  a.send(data);
}));
