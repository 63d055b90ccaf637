const { attempt, close, open, ready } = require('../trace');
const a = open('a', 'udp6');
ready([a], () => {
  for (const name of ['::', '::%lo', '::%1', 'zzz', ''])
    attempt(a, `send on ${name}`, () => a.setMulticastInterface(name));
  attempt(a, 'join', () => a.addMembership('ff01::77:1', '::1%lo'));
  attempt(a, 'join again', () => a.addMembership('ff01::77:1', '::1%lo'));
  close(a);
}, '::1');
