const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 1, () => close(b));
ready([a, b], () => a.connect(b.address().port, () => {
  a.send('text', done(a, 'send'));
  a.close(done(a, 'close'));
}));
