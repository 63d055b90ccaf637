const { attempt, close, open, place } = require('../trace');
const a = open('a');
attempt(a, 'join', () => a.addMembership('239.255.77.1', '127.0.0.1'));
setTimeout(() => {
  attempt(a, 'address', () => place(a.address()));
  close(a);
}, 50);
