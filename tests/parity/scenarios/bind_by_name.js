const { close, done, open } = require('../trace');
const a = open('a');
a.bind(0, 'localhost', done(a, 'bind', () => close(a)));
