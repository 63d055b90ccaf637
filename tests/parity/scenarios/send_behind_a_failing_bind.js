const { close, done, open } = require('../trace');
const a = open('a');
a.bind(0, '1.1.1.1');
a.send('one', 9, '127.0.0.1', done(a, 'first'));
a.send('two', 9, '127.0.0.1', done(a, 'second'));
setTimeout(() => close(a), 20);
