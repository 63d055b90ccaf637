const { close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([a], () => {
  b.once('error', () => b.bind(0, '127.0.0.1', done(b, 'bind', () => close(a, b))));
  b.bind(a.address().port, '127.0.0.1', done(b, 'failed bind'));
});
