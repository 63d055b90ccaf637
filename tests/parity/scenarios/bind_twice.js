const { attempt, close, done, open } = require('../trace');
const a = open('a');
a.bind(0, '127.0.0.1', () => {
  attempt(a, 'bind while bound', () => a.bind(0, '127.0.0.1', done(a, 'second bind')));
  close(a);
});
attempt(a, 'bind while binding', () => a.bind(0, '127.0.0.1', done(a, 'early bind')));
