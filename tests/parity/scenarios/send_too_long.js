const { close, done, open, ready } = require('../trace');
const a = open('a');
const data = Buffer.alloc(262144);
ready([a], () => a.send(data, 12345, '127.0.0.1', done(a, 'send', () => {
  a.connect(12345, () => a.send(data, done(a, 'connected send', () => close(a))));
})));
