const { attempt, close, done, open } = require('../trace');
const a = open('a');
for (const number of [-1, 0, 65536, 78960])
  attempt(a, `connect ${number}`, () => a.connect(number, done(a, `connect ${number}`)));
a.bind(0, '127.0.0.1', () => {
  attempt(a, 'connect 0', () => a.connect(0));
  a.connect(65535, done(a, 'connect', () => close(a)));
});
