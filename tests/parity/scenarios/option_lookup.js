const { after, close, open, say } = require('../trace');
const lookup = (name, options, callback) => {
  say(a, `lookup ${name}`);
  process.nextTick(callback, null, '127.0.0.1', 4);
};
const a = open('a', { type: 'udp4', lookup });
after(a, 2, () => close(a));
a.bind(() => {
  a.send('by name', a.address().port, 'peer.test');
  a.send('by address', a.address().port, '127.0.0.1');
});
