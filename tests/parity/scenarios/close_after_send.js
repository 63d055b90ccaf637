const { done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([a, b], () => {
  a.send('text', b.address().port, done(a, 'send'));
  a.close(done(a, 'close', () => setTimeout(() => b.close(), 50)));
});
