const { attempt, close, done, open, ready } = require('../trace');
const a = open('a');
const data = Buffer.from('hello');
ready([a], () => {
  for (const [offset, length] of [[6, 0], [0, 6], [3, 4], [5, 1]])
    attempt(a, `send ${offset} ${length}`, () => a.send(data, offset, length, 9, done(a, 'send')));
  attempt(a, 'send 5 0', () => void a.send(data, 5, 0, a.address().port));
  a.on('message', () => close(a));
});
