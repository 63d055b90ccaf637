const { close, done, open } = require('../trace');
const a = open('a');
a.bind(0, '127.0.0.1', done(a, 'bind', () => close(a)));
