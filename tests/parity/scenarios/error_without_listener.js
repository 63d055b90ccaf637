const { close, quiet, ready, say } = require('../trace');
const [a, b] = [quiet('a'), quiet('b')];
ready([a], () => {
  b.bind(a.address().port, '127.0.0.1');
  setTimeout(() => {
    say(b, 'goes on');
    close(a, b);
  }, 50);
});
