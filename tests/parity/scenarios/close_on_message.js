const { close, open, ready, say } = require('../trace');
const [a, b] = [open('a'), open('b')];
a.on('message', () => close(a));
a.on('message', () => say(a, 'the next listener'));
ready([a, b], () => {
  const { port } = a.address();
  a.on('close', () => close(b));
  for (const text of ['one', 'two', 'three']) b.send(text, port);
});
