const { done, open, ready, say } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([b], () => {
  a.send('one', b.address().port, done(a, 'first'));
  a.send('two', b.address().port, done(a, 'second'));
  a.close(done(a, 'close', () => setTimeout(() => b.close(), 50)));
  say(a, 'close has returned');
});
