const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  attempt(a, 'join', () => a.addMembership('ff02::1:77'));
  close(a);
});
