const { attempt, close, done, open } = require('../trace');
const a = open('a');
a.on('listening', () => close(a));
a.on('listening', () => attempt(a, 'address', () => a.address().port));
a.bind(0, '127.0.0.1', done(a, 'bind'));
