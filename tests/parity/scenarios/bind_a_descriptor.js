const { after, close, done, open, ready, say } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([a], () => {
  const { fd } = a._handle;
  a._handle.recvStop();
  after(b, 1, () => close(a, b));
  b.bind({ fd }, done(b, 'bind'));
  say(b, 'bind has returned');
  b.send('to itself', b.address().port);
});
