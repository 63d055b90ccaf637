const { attempt, done, open, ready, say } = require('../trace');
const a = open('a');
ready([a], () => {
  a.on('close', () => say(a, 'attached before'));
  attempt(a, 'close', () => a.close(done(a, 'close')));
  a.on('close', () => say(a, 'attached after'));
});
