const { close, done, open } = require('../trace');
const a = open('a');
a.connect(9, 'localhost', done(a, 'connect', () => close(a)));
