const { close, open, ready, say } = require('../trace');
const a = open('a');
a.on('message', () => say(a, 'removed'));
ready([a], () => {
  a.removeAllListeners('message');
  say(a, `${a.listenerCount('message')} listeners`);
  a.on('message', () => {
    say(a, 'the only one');
    close(a);
  });
  a.send('text', a.address().port);
});
