const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  for (const ttl of [0, 1, 255, 256, 1000, -1])
    attempt(a, `multicast TTL ${ttl}`, () => void a.setMulticastTTL(ttl));
  close(a);
});
