const { close, open, ownPort } = require('../trace');
const [a, b] = [open('a', { type: 'udp6', ipv6Only: true }), open('b')];
a.bind(ownPort, '::', () => b.bind(a.address().port, '0.0.0.0', () => close(a, b)));
