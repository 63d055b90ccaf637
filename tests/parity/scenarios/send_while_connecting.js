const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 1, () => close(a, b));
ready([b], () => {
  a.connect(b.address().port, done(a, 'connect', () => a.send('in the callback', done(a, 'send'))));
});
