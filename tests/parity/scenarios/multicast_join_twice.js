const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  attempt(a, 'join', () => a.addMembership('239.255.77.1', '127.0.0.1'));
  attempt(a, 'join again', () => a.addMembership('239.255.77.1', '127.0.0.1'));
  attempt(a, 'leave', () => a.dropMembership('239.255.77.1', '127.0.0.1'));
  attempt(a, 'leave again', () => a.dropMembership('239.255.77.1', '127.0.0.1'));
  attempt(a, 'join once more', () => a.addMembership('239.255.77.1', '127.0.0.1'));
  close(a);
});
