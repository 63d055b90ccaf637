const { attempt, close, done, open, place, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  attempt(a, 'disconnect before', () => a.disconnect());
  attempt(a, 'peer before', () => place(a.remoteAddress()));
  a.connect(9, done(a, 'connect', () => {
    attempt(a, 'disconnect', () => a.disconnect());
    attempt(a, 'disconnect again', () => a.disconnect());
    attempt(a, 'peer', () => place(a.remoteAddress()));
    attempt(a, 'send without port', () => a.send('text'));
    a.connect(10, done(a, 'second connect', () => close(a)));
  }));
});
