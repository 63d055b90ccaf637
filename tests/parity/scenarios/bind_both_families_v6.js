const { close, open, ready } = require('../trace');
const [a, b] = [open('a', 'udp6'), open('b')];
b.on('error', () => close(a, b));
ready([a], () => b.bind(a.address().port, '0.0.0.0'), '::');
