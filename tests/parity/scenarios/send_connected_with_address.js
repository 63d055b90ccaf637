const { attempt, close, done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => a.connect(9, () => {
  attempt(a, 'send', () => a.send('text', 9, '127.0.0.1', done(a, 'send')));
  close(a);
}));
