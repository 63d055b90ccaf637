const { done, open } = require('../trace');
const a = open('a');
process.on('exit', () => console.log('test: the loop has ended'));
a.bind(0, '127.0.0.1', () => {
  a.unref();
  a.send('text', 9, '127.0.0.1', done(a, 'send'));
});
