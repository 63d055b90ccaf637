const { close, done, open } = require('../trace');
const a = open('a');
a.connect(9, '::1', done(a, 'connect', () => {
  a.connect(9, '127.0.0.1', done(a, 'second connect', () => close(a)));
}));
