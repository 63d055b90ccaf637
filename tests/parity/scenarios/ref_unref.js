const { attempt, open } = require('../trace');
const a = open('a');
process.on('exit', () => console.log('test: the loop has ended'));
a.bind(0, '127.0.0.1', () => {
  attempt(a, 'unref', () => a.unref());
  attempt(a, 'unref again', () => a.unref());
});
