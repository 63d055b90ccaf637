const { attempt, close, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([a], () => {
  attempt(b, 'bind', () => b.bind({ fd: a._handle.fd }));
  close(a, b);
});
