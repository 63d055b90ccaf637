const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
after(b, 2, () => close(a, b));
ready([a, b], () => {
  const send = (text, next) => a.send(text, b.address().port, 'localhost', done(a, text, next));
  send('hello', () => send('again'));
});
