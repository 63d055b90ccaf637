const { close, done, open, ready } = require('../trace');
const [a, gone] = [open('a'), open('gone')];
let left = 5;
ready([a, gone], () => {
  const { port } = gone.address();
  const next = () => (left-- === 0 ? close(a) : setTimeout(() => a.send('hello?', port, done(a, 'send', next)), 10));
  gone.close(next);
});
