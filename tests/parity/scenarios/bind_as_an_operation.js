const { close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([a], () => {
  b.bind(a.address().port, '127.0.0.1', done(b, 'bind'));
  setTimeout(() => b.bind(0, '127.0.0.1', done(b, 'second bind', () => close(a, b))), 20);
});
