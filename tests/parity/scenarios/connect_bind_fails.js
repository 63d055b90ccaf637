const { close, done, notFound, open } = require('../trace');
const lookup = (name, family, callback) => process.nextTick(callback, notFound());
const a = open('a', { type: 'udp4', lookup });
a.connect(9, '127.0.0.1', done(a, 'connect'));
setTimeout(() => close(a), 50);
