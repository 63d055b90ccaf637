const { close, done, open } = require('../trace');
const a = open('a');
a.on('error', () => a.connect(9, '127.0.0.1', done(a, 'second connect', () => close(a))));
a.connect(9, '::1');
