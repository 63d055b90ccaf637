const { after, close, done, open, ready } = require('../trace');
const [a, b] = [open('a', 'udp6'), open('b', 'udp6')];
after(b, 1, () => close(a, b));
ready([a, b], () => a.send('hello', b.address().port, done(a, 'send')), '::1');
