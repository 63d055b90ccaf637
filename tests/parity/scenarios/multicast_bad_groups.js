const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  for (const group of ['256.256.256.256', 'zzz', '0.0.0.0', '10.0.0.1']) {
    attempt(a, `join ${group}`, () => a.addMembership(group));
    attempt(a, `leave ${group}`, () => a.dropMembership(group));
  }
  attempt(a, 'join nothing', () => a.addMembership(''));
  close(a);
});
