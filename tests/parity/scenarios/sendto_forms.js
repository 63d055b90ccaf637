const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
const data = Buffer.from('0123456789');
after(b, 2, () => close(a, b));
ready([a, b], () => {
  a.sendto(data, 1, 4, b.address().port, '127.0.0.1', done(a, 'sendto'));
  a.sendto(data, 5, 5, b.address().port, '127.0.0.1');
});
