const { after, close, done, open, ready, say } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(a, 2, () => close(a, b));
ready([a], () => {
  b.send('one', a.address().port, done(b, 'first'));
  b.send('two', a.address().port, done(b, 'second'));
  say(b, 'both sends have returned');
});
