const { attempt, done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  a.close(done(a, 'close', () => attempt(a, 'close when closed', () => a.close())));
  attempt(a, 'close while closing', () => a.close(done(a, 'second close')));
});
