const { after, close, open, ready } = require('../trace');
const a = open('a');
a.once('message', () => {
  throw Object.assign(new Error('a listener'), { code: 'ERR_OF_A_LISTENER' });
});
after(a, 2, () => close(a));
ready([a], () => {
  for (const text of ['one', 'two', 'three']) a.send(text, a.address().port);
});
