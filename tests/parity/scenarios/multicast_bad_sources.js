const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  for (const group of ['0', '10.0.0.1', 'zzz']) {
    attempt(a, `join ${group}`, () => a.addSourceSpecificMembership('127.0.0.1', group));
    attempt(a, `leave ${group}`, () => a.dropSourceSpecificMembership('127.0.0.1', group));
  }
  attempt(a, 'join a source zzz', () => a.addSourceSpecificMembership('zzz', '232.1.77.1'));
  attempt(a, 'leave', () => a.dropSourceSpecificMembership('127.0.0.1', '232.1.77.1', '127.0.0.1'));
  close(a);
});
