const { after, close, open, ready, say } = require('../trace');
const a = open('a');
const second = () => say(a, 'second');
a.once('message', () => {
  say(a, 'first');
  a.off('message', second);
  a.on('message', () => say(a, 'third'));
});
a.on('message', second);
after(a, 2, () => close(a));
ready([a], () => {
  for (const text of ['one', 'two']) a.send(text, a.address().port);
});
