const { done, open, ready } = require('../trace');
const [a, b] = [open('a'), open('b')];
b.on('error', () => b.close(done(b, 'close', () => a.close())));
ready([a], () => b.bind(a.address().port, '127.0.0.1'));
