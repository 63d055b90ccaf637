const { close, done, open } = require('../trace');
const a = open('a');
a.bind({ port: 0, address: '127.0.0.1', exclusive: true }, done(a, 'bind', () => close(a)));
