const { attempt, close, open } = require('../trace');
for (const number of [-1, 65536, 70000]) {
  const a = open(`port ${number}`);
  attempt(a, 'bind', () => a.bind(number, '127.0.0.1', () => close(a)));
}
