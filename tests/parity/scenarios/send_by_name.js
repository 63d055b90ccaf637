const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 2, () => close(a, b));
ready([a, b], () => {
  a.send('hello', b.address().port, 'localhost', done(a, 'send'));
  a.send('again', b.address().port, 'localhost', done(a, 'send'));
});
