const { errorMonitor } = require('events');
const { close, failure, quiet, ready, say } = require('../trace');
const [a, b] = [quiet('a'), quiet('b')];
b.on(errorMonitor, (error) => say(b, `monitored ${failure(error)}`));
ready([a], () => {
  b.bind(a.address().port, '127.0.0.1');
  setTimeout(() => {
    b.on('error', (error) => say(b, `error ${failure(error)}`));
    b.on('error', () => close(a, b));
    b.bind(a.address().port, '127.0.0.1');
  }, 50);
});
