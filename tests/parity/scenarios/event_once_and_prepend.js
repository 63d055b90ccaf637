const { after, close, open, ready, say } = require('../trace');
const a = open('a');
a.once('message', () => say(a, 'once'));
a.prependListener('message', () => say(a, 'prepended'));
a.prependOnceListener('message', () => say(a, 'prepended, once'));
after(a, 2, () => close(a));
ready([a], () => {
  say(a, `${a.listenerCount('message')} listeners`);
  for (const text of ['one', 'two']) a.send(text, a.address().port);
});
a.on('close', () => say(a, `${a.listenerCount('message')} listeners`));
