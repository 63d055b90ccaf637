const { done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => a.send('text', 9, done(a, 'send', () => a.close(done(a, 'close')))));
