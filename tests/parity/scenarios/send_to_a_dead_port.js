const { close, done, open, ownPort, ready } = require('../trace');
const [a, gone] = [open('a'), open('gone')];
let left = 5;
ready([a], () => {
  const next = () => (left-- === 0 ? close(a) : setTimeout(() => a.send('hello?', ownPort, done(a, 'send', next)), 10));
  gone.bind(ownPort, '127.0.0.1', () => gone.close(next));
});
