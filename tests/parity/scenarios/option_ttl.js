const { attempt, close, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  for (const ttl of [1, 64, 255, 0, 256, -1])
    attempt(a, `TTL ${ttl}`, () => void a.setTTL(ttl));
  close(a);
});
