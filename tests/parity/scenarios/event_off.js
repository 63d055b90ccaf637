const { after, close, open, ready, say } = require('../trace');
const a = open('a');
const listener = () => say(a, 'listener');
a.on('message', listener);
a.on('message', listener);
after(a, 3, () => close(a));
after(a, 1, () => a.off('message', listener));
after(a, 2, () => a.off('message', listener));
ready([a], () => {
  for (const text of ['one', 'two', 'three']) a.send(text, a.address().port);
});
