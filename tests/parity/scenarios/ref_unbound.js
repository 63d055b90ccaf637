const { open, say } = require('../trace');
const a = open('a');
process.on('exit', () => say('test', 'the loop has ended'));
say(a, 'is never bound');
