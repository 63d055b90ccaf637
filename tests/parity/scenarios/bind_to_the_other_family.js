const { close, done, open } = require('../trace');
const a = open('a');
a.on('error', () => close(a));
a.bind(0, '::1', done(a, 'bind'));
