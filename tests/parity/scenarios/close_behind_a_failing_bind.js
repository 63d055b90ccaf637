const { done, open } = require('../trace');
const a = open('a');
a.bind(0, '1.1.1.1');
a.send('text', 9, '127.0.0.1', done(a, 'send'));
a.close(done(a, 'close'));
