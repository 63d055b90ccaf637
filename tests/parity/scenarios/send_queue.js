const { close, done, open, say } = require('../trace');
const a = open('a');
const show = (when) => say(a, `${when}: ${a.getSendQueueSize()} bytes, ${a.getSendQueueCount()} sends`);
a.bind(0, '127.0.0.1', () => a.connect(a.address().port, () => {
  a.send('hello', done(a, 'first'));
  a.send('world', done(a, 'second', () => {
    show('afterwards');
    close(a);
  }));
  show('after two sends');
}));
