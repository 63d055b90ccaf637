const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  attempt(a, 'join on zzz', () => a.addMembership('239.255.77.1', 'zzz'));
  attempt(a, 'join on 9.9.9.9', () => a.addMembership('239.255.77.1', '9.9.9.9'));
  for (const name of ['0.0.0.0', '127.0.0.1', '224.0.0.2', '9.9.9.9', 'undefined', ''])
    attempt(a, `send on ${name}`, () => a.setMulticastInterface(name));
  close(a);
});
