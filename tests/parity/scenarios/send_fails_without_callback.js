const { close, done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  a.send(Buffer.alloc(70000), 12345, '127.0.0.1');
  a.send('after it', a.address().port, done(a, 'send'));
  a.on('message', () => setTimeout(() => close(a), 20));
});
