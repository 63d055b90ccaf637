const { close, done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => a.send('text', 9, '::1', done(a, 'send', () => close(a))));
