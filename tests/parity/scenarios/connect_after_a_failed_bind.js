const { attempt, close, done, open } = require('../trace');
const a = open('a');
a.bind(0, '1.1.1.1');
a.connect(9, '127.0.0.1', done(a, 'connect'));
setTimeout(() => {
  attempt(a, 'connect again', () => void a.connect(9, '127.0.0.1', done(a, 'second connect')));
  setTimeout(() => close(a), 20);
}, 20);
