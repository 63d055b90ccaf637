const { after, close, done, open, ready, say } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 4, () => close(a, b));
ready([b], () => {
  a.on('listening', () => say(a, 'attached before'));
  for (const text of ['one', 'two', 'three', 'four'])
    a.send(text, b.address().port, '127.0.0.1', done(a, text));
  a.on('listening', () => say(a, 'attached after'));
});
