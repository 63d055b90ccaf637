const { close, done, open, ready } = require('../trace');
const [a, gone] = [open('a'), open('gone')];
a.on('error', () => close(a));
ready([a, gone], () => {
  const { port } = gone.address();
  gone.close(() => a.connect(port, () => a.send('hello?', done(a, 'send'))));
});
