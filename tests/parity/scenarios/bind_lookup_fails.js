const { close, done, notFound, open, say } = require('../trace');
let failures = 1;
const lookup = (name, family, callback) => {
  say(a, `lookup ${name}`);
  process.nextTick(callback, failures-- > 0 ? notFound() : null, '127.0.0.1', 4);
};
const a = open('a', { type: 'udp4', lookup });
a.once('error', () => a.bind(0, 'server.test', done(a, 'second bind', () => close(a))));
a.bind(0, 'server.test', done(a, 'bind'));
