const { close, done, open, say } = require('../trace');
const lookup = (name, family, callback) => {
  say(a, `lookup ${name}`);
  setTimeout(callback, 10, null, '127.0.0.1', 4);
};
const a = open('a', { type: 'udp4', lookup });
a.bind(0, 'server.test', done(a, 'bind'));
close(a);
