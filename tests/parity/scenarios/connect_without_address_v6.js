const { close, done, open } = require('../trace');
const a = open('a', 'udp6');
a.connect(9, done(a, 'connect', () => close(a)));
