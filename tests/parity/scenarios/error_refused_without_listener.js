const { close, done, open, quiet, ready } = require('../trace');
const [a, gone] = [quiet('a'), open('gone')];
ready([a, gone], () => {
  const { port } = gone.address();
  gone.close(() => a.connect(port, () => a.send('hello?', done(a, 'send'))));
  setTimeout(() => close(a), 50);
});
