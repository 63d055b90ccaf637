const { attempt, close, done, open, say } = require('../trace');
const a = open('a');
a.on('listening', () => say(a, 'attached before'));
attempt(a, 'bind', () => a.bind(0, '127.0.0.1', done(a, 'bind')));
a.on('listening', () => {
  say(a, 'attached after');
  close(a);
});
