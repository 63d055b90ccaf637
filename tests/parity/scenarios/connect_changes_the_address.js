const { attempt, close, done, open, place } = require('../trace');
const a = open('a');
a.bind(0, () => a.connect(9, done(a, 'connect', () => {
  attempt(a, 'address', () => place(a.address()));
  close(a);
})));
