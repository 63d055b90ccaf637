const { close, done, open, ready } = require('../trace');
const a = open('a');
ready([a], () => {
  a.connect(9, done(a, 'connect'));
  close(a);
});
