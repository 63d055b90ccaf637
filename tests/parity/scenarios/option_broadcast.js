const { attempt, close, done, open } = require('../trace');
const a = open('a');
a.bind(0, '127.0.0.1', () => {
  a.send('text', 9, '255.255.255.255', done(a, 'send', () => {
    attempt(a, 'broadcast on', () => a.setBroadcast(true));
    a.send('text', 9, '127.255.255.255', done(a, 'send', () => {
      attempt(a, 'broadcast off', () => a.setBroadcast(false));
      a.send('text', 9, '127.255.255.255', done(a, 'send', () => close(a)));
    }));
  }));
});
