const { attempt, open } = require('../trace');
const a = open('a');
process.on('exit', () => console.log('test: the loop has ended'));
attempt(a, 'unref', () => a.unref());
a.bind(0, '127.0.0.1');
