const { after, attempt, close, open } = require('../trace');
const a = open('a');
process.on('exit', () => console.log('test: the loop has ended'));
after(a, 1, () => close(a));
a.bind(0, '127.0.0.1', () => {
  a.unref();
  attempt(a, 'ref', () => a.ref());
  a.send('still here', a.address().port);
});
