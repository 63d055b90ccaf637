const { attempt, close, done, open, place, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
ready([a, b], () => {
  a.connect(b.address().port, done(a, 'connect', () => {
    attempt(a, 'connect while connected', () => a.connect(9, done(a, 'third')));
    attempt(a, 'bad port while connected', () => a.connect(0));
    attempt(a, 'peer', () => place(a.remoteAddress()));
    close(a, b);
  }));
  attempt(a, 'connect while connecting', () => a.connect(9, done(a, 'second')));
  attempt(a, 'disconnect while connecting', () => a.disconnect());
});
