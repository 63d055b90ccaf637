const { close, done, open, say } = require('../trace');
const a = open('a', 'udp6');
a.bind(done(a, 'bind', () => {
  say(a, a.address().family);
  close(a);
}));
