const { after, close, done, open, say } = require('../trace');
const a = open('a');
const show = (when) => say(a, `${when}: ${a.getSendQueueSize()} bytes, ${a.getSendQueueCount()} sends`);
show('at first');
a.send('hello', 9, done(a, 'send', () => {
  show('afterwards');
  close(a);
}));
show('after a send');
