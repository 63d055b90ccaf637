const { attempt, close, done, open } = require('../trace');
const a = open('a');
for (const number of [-1, 0, 65536])
  attempt(a, `send ${number}`, () => a.send('text', number, '127.0.0.1', done(a, 'send')));
attempt(a, 'address', () => a.address().port);
close(a);
